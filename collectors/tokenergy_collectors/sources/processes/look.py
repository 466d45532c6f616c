"""One look at the processes on the boards: who is on which device now.

In: NVML's lists, now and then, and /proc, each time. Out: the owners on each device. Between two
lists only ends are found: they cost a read of /proc, a list costs a lock in the driver.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from tokenergy_collectors.sources.kubernetes.turns import in_turns
from tokenergy_collectors.sources.processes.owners import Owner, Owners
from tokenergy_collectors.sources.processes.procfs import Proc, Process
from tokenergy_collectors.sources.processes.uses import Pids


class On(NamedTuple):
    """A process on a device; `since_us` is when the process began (us UTC), if that is known."""

    device_id: str
    process: Process
    owner: Owner
    since_us: int | None


class Look(NamedTuple):
    """What one look found.

    Attributes:
        on: the processes on each device.
        unknown: devices whose processes are not known now: what was there may still be.
        hidden: numbers that NVML lists and /proc does not show.
        listed: whether NVML was asked.
        before_us: who was not there then and is there now, came later (us UTC); None at first.
    """

    on: list[On]
    unknown: frozenset[str]
    hidden: frozenset[int]
    listed: bool = True
    before_us: int | None = None


class Looker:
    """Looks again and again; for one thread.

    Args:
        ask: asks NVML.
        proc: the processes.
        owners: finds whose they are.
        every_us: least time between two lists.
    """

    def __init__(self, ask: Callable[[], Pids], proc: Proc, owners: Owners, every_us: int) -> None:
        self._ask = ask
        self._proc = proc
        self._owners = owners
        self._every_us = every_us
        self._next_us: int | None = None
        self._listed_us: int | None = None
        self._looked_us: int | None = None
        self._last = Look([], frozenset(), frozenset())

    def look(self, now_us: int) -> Look:
        """Return who is on the devices at an instant (us UTC)."""
        if self._next_us is None or now_us >= self._next_us:
            self._next_us = now_us + self._every_us
            self._last = self._list(now_us)._replace(before_us=self._listed_us)
            self._listed_us = now_us
        else:
            still = [one for one in in_turns(self._last.on) if self._is_there(one)]
            self._last = self._last._replace(on=still, listed=False, before_us=self._looked_us)
        self._looked_us = now_us
        return self._last

    def _is_there(self, one: On) -> bool:
        return self._proc.is_same(one.process.stat)

    def _list(self, now_us: int) -> Look:
        pids = self._ask()
        on: list[On] = []
        hidden: set[int] = set()
        known: dict[int, tuple[Process, Owner, int | None] | None] = {}
        for device_id, found in pids.items():
            for pid in in_turns(sorted(found or ())):
                if pid not in known:
                    known[pid] = self._who(pid, now_us)
                who = known[pid]
                if who is None:
                    hidden.add(pid)
                else:
                    on.append(On(device_id, *who))
        silent = frozenset(device_id for device_id, found in pids.items() if found is None)
        # A device that does not tell has the processes that it had, as long as they live.
        on += [one for one in self._last.on if one.device_id in silent and self._is_there(one)]
        return Look(on, silent, frozenset(hidden))

    def _who(self, pid: int, now_us: int) -> tuple[Process, Owner, int | None] | None:
        process = self._proc.process(pid)
        if process is None:
            return None
        age_us = self._proc.age_us(process.stat)
        return process, self._owners.of(process), None if age_us is None else now_us - age_us
