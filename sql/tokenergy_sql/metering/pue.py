"""The PUE of each hall in an hour by its meters or its model, and the energy that its jobs bear.

In: the rows of `site_hour` of an hour, the hall of each node. Out: for each node the PUE of the
place whose meters speak for it, or none.

The hall's own PUE holds where every hall has one. What comes into the site and into none of them (a
chiller plant that they share) is then spread over the halls by their IT energy, so that all halls
together have what the site's meters say. Where a hall lacks meters, what comes in cannot be told
apart by hall: then the PUE of the site holds for all, or without one, each hall's own for itself.

A modelled PUE is another figure of the same rows. It holds for nodes that no meter speaks for: that
of their hall, else that of the site. It has no meter that jobs together could add up to.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from tokenergy_collectors.lake.contract import HOUR_US
from tokenergy_sql.metering.amount import Amount, less, total
from tokenergy_sql.places import SITE

WHOLE_PPB = 1_000_000_000
"""A PUE of 1, in parts per billion."""

LEAST_COVERED_US = HOUR_US // 2
"""Of an hour, the least for which the meters must be known for it to have a measured PUE."""

Row = Mapping[str, Any]
"""A row of `site_hour`."""


@dataclass(frozen=True, slots=True)
class Pue:
    """What the meters of a place say of an hour.

    Attributes:
        place: `site` or `hall:NAME`.
        ppb: facility energy over IT energy, parts per billion, rounded down.
        low_ppb: the least that it can be, at least 1; rounded down.
        high_ppb: the most, rounded up; None: a meter has no declared accuracy.
        covered_us: time for which its meters are known.
        facility_nj: energy of the place in the whole hour by its meters. Time for which they are
            not known counts like the rest of the hour; None: the PUE is modelled.
    """

    place: str
    ppb: int
    low_ppb: int
    high_ppb: int | None
    covered_us: int
    facility_nj: int | None


@dataclass(frozen=True, slots=True)
class _Hour:
    """Facility and IT energy of a place in a whole hour."""

    place: str
    facility: Amount
    it: Amount
    covered_us: int

    def pue(self) -> Pue | None:
        """Return the PUE; None if it is below 1 or there is no IT energy: no building is so."""
        if self.it.value <= 0 or self.facility.value < self.it.value:
            return None
        low, high = self.facility.low, self.facility.high
        low_ppb, high_ppb = WHOLE_PPB, None
        if low is not None and self.it.high:
            low_ppb = max(WHOLE_PPB, low * WHOLE_PPB // self.it.high)
        if high is not None and self.it.low is not None and self.it.low > 0:
            high_ppb = -(-high * WHOLE_PPB // self.it.low)
        return Pue(
            self.place,
            self.facility.value * WHOLE_PPB // self.it.value,
            low_ppb,
            high_ppb,
            self.covered_us,
            self.facility.value,
        )


Nodes = dict[str, Pue]
"""The PUE of each node, by its name."""


def measured(rows: Iterable[Row], halls: Iterable[str], nodes: Mapping[str, str | None]) -> Nodes:
    """Return the measured PUE of each node; nodes that no meter speaks for are left out.

    Args:
        rows: of `site_hour`, one hour's.
        halls: names of all halls there are in the hour.
        nodes: the hall of each node by its name; None: it stands in none.
    """
    by_place = _by_place(rows)
    site = _hour(str(SITE), by_place, "pue")
    if site is not None and site.pue() is None:
        site = None
    names = {f"hall:{hall}" for hall in halls}
    own = {}
    for name in names:
        hour = _hour(name, by_place, "pue")
        # Few halls have a bill of their own. What enters a hall by its other meters is its part if
        # what comes into the site and into no hall can be added.
        if hour is None and site is not None:
            hour = _hour(name, by_place, "intake")
        if hour is not None:
            own[name] = hour
    if names and len(own) == len(names) and None not in nodes.values():
        whole = own if site is None else _with_shared(own, site)
        found = {place: hour.pue() for place, hour in whole.items()}
        if all(found.values()):
            return _of_nodes(nodes, found)
    if site is not None and (pue := site.pue()) is not None:
        return dict.fromkeys(nodes, pue)
    return _of_nodes(nodes, {place: hour.pue() for place, hour in own.items()})


def modelled(rows: Iterable[Row], nodes: Mapping[str, str | None]) -> Nodes:
    """Return the modelled PUE of each node: of its hall, else of the site; the others are left out.

    Args:
        rows: of `site_hour`, one hour's.
        nodes: the hall of each node by its name; None: it stands in none.
    """
    found: dict[str, Pue] = {}
    for place, figures in _by_place(rows).items():
        row = figures.get("pue_modelled")
        if row is not None and row["covered_us"] >= LEAST_COVERED_US:
            covered_us = row["covered_us"]
            above, below = (_scaled(row, side, covered_us) for side in ("above", "below"))
            if (pue := _Hour(place, above, below, covered_us).pue()) is not None:
                found[place] = replace(pue, facility_nj=None)
    by_node = {
        node: found.get(f"hall:{hall}", found.get(str(SITE))) for node, hall in nodes.items()
    }
    return {node: pue for node, pue in by_node.items() if pue is not None}


def _by_place(rows: Iterable[Row]) -> dict[str, dict[str, Row]]:
    """Return rows by place and figure."""
    found: dict[str, dict[str, Row]] = {}
    for row in rows:
        found.setdefault(row["place"], {})[row["figure"]] = row
    return found


def _of_nodes(nodes: Mapping[str, str | None], found: Mapping[str, Pue | None]) -> Nodes:
    by_node = {node: found.get(f"hall:{hall}") for node, hall in nodes.items()}
    return {node: pue for node, pue in by_node.items() if pue is not None}


def _hour(place: str, by_place: Mapping[str, Mapping[str, Row]], figure: str) -> _Hour | None:
    """Return facility and IT energy of a place; None if its meters are not known for long enough.

    Args:
        place: the place.
        by_place: the rows of each place by figure.
        figure: whose sums to take: `pue` or `intake`.
    """
    figures = by_place.get(place, {})
    row = figures.get(figure)
    if row is None or row["covered_us"] < LEAST_COVERED_US:
        return None
    covered_us = row["covered_us"]
    facility, it = _scaled(row, "above", covered_us), _scaled(row, "below", covered_us)
    # The meters of what comes in may be known for longer than those of the IT energy. The PUE stays
    # that of the time in which both are.
    longer = figures.get("facility") if figure == "pue" else None
    if longer is not None and longer["covered_us"] > covered_us and facility.value > 0:
        known = _scaled(longer, "above", longer["covered_us"])
        it = _times(it, known.value, facility.value)
        facility = _times(facility, known.value, facility.value)
    return _Hour(place, facility, it, covered_us)


def _scaled(row: Row, side: str, covered_us: int) -> Amount:
    """Return a sum of a row as of the whole hour."""
    return _times(Amount(row[side], row[f"{side}_low"], row[f"{side}_high"]), HOUR_US, covered_us)


def _times(amount: Amount, upper: int, lower: int) -> Amount:
    """Return an amount times upper / lower: rounded down, an upper bound up."""
    value, low, high = amount
    return Amount(
        value * upper // lower,
        None if low is None else low * upper // lower,
        None if high is None else -(-high * upper // lower),
    )


def _with_shared(own: Mapping[str, _Hour], site: _Hour) -> dict[str, _Hour]:
    """Return halls with their part of what comes into the site and into none of them.

    The parts add up to it, to the unit.
    """
    shared = less(site.facility, total(hour.facility for hour in own.values()))
    all_it = total(hour.it for hour in own.values())
    whole = {}
    before_nj = 0
    for place, hour in sorted(own.items()):
        after_nj = before_nj + hour.it.value
        value, divisor = shared.value, max(1, all_it.value)
        part = value * after_nj // divisor - value * before_nj // divisor
        low, high = _part_bounds(shared, hour.it, less(all_it, hour.it))
        before_nj = after_nj
        facility = total((hour.facility, Amount(part, low, high)))
        whole[place] = _Hour(place, facility, hour.it, min(hour.covered_us, site.covered_us))
    return whole


def _part_bounds(shared: Amount, it: Amount, others: Amount) -> tuple[int | None, int | None]:
    """Return the bounds of a hall's part of what is shared by IT energy."""
    if shared.low is None or shared.high is None or it.low is None or it.high is None:
        return None, None
    if others.low is None or others.high is None or it.low < 0:
        return None, None
    # Of the sum of all halls `less` takes a hall's own error off twice: wider, and still sound.
    shares = (
        (it.low, it.low + max(others.high, 0)),
        (it.high, it.high + max(others.low, 0)),
    )
    ends = [
        (end * upper // max(lower, 1), -(-end * upper // max(lower, 1)))
        for end in (shared.low, shared.high)
        for upper, lower in shares
    ]
    return min(low for low, _ in ends), max(high for _, high in ends)
