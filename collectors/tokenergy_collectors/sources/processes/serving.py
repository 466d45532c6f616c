"""Which job a server of this host works for: endpoint, process tree, boards, allocation.

In: an address. Out: a job, or why there is none. The job that the server's own cgroup names (a job
of Slurm, a pod, a job of `[processes]`) counts if it holds the boards; else the one job that holds
the boards on which the server's processes are. Where two jobs fit, none is chosen. The sockets of
other users are hidden from this one: then the cgroup in which one was made says whose it is.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import NamedTuple

from tokenergy_collectors.sources.processes.listening import HiddenError, Listening, NotFoundError
from tokenergy_collectors.sources.processes.others import Allocations, Row, is_of, key_of
from tokenergy_collectors.sources.processes.owners import Owner, Owners
from tokenergy_collectors.sources.processes.procfs import Proc, Process, Stat
from tokenergy_collectors.sources.processes.rows import METHOD
from tokenergy_collectors.sources.processes.socketcgroup import cgroup_ids, id_of, mounted
from tokenergy_collectors.sources.processes.uses import Pids

_MOST_UP = 64
_PIDS_US = 3_500_000
"""How old a list of NVML may be: each one takes a lock in the driver."""


class Server(NamedTuple):
    """Who serves.

    Attributes:
        stats: its processes that listen; equal as long as it is the same server.
        devices: the boards and MIG instances that its processes are on.
        words: the same for people.
        job: cluster and id of its job; None if it has none.
        why: why it has none, and what to do.
    """

    stats: frozenset[tuple[int, int]]
    devices: tuple[str, ...]
    words: str
    job: tuple[str | None, str] | None
    why: str | None


class BoardPids:
    """NVML's lists for several askers: asked once in a while.

    Args:
        ask: asks NVML.
        now_us: returns the stamp of now (us UTC).
    """

    def __init__(self, ask: Callable[[], Pids], now_us: Callable[[], int]) -> None:
        self._ask = ask
        self._now_us = now_us
        self._lock = threading.Lock()
        self._found: tuple[int, Pids] | None = None

    def get(self) -> Pids:
        """Return the processes by device, as they were at most 3.5 s ago."""
        with self._lock:
            now_us = self._now_us()
            if self._found is None or now_us - self._found[0] >= _PIDS_US:
                self._found = now_us, self._ask()
            return self._found[1]


class ServingJob:
    """Finds the job of one endpoint; one question at a time.

    Args:
        url: its address.
        proc: the processes.
        owners: finds whose they are.
        pids: the processes on the boards.
        allocations: who holds the boards.
    """

    def __init__(
        self, url: str, proc: Proc, owners: Owners, pids: BoardPids, allocations: Allocations
    ) -> None:
        self._proc = proc
        self._owners = owners
        self._pids = pids
        self._allocations = allocations
        self._listening = Listening(proc, url)

    def find(self, now_us: int) -> Server:
        """Return who serves at an instant (us UTC), and for which job.

        Raises:
            NotFoundError: no process can be found.
        """
        try:
            found = self._listening.processes()
        except HiddenError as error:
            found = self._of_cgroup(error.sockets)
            if not found:
                raise
        first = found[0].stat
        if first.comm == "docker-proxy":
            raise NotFoundError("Docker forwards this port: give the container --network=host")
        owners = [self._owners.of(one) for one in found]
        devices = self._devices(found, owners)
        job, why = self._job(owners, devices, now_us)
        on = f"on {', '.join(devices)}" if devices else "on no board"
        words = f"process {first.pid} ({first.comm}) of {owners[0].user}, {owners[0].words}, {on}"
        stats = frozenset((one.stat.pid, one.stat.start) for one in found)
        return Server(stats, devices, words, job, why and f"{words}: {why}")

    def _of_cgroup(self, sockets: set[str]) -> list[Process]:
        """Return the processes on boards in the cgroup in which sockets were made.

        Only of a unit, a container or a job: in a login session are other programs too.
        """
        root = mounted(self._proc.root)
        if root is None:
            return []
        try:
            ids = cgroup_ids()
        except OSError:
            return []
        wanted = {ids.get(one) for one in sockets} - {None}
        pids = {pid for listed in self._pids.get().values() for pid in listed or ()}
        found = [process for pid in pids if (process := self._proc.process(pid)) is not None]
        return [
            one
            for one in found
            if id_of(one.place.unified, root) in wanted and self._owners.of(one).kind != "plain"
        ]

    def _devices(self, servers: list[Process], owners: list[Owner]) -> tuple[str, ...]:
        """Return the devices of the servers' own tree; else those of all that have its owner."""
        listening = {(one.stat.pid, one.stat.start) for one in servers}
        children: set[str] = set()
        kin: set[str] = set()
        for device_id, pids in self._pids.get().items():
            for pid in pids or ():
                process = self._proc.process(pid)
                if process is None:
                    continue
                if self._is_below(process.stat, listening):
                    children.add(device_id)
                elif self._owners.of(process)[1:4] in [one[1:4] for one in owners]:
                    kin.add(device_id)
        return tuple(sorted(children or kin))

    def _is_below(self, stat: Stat, listening: set[tuple[int, int]]) -> bool:
        found: Stat | None = stat
        for _ in range(_MOST_UP):
            if found is None:
                return False
            if (found.pid, found.start) in listening:
                return True
            found = self._proc.stat(found.parent)
        return False

    def _job(
        self, owners: list[Owner], devices: tuple[str, ...], now_us: int
    ) -> tuple[tuple[str | None, str] | None, str | None]:
        """Return the job, or why there is none."""
        holding = {key_of(row): row for one in devices for row in self._allocations.on(one, now_us)}
        named = {
            key_of(row): row
            for row in self._allocations.open(now_us)
            if any(_names(owner, row) for owner in owners)
        }
        if holding and named.keys() - holding.keys():
            jobs = f"{', '.join(sorted(named))} and {', '.join(sorted(holding))}"
            return None, f"its cgroup and its boards say two things, {jobs}"
        fits = named or holding
        if len(fits) == 1:
            [row] = fits.values()
            return (row.get("cluster"), row["job_id"]), None
        if fits:
            return None, f"several jobs hold its boards, {', '.join(sorted(fits))}"
        if devices:
            return None, "no job holds its boards now"
        return None, "none of its processes is on a board, and no job has its cgroup"


def _names(owner: Owner, row: Row) -> bool:
    """Whether an owner is the job of an allocation."""
    if owner.kind in ("slurm", "kubernetes"):
        return is_of(row, owner.kind, owner.name)
    return bool(row["method"] == METHOD and row["job_id"] == owner.job_id)
