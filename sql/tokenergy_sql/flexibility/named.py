"""Signals of a lake by name, for a plan: carbon intensity, prices.

In: names, a lake with the table `signal`. Out: one `Signal` each, over the time that flexible jobs
may take. A name has average or marginal intensity, never both: they are not mixed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.lake.contract import HOUR_US
from tokenergy_sql.flexibility.flexible import Flexible
from tokenergy_sql.flexibility.signal import CARBON, CARBON_UNIT, Quantity, Signal

if TYPE_CHECKING:
    import duckdb

_BILLIONTHS: dict[Quantity, int] = {
    "carbon_average": 1_000_000,  # mg are thousandths of a gram
    "carbon_marginal": 1_000_000,
    "price": 1_000,  # millionths of a currency
}
_QUANTITIES = "SELECT DISTINCT quantity FROM signal WHERE signal = $1 ORDER BY quantity"
_SPAN = "SELECT min(start_us), max(end_us) FROM job_index WHERE job_id IN (SELECT unnest($1))"

READS = f"{_QUANTITIES} {_SPAN}"
"""All SQL of this module: names the tables that it reads."""


class Named(NamedTuple):
    """Which signals a plan uses.

    Attributes:
        carbon: name of a signal of carbon intensity; None: none.
        price: name of a signal of prices; None: none.
        minimise: `carbon` or `money`; None: carbon, if there is such a signal.
    """

    carbon: str | None = None
    price: str | None = None
    minimise: str | None = None


def check(named: Named) -> None:
    """Return if the names fit together.

    Raises:
        UserError: they do not.
    """
    if named.carbon is None and named.price is None:
        raise UserError("--carbon and --price: give at least one")
    if named.minimise not in (None, "carbon", "money"):
        raise UserError(f"--minimise {named.minimise!r}: expected carbon or money")
    if named.minimise == "carbon" and named.carbon is None:
        raise UserError("--minimise carbon: give --carbon")
    if named.minimise == "money" and named.price is None:
        raise UserError("--minimise money: give --price")


def signals_of(
    con: duckdb.DuckDBPyConnection, named: Named, flexible: Flexible
) -> tuple[Signal, ...]:
    """Return the signals; the one that is minimised comes first.

    Args:
        con: the lake.
        named: which ones.
        flexible: hours by job.

    Raises:
        UserError: the lake has no such signal, or a name has two carbon intensities.
    """
    found = {}
    if named.carbon is not None:
        quantity = _quantity(con, named.carbon)
        found["carbon"] = _signal(con, named.carbon, quantity, flexible)
    if named.price is not None:
        found["money"] = _signal(con, named.price, "price", flexible)
    first = named.minimise or next(iter(found))
    return (found.pop(first), *found.values())


def _quantity(con: duckdb.DuckDBPyConnection, name: str) -> Quantity:
    there = {quantity for (quantity,) in con.execute(_QUANTITIES, [name]).fetchall()}
    fitting = [one for one in CARBON if one in there]
    if len(fitting) > 1:
        raise UserError(
            f"--carbon {name}: the lake has {' and '.join(fitting)} under this name, which are "
            "never mixed; import one of them under another name"
        )
    # Where there is none, the reader's error names what the lake has.
    return fitting[0] if fitting else CARBON[0]


def _signal(
    con: duckdb.DuckDBPyConnection, name: str, quantity: Quantity, flexible: Flexible
) -> Signal:
    from tokenergy_sql.signals.reading import read_signal

    (span,) = con.execute(_SPAN, [sorted(flexible)]).fetchall()
    first_us, last_us = span[0] or 0, span[1] or 0
    most = max((hours or 0.0 for hours in flexible.values()), default=0.0)
    # Whole hours, so that only holes of the signal are holes here.
    until_us = last_us + round(most * HOUR_US) + HOUR_US
    course = read_signal(con, name, quantity, first_us - HOUR_US, until_us)
    times = _BILLIONTHS[quantity]
    unit = CARBON_UNIT if quantity != "price" else f"{course.currency or 'currency'}/kWh"
    return Signal(
        tuple(course.from_us.tolist()),
        tuple(course.until_us.tolist()),
        tuple(value * times for value in course.value.tolist()),
        quantity,
        unit,
        name,
    )
