"""Records allocations: rows of `jobs`, with the boards that their names meant at the start.

In: allocations that changed. Out: rows for the lake and for what is shown live. Which row of an
allocation is new, and which board a name means, is decided as for declared jobs.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from tokenergy_collectors.lake.contract import JOBS
from tokenergy_collectors.lake.devicehistory import Sighting
from tokenergy_collectors.lake.identity import sightings
from tokenergy_collectors.lake.jobkey import job_key
from tokenergy_collectors.sources.host import Host
from tokenergy_collectors.sources.jobs.declared import DeclaredJobs
from tokenergy_collectors.sources.slurm.boardnames import minors_at
from tokenergy_collectors.sources.slurm.held import SCHEDULER, Held, recorded


class Records:
    """What the lake holds of this node's allocations, and what is added.

    Args:
        host: the host; its lake is read once.
        boot_us: when the node was started (us UTC): its boards are the same ever since.
    """

    def __init__(self, host: Host, boot_us: int) -> None:
        self._host = host
        self._boot_us = boot_us
        lake = host.lake
        known = [] if lake is None else lake.read("jobs", node=host.node).to_pylist()
        known = [row for row in known if row["scheduler"] == SCHEDULER]
        self._seen: list[Sighting] = [] if lake is None else list(sightings(lake, host.node))
        self._jobs = DeclaredJobs(
            host.node, host.boards, None, (), known, self._seen, cluster=host.cluster
        )

    def known(self) -> list[Held]:
        """Return the allocations in the lake, as they were recorded last."""
        return list(recorded(self._jobs.here()))

    def minors(self, at_us: int) -> list[int]:
        """Return the minor numbers of the node's boards at an instant (us UTC), ascending."""
        now = [board.minor for board in self._host.boards if board.minor is not None]
        if at_us >= self._boot_us and not self._host.missing:
            return sorted(now)
        # A board that could not be opened keeps its place in the order.
        return sorted({*now, *minors_at(self._seen, self._host.node, at_us)})

    def record(self, changed: Iterable[Held]) -> list[str]:
        """Record allocations; return what has to be said about their boards."""
        held = {row["allocation_id"]: row for one in changed for row in one.rows.values()}
        self._jobs.declare(row for one in changed for row in one.to_rows())
        changes = self._jobs.changes(self._host.now_us())
        for row in changes.rows:
            # The board that a name meant at the start stays the allocation's.
            held[row["allocation_id"]]["device_id"] = row["device_id"]
        if changes.rows:
            self._host.output.add("jobs", [JOBS.make_row(**row) for row in changes.rows])
        return changes.remarks

    def show(self, held: Iterable[Held]) -> None:
        """Pass on the allocations for the live view."""
        held, cluster = list(held), self._host.cluster
        rows: Iterator[Mapping[str, Any]] = (
            {**row, "cluster": row["cluster"] or cluster} for one in held for row in one.to_rows()
        )
        spread = {job_key(cluster, one.job_id) for one in held if "nodes" in one.labels}
        self._host.output.allocations(rows, spread, source=SCHEDULER)
