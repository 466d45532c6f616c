"""`kubernetes`: which pods of this node have which boards, asked of the kubelet.

In: the kubelet's PodResources socket, asked about once a second beside the sampling. Out: rows of
`jobs`. The boards are read at each start and end of a pod, right after it is found, so that the
meter divides the energy there. How long before that it was is in `edge_doubt_us`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from typing import Any

from tokenergy_collectors.base.finding import Finding
from tokenergy_collectors.lake.contract import JOBS
from tokenergy_collectors.lake.lastsign import last_sign_us
from tokenergy_collectors.sources.host import Host
from tokenergy_collectors.sources.kubernetes.findings import kubernetes_findings
from tokenergy_collectors.sources.kubernetes.holdings import Change
from tokenergy_collectors.sources.kubernetes.kubelet import load_grpc
from tokenergy_collectors.sources.kubernetes.poll import Poll
from tokenergy_collectors.sources.kubernetes.rows import Row, RowMaker
from tokenergy_collectors.sources.kubernetes.settings import KubernetesKeys
from tokenergy_collectors.sources.plan import Plan
from tokenergy_collectors.sources.source import Source

_APPLY_US = 50_000
"""How soon after a change is found the boards are read for it."""

_SHOWN_US = 600_000_000
"""How long an allocation that has ended is shown to the live view, which keeps two minutes."""


class KubernetesPods(Source[KubernetesKeys]):
    """Records the pods' allocations of this node.

    Raises:
        UserError: a package is missing.
    """

    name = "kubernetes"
    keys = KubernetesKeys

    def __init__(self, config: KubernetesKeys, host: Host) -> None:
        super().__init__(config, host)
        settings = config.kubernetes
        self._maker = RowMaker(host.node, host.cluster, settings.job_id)
        self._poll: Poll | None = None
        # Boards of the emulator are not those of a kubelet.
        if settings.enabled and not host.emulated:
            self._poll = Poll(settings, host.boards, host.warn, self._maker.job_of)
        self._waiting: deque[Change] = deque()
        self._rows: dict[str, Row] = {}
        self._restored = host.lake is None
        self._shown = True

    def plan(self, plan: Plan) -> None:
        """Ask the kubelet in a thread of its own; apply what has changed between two samples."""
        if self._poll is None:
            return
        self._plan = plan
        plan.every(self.name, self.config.kubernetes.every_s, self._read, beside=True)
        plan.schedule.every(_APPLY_US, self._apply, plan.start_us)

    def finish(self, until_us: int) -> None:
        """Record what was found last, and end a question under way."""
        if self._poll is not None:
            self._apply(at_stop=True)
            self._poll.close()

    def _read(self) -> str | None:
        """Ask once; return why there was no answer."""
        if self._poll is None:
            raise AssertionError("a source that is off is not on the schedule")
        if not self._restored:
            # A killed run may have left rows in its logs: they are in the lake after the recovery.
            if not self.host.recovered.is_set():
                return None
            self._restore(self._poll)
        changes, why = self._poll.look(self.host.now_us())
        self._waiting.extend(changes)
        return why

    def _restore(self, poll: Poll) -> None:
        """Take the allocations that an earlier run of the collector left open."""
        host = self.host
        if host.lake is None:
            raise AssertionError("without a lake there is nothing to restore")
        now_us = host.now_us()
        last_us = last_sign_us(host.lake, host.node, self._plan.start_us + host.offset_us)
        rows = host.lake.read("jobs", node=host.node).to_pylist()
        left = self._maker.left_open(rows, last_us)
        poll.holdings.restore(left, last_us)
        others = self._maker.of_other_clusters(rows, last_us, now_us)
        host.output.add("jobs", [JOBS.make_row(**row) for row in others])
        self._rows = {
            row["allocation_id"]: row
            for one in left
            for row in [self._maker.row(one, None, one.recorded_us)]
        }
        self._restored, self._shown = True, False

    def _apply(self, *, at_stop: bool = False) -> None:
        """Read everything at the edges that were found, and record them; in the sampling thread."""
        if self._waiting:
            edge_us = self.host.now_us()
            changes = [self._waiting.popleft() for _ in range(len(self._waiting))]
            # At the stop everything has just been read.
            if not at_stop and any(one.kind != "more" and one.at_us is None for one in changes):
                self._plan.on_edge()
            rows = [self._row(change, edge_us) for change in changes]
            self.host.output.add("jobs", [JOBS.make_row(**row) for row in rows])
            self._rows |= {row["allocation_id"]: row for row in rows}
            self._shown = False
        if not self._shown:
            self._show()

    def _show(self) -> None:
        """Pass on the allocations, without those that ended long ago."""
        since_us = self.host.now_us() - _SHOWN_US
        self._rows = {key: row for key, row in self._rows.items() if _is_recent(row, since_us)}
        self._shown = True
        self.host.output.allocations(self._rows.values(), (), source=self.name)

    def _row(self, change: Change, edge_us: int) -> Row:
        """Return the row that a change makes; `edge_us` is when the boards were read for it."""
        holding = change.holding
        at_us = edge_us if change.at_us is None else change.at_us
        if change.kind == "start":
            holding.start_us = edge_us
        if change.kind != "more" and change.since_us is not None:
            # What ended while nobody looked ended at some time up to now.
            doubt_us = max(edge_us if change.holding.earlier else at_us, at_us) - change.since_us
            holding.doubt_us = max(holding.doubt_us or 0, doubt_us)
        return self._maker.row(holding, at_us if change.kind == "end" else None, edge_us)

    @classmethod
    def validate(cls, config: Any, *, emulated: bool) -> None:
        """Check that the packages are there.

        Raises:
            UserError: one is missing.
        """
        if config.kubernetes.enabled and not emulated:
            load_grpc()

    @classmethod
    def check(cls, config: Any, host: Host) -> Iterator[Finding]:
        """Yield what the kubelet says, and what of it the collector does not understand."""
        if not config.kubernetes.enabled:
            return iter(())
        if host.emulated:
            return iter([Finding("ok", cls.name, "not read on an emulated node")])
        return kubernetes_findings(config.kubernetes, host.boards)


def _is_recent(row: Mapping[str, Any], since_us: int) -> bool:
    return row["end_us"] is None or row["end_us"] > since_us
