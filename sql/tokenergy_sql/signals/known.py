"""What is known of the declared signals in an hour.

In: a lake and what its site file declares. Out: `HourSignals` of each hour, and a digest of it: an
hour whose signals say the same as before is not stale, however often they were read again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

from tokenergy_collectors.lake import Lake
from tokenergy_collectors.lake.contract import HOUR_US
from tokenergy_collectors.lake.paths import hour_of
from tokenergy_collectors.lake.signalcourse import pieces_of
from tokenergy_sql.signals.declared import DeclaredSignals

_DIGITS = 16


class Known(NamedTuple):
    """A known value: from `from_us` on, before `until_us`, microseconds."""

    from_us: int
    until_us: int
    value: int


@dataclass(frozen=True, slots=True)
class Served:
    """A signal that serves a purpose in some of an hour.

    Attributes:
        purpose, signal, quantity: see `Use`.
        from_us, until_us: when it serves, within the hour.
        lifecycle, zone, currency: of its values; None where none is known.
        known: its known values in that time, ascending; time in none of them is a hole.
        doubts: estimated, forecast, joined by a comma; None: no value says so.
    """

    purpose: str
    signal: str
    quantity: str
    from_us: int
    until_us: int
    lifecycle: bool | None
    zone: str | None
    currency: str | None
    known: tuple[Known, ...]
    doubts: str | None = None


@dataclass(frozen=True, slots=True)
class HourSignals:
    """The signals of an hour.

    Attributes:
        served: those that serve a purpose.
        contracted_mw: contracted clean power that is constant: (from, until, mW).
        embodied_ug: embodied emissions of a GPU-hour: (from, until, micrograms CO2e).
    """

    served: tuple[Served, ...] = ()
    contracted_mw: tuple[Known, ...] = ()
    embodied_ug: tuple[Known, ...] = ()

    def __bool__(self) -> bool:
        """Return whether anything is declared for the hour."""
        return bool(self.served or self.contracted_mw or self.embodied_ug)

    def of(self, purpose: str) -> list[Known]:
        """Return the known values of a purpose in the hour, ascending."""
        return [one for served in self.served if served.purpose == purpose for one in served.known]


class Signals:
    """The declared signals of a lake; their rows are read once, when an hour is first asked for.

    Args:
        lake: the lake.
        declared: what its site file declares.
    """

    def __init__(self, lake: Lake, declared: DeclaredSignals) -> None:
        self._lake, self._declared = lake, declared

    def of_hour(self, hour_us: int) -> HourSignals:
        """Return the signals of an hour; an empty one if none is declared for it."""
        if not self._declared:
            return HourSignals()
        until_us = hour_us + HOUR_US
        served = [
            self._served(from_us, end_us, use, hour_us)
            for from_us, end_us, use in self._declared.within(hour_us, until_us)
        ]
        return HourSignals(
            tuple(served),
            tuple(_constant(self._declared.contracted_mw, hour_us)),
            tuple(_constant(self._declared.embodied_ug, hour_us)),
        )

    def digest(self, hour_us: int) -> str:
        """Return a digest of the signals of an hour; empty if none is declared for it."""
        found = self.of_hour(hour_us)
        return hashlib.sha256(repr(found).encode()).hexdigest()[:_DIGITS] if found else ""

    def remarks(self) -> list[str]:
        """Return a line for each declared signal that the lake does not have."""
        there = ", ".join(f"{name} ({quantity})" for name, quantity in sorted(self._rows)) or "none"
        return [
            f"site: [[signal]]: the lake has no signal {name!r} ({quantity}), so what follows from "
            f"it is unknown; of those declared it has {there}"
            for name, quantity in sorted(self._declared.names() - self._rows.keys())
        ]

    def _served(self, from_us: int, until_us: int, use: Any, hour_us: int) -> Served:
        of_name = self._rows.get((use.signal, use.quantity), {})
        # A row of the hour before may reach into this one.
        rows = [*of_name.get(hour_us - HOUR_US, ()), *of_name.get(hour_us, ())]
        pieces = [
            (max(one.from_us, from_us), min(one.until_us, until_us), one.row)
            for one in pieces_of(rows)
            if one.from_us < until_us and from_us < one.until_us and one.row["value"] is not None
        ]
        last = pieces[-1][2] if pieces else {}
        states = {row["status"] for _, _, row in pieces} & {"estimated", "forecast"}
        return Served(
            use.purpose,
            use.signal,
            use.quantity,
            from_us,
            until_us,
            last.get("lifecycle"),
            last.get("zone"),
            last.get("currency"),
            tuple(_joined([Known(a, b, row["value"]) for a, b, row in pieces])),
            ",".join(sorted(states)) or None,
        )

    @cached_property
    def _rows(self) -> dict[tuple[str, str], dict[int, list[dict[str, Any]]]]:
        """Return the rows of each declared signal by the hour in which they begin."""
        names = self._declared.names()
        found: dict[tuple[str, str], dict[int, list[dict[str, Any]]]] = {}
        for row in self._lake.read("signal").to_pylist() if names else ():
            key = row["signal"], row["quantity"]
            if key in names:
                found.setdefault(key, {}).setdefault(hour_of(row["ts_us"]), []).append(row)
        return found


def _constant(timeline: Any, hour_us: int) -> Iterator[Known]:
    for span in timeline.within(hour_us, hour_us + HOUR_US):
        yield Known(span.from_us, span.until_us, span.value)


def _joined(pieces: Sequence[Known]) -> list[Known]:
    """Return pieces with those of one value that adjoin joined: who wrote them says nothing."""
    found: list[Known] = []
    for one in pieces:
        if found and found[-1].until_us == one.from_us and found[-1].value == one.value:
            found[-1] = found[-1]._replace(until_us=one.until_us)
        else:
            found.append(one)
    return found
