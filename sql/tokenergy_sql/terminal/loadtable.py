"""The load profiles of hours: how much groups draw, how far their power swings and how fast.

In: `load_profile` of a lake. Out: a table; NULL is a dash, with the reason code beside it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

from tokenergy_collectors.lake import Lake
from tokenergy_collectors.lake.contract import HOUR_US
from tokenergy_sql.catalog import connecting as catalog
from tokenergy_sql.catalog import views
from tokenergy_sql.catalog.namedrows import NamedRow, named_rows
from tokenergy_sql.catalog.reading import read
from tokenergy_sql.catalog.sqlfile import read_sql
from tokenergy_sql.terminal.grid import Grid
from tokenergy_sql.terminal.table import Column, count, group, notes, scaled, significant, table_of

_SQL = """
SELECT *
FROM load_profile
ORDER BY hour_us, kind, mean_mw DESC NULLS LAST, group_id
"""

_SPAN_SQL = read_sql("tokenergy_sql.terminal", "span_table")


def load_table(lake: Lake, hours: Sequence[int]) -> Grid:
    """Return the groups of some hours, by hour and kind, the largest load first."""
    return profile_table(read(lake, lambda: _rows(lake, hours)))


def profile_table(rows: Sequence[NamedRow]) -> Grid:
    """Return rows of `load_profile` as a table."""
    return table_of("Load by group", rows, _COLUMNS)


def _rows(lake: Lake, hours: Sequence[int]) -> list[NamedRow]:
    with catalog.connect(lake, {"load_profile": hours}, named=views.tables_named(_SQL)) as con:
        return named_rows(con, _SQL)


def span_table(lake: Lake, from_us: int, until_us: int, boundary: str) -> Grid:
    """Return the groups of one span at one boundary, the largest load first."""
    span = {"from_us": from_us, "until_us": until_us, "boundary": boundary}
    return spans_table(read(lake, lambda: _span_rows(lake, span)), from_us, until_us, boundary)


def spans_table(rows: Sequence[NamedRow], from_us: int, until_us: int, boundary: str) -> Grid:
    """Return rows of `load_span`, all of one span and boundary, as a table."""
    title = f"Load by group, {_instant(from_us)} to {_instant(until_us)} UTC, {boundary}"
    return table_of(title, rows, _COLUMNS[1:])


def _span_rows(lake: Lake, span: dict[str, Any]) -> list[NamedRow]:
    hours = [span["from_us"] // HOUR_US * HOUR_US]
    with catalog.connect(lake, {"load_span": hours}, named=views.tables_named(_SPAN_SQL)) as con:
        return named_rows(con, _SPAN_SQL, span)


def _instant(ts_us: int) -> str:
    return f"{datetime.fromtimestamp(ts_us // 1_000_000, UTC):%Y-%m-%d %H:%M:%S}"


def _figure(name: str, divisor: float) -> Callable[[NamedRow], str]:
    return lambda row: significant(scaled(row[name], divisor), 3)


def _hour(row: NamedRow) -> str:
    return f"{datetime.fromtimestamp(row['hour_us'] // 1_000_000, UTC):%m-%d %H:00}"


_COLUMNS = (
    Column("hour", _hour, justify="left"),
    Column("group", group, justify="left"),
    Column("GPUs", lambda row: count(row["metered"]), rank=1),
    Column("mean kW", _figure("mean_mw", 1e6)),
    Column("max kW", _figure("max_mw", 1e6)),
    Column("swing %", _figure("swing_share", 0.01)),
    Column("up 1 s kW", _figure("up_1s_mw", 1e6), rank=1),
    Column("down 1 s kW", _figure("down_1s_mw", 1e6), rank=1),
    Column("battery kJ", _figure("battery_nj", 1e12), rank=2),
    Column("line Hz", _figure("dominant_hz", 1), rank=2),
    Column("line %", _figure("dominant_swing_share", 0.01), rank=2),
    Column("limit Hz", _figure("limit_hz", 1), rank=2),
    Column("notes", notes, justify="left"),
)
