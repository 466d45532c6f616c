"""Classes of cooling as ASHRAE names them: how warm what cools the equipment may be.

W17 to W45 are the greatest temperatures of facility water at the equipment or its coolant
distribution unit; `air` is the upper end of the recommended range at the inlet of servers.
Source: ASHRAE TC 9.9, Thermal Guidelines for Data Processing Environments, 5th edition (2021).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from tokenergy_collectors.base.errors import UserError

Carrier = Literal["liquid", "air"]


@dataclass(frozen=True, slots=True)
class CoolingClass:
    """A class.

    Attributes:
        name: of ASHRAE, or `air`.
        supply_c: the greatest temperature at which the equipment is supplied, °C.
        carrier: what takes the heat from the equipment.
    """

    name: str
    supply_c: float
    carrier: Carrier


CLASSES = {
    one.name: one
    for one in (
        CoolingClass("W17", 17.0, "liquid"),
        CoolingClass("W27", 27.0, "liquid"),
        CoolingClass("W32", 32.0, "liquid"),
        CoolingClass("W40", 40.0, "liquid"),
        CoolingClass("W45", 45.0, "liquid"),
        CoolingClass("air", 27.0, "air"),
    )
}
"""Every class by its name."""


def class_of(option: str, name: str) -> CoolingClass:
    """Return the class of a name.

    Args:
        option: that it was given for.
        name: one of `CLASSES`.

    Raises:
        UserError: there is no such class.
    """
    if name not in CLASSES:
        raise UserError(f"{option} {name!r}: expected one of {', '.join(CLASSES)}")
    return CLASSES[name]
