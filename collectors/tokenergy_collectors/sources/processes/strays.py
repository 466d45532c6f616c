"""Processes on boards that no job explains: when each of them began to be there, and when it left.

In: who is on the devices, and which jobs hold these. Out: events `stray` and `stray_over`, with the
same words, stamped with the time at which it was first seen and no longer seen. What the board drew
meanwhile is in the account `unattributed`: the check `processes_have_jobs` says how much. A process
of a Slurm job or a pod on a device that other jobs of that scheduler hold is one too.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tokenergy_collectors.sources.kubernetes.turns import in_turns
from tokenergy_collectors.sources.processes.look import Look, On
from tokenergy_collectors.sources.processes.others import Allocations, Row, is_of, key_of

EmitAt = Callable[[str, int, str, str], None]
"""Takes an event: kind, stamp (us UTC), device_id, detail."""

MOST = 1_000
"""Strays that are followed at once; further ones are not told."""

_SHOWN = 3


@dataclass(slots=True)
class _Stray:
    words: str
    since_us: int
    last_us: int
    told: bool = False


class Strays:
    """Follows the strays of a node; for one thread.

    Args:
        allocations: who holds the devices.
        emit: records an event.
        after_us: how long a process may be without a job before that is an event.
    """

    def __init__(self, allocations: Allocations, emit: EmitAt, after_us: int) -> None:
        self._allocations = allocations
        self._emit = emit
        self._after_us = after_us
        self._open: dict[tuple[str, str, str, str], _Stray] = {}

    def step(self, look: Look, now_us: int) -> None:
        """Take who is on the devices at an instant (us UTC)."""
        seen: dict[tuple[str, str, str, str], list[On]] = {}
        devices = {one.device_id for one in look.on}
        held = {device_id: self._allocations.on(device_id, now_us) for device_id in devices}
        for one in in_turns(look.on):
            if (why := _unexplained(one, held[one.device_id])) is not None:
                key = (one.device_id, one.owner.words, one.owner.user, why)
                seen.setdefault(key, []).append(one)
        for key in [key for key in self._open if key not in seen]:
            self._close(key, now_us)
        for key, found in seen.items():
            stray = self._open.get(key)
            if stray is None:
                if len(self._open) >= MOST:
                    continue
                stray = self._open[key] = _Stray(_words(found, key[3]), now_us, now_us)
            stray.last_us = now_us
            if not stray.told and now_us - stray.since_us >= self._after_us:
                stray.told = True
                self._emit("stray", stray.since_us, key[0], stray.words)

    def finish(self, now_us: int) -> None:
        """Record that nobody looks any more."""
        for key in list(self._open):
            self._close(key, now_us)

    def _close(self, key: tuple[str, str, str, str], now_us: int) -> None:
        stray = self._open.pop(key)
        if stray.told:
            self._emit("stray_over", now_us, key[0], stray.words)


def _words(found: list[On], why: str) -> str:
    first = found[0]
    stat, more = first.process.stat, len(found) - 1
    others = f" and {more} more" if more else ""
    owner = first.owner
    return (
        f"process {stat.pid} ({stat.comm}){others} of {owner.user}, {owner.words}, "
        f"cgroup {first.process.place.path}: {why}"
    )


def _unexplained(one: On, held: Sequence[Row]) -> str | None:
    """Return why a process has no job, in words; None if one explains it."""
    if not held:
        return "no job holds the board"
    kind, name = one.owner.kind, one.owner.name
    same = [row for row in held if row.get("scheduler") == kind]
    # What the scheduler itself says is held against it; a job list may name its jobs otherwise.
    foreign = kind in ("slurm", "kubernetes") and len(same) == len(held)
    if not foreign or any(is_of(row, kind, name) for row in same):
        return None
    jobs = sorted({key_of(row) for row in held})
    more = "" if len(jobs) <= _SHOWN else f" and {len(jobs) - _SHOWN} more"
    return f"the board is held by {', '.join(jobs[:_SHOWN])}{more}"
