"""Which board, and which part of it, a device of the kubelet is.

In: device ids as NVIDIA's and Google's device plugins and NVIDIA's DRA driver write them. Out: the
`device_id` of a board or MIG instance and the share of it.

- `GPU-...`, `MIG-...`: the UUID.
- `nvidia0`, `nvidia0/gi1`: minor number, and number of the GPU instance on the board.
- `GPU-...::3`, `nvidia0/vgpu3`: one of several replicas (time slicing, MPS). The kubelet knows how
  many there are: each is that part of the device. That is what it may use, not what it used.
- `gpu.nvidia.com/POOL/gpu-0`: a claim; see `claims`.

A device that is no known board keeps its claim under the kubelet's name: what a job holds is never
dropped in silence.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import pynvml

from tokenergy_collectors.lake.contract import WHOLE_PPM
from tokenergy_collectors.lake.devicenames import uuid_key
from tokenergy_collectors.sources.kubernetes.claims import Attributes, Slices
from tokenergy_collectors.sources.kubernetes.pods import Held
from tokenergy_collectors.sources.nvml.boards import Board
from tokenergy_collectors.sources.nvml.calls import or_none

_REPLICA = re.compile(r"(?P<base>.+?)(?:::|/vgpu)(?P<number>\d{1,6})", re.ASCII)
_MINOR = re.compile(r"nvidia(\d{1,4})(?:/gi(\d{1,3}))?", re.ASCII)
_CLAIMED = re.compile(r"[^/]+/[^/]+/gpu-(\d{1,4})", re.ASCII)


JobOf = Callable[[Held], str]
"""Returns the id of a container's job."""


class Use(NamedTuple):
    """What a container has of a device.

    Attributes:
        device_id: of the board or MIG instance; the kubelet's name if it is not known.
        share_ppm: share of that device.
        problem: why it is not known; None if it is.
    """

    device_id: str
    share_ppm: int
    problem: str | None = None


class _Found(NamedTuple):
    device_id: str | None
    problem: str | None = None
    part_ppm: int = WHOLE_PPM


class Devices:
    """Finds boards by the kubelet's names.

    Args:
        boards: the boards of this host, as they are now.
        slices: says what claims mean.
    """

    def __init__(self, boards: list[Board], slices: Slices) -> None:
        self._boards = boards
        self._slices = slices
        self._replicas: Counter[str] = Counter()
        self._instances: dict[str, int | None] = {}

    def set_allocatable(self, answer: Any) -> None:
        """Take how many replicas each device has, from an `AllocatableResourcesResponse`.

        A kubelet that has just started lists none until the device plugin is back: the number that
        was known before stays.
        """
        ids = (device for devices in answer.devices for device in devices.device_ids)
        self._replicas.update(_more(Counter(base for base, _ in map(_split, ids)), self._replicas))

    def uses(self, held: Iterable[Held]) -> dict[Held, Use]:
        """Return what each container has, given everything that containers have now."""
        held = list(held)
        pods = Counter(device for _, device in {(h.owner, h.device) for h in held if h.claimed})
        listed: Counter[str] = Counter()
        for base, number in (_split(one.device) for one in held):
            listed[base] = max(listed[base], 1 + (number or 0))
        return {one: self._use(one, listed, pods) for one in held}

    def replicas_known(self, device: str) -> bool:
        """Whether it is known how many replicas a device has; True if it is not a replica."""
        base, number = _split(device)
        return number is None or base in self._replicas

    def _use(self, held: Held, listed: Counter[str], pods: Counter[str]) -> Use:
        if held.claimed:
            found, parts = self._claim(held.device), pods[held.device]
        else:
            base, number = _split(held.device)
            found = self._device(base)
            parts = 1 if number is None else max(self._replicas[base], listed[base])
        share_ppm = max(1, found.part_ppm // parts)
        return Use(found.device_id or held.device, share_ppm, found.problem)

    def _device(self, name: str) -> _Found:
        """Find a device by the name that a device plugin gives it."""
        if name[:4].upper() in ("GPU-", "MIG-"):
            return self._by_uuid(name)
        minor = _MINOR.fullmatch(name)
        if minor is None:
            return _Found(None, "is neither a UUID nor a device file")
        board = next((b for b in self._boards if b.minor == int(minor[1])), None)
        if board is None:
            return _Found(None, "fits the minor number of no board")
        if minor[2] is None:
            return _Found(board.device_id)
        for one in board.instances:
            if self._gpu_instance(one.device_id, one.handle) == int(minor[2]):
                return _Found(one.device_id)
        return _Found(None, f"names an instance that {board.device_id} does not have")

    def _by_uuid(self, uuid: str) -> _Found:
        for device_id in self._ids():
            if uuid_key(device_id) == uuid_key(uuid):
                return _Found(device_id)
        return _Found(None, "fits no board or MIG instance that the collector has seen")

    def _claim(self, device: str) -> _Found:
        """Find a device of a claim: by its attributes, or else by the name that NVIDIA gives it."""
        attributes = self._slices.get(device)
        if attributes is not None and attributes.uuid is not None:
            return self._by_uuid(attributes.uuid)
        if attributes is not None and attributes.parent_uuid is not None:
            return self._partition(attributes)
        named = _CLAIMED.fullmatch(device)
        if named is None:
            why = "has no uuid in resource_slices" if self._slices.given else _NO_SLICES
            return _Found(None, why)
        # The driver names boards by minor number; releases differ, so index and number must agree.
        number = int(named[1])
        boards = [b for b in self._boards if number in (b.minor, b.index)]
        if len(boards) != 1:
            return _Found(None, f"could be {len(boards)} boards; {_NO_SLICES}")
        return _Found(boards[0].device_id)

    def _partition(self, attributes: Attributes) -> _Found:
        """Find a MIG instance that was made for a claim: known are its board and its profile."""
        parent = self._by_uuid(attributes.parent_uuid or "")
        board = next((b for b in self._boards if b.device_id == parent.device_id), None)
        if board is None:
            return parent
        alike = [
            one.share_ppm
            for one in board.instances
            if attributes.profile and (one.name or "").endswith(f" {attributes.profile}")
        ]
        # Instances of one profile are parts of one size: which of them it is makes no difference.
        if not alike or alike[0] is None:
            return _Found(None, f"{board.device_id} has no instance {attributes.profile} (yet)")
        return _Found(board.device_id, part_ppm=alike[0])

    def _ids(self) -> Iterator[str]:
        for board in self._boards:
            yield board.device_id
            yield from (one.device_id for one in board.instances)

    def _gpu_instance(self, device_id: str, handle: Any) -> int | None:
        """Return the number of an instance on its board; asked once, since it does not change."""
        if device_id not in self._instances:
            self._instances[device_id] = or_none(pynvml.nvmlDeviceGetGpuInstanceId, handle)
        return self._instances[device_id]


_NO_SLICES = "give the attributes of its devices in kubernetes.resource_slices"


def shares_of_jobs(uses: Mapping[Held, Use], job_of: JobOf) -> dict[Held, Use]:
    """Return uses in which each share is all that the job has of the device.

    The ledger counts a job once on a device, with its largest share. A job that has two of four
    replicas, in one container or in several, has half of the device.
    """
    parts: dict[tuple[str, str], dict[tuple[object, str], int]] = {}
    for held, use in uses.items():
        part = parts.setdefault((job_of(held), use.device_id), {})
        # Several containers of a pod may have one claim: that is one share.
        part[held.owner, held.device] = use.share_ppm
    return {
        held: use._replace(
            share_ppm=min(WHOLE_PPM, sum(parts[job_of(held), use.device_id].values()))
        )
        for held, use in uses.items()
    }


def _split(device: str) -> tuple[str, int | None]:
    """Return the device that a replica is one of, and its number; None if it is no replica."""
    found = _REPLICA.fullmatch(device)
    return (device, None) if found is None else (found["base"], int(found["number"]))


def _more(counted: Counter[str], known: Counter[str]) -> dict[str, int]:
    """Return by how much the counts of devices change; those that are missing keep theirs."""
    return {base: count - known[base] for base, count in counted.items()}
