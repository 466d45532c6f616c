"""Allocations of pods as rows of `jobs`, and back.

In: allocations. Out: rows; after a restart of the collector, the allocations that its rows leave
open. The `allocation_id` holds what makes an allocation: node, container, device and start.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from tokenergy_collectors.lake.corrections import Records
from tokenergy_collectors.sources.kubernetes.devices import Use
from tokenergy_collectors.sources.kubernetes.holdings import Holding
from tokenergy_collectors.sources.kubernetes.pods import Held

SCHEDULER = "kubernetes"
_METHOD = "podresources"

Row = dict[str, Any]
"""A row of `jobs` by column name."""


class RowMaker:
    """Makes the rows of one node.

    Args:
        node: its name.
        cluster: the cluster that the ids belong to.
        job_id: template of a job's id.
    """

    def __init__(self, node: str, cluster: str | None, job_id: str) -> None:
        self._node = node
        self._cluster = cluster
        self._job_id = job_id

    def job_of(self, held: Held) -> str:
        """Return the id of the job that a container belongs to."""
        return self._job_id.format(namespace=held.namespace, pod=held.pod, container=held.container)

    def row(self, holding: Holding, end_us: int | None, now_us: int) -> Row:
        """Return a row of an allocation, later than those before it.

        Args:
            holding: the allocation.
            end_us: when it ended (us UTC); None while it goes on.
            now_us: becomes `recorded_us` (us UTC).
        """
        held = holding.held
        # The latest row counts: one written by a clock that was ahead must not win forever.
        holding.recorded_us = max(now_us, holding.recorded_us + 1)
        return {
            "job_id": self.job_of(held),
            "node": self._node,
            "device_id": holding.use.device_id,
            "start_us": holding.start_us,
            "end_us": end_us,
            "share_ppm": holding.use.share_ppm,
            "scheduler": SCHEDULER,
            "user": held.namespace,
            "account": None,
            "name": held.container,
            "labels": json.dumps(held._asdict() | {"uid": holding.uid}, sort_keys=True),
            "method": _METHOD,
            "recorded_us": holding.recorded_us,
            "cluster": self._cluster,
            "allocation_id": f"{self._node}/{'/'.join(held[:3])}/{held.device}@{holding.start_us}",
            "edge_doubt_us": holding.doubt_us,
        }

    def left_open(self, rows: Iterable[Mapping[str, Any]], last_us: int | None) -> list[Holding]:
        """Return the allocations that rows of the lake leave open.

        Args:
            rows: all rows of `jobs` of this node.
            last_us: when the collector that wrote them was last alive (us UTC).
        """
        mine = (row for row in self._open(rows) if row["cluster"] == self._cluster)
        return [_holding(row, last_us) for row in mine]

    def of_other_clusters(
        self, rows: Iterable[Mapping[str, Any]], last_us: int | None, now_us: int
    ) -> list[Row]:
        """Return the rows that end what was left open when the cluster had another name."""
        return [
            {
                **row,
                "end_us": max(row["start_us"], last_us or row["recorded_us"]),
                "recorded_us": max(now_us, row["recorded_us"] + 1),
            }
            for row in self._open(rows)
            if row["cluster"] != self._cluster
        ]

    def _open(self, rows: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
        mine = (row for row in rows if row["node"] == self._node and _is_ours(row))
        return [row for row in Records(mine).current() if row["end_us"] is None]


def _is_ours(row: Mapping[str, Any]) -> bool:
    """Whether this source wrote a row: others may import rows of pods, with labels of their own."""
    if row["method"] != _METHOD or row["allocation_id"] is None:
        return False
    try:
        labels = json.loads(row["labels"] or "")
    except ValueError:
        return False
    return isinstance(labels, dict) and labels.keys() == {*Held._fields, "uid"}


def _holding(row: Mapping[str, Any], last_us: int | None) -> Holding:
    labels = json.loads(row["labels"])
    uid = labels.pop("uid")
    return Holding(
        Held(**labels),
        Use(row["device_id"], row["share_ppm"]),
        max(row["recorded_us"], last_us or 0),
        uid,
        row["start_us"],
        row["edge_doubt_us"],
        recorded_us=row["recorded_us"],
        earlier=True,
    )
