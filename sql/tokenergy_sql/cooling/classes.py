"""Classes of cooling as ASHRAE names them: how warm what cools the equipment may be.

W17 to W45 are the greatest temperatures of facility water at the equipment or its coolant
distribution unit; `air` is the upper end of the recommended range at the inlet of servers.
Source: ASHRAE TC 9.9, Thermal Guidelines for Data Processing Environments, 5th edition (2021); what
it names as the typical main cooling equipment of a class is what rejects its heat here, unless the
site or the user says otherwise.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from tokenergy_collectors.base.errors import UserError

Carrier = Literal["liquid", "air"]

Rejection = Literal["tower", "dry"]

REJECTIONS: tuple[Rejection, ...] = ("tower", "dry")
"""Where heat goes to the outdoors: a cooling tower, or a dry cooler."""


@dataclass(frozen=True, slots=True)
class CoolingClass:
    """A class.

    Attributes:
        name: of ASHRAE, or `air`.
        supply_c: the greatest temperature at which the equipment is supplied, °C.
        carrier: what takes the heat from the equipment.
        rejection: what usually gives it to the outdoors; of air, while a chiller runs.
    """

    name: str
    supply_c: float
    carrier: Carrier
    rejection: Rejection


CLASSES = {
    one.name: one
    for one in (
        CoolingClass("W17", 17.0, "liquid", "tower"),
        CoolingClass("W27", 27.0, "liquid", "tower"),
        CoolingClass("W32", 32.0, "liquid", "tower"),
        CoolingClass("W40", 40.0, "liquid", "dry"),
        CoolingClass("W45", 45.0, "liquid", "dry"),
        CoolingClass("air", 27.0, "air", "tower"),
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
