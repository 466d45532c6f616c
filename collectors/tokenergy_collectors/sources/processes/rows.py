"""Allocations of processes as rows of `jobs`, and back.

In: allocations. Out: rows; after a restart of the collector, those that its rows leave open.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from tokenergy_collectors.lake.corrections import Records
from tokenergy_collectors.sources.processes.held import Holding
from tokenergy_collectors.sources.processes.owners import Owner

METHOD = "processes"

Row = dict[str, Any]
"""A row of `jobs` by column name."""


def row_of(
    holding: Holding, node: str, cluster: str | None, end_us: int | None, now_us: int
) -> Row:
    """Return a row of an allocation, later than those before it.

    Args:
        holding: the allocation.
        node, cluster: of this host.
        end_us: when it ended (us UTC); None while it goes on.
        now_us: becomes `recorded_us` (us UTC).
    """
    # The latest row counts: one written by a clock that was ahead must not win forever.
    holding.recorded_us = max(now_us, holding.recorded_us + 1)
    owner, start_us = holding.owner, holding.start_us
    return {
        "job_id": holding.job_id,
        "node": node,
        "device_id": holding.device_id,
        "start_us": start_us,
        "end_us": end_us,
        "share_ppm": holding.share_ppm,
        "scheduler": owner.kind,
        "user": owner.user,
        "account": None,
        "name": owner.name,
        "labels": None,
        "method": METHOD,
        "recorded_us": holding.recorded_us,
        "cluster": cluster,
        "allocation_id": f"{METHOD}:{node}:{holding.job_id}:{holding.device_id}@{start_us}",
        "edge_doubt_us": holding.doubt_us,
    }


def left_open(rows: Iterable[Mapping[str, Any]], node: str) -> list[Mapping[str, Any]]:
    """Return the rows of this source and node that are open in the lake."""
    mine = (row for row in rows if row["node"] == node and row["method"] == METHOD)
    return [row for row in Records(mine).current() if row["end_us"] is None]


def holding_of(row: Mapping[str, Any], last_us: int | None) -> Holding:
    """Return the allocation of a row; `last_us` is when its writer was last alive (us UTC)."""
    kind, name, user = row["scheduler"] or "", row["name"] or "", row["user"] or ""
    return Holding(
        row["job_id"],
        row["device_id"],
        row["share_ppm"],
        Owner(row["job_id"], kind, name, user, f"{kind} {name}"),
        max(row["recorded_us"], last_us or 0),
        row["start_us"],
        row["edge_doubt_us"],
        recorded_us=row["recorded_us"],
        earlier=True,
    )
