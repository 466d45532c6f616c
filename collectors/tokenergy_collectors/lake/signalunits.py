"""Units of signals: what a provider or a file has becomes the whole number that the table keeps.

In: a quantity, the name of a unit, a number. Out: the number in the unit of `signal.value`, nearest
(half to even). Conversions are exact fractions; a unit that is not known is refused, never guessed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

from tokenergy_collectors.lake.tables_signal import SIGNAL_UNITS

CARBON = ("carbon_average", "carbon_marginal")
SHARES = ("renewable_share", "cfe_share")

_MOST = 2**62
_WHOLE_PPB = 1_000_000_000

_MASS_MG = {"mg": 1, "g": 1000, "kg": 1_000_000, "t": 1_000_000_000}
_POUND_MG = Fraction("453592.37")
_PER_KWH = {"kwh": Fraction(1), "mwh": Fraction(1, 1000), "gwh": Fraction(1, 1_000_000)}
_SHARE_PPB = {"1": 1_000_000_000, "%": 10_000_000, "ppm": 1000, "ppb": 1}
_POWER_MW = {"w": 1000, "kw": 1_000_000, "mw": 1_000_000_000}

_CARBON = re.compile(r"(mg|g|kg|t|lbs?)(?:co2(?:e|eq)?)?/(kwh|mwh|gwh)")
_PRICE = re.compile(r"([A-Z]{3})/(kWh|MWh|GWh)")
_CENTS = re.compile(r"(?:ct|c|cent|p)/kwh")
_CURRENCY = re.compile(r"[A-Z]{3}")

EXPECTED: Mapping[str, str] = {
    **dict.fromkeys(CARBON, "gCO2/kWh, kgCO2/MWh, tCO2/MWh or lbCO2/MWh"),
    "price": "EUR/MWh, USD/MWh, EUR/kWh or ct/kWh with a currency",
    **dict.fromkeys(SHARES, "%, 1, ppm or ppb"),
    "clean_power": "W, kW or MW",
}
"""Units of each quantity, for messages."""


@dataclass(frozen=True, slots=True)
class SignalUnit:
    """A unit of a quantity.

    Attributes:
        quantity: one of `SIGNAL_UNITS`.
        factor: a number in this unit times this is in the unit of `signal.value`.
        currency: of a price; else None.
    """

    quantity: str
    factor: Fraction
    currency: str | None = None

    def whole(self, number: Fraction) -> int:
        """Return a number of this unit as `signal.value` has it.

        Raises:
            ValueError: it is none of this quantity: emissions and power are not less than 0, a
                share is at most the whole, and every value fits in 62 bits.
        """
        value = round(number * self.factor)
        if self.quantity != "price" and number < 0:
            raise ValueError(f"{float(number):g} is less than 0, which only a price can be")
        if self.quantity in SHARES and value > _WHOLE_PPB:
            raise ValueError(f"{float(number):g} is a share of more than all: is the unit right?")
        if abs(value) >= _MOST:
            raise ValueError(f"{float(number):g} is too large")
        return value


def unit_of(quantity: str, unit: str, currency: str | None = None) -> SignalUnit:
    """Return a unit by its name.

    Args:
        quantity: one of `SIGNAL_UNITS`.
        unit: its name, such as gCO2/kWh, EUR/MWh, ct/kWh, %.
        currency: of a price whose unit does not name one.

    Raises:
        ValueError: it is no unit of the quantity; or the currency is missing, or is another one.
    """
    if quantity not in SIGNAL_UNITS:
        raise ValueError(_wrong_quantity(quantity))
    factor = _factor(quantity, unit)
    if factor is None:
        raise ValueError(f"unit {unit!r} is none of {quantity}: expected {EXPECTED[quantity]}")
    if quantity != "price":
        if currency is not None:
            raise ValueError(f"currency {currency!r}: only a price has one, not {quantity}")
        return SignalUnit(quantity, factor)
    named = _PRICE.fullmatch(unit)
    if named is not None and currency not in (None, named[1]):
        raise ValueError(f"currency {currency!r} and unit {unit!r} name two currencies")
    found = named[1] if named is not None else currency
    if found is None or not _CURRENCY.fullmatch(found):
        raise ValueError(f"unit {unit!r} needs a currency of three letters, such as EUR")
    return SignalUnit(quantity, factor, found)


def _wrong_quantity(quantity: str) -> str:
    words = f"quantity {quantity!r}: expected {', '.join(SIGNAL_UNITS)}"
    if quantity in ("carbon", "carbon_intensity"):
        words += (
            ". An average says what the grid emits per kWh, a marginal value what one kWh more "
            "would add: say which it is"
        )
    return words


def _factor(quantity: str, unit: str) -> Fraction | None:
    """Return how much of `signal.value` one of a unit is; None if it is none of the quantity."""
    plain = unit.replace("₂", "2").replace(" ", "")
    if quantity in CARBON:
        found = _CARBON.fullmatch(plain.lower())
        if found is None:
            return None
        mass = _POUND_MG if found[1].startswith("lb") else Fraction(_MASS_MG[found[1]])
        return mass * _PER_KWH[found[2]]
    if quantity == "price":
        if named := _PRICE.fullmatch(plain):
            return 1_000_000 * _PER_KWH[named[2].lower()]
        return Fraction(10_000) if _CENTS.fullmatch(plain.lower()) else None
    table = _SHARE_PPB if quantity in SHARES else _POWER_MW
    # MW and mW differ by their first letter alone: milliwatts are no unit of a plant.
    if quantity == "clean_power" and plain.startswith("m"):
        return None
    one = table.get(plain.lower())
    return None if one is None else Fraction(one)
