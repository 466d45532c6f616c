"""Every number of the cooling model: its default, its unit, its limits and where it comes from.

A site replaces defaults by its own in `[[cooling]]` of the site file. 1 L/s of water that warms by
1 K carries 4.17 kW: W/gpm of ASHRAE 90.1 become W/kW with the temperature differences named here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import NamedTuple

Values = Mapping[str, float]
"""Coefficients that replace others, by name."""


class About(NamedTuple):
    """What there is to say of a coefficient.

    Attributes:
        unit: `K`, `W/kW` or `1`.
        least, most: what a site file may say.
        meaning: what it is.
        source: where the default comes from.
    """

    unit: str
    least: float
    most: float
    meaning: str
    source: str


_901 = "ASHRAE 90.1-2019, appendix G"
_OURS = "an assumption of this project"


def _one(
    default: float, unit: str, limits: tuple[float, float], meaning: str, source: str
) -> float:
    about = About(unit, *limits, meaning, source)
    # A field of a dataclass passes for its type, as `dataclasses.field` itself does.
    found: float = field(default=default, metadata={"about": about})
    return found


@dataclass(frozen=True, slots=True)
class Coefficients:
    """The coefficients of a hall's cooling; see `ABOUT` for each."""

    tower_approach_k: float = _one(
        *(6.0, "K", (0.5, 30.0)),
        "supply over outdoor wet bulb that a tower and its heat exchanger reach",
        "2.5 K for the tower (ASHRAE Handbook, HVAC Systems and Equipment: within 4 to 5 °F), "
        "3.5 K for the exchanger: " + _OURS,
    )
    dry_approach_k: float = _one(
        *(8.0, "K", (0.5, 40.0)),
        "supply over outdoor dry bulb that a dry cooler reaches",
        _OURS,
    )
    air_approach_k: float = _one(
        *(3.0, "K", (0.0, 20.0)),
        "air at the equipment over outdoor dry bulb, with outside air",
        _OURS + ": heat of the fans and air that comes back",
    )
    carnot_share: float = _one(
        *(0.7, "1", (0.1, 0.95)),
        "a chiller's COP at full load over that of Carnot",
        "gives COP 5.9 at 6.7 and 29.4 °C (AHRI 550/590); ASHRAE 90.1 asks for 6.3 of large ones",
    )
    standing_share: float = _one(
        *(0.15, "1", (0.0, 0.9)),
        "part of a chiller's full power that does not fall with its load",
        _OURS,
    )
    evaporator_approach_k: float = _one(
        *(2.0, "K", (0.0, 15.0)), "supply over evaporating temperature", _OURS
    )
    coil_approach_k: float = _one(
        *(8.0, "K", (0.0, 30.0)), "air supply over chilled water, at the coil", _OURS
    )
    condenser_approach_k: float = _one(
        *(8.0, "K", (0.0, 30.0)),
        "condensing temperature over water from the tower or dry cooler",
        "a range of 5.6 K (" + _901 + ") and 2.4 K: " + _OURS,
    )
    least_lift_k: float = _one(
        *(10.0, "K", (1.0, 40.0)), "a chiller compresses at least over so many kelvin", _OURS
    )
    pump_w_per_kw: float = _one(
        *(8.4, "W/kW", (0.0, 200.0)),
        "pumps of the loop at full flow, for a kW of heat",
        _901 + ", G3.1.3.10: 22 W/gpm, at 10 K",
    )
    condenser_pump_w_per_kw: float = _one(
        *(12.9, "W/kW", (0.0, 200.0)),
        "pumps of the tower's water at full flow, for a kW of heat rejected",
        _901 + ": 19 W/gpm, at 5.6 K",
    )
    fan_w_per_kw: float = _one(
        *(52.0, "W/kW", (0.0, 500.0)),
        "fans of the room at full flow, for a kW of heat to air",
        "750 W for a m³/s (EN 16798-3, SFP 2), at 12 K",
    )
    tower_fan_w_per_kw: float = _one(
        *(13.2, "W/kW", (0.0, 200.0)),
        "fans of the tower at full speed, for a kW of heat rejected",
        _901 + ", G3.1.3.11: 38.2 gpm/hp, at 5.6 K",
    )
    dry_fan_w_per_kw: float = _one(
        *(30.0, "W/kW", (0.0, 300.0)),
        "fans of the dry cooler at full speed, for a kW of heat rejected",
        _OURS,
    )
    pump_exponent: float = _one(
        *(3.0, "1", (0.5, 4.0)), "of flow, in the power of pumps", "affinity law"
    )
    fan_exponent: float = _one(
        *(3.0, "1", (0.5, 4.0)), "of flow, in the power of all fans", "affinity law"
    )
    least_speed: float = _one(
        *(0.3, "1", (0.0, 1.0)), "of pumps and fans that run, over full speed", _OURS
    )
    liquid_share: float = _one(
        *(0.75, "1", (0.0, 1.0)),
        "part of the heat that goes to liquid, in a hall with liquid cooling",
        _OURS + "; meters of flow and temperature say it",
    )
    server_fan_share: float = _one(
        *(0.08, "1", (0.0, 0.5)),
        "part of IT energy that servers' own fans draw where air takes all heat",
        _OURS + "; measure a node with its fans at full speed and at rest",
    )

    def with_values(self, values: Values) -> Coefficients:
        """Return these coefficients with some replaced; their names must be known."""
        return replace(self, **values)


ABOUT: dict[str, About] = {one.name: one.metadata["about"] for one in fields(Coefficients)}
"""What there is to say of each coefficient, by name."""

DEFAULTS = Coefficients()
"""What holds where a site says nothing."""
