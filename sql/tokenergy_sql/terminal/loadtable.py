"""Load profiles as the terminal shows them.

In: `load_profile` of a lake. Out: a rich table; NULL is a dash, with the reason beside it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from tokenergy_collectors.lake import Lake
from tokenergy_sql.catalog import connecting as catalog
from tokenergy_sql.catalog import views
from tokenergy_sql.terminal.table import significant

if TYPE_CHECKING:
    from rich.table import Table

Row = dict[str, Any]

_SQL = """
SELECT *
FROM load_profile
ORDER BY hour_us, kind, mean_mw DESC NULLS LAST, group_id
"""


def load_table(lake: Lake, hours: Sequence[int]) -> Table:
    """Return the groups of some hours, by hour and kind, the largest load first."""
    from rich.table import Table
    from rich.text import Text

    with catalog.connect(lake, {"load_profile": hours}, named=views.tables_named(_SQL)) as con:
        result = con.sql(_SQL)
        rows = [dict(zip(result.columns, row, strict=True)) for row in result.fetchall()]
    title = "Load by group" + (" (emulated)" if any(row["emulated"] for row in rows) else "")
    table = Table(title=title, title_justify="left", show_edge=False, pad_edge=False)
    for place, (name, _) in enumerate(_COLUMNS):
        left = place in (0, 1, len(_COLUMNS) - 1)
        table.add_column(Text(name), justify="left" if left else "right", overflow="fold")
    for row in rows:
        table.add_row(*(Text(show(row)) for _, show in _COLUMNS))
    return table


def _scaled(name: str, by: float) -> Callable[[Row], str]:
    return lambda row: significant(None if row[name] is None else float(row[name]) / by, 3)


def _hour(row: Row) -> str:
    return f"{datetime.fromtimestamp(row['hour_us'] // 1_000_000, UTC):%m-%d %H:00}"


_COLUMNS: tuple[tuple[str, Callable[[Row], str]], ...] = (
    ("hour", _hour),
    ("group", lambda row: f"{row['kind']} {row['group_id']}"),
    ("GPUs", lambda row: str(row["metered"])),
    ("mean kW", _scaled("mean_mw", 1e6)),
    ("max kW", _scaled("max_mw", 1e6)),
    ("swing %", _scaled("swing_share", 0.01)),
    ("up 1 s kW", _scaled("up_1s_mw", 1e6)),
    ("down 1 s kW", _scaled("down_1s_mw", 1e6)),
    ("battery kJ", _scaled("battery_nj", 1e12)),
    ("line Hz", _scaled("dominant_hz", 1)),
    ("line %", _scaled("dominant_swing_share", 0.01)),
    ("told to Hz", _scaled("limit_hz", 1)),
    ("notes", lambda row: row["reason_codes"].replace(",", " ")),
)
