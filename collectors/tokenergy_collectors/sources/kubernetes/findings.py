"""What `tokenergy-collect check` says of the kubelet.

In: the settings and the boards. Out: findings: whether the kubelet answers, which pods it names,
which of their devices are no known boards, and what cannot be told.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.base.finding import Finding
from tokenergy_collectors.lake.contract import WHOLE_PPM
from tokenergy_collectors.sources.kubernetes.claims import Slices
from tokenergy_collectors.sources.kubernetes.devices import Devices, Use
from tokenergy_collectors.sources.kubernetes.kubelet import Kubelet, KubeletError
from tokenergy_collectors.sources.kubernetes.pods import Held, read_pods
from tokenergy_collectors.sources.kubernetes.settings import Kubernetes
from tokenergy_collectors.sources.kubernetes.traces import Traces
from tokenergy_collectors.sources.nvml.boards import Board

_SUBJECT = "kubelet"
_MOST_NAMED = 8


def kubernetes_findings(settings: Kubernetes, boards: list[Board]) -> Iterator[Finding]:
    """Yield the findings; asks the kubelet once."""
    slices = Slices(settings.resource_slices)
    if why := slices.look():
        yield Finding("warn", _SUBJECT, why)
    try:
        kubelet = Kubelet(settings.socket, settings.timeout_s, settings.limit_mib)
    except UserError as error:
        yield Finding("FAIL", _SUBJECT, str(error))
        return
    try:
        yield from _answers(settings, kubelet, Devices(boards, slices))
    except KubeletError as error:
        yield Finding("warn", _SUBJECT, str(error))
    finally:
        kubelet.close()


def _answers(settings: Kubernetes, kubelet: Kubelet, devices: Devices) -> Iterator[Finding]:
    """Yield what an answer says.

    Raises:
        KubeletError: there is none.
    """
    listed = read_pods(kubelet.pods(), settings.resource_prefix, settings.dra_driver)
    try:
        devices.set_allocatable(kubelet.allocatable())
    except KubeletError as error:
        if any(not devices.replicas_known(one.device) for one in listed.held):
            yield Finding("warn", _SUBJECT, f"how many replicas there are is not known: {error}")
    traces = Traces(settings.pod_logs, settings.cgroups)
    traces.look()
    ended = {one.owner for one in listed.held if traces.ended(one.owner)}
    uses = devices.uses(one for one in listed.held if one.owner not in ended)
    yield Finding("ok", _SUBJECT, f"{settings.socket}: {_pods(uses)}")
    for held, use in uses.items():
        if use.problem is not None:
            text = f"{held.namespace}/{held.pod}: {held.resource} {held.device} {use.problem}"
            yield Finding("warn", _SUBJECT, text)
    for name in sorted(listed.refused):
        yield Finding("warn", _SUBJECT, f"{name}: left out")
    if ended:
        names = _first(sorted("/".join(owner) for owner in ended))
        yield Finding("ok", _SUBJECT, f"has ended, and is still listed by the kubelet: {names}")
    if listed.ignored:
        names = _first(sorted(listed.ignored))
        yield Finding("ok", _SUBJECT, f"not {settings.resource_prefix}*, ignored: {names}")
    if traces.problem is not None:
        yield Finding("warn", _SUBJECT, f"{traces.problem}: {_NO_TRACES}")


_NO_TRACES = (
    "a pod that has ended counts until the kubelet forgets it, or another pod has its board"
)


def _pods(uses: Mapping[Held, Use]) -> str:
    """Return which pods have which boards, in words."""
    by_pod: dict[str, list[str]] = {}
    for held, use in uses.items():
        percent = 100 * use.share_ppm / WHOLE_PPM
        part = "" if use.share_ppm == WHOLE_PPM else f" ({percent:.4g} %)"
        by_pod.setdefault("/".join(held.owner), []).append(use.device_id + part)
    if not by_pod:
        return "no pod has a GPU"
    count = "1 pod has a GPU" if len(by_pod) == 1 else f"{len(by_pod)} pods have GPUs"
    return f"{count}: {_first([f'{pod} has {_first(ids)}' for pod, ids in by_pod.items()])}"


def _first(names: list[str]) -> str:
    rest = len(names) - _MOST_NAMED
    return ", ".join(names[:_MOST_NAMED]) + (f" and {rest} more" if rest > 0 else "")
