"""The job of an endpoint that the configuration gives none: the one its server works for.

In: an endpoint, at each reading. Out: the jobs that its rows are of. Usually one. Where the same
server goes over from one job to the next, the reading in between ends the count of the one and
begins that of the other; where it has none, no row is written, and that is told.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from tokenergy_collectors.sources.host import Host
from tokenergy_collectors.sources.processes.listening import NotFoundError
from tokenergy_collectors.sources.processes.names import Names
from tokenergy_collectors.sources.processes.others import Allocations
from tokenergy_collectors.sources.processes.owners import Owners
from tokenergy_collectors.sources.processes.procfs import Proc
from tokenergy_collectors.sources.processes.serving import BoardPids, Server, ServingJob
from tokenergy_collectors.sources.processes.settings import Processes
from tokenergy_collectors.sources.processes.uses import pids_by_device

Job = tuple[str | None, str]
"""Cluster and id."""

ADVICE = "; else give its job_id"


class OwnJob:
    """Finds the jobs of one endpoint's readings.

    Args:
        find: finds its server.
    """

    def __init__(self, find: Callable[[int], Server]) -> None:
        self._find = find
        self._last: tuple[frozenset[tuple[int, int]], Job] | None = None
        self.why: str | None = None

    def jobs(self, now_us: int) -> list[Job]:
        """Return the jobs of a reading at an instant (us UTC); none if it is not known.

        `why` is then why.
        """
        try:
            server = self._find(now_us)
        except NotFoundError as error:
            self.why, self._last = f"its job is not known: {error}{ADVICE}", None
            return []
        self.why = None if server.why is None else f"its job is not known: {server.why}{ADVICE}"
        last, self._last = self._last, None
        found = [] if server.job is None else [server.job]
        # The same server: what it made since the last reading was for the job it had.
        if last is not None and last[0] == server.stats and last[1] not in found:
            found.append(last[1])
        if server.job is not None:
            self._last = server.stats, server.job
        return found


class Finders:
    """Makes what finds the jobs of endpoints: they share the lists of NVML.

    Args:
        config: the configuration.
        host: the host.
    """

    def __init__(self, config: Any, host: Host) -> None:
        settings = getattr(config, "processes", None) or Processes()
        self._proc = Proc(Path(settings.proc))
        names = Names(settings.container_names)
        self._owners = Owners(settings, self._proc, host.node, names)
        self._allocations = Allocations(host.boards)
        host.output.listen(self._allocations)
        graphics = settings.graphics
        self._pids = BoardPids(lambda: pids_by_device(host.boards, graphics=graphics), host.now_us)

    def of(self, url: str) -> ServingJob:
        """Return what finds the job of an endpoint."""
        return ServingJob(url, self._proc, self._owners, self._pids, self._allocations)
