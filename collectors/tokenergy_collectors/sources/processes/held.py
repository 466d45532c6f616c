"""Which job holds which device, from one look to the next.

In: who is on the devices, and what other sources say of them. Out: starts and ends. Rules:

- A job holds a device while one of its processes is on it, unless another source (Slurm, the
  kubelet, a job list) says that somebody holds the device: then that is so.
- Several jobs on one device hold equal parts: NVML meters the board alone.
- An allocation ends when the last process of its job has left; where the share changes, another
  one follows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal, NamedTuple

from tokenergy_collectors.lake.contract import WHOLE_PPM
from tokenergy_collectors.sources.processes.look import Look, On
from tokenergy_collectors.sources.processes.owners import Owner

Key = tuple[str, str]
"""Job and device."""


class Want(NamedTuple):
    """What a job has of a device now; `began_us` is when its first process there began."""

    share_ppm: int
    owner: Owner
    began_us: int | None


@dataclass(slots=True, eq=False)
class Holding:
    """One allocation.

    Attributes:
        job_id, device_id, share_ppm, owner: as in `Want`.
        last_us: when it was last seen (us UTC).
        start_us: when it began (us UTC); None until the boards were read for it.
        doubt_us: how far its start, or its end, may be off; None if nothing is known of before.
        recorded_us: when its latest row was recorded (us UTC).
        earlier: whether it is in the lake, and was not seen in this run yet.
    """

    job_id: str
    device_id: str
    share_ppm: int
    owner: Owner
    last_us: int
    start_us: int | None = None
    doubt_us: int | None = None
    recorded_us: int = 0
    earlier: bool = False


class Change(NamedTuple):
    """An allocation began or ended: after `since_us`, None if nothing is known of before.

    `at_us` is when it ended (us UTC), if it is too late to read the boards for it.
    """

    kind: Literal["start", "end"]
    holding: Holding
    since_us: int | None
    at_us: int | None = None


def wanted(look: Look, is_held: Callable[[str], bool]) -> dict[Key, Want]:
    """Return what each job has of each device.

    Args:
        look: who is on the devices.
        is_held: whether another source says that somebody holds a device.
    """
    by_device: dict[str, dict[str, list[On]]] = {}
    free = {one for one in {one.device_id for one in look.on} if not is_held(one)}
    for one in look.on:
        if one.owner.job_id is not None and one.device_id in free:
            jobs = by_device.setdefault(one.device_id, {})
            jobs.setdefault(one.owner.job_id, []).append(one)
    found: dict[Key, Want] = {}
    for device_id, jobs in by_device.items():
        part, rest = divmod(WHOLE_PPM, len(jobs))
        for place, job_id in enumerate(sorted(jobs)):
            began = [one.since_us for one in jobs[job_id] if one.since_us is not None]
            share_ppm = part + (place < rest)
            owner = jobs[job_id][0].owner
            found[job_id, device_id] = Want(share_ppm, owner, min(began, default=None))
    return found


class Holdings:
    """The allocations of one node that have not ended."""

    def __init__(self) -> None:
        self._open: dict[Key, Holding] = {}
        self._before_us: int | None = None

    def restore(self, holdings: Iterable[Holding], last_us: int | None) -> None:
        """Take what an earlier run left open, and when it was last alive (us UTC)."""
        self._open = {(one.job_id, one.device_id): one for one in holdings}
        self._before_us = last_us

    def step(self, now: dict[Key, Want], looked_us: int, before_us: int | None) -> list[Change]:
        """Return what has changed since the last step.

        Args:
            now: what each job has.
            looked_us: when that was seen (us UTC).
            before_us: what is new was not there then (us UTC); None at the first step.
        """
        changes = []
        before_us = before_us or self._before_us
        for key, holding in list(self._open.items()):
            if (want := now.get(key)) is None or not _goes_on(holding, want):
                del self._open[key]
                at_us = holding.last_us if holding.earlier else None
                changes.append(Change("end", holding, holding.last_us, at_us))
            else:
                holding.last_us, holding.earlier = looked_us, False
        for key, want in now.items():
            if key not in self._open:
                holding = Holding(*key, want.share_ppm, want.owner, looked_us)
                self._open[key] = holding
                # Of what was there at the first look nobody knows when it came to the board.
                since_us = before_us and max(before_us, want.began_us or 0)
                changes.append(Change("start", holding, since_us))
        return changes


def _goes_on(holding: Holding, want: Want) -> bool:
    if holding.share_ppm != want.share_ppm:
        return False
    # While nobody looked, the job may have ended and begun again.
    return not (holding.earlier and want.began_us and want.began_us > holding.last_us)
