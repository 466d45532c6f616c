"""Energy of a site in windows of time: by its own meters where they serve, else by its boards.

In: windows, a lake. Out: energy with bounds for each, or None where it is not known. The meters of
the site are known by whole hours; windows with other edges need the boards.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Literal, NamedTuple

from tokenergy_collectors.lake.contract import HOUR_US
from tokenergy_sql.catalog.namedrows import NamedRow, named_rows
from tokenergy_sql.catalog.sqlfile import read_sql

if TYPE_CHECKING:
    import duckdb

Source = Literal["site", "boards"]

SOURCES: tuple[Source, ...] = ("site", "boards")
ENOUGH = 0.99
"""The part of a window that must be known; the rest is taken to be like it."""

_BOARDS = read_sql("tokenergy_sql.flexibility", "window_energy")
_SITE = read_sql("tokenergy_sql.flexibility", "site_window")

READS = f"{_BOARDS} {_SITE}"
"""All SQL of this module: names the tables that it reads."""


class Window(NamedTuple):
    """From when until when, us UTC."""

    from_us: int
    until_us: int

    @property
    def length_us(self) -> int:
        """How long it is."""
        return self.until_us - self.from_us


class Drawn(NamedTuple):
    """Mean power in a window.

    Attributes:
        kw: mean power.
        low: its lower bound as a share of it; None: no bound is known.
        high: its upper bound as a share of it.
        boards: mean number of boards in the ledger; None: metered.
    """

    kw: float
    low: float | None
    high: float | None
    boards: float | None


Energies = Mapping[Window, Drawn]
"""Windows of which the power is known."""


def drawn(
    con: duckdb.DuckDBPyConnection, windows: Iterable[Window], source: Source
) -> dict[Window, Drawn]:
    """Return the mean power of windows; those of which it is not known are missing.

    Args:
        con: the lake.
        windows: which; for the source `site` they begin and end at full hours.
        source: `site` for the site's meters, or `boards`.
    """
    listed = sorted({*windows})
    if not listed:
        return {}
    return _of_site(con, listed) if source == "site" else _of_boards(con, listed)


def register(con: duckdb.DuckDBPyConnection, windows: Sequence[Window]) -> None:
    """Create the table `load_window` of a statement."""
    import pyarrow as pa

    schema = pa.schema([(name, pa.int64()) for name in ("place", "from_us", "until_us")])
    rows = [
        {"place": place, "from_us": one.from_us, "until_us": one.until_us}
        for place, one in enumerate(windows)
    ]
    con.register("load_window", pa.Table.from_pylist(rows, schema=schema))


def _of_boards(con: duckdb.DuckDBPyConnection, windows: Sequence[Window]) -> dict[Window, Drawn]:
    register(con, windows)
    found = {}
    for row in named_rows(con, _BOARDS):
        window = windows[row["place"]]
        if not row["device_us"] or row["covered_us"] < ENOUGH * float(row["device_us"]):
            continue
        found[window] = Drawn(
            float(row["nj"]) / window.length_us / 1e6,
            *_shares(row),
            float(row["device_us"]) / window.length_us,
        )
    con.unregister("load_window")
    return found


def _of_site(con: duckdb.DuckDBPyConnection, windows: Sequence[Window]) -> dict[Window, Drawn]:
    span = {"since": windows[0].from_us, "until": max(one.until_us for one in windows)}
    hours = {row["hour_us"]: row for row in named_rows(con, _SITE, span)}
    found = {}
    for window in windows:
        rows = [hours.get(hour) for hour in range(window.from_us, window.until_us, HOUR_US)]
        known = [row for row in rows if row is not None]
        covered = sum(row["covered_us"] for row in known)
        if any(row is None or row["covered_us"] < ENOUGH * HOUR_US for row in rows) or not covered:
            continue
        summed: NamedRow = {
            name: None if any(row[name] is None for row in known) else sum(r[name] for r in known)
            for name in ("nj", "low_nj", "high_nj")
        }
        found[window] = Drawn(float(summed["nj"]) / covered / 1e6, *_shares(summed), None)
    return found


def _shares(row: NamedRow) -> tuple[float | None, float | None]:
    """Return both bounds as shares of the energy."""
    if row["low_nj"] is None or row["high_nj"] is None or not row["nj"]:
        return None, None
    return float(row["low_nj"]) / float(row["nj"]), float(row["high_nj"]) / float(row["nj"])
