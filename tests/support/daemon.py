"""A daemon on an emulated node and a virtual clock, and what is in its lake after a run."""

from __future__ import annotations

import threading

from tests.support.clocks import PlannedClock
from tests.support.emulated import small_profile
from tokenergy_collectors.base.logs import Log
from tokenergy_collectors.daemon.daemon import Daemon
from tokenergy_collectors.emulate.run.node import EmulatedNode
from tokenergy_collectors.lake import Lake
from tokenergy_collectors.settings.config import Config
from tokenergy_collectors.sources.host import Host
from tokenergy_collectors.sources.nvml.boards import close_boards, open_boards
from tokenergy_collectors.sources.tokens.settings import TokenSource

T0 = 1_768_464_000_000_000
S = 1_000_000


class Run:
    """A daemon on the small profile; `before` is called when the boards are open.

    `at` plans what is to happen during the run; `missing` says what is wrong with other boards.
    """

    def __init__(self, root, *, start_us=T0, clock=None, lake=None, **config):
        self.clock = clock or PlannedClock(start_us)
        self.at = self.clock.at
        self.lake = lake or Lake(root, create=True)
        self.config = Config(lake=str(root), node="n1", rate_hz=10, **config)
        self.jobs_file = None
        self.missing = []

    def run(self, duration_us=None, *, stop=None, before=None, sources=True, **board):
        with EmulatedNode(small_profile(**board), "n1", self.clock) as node:
            served = [
                TokenSource(source_id=s.source_id, url=s.url, job_id=s.job_id, model=s.model)
                for s in (node.sources if sources else ())
            ]
            config = self.config.model_copy(update={"tokens": (*self.config.tokens, *served)})
            boards, missing = open_boards()
            try:
                if self.jobs_file is not None:
                    config = config.model_copy(update={"jobs_file": str(self.jobs_file)})
                host = Host(
                    "n1",
                    self.clock,
                    Log("text"),
                    boards=boards,
                    missing=[*missing, *self.missing],
                    lake=self.lake,
                    emulated=True,
                    declared=None if self.jobs_file else node.allocations,
                )
                daemon = Daemon(config, host)
                if before is not None:
                    before(node)
                return daemon.run(stop or threading.Event(), duration_us)
            finally:
                close_boards()

    def rows(self, table, **equal):
        rows = self.lake.read(table).to_pylist()
        return [r for r in rows if all(r[key] == value for key, value in equal.items())]
