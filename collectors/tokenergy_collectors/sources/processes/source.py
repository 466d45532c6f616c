"""`processes`: which processes are on the boards, whose they are, and which of them are jobs.

In: NVML's lists and /proc, looked at beside the sampling. Out: rows of `jobs`, and events about
processes that no job explains. The boards are read at each start and end, right after it is found,
so that the meter divides the energy there. How long before that it was is in `edge_doubt_us`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tokenergy_collectors.base.finding import Finding
from tokenergy_collectors.base.problems import Problems
from tokenergy_collectors.lake.contract import JOBS
from tokenergy_collectors.lake.lastsign import last_sign_us
from tokenergy_collectors.sources.host import Host
from tokenergy_collectors.sources.plan import Plan
from tokenergy_collectors.sources.processes.findings import process_findings
from tokenergy_collectors.sources.processes.held import Change, Holdings, wanted
from tokenergy_collectors.sources.processes.look import Looker
from tokenergy_collectors.sources.processes.names import Names
from tokenergy_collectors.sources.processes.others import Allocations
from tokenergy_collectors.sources.processes.owners import Owners
from tokenergy_collectors.sources.processes.procfs import Proc
from tokenergy_collectors.sources.processes.rows import METHOD, Row, holding_of, left_open, row_of
from tokenergy_collectors.sources.processes.settings import ProcessKeys
from tokenergy_collectors.sources.processes.strays import Strays
from tokenergy_collectors.sources.processes.uses import pids_by_device
from tokenergy_collectors.sources.source import Source

_LOOK_EVERY_S = 1.0
_APPLY_US = 50_000
"""How soon after a change is found the boards are read for it."""

_SHOWN_US = 600_000_000
"""How long an allocation that has ended is shown to the live view, which keeps two minutes."""

_HIDDEN = (
    "NVML lists processes that /proc does not show: in a container, share the host's PID "
    "namespace; elsewhere see hidepid of /proc"
)


class ProcessJobs(Source[ProcessKeys]):
    """Records the processes of this node that are jobs, and reports those without a job."""

    name = "processes"
    keys = ProcessKeys

    def __init__(self, config: ProcessKeys, host: Host) -> None:
        super().__init__(config, host)
        settings = config.processes
        # The processes of an emulated node exist nowhere.
        self._on = settings.enabled and not host.emulated
        if not self._on:
            return
        self._names = Names(settings.container_names)
        proc = Proc(Path(settings.proc))
        owners = Owners(settings, proc, host.node, self._names)
        self._looker = Looker(
            lambda: pids_by_device(host.boards, graphics=settings.graphics),
            proc,
            owners,
            round(settings.every_s * 1_000_000),
        )
        self._others = Allocations(host.boards, without=METHOD)
        every = Allocations(host.boards)
        host.output.listen(self._others)
        host.output.listen(every)
        self._strays = Strays(every, self._emit, round(settings.stray_after_s * 1_000_000))
        self._holdings = Holdings()
        self._problems = Problems()
        self._waiting: deque[Change] = deque()
        self._rows: dict[str, Row] = {}
        self._hidden: frozenset[int] = frozenset()
        self._restored, self._shown = host.lake is None, True

    def plan(self, plan: Plan) -> None:
        """Look in a thread of its own; apply what has changed between two samples."""
        if self._on:
            self._plan = plan
            plan.every(self.name, _LOOK_EVERY_S, self._read, beside=True)
            plan.schedule.every(_APPLY_US, self._apply, plan.start_us)

    def finish(self, until_us: int) -> None:
        """Record what was found last."""
        if self._on:
            self._apply(at_stop=True)
            self._strays.finish(self.host.now_us())

    def _read(self) -> str | None:
        """Look once; return why nothing was seen."""
        if not self._restored:
            # A killed run may have left rows in its logs: they are in the lake after the recovery.
            if not self.host.recovered.is_set():
                return None
            self._restore()
        now_us = self.host.now_us()
        look = self._looker.look(now_us)
        now = wanted(look, lambda device_id: bool(self._others.on(device_id, now_us)))
        self._waiting.extend(self._holdings.step(now, now_us, look.before_us))
        # A start that was just found is in the allocations after the next sample.
        starting = {(one.holding.job_id, one.holding.device_id) for one in self._waiting}
        on = [one for one in look.on if (one.owner.job_id or "", one.device_id) not in starting]
        self._strays.step(look._replace(on=on), now_us)
        self._note("names", self._names.problem)
        # One that ended between the two questions is not hidden.
        if look.listed:
            self._note("hidden", _HIDDEN if look.hidden & self._hidden else None)
            self._hidden = look.hidden
        boards = {board.device_id for board in self.host.boards}
        if boards and boards <= look.unknown:
            return "no board lists its processes"
        return None

    def _note(self, what: str, why: str | None) -> None:
        if why is None:
            self._problems.is_over(what)
        elif self._problems.is_new(what, why):
            self.host.warn("error", None, f"processes: {why}")

    def _emit(self, kind: str, ts_us: int, device_id: str, detail: str) -> None:
        host = self.host
        host.add(
            "event", ts_us=ts_us, node=host.node, device_id=device_id, kind=kind, detail=detail
        )
        host.log.warning(kind, device=device_id, why=detail)

    def _restore(self) -> None:
        """Take the allocations that an earlier run of the collector left open."""
        host = self.host
        if host.lake is None:
            raise AssertionError("without a lake there is nothing to restore")
        last_us = last_sign_us(host.lake, host.node, self._plan.start_us + host.offset_us)
        rows = left_open(host.lake.read("jobs", node=host.node).to_pylist(), host.node)
        mine = [row for row in rows if row["cluster"] == host.cluster]
        self._holdings.restore([holding_of(row, last_us) for row in mine], last_us)
        self._rows = {row["allocation_id"]: dict(row) for row in mine}
        now_us = host.now_us()
        ended = [
            {
                **row,
                "end_us": max(row["start_us"] + 1, last_us or row["recorded_us"]),
                "recorded_us": max(now_us, row["recorded_us"] + 1),
            }
            for row in rows
            if row["cluster"] != host.cluster
        ]
        host.output.add("jobs", [JOBS.make_row(**row) for row in ended])
        self._restored, self._shown = True, False

    def _apply(self, *, at_stop: bool = False) -> None:
        """Read everything at the edges that were found, and record them; in the sampling thread."""
        host = self.host
        if self._waiting:
            edge_us = host.now_us()
            changes = [self._waiting.popleft() for _ in range(len(self._waiting))]
            # At the stop everything has just been read.
            if not at_stop and any(one.at_us is None for one in changes):
                self._plan.on_edge()
            rows = [self._row(change, edge_us) for change in changes]
            host.output.add("jobs", [JOBS.make_row(**row) for row in rows])
            self._rows |= {row["allocation_id"]: row for row in rows}
            self._shown = False
        if not self._shown:
            self._shown = True
            since_us = host.now_us() - _SHOWN_US
            self._rows = {
                key: row
                for key, row in self._rows.items()
                if row["end_us"] is None or row["end_us"] > since_us
            }
            host.output.allocations(self._rows.values(), (), source=self.name)

    def _row(self, change: Change, edge_us: int) -> Row:
        """Return the row that a change makes; `edge_us` is when the boards were read for it."""
        holding = change.holding
        if change.kind == "start":
            holding.start_us = edge_us
        if change.since_us is not None:
            # What ended while nobody looked ended at some time up to now.
            holding.doubt_us = max(holding.doubt_us or 0, edge_us - change.since_us)
        at_us = edge_us if change.at_us is None else change.at_us
        end_us = max(at_us, (holding.start_us or 0) + 1) if change.kind == "end" else None
        return row_of(holding, self.host.node, self.host.cluster, end_us, edge_us)

    @classmethod
    def check(cls, config: Any, host: Host) -> Iterator[Finding]:
        """Yield which processes are on the boards, and whose job each one would be."""
        if not config.processes.enabled:
            return iter(())
        if host.emulated:
            return iter([Finding("ok", cls.name, "not read on an emulated node")])
        return process_findings(config.processes, host)
