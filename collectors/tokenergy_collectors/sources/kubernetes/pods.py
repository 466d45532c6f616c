"""What the kubelet says of GPUs, as a flat list: one entry for each device of each container.

In: the kubelet's answer to `List`. Out: what is held, and what was left out. Names are checked
here, once: they become part of job ids, labels and lines of text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from tokenergy_collectors.sources.kubernetes.turns import in_turns

_NAME = re.compile(r"[a-z0-9](?:[-a-z0-9.]{0,251}[a-z0-9])?", re.ASCII)
"""A DNS subdomain: what Kubernetes allows as the name of a pod; namespaces allow less."""

_DEVICE = re.compile(r"[!-~]{1,256}", re.ASCII)


class Held(NamedTuple):
    """One device of one container.

    Attributes:
        namespace: of the pod.
        pod: its name.
        container: name of the container.
        resource: the resource's name; of a claim, `claim NAMESPACE/NAME`.
        device: the device's id, as the kubelet has it; of a claim, `DRIVER/POOL/DEVICE`.
        claimed: whether the device comes from a claim (DRA). Pods may share one.
    """

    namespace: str
    pod: str
    container: str
    resource: str
    device: str
    claimed: bool = False

    @property
    def owner(self) -> tuple[str, str]:
        """Namespace and name of the pod."""
        return self.namespace, self.pod


class Listed(NamedTuple):
    """An answer of the kubelet.

    Attributes:
        held: the GPUs that containers have.
        ignored: resources and DRA drivers that are not GPUs of this vendor.
        refused: what was left out because of its name, escaped.
    """

    held: list[Held]
    ignored: set[str]
    refused: set[str]


def read_pods(answer: Any, resource_prefix: str, dra_driver: str) -> Listed:
    """Return what an answer says of GPUs.

    Args:
        answer: a `ListPodResourcesResponse`.
        resource_prefix: how the names of GPU resources begin.
        dra_driver: the DRA driver whose claims are GPUs.
    """
    found = Listed([], set(), set())
    for pod in in_turns(answer.pod_resources):
        for container in pod.containers:
            # Most containers have no device: nothing else of them is looked at.
            if not container.devices and not container.dynamic_resources:
                continue
            for held in _of_container(pod, container):
                kind, prefix = held.resource, resource_prefix
                if held.claimed:
                    kind, prefix = held.device.split("/", 1)[0], dra_driver
                if not (kind == prefix if held.claimed else kind.startswith(prefix)):
                    found.ignored.add(_shown(kind))
                elif why := _bad_name(held):
                    found.refused.add(why)
                else:
                    found.held.append(held)
    return found


def _of_container(pod: Any, container: Any) -> Iterator[Held]:
    names = (pod.namespace, pod.name, container.name)
    for devices in container.devices:
        for device in devices.device_ids:
            yield Held(*names, devices.resource_name, device)
    for dynamic in container.dynamic_resources:
        claim = f"claim {dynamic.claim_namespace}/{dynamic.claim_name}"
        for one in dynamic.claim_resources:
            device = f"{one.driver_name}/{one.pool_name}/{one.device_name}"
            yield Held(*names, claim, device, claimed=True)


def _bad_name(held: Held) -> str | None:
    """Return which name Kubernetes does not allow; None if all are in order."""
    for name in (held.namespace, held.pod, held.container):
        if not _NAME.fullmatch(name):
            return (
                f"pod {_shown(held.namespace)}/{_shown(held.pod)}: a name that Kubernetes forbids"
            )
    for name in (held.device, held.resource.removeprefix("claim ")):
        if not _DEVICE.fullmatch(name):
            return f"pod {held.namespace}/{held.pod}: a device or resource called {_shown(name)}"
    return None


def _shown(name: str) -> str:
    """Return a name for a line of text: short, and escaped unless it is plain."""
    return name if _DEVICE.fullmatch(name) and len(name) <= 100 else ascii(name[:100])
