"""The tables of readings of the hours that are checked: each file is read once, if it can be.

In: a lake and the hours that are checked in one run. Out: tables for one hour after the other. The
hours beside those that are checked are read too, as far as they say what is known at their edges;
of hours that are checked one after the other, nothing is read again.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING

from tokenergy_collectors.lake import Lake
from tokenergy_collectors.lake.contract import HOUR_US
from tokenergy_sql.checks import boardedges
from tokenergy_sql.checks.boardreadings import HourReadings, read_hour

if TYPE_CHECKING:
    import pyarrow as pa


class Readings:
    """What the readings of checked hours say.

    Args:
        lake: the lake.
        checked: starts of all hours that are checked in this run, microseconds UTC.
    """

    def __init__(self, lake: Lake, checked: Collection[int]) -> None:
        self._lake, self._checked = lake, {*checked}
        self._kept: dict[int, HourReadings] = {}

    def tables(self, hours: Sequence[int]) -> Mapping[str, pa.Table]:
        """Return `board_reading` and `file_span` of some hours, `board_edge` with those beside.

        Their columns are in `boardreadings.py` and `boardedges.py`.

        Args:
            hours: starts of the hours, ascending, microseconds UTC.
        """
        import pyarrow as pa

        own = [self._of(hour) for hour in hours]
        edges = {hour: one.edges for hour, one in zip(hours, own, strict=True)}
        for hour in hours:
            for beside, edge_us in ((hour - HOUR_US, hour), (hour + HOUR_US, hour + HOUR_US)):
                if beside not in edges:
                    edges[beside] = self._beside(beside, edge_us)
        latest = max(hours, default=0)
        self._kept = {hour: one for hour, one in self._kept.items() if hour >= latest}
        rows = [row for hour, of_hour in edges.items() for row in boardedges.rows(of_hour, hour)]
        return {
            "board_reading": pa.Table.from_pylist(
                [row for one in own for row in one.boards], schema=_board_schema()
            ),
            "file_span": pa.Table.from_pylist(
                [row for one in own for row in one.spans], schema=_span_schema()
            ),
            "board_edge": pa.Table.from_pylist(rows, schema=boardedges.schema()),
        }

    def _of(self, hour_us: int) -> HourReadings:
        if hour_us not in self._kept:
            self._kept[hour_us] = read_hour(self._lake, hour_us)
        return self._kept[hour_us]

    def _beside(self, hour_us: int, edge_us: int) -> boardedges.Edges:
        """Return the edges of an hour that is not checked now, on the side of `edge_us`."""
        follows = hour_us == edge_us
        if hour_us in self._kept or (follows and hour_us in self._checked):
            found = self._of(hour_us).edges
        else:
            found = boardedges.near(self._lake, hour_us, edge_us)
        return boardedges.after(found) if follows else boardedges.before(found)


def _board_schema() -> pa.Schema:
    import pyarrow as pa

    numbers = (
        *("readings", "stamps", "first_us", "last_us", "widest_us"),
        *("highest_mw", "unequal", "unequal_mw"),
    )
    return pa.schema(
        {
            "device_id": pa.string(),
            "hour_us": pa.int64(),
            **dict.fromkeys(numbers, pa.int64()),
            "whole_seconds": pa.bool_(),
            "whole_watts": pa.bool_(),
            "implausible": pa.int64(),
        }
    )


def _span_schema() -> pa.Schema:
    import pyarrow as pa

    texts, numbers = ("device_id", "file"), ("first_us", "last_us")
    return pa.schema({**dict.fromkeys(texts, pa.string()), **dict.fromkeys(numbers, pa.int64())})
