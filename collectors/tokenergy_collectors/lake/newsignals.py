"""Adds values of a signal to a lake: those that say something else than the lake does.

In: intervals with values, learnt at one time. Out: rows of `signal`. A row that the lake has as the
last word on its interval is not written again, so whoever reads the same twice changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.lake.arrays import to_batch
from tokenergy_collectors.lake.paths import hour_of
from tokenergy_collectors.lake.signalcourse import pieces_of
from tokenergy_collectors.lake.signalunits import CARBON
from tokenergy_collectors.lake.table import HOUR_US
from tokenergy_collectors.lake.tables_signal import SIGNAL

if TYPE_CHECKING:
    from tokenergy_collectors.lake import Lake

Value = tuple[int, int, int | None, str | None]
"""From when until when (us UTC), the value (None: a hole), and its state."""

_IDENTITY = ("lifecycle", "zone", "currency")


@dataclass(frozen=True, slots=True)
class SignalName:
    """What a signal is: its values of one quantity are all of these.

    Attributes:
        signal: its name.
        quantity: one of `SIGNAL_UNITS`.
        lifecycle: whether emissions of building and fuelling the plants are included.
        zone: grid zone or market area.
        currency: of a price.
    """

    signal: str
    quantity: str
    lifecycle: bool | None = None
    zone: str | None = None
    currency: str | None = None

    def row(self, value: Value, node: str, source: str, read_us: int) -> tuple[Any, ...]:
        """Return a row of `signal`."""
        ts_us, until_us, whole, status = value
        return SIGNAL.make_row(
            ts_us=ts_us,
            until_us=until_us,
            signal=self.signal,
            quantity=self.quantity,
            lifecycle=self.lifecycle,
            zone=self.zone,
            value=whole,
            currency=self.currency,
            status=status,
            source=source,
            node=node,
            read_us=read_us,
        )


def append_new(
    lake: Lake,
    name: SignalName,
    values: Sequence[Value],
    node: str,
    source: str,
    read_us: int,
    written: dict[str, int],
) -> list[Path]:
    """Add those values that the lake does not say yet; return the files written.

    Args:
        lake: where to write.
        name: what the values are of.
        values: in any order.
        node: host that read them.
        source: how.
        read_us: when.
        written: gets the number of rows, if there are any.

    Raises:
        UserError: the signal was something else before; or the lake cannot be written.
    """
    import pyarrow as pa

    old = lake.read("signal").to_pylist()
    _check_same(name, old)
    own = [row for row in old if (row["signal"], row["quantity"]) == (name.signal, name.quantity)]
    told = {
        (one.from_us, one.until_us): (one.row["value"], one.row["status"])
        for one in pieces_of(own, read_us)
    }
    fresh = [one for one in values if told.get(one[:2], ()) != one[2:]]
    if not fresh:
        return []
    rows = [name.row(one, node, source, read_us) for one in fresh]
    written["signal"] = len(rows)
    table = pa.Table.from_batches([to_batch(rows, SIGNAL.schema())])
    return lake.append("signal", table, node)


def hours_for(from_us: int, until_us: int) -> Iterable[int]:
    """Return the hours whose rows may hold in an interval: one earlier, as a row may be an hour."""
    return range(hour_of(from_us) - HOUR_US, until_us, HOUR_US)


def _check_same(name: SignalName, old: Iterable[dict[str, Any]]) -> None:
    """Check that a signal is what it was.

    Raises:
        UserError: it is not.
    """
    for row in old:
        if row["signal"] != name.signal:
            continue
        if {row["quantity"], name.quantity} == {*CARBON}:
            raise UserError(
                f"signal {name.signal!r} is {row['quantity']} in the lake, and this is "
                f"{name.quantity}: the two answer different questions and are never mixed; give "
                "this one another name"
            )
        if row["quantity"] != name.quantity:
            continue
        for key in _IDENTITY:
            if row[key] != getattr(name, key):
                raise UserError(
                    f"signal {name.signal!r} has {key} = {row[key]} in the lake, and this has "
                    f"{getattr(name, key)}: give this one another name"
                )
