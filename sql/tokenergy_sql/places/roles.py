"""What a meter is there for, and which sum of the building's figures it belongs to.

The sums are those of PUE (ISO/IEC 30134-2), REF (-3), ERF (-6) and WUE (-9). A meter counts in its
sum if no other meter of the sum stands above it: see `meters.MeterTree.counted`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from tokenergy_sql.places.units import Quantity

Sum = Literal["facility", "exported", "it", "cooling", "other", "reused", "water"]

SUMS: tuple[Sum, ...] = get_args(Sum)

ELECTRICAL: frozenset[Quantity] = frozenset({"energy", "power"})
_WATER: frozenset[Quantity] = frozenset({"volume", "flow"})
_HEAT: frozenset[Quantity] = frozenset({"temperature"})
_RATIO: frozenset[Quantity] = frozenset({"ratio"})


@dataclass(frozen=True, slots=True)
class Role:
    """A role of meters.

    Attributes:
        meaning: what such a meter measures.
        sum: the sum that it belongs to; None: to none.
        quantities: those that it may have.
        pue_category: of the IT sum: 1 at the output of the UPS, 2 of the PDU, 3 at the equipment.
        renewable: whether it counts above the line of REF too.
        enters: whether it measures electricity that enters its place on the way to IT.
    """

    meaning: str
    sum: Sum | None
    quantities: frozenset[Quantity] = ELECTRICAL
    pue_category: int | None = None
    renewable: bool = False
    enters: bool = False


ROLES: dict[str, Role] = {
    "utility": Role("electricity bought from the grid", "facility", enters=True),
    "generator": Role("electricity of a generator on the site", "facility"),
    "renewable": Role("electricity of the site's own sun or wind", "facility", renewable=True),
    "district_cooling": Role("cold that is bought, as energy", "facility"),
    "export": Role("electricity given back to the grid", "exported"),
    "feeder": Role("a switchboard, of which meters below say what it feeds", None, enters=True),
    "ups_in": Role("input of a UPS", None, enters=True),
    "ups_out": Role("output of a UPS", "it", pue_category=1, enters=True),
    "pdu_in": Role("input of a power distribution unit", None, enters=True),
    "pdu_out": Role("output of a PDU, or a busway", "it", pue_category=2, enters=True),
    "rack_in": Role("input of a rack", "it", pue_category=2, enters=True),
    "it": Role("input of IT equipment, its own fans included", "it", pue_category=3, enters=True),
    "cooling": Role("all cooling of a place", "cooling"),
    "chiller": Role("a chiller", "cooling"),
    "tower": Role("a cooling tower or dry cooler", "cooling"),
    "pump": Role("pumps", "cooling"),
    "fan": Role("fans of the building; those of servers are part of `it`", "cooling"),
    "cdu": Role("a coolant distribution unit", "cooling"),
    "lighting": Role("lighting", "other"),
    "other": Role("anything else in the building", "other"),
    "heat_reused": Role("heat used outside the data centre", "reused"),
    "water_in": Role("water taken in", "water", _WATER),
    "coolant_flow": Role("flow of a coolant", None, _WATER),
    "supply_temp": Role("temperature to the equipment", None, _HEAT),
    "return_temp": Role("temperature from the equipment", None, _HEAT),
    "outdoor_temp": Role("temperature outside", None, _HEAT),
    "humidity": Role("relative humidity", None, _RATIO),
    "load": Role("load of a UPS or PDU over its rating", None, _RATIO),
}
"""Every role by its name in the site file."""


POWERED: frozenset[str] = frozenset(
    name
    for name, role in ROLES.items()
    if role.enters or role.sum in ("facility", "it", "cooling", "other")
)
"""Roles of meters that measure what comes into a place or is used there."""


def roles_of(sum_: Sum, pue_category: int | None = None) -> frozenset[str]:
    """Return the roles of a sum; of the IT sum, those of a category of PUE if one is given."""
    return frozenset(
        name
        for name, role in ROLES.items()
        if role.sum == sum_ and pue_category in (None, role.pue_category)
    )
