"""Reads one signal over time.

In: a lake, or a connection to one; a name, a quantity and an interval. Out: `SignalCourse`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.lake import Lake
from tokenergy_collectors.lake.contract import SIGNAL_UNITS
from tokenergy_collectors.lake.newsignals import hours_for
from tokenergy_collectors.lake.signalcourse import pieces_of

if TYPE_CHECKING:
    import duckdb

Array = npt.NDArray[np.int64]

_NAMES = (
    *("ts_us", "until_us", "signal", "quantity", "lifecycle", "zone"),
    *("value", "currency", "status", "read_us"),
)


@dataclass(frozen=True, slots=True)
class SignalCourse:
    """One signal over an interval: n pieces of time with a known value each.

    Attributes:
        signal, quantity: what it is.
        from_us: start of each piece, ascending: int64[n], microseconds UTC.
        until_us: its end, exclusive: int64[n]. Pieces do not overlap; time in none of them is a
            hole, which is unknown.
        value: int64[n], in `unit`. A price may be negative.
        unit: mg CO2e/kWh, millionths of EUR/kWh, ppb, or mW.
        currency: of a price; else None.
        lifecycle, zone: as in the table `signal`.
    """

    signal: str
    quantity: str
    from_us: Array
    until_us: Array
    value: Array
    unit: str
    currency: str | None = None
    lifecycle: bool | None = None
    zone: str | None = None

    def __len__(self) -> int:
        """Return the number of pieces."""
        return len(self.value)


def read_signal(
    source: Lake | duckdb.DuckDBPyConnection,
    name: str,
    quantity: str,
    from_us: int,
    until_us: int,
    *,
    as_of_us: int | None = None,
) -> SignalCourse:
    """Return what is known of a signal in an interval; pieces are cut at its ends.

    Args:
        source: a lake, or a connection that has its table `signal`.
        name: of the signal.
        quantity: one of `SIGNAL_UNITS`. An average and a marginal intensity are two quantities.
        from_us: start of the interval, microseconds UTC.
        until_us: its end, exclusive.
        as_of_us: as it was known then; as it is known now if None.

    Raises:
        UserError: the lake has no such signal at any time, or no such quantity is defined; or the
            lake cannot be read.
    """
    if quantity not in SIGNAL_UNITS:
        raise UserError(f"quantity {quantity!r}: expected {', '.join(SIGNAL_UNITS)}")
    rows = _rows(source, from_us, until_us)
    own = [row for row in rows if (row["signal"], row["quantity"]) == (name, quantity)]
    if not own:
        check_there(source, name, quantity)
    return course_of(name, quantity, own, from_us, until_us, as_of_us)


def course_of(
    name: str,
    quantity: str,
    rows: Iterable[dict[str, Any]],
    from_us: int,
    until_us: int,
    as_of_us: int | None = None,
) -> SignalCourse:
    """Return the course of a signal from its own rows; see `read_signal`."""
    found = [
        (max(one.from_us, from_us), min(one.until_us, until_us), one.row)
        for one in pieces_of(rows, as_of_us)
        if one.from_us < until_us and from_us < one.until_us
    ]
    known = [one for one in found if one[2]["value"] is not None]
    last: dict[str, Any] = known[-1][2] if known else {}
    currency = last.get("currency")
    return SignalCourse(
        name,
        quantity,
        np.array([one[0] for one in known], np.int64),
        np.array([one[1] for one in known], np.int64),
        np.array([one[2]["value"] for one in known], np.int64),
        SIGNAL_UNITS[quantity].replace("the currency per kWh", f"{currency or 'currency'}/kWh"),
        currency,
        last.get("lifecycle"),
        last.get("zone"),
    )


def check_there(source: Lake | duckdb.DuckDBPyConnection, name: str, quantity: str) -> None:
    """Return if a lake has a signal at some time.

    Raises:
        UserError: it has none of this name and quantity; the line names those that it has.
    """
    if isinstance(source, Lake):
        table = source.read("signal", columns=["signal", "quantity"])
        there = {*zip(table["signal"].to_pylist(), table["quantity"].to_pylist(), strict=True)}
    else:
        there = {*source.execute("SELECT DISTINCT signal, quantity FROM signal").fetchall()}
    if (name, quantity) in there:
        return
    names = ", ".join(f"{signal} ({what})" for signal, what in sorted(there)) or "none"
    raise UserError(
        f"signal {name!r} ({quantity}): the lake has none of this name and quantity; it has "
        f"{names}. `tokenergy-collect import signal` adds one"
    )


def _rows(
    source: Lake | duckdb.DuckDBPyConnection, from_us: int, until_us: int
) -> list[dict[str, Any]]:
    if isinstance(source, Lake):
        rows: list[dict[str, Any]] = source.read(
            "signal", hours_for(from_us, until_us), columns=_NAMES
        ).to_pylist()
        return rows
    found = source.execute(
        f"SELECT {', '.join(_NAMES)} FROM signal "  # noqa: S608 - names of the contract
        "WHERE until_us > $1 AND ts_us < $2",
        [from_us, until_us],
    ).fetchall()
    return [dict(zip(_NAMES, row, strict=True)) for row in found]
