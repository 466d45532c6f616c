"""Rows of `jobs` from spans, with ids of their own, so that a longer import extends an allocation.

In: spans that ended, or that reach to the end of what was imported. Out: rows of `jobs`. An
allocation of the lake that touches a span of the same job and board is that allocation: it keeps
its id, and holds both times. What the lake has already is not written again.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tokenergy_collectors.importers.prometheus.boards import gap_us
from tokenergy_collectors.importers.prometheus.spans import Span
from tokenergy_collectors.lake.contract import JOBS
from tokenergy_collectors.lake.corrections import Records

if TYPE_CHECKING:
    from pathlib import Path

    from tokenergy_collectors.lake import Lake

METHOD = "prometheus"
_PREFIX = "prometheus:"

Pods = Mapping[tuple[str, str], int]


@dataclass(frozen=True, slots=True)
class Holding:
    """A span of a board.

    Attributes:
        node: the board's node.
        device_id: the board.
        span: when which job held it.
        spacing_us: the usual time between two scrapes.
    """

    node: str
    device_id: str
    span: Span
    spacing_us: int | None


@dataclass(slots=True)
class Allocations:
    """Writes allocations.

    Args:
        lake: where to write.
        cluster: the cluster that the jobs' ids belong to.
    """

    lake: Lake
    cluster: str | None = None
    _known: dict[str, Records] = field(default_factory=dict)

    def write(
        self,
        found: Iterable[Holding],
        as_of_us: int,
        starts: Pods,
        ends: Pods,
    ) -> tuple[int, list[Path]]:
        """Write the spans that the lake does not hold yet.

        Args:
            found: what ended, or is open at the end of an import.
            as_of_us: the end of what was imported. It stands for the time of the record, so that an
                import that was stopped and continued writes the same bytes as one that was not.
            starts: when pods were admitted, us UTC.
            ends: when they ended.

        Returns:
            The number of rows, and the files written.
        """
        fresh: dict[str, list[dict[str, Any]]] = {}
        for one in found:
            node = one.node
            records = self._records(node)
            row = self._row(node, one.device_id, one.span, *one.span.edges_us(starts, ends))
            if row["start_us"] >= row["end_us"]:
                continue
            row = _extended(records, row, gap_us(one.spacing_us))
            if not records.to_record([row]):
                continue
            row["recorded_us"] = max(as_of_us, records.outranks_us([row]))
            records.add(row)
            fresh.setdefault(node, []).append(row)
        return self._append(fresh)

    def _append(self, fresh: Mapping[str, list[dict[str, Any]]]) -> tuple[int, list[Path]]:
        import pyarrow as pa

        files: list[Path] = []
        for node in sorted(fresh):
            table = pa.Table.from_pylist(fresh[node], schema=JOBS.schema())
            files += self.lake.append("jobs", table, node)
        return sum(map(len, fresh.values())), files

    def _records(self, node: str) -> Records:
        if node not in self._known:
            rows = self.lake.read("jobs", node=node).to_pylist()
            # Other sources' records are not ours to correct.
            self._known[node] = Records(row for row in rows if row["method"] == METHOD)
        return self._known[node]

    def _row(
        self, node: str, device_id: str, span: Span, start_us: int, end_us: int
    ) -> dict[str, Any]:
        share_ppm = span.part_ppm
        labels: dict[str, str] = {}
        if span.pod is not None:
            labels = {"namespace": span.pod[0], "pod": span.pod[1]}
        if share_ppm == 1_000_000 and span.tenants > 1:
            share_ppm //= span.tenants
            labels["share"] = "equal parts of the jobs that held the board at once"
        return {
            "job_id": span.job_id,
            "node": node,
            "device_id": device_id,
            "start_us": start_us,
            "end_us": end_us,
            "share_ppm": share_ppm,
            "scheduler": span.scheduler,
            "user": None,
            "account": None,
            "name": span.pod[1] if span.pod is not None else None,
            "labels": json.dumps(labels, sort_keys=True) if labels else None,
            "method": METHOD,
            "cluster": self.cluster,
            "allocation_id": f"{_PREFIX}{device_id}:{span.job_id}:{start_us}",
        }


def _extended(records: Records, row: dict[str, Any], near_us: int) -> dict[str, Any]:
    """Return a row with the id and the times of the allocation of the lake that it touches."""
    for old in records.current():
        same = all(old[name] == row[name] for name in ("job_id", "device_id", "cluster"))
        apart_us = max(old["start_us"] - row["end_us"], row["start_us"] - old["end_us"])
        if same and apart_us <= near_us:
            return {
                **row,
                "allocation_id": old["allocation_id"],
                "start_us": min(old["start_us"], row["start_us"]),
                "end_us": max(old["end_us"], row["end_us"]),
                "share_ppm": min(old["share_ppm"], row["share_ppm"]),
            }
    return row
