"""What the kernel says of a process, and whether it is still the same one.

In: /proc. Out: processes. A number is given to another process when the first has ended: only with
its start time (ticks since boot, /proc/PID/stat) it means one. A process may end between any two
reads: then it is not there. Source: proc(5).
"""

from __future__ import annotations

import os
import pwd
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from tokenergy_collectors.sources.processes.cgroups import Place, place_of, printable

_TICKS_S = os.sysconf("SC_CLK_TCK")
_US = 1_000_000


class Stat(NamedTuple):
    """A line of /proc/PID/stat, as far as it is needed; `start` is in ticks since boot."""

    pid: int
    comm: str
    parent: int
    start: int


class Process(NamedTuple):
    """A process, its user and its cgroup."""

    stat: Stat
    uid: int
    place: Place


class Proc:
    """Reads one /proc.

    Args:
        root: where it is.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    def stat(self, pid: int) -> Stat | None:
        """Return the stat of a process; None if it is not there, or hidden."""
        try:
            text = (self.root / str(pid) / "stat").read_text("utf-8", "replace")
            # The name may hold anything, brackets too.
            comm = text[text.index("(") + 1 : text.rindex(")")]
            rest = text[text.rindex(")") + 1 :].split()
            return Stat(pid, printable(comm), int(rest[1]), int(rest[19]))
        except (OSError, ValueError, IndexError):
            return None

    def process(self, pid: int) -> Process | None:
        """Return a process; None if it is not there."""
        stat = self.stat(pid)
        if stat is None:
            return None
        folder = self.root / str(pid)
        try:
            uid = folder.stat().st_uid
            place = place_of((folder / "cgroup").read_text("utf-8", "replace"))
        except OSError:
            return None
        # Another process may have got the number between the two reads.
        return Process(stat, uid, place) if self.is_same(stat) else None

    def is_same(self, stat: Stat) -> bool:
        """Return whether a process still runs."""
        now = self.stat(stat.pid)
        return now is not None and now.start == stat.start

    def age_us(self, stat: Stat) -> int | None:
        """Return how long ago a process began (us); None if the uptime cannot be read."""
        try:
            uptime_s = float((self.root / "uptime").read_text("utf-8").split()[0])
        except (OSError, ValueError, IndexError):
            return None
        return max(0, round((uptime_s - stat.start / _TICKS_S) * _US))

    def pids(self) -> Iterator[int]:
        """Yield the numbers of all processes that are shown."""
        try:
            with os.scandir(self.root) as entries:
                yield from (int(one.name) for one in entries if one.name.isdecimal())
        except OSError:
            return


@lru_cache(1024)  # the names may come from a directory on the network
def user_of(uid: int) -> str:
    """Return the name of a user, or its number."""
    try:
        return printable(pwd.getpwuid(uid).pw_name)
    except KeyError:
        return str(uid)
