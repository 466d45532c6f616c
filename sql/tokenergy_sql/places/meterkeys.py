"""The tables `[[meter]]` and `[[loss]]` of `site.toml`.

In: tables of TOML. Out: models that refuse unknown keys, values, and keys that do not fit together.
What meters mean to one another is checked in `feeding.py` and `losses.py`.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from itertools import pairwise
from typing import Annotated, Any, Literal

from pydantic import Field, PlainValidator, model_validator
from pydantic_core import PydanticCustomError

from tokenergy_sql.places import place
from tokenergy_sql.places.dated import Dated, Name, misfit
from tokenergy_sql.places.exact import Exact, ExactFrom0, text_of
from tokenergy_sql.places.place import SITE, Place, parse_place
from tokenergy_sql.places.roles import ROLES
from tokenergy_sql.places.units import CUMULATIVE, UNITS, Quantity, units_of


def _place(value: Any) -> Place:
    try:
        return parse_place(value if isinstance(value, str) else "")
    except ValueError:
        raise PydanticCustomError("place", place.EXPECTED) from None


PlaceKey = Annotated[Place, PlainValidator(_place)]


class MeterKeys(Dated):
    """One register of a meter. All numbers of the register itself are before unit and scale."""

    id: Name
    quantity: Quantity
    unit: str
    scale: Exact = Fraction(1)
    resolution: Exact = Fraction(1)
    role: str
    place: PlaceKey = SITE
    feeds: list[Name] = Field(default_factory=list)
    same_circuit_as: Name | None = None
    reading: Literal["cumulative", "momentary"] | None = None
    interval_s: float | None = Field(default=None, gt=0, le=86_400)
    accuracy_percent: ExactFrom0 | None = None
    accuracy_absolute: ExactFrom0 = Fraction(0)
    rollover: Exact | None = None
    register_bits: int | None = Field(default=None, ge=8, le=64)
    max_per_h: Exact | None = None
    register_first: ExactFrom0 | None = None
    register_last: ExactFrom0 | None = None
    continues: bool = False

    @property
    def all_names(self) -> list[str]:
        """Return the id, in a list."""
        return [self.id]

    @property
    def modulus(self) -> Fraction | None:
        """Return at what the register begins again from 0, in its own unit; None if unknown."""
        if self.register_bits is not None:
            return Fraction(2**self.register_bits)
        return self.rollover

    @model_validator(mode="after")
    def _fits(self) -> MeterKeys:
        for keys, text in (*_kind_misfits(self), *_register_misfits(self)):
            raise misfit(keys, f"{text} (meter {self.id!r})")
        return self


def _kind_misfits(meter: MeterKeys) -> Iterator[tuple[str, str]]:
    """Yield what is wrong with unit, role and feeds: the key, and what is allowed."""
    unit, role = UNITS.get(meter.unit), ROLES.get(meter.role)
    if unit is None or unit.quantity != meter.quantity:
        allowed = ", ".join(units_of(meter.quantity))
        yield "unit", f"{meter.unit!r} is no unit of {meter.quantity}; allowed: {allowed}"
    if role is None:
        yield "role", f"{meter.role!r} is no role; allowed: {', '.join(ROLES)}"
    elif meter.quantity not in role.quantities:
        allowed = " or ".join(sorted(role.quantities))
        yield "role", f"{meter.role!r} is of {allowed}, not of {meter.quantity}"
    if meter.feeds and meter.quantity in ("temperature", "ratio"):
        yield "feeds", f"a {meter.quantity} is no sum of others; remove the key"
    if meter.feeds and meter.same_circuit_as is not None:
        yield "feeds, same_circuit_as", "expected one: what is fed is told once for a circuit"
    twice = sorted({one for one in meter.feeds if meter.feeds.count(one) > 1})
    if twice:
        yield "feeds", f"{twice[0]!r} is there twice and would be added twice; keep one"


_OF_SUMS = ("rollover", "register_bits", "max_per_h", "register_first", "register_last")


def _register_misfits(meter: MeterKeys) -> Iterator[tuple[str, str]]:
    """Yield what is wrong with the register: the key, and what is allowed."""
    kind = "cumulative" if meter.quantity in CUMULATIVE else "momentary"
    if meter.reading not in (None, kind):
        of = f"a meter of {meter.quantity} has a {kind} register"
        other = "power or flow" if kind == "cumulative" else "energy or volume"
        yield "reading", f"{of}; remove the key, or is the quantity {other}?"
    if kind == "momentary":
        for key in _OF_SUMS:
            if getattr(meter, key) is not None:
                yield key, f"only for cumulative registers (energy, volume), not {meter.quantity}"
    if meter.rollover is not None and meter.register_bits is not None:
        yield "rollover, register_bits", "expected one of them: they say the same"
    if meter.accuracy_absolute and meter.accuracy_percent is None:
        yield (
            "accuracy_absolute",
            "expected accuracy_percent beside it (0 if there is no such part)",
        )
    if meter.accuracy_percent is not None and meter.accuracy_percent > 100:
        yield "accuracy_percent", "expected 0 to 100, per cent of the reading"
    if meter.continues and meter.register_first is not None:
        yield (
            "continues, register_first",
            "expected one of them: a register that goes on is no new one",
        )
    for key in ("register_first", "register_last"):
        value, modulus = getattr(meter, key), meter.modulus
        if value is not None and modulus is not None and value >= modulus:
            yield key, f"expected less than {text_of(modulus)}, where the register rolls over"


class LossKeys(Dated):
    """A loss that no meter measures, by load: of a UPS, a transformer, a busway."""

    name: Name
    place: PlaceKey = SITE
    points: list[list[float]] = Field(min_length=1, max_length=1000)
    between: list[Name] = Field(min_length=1, max_length=2)
    metered: Literal["before", "behind"] | None = None
    accuracy_percent: ExactFrom0 | None = None

    @property
    def all_names(self) -> list[str]:
        """Return the name of the entry, in a list."""
        return [self.name]

    @model_validator(mode="after")
    def _is_a_curve(self) -> LossKeys:
        right = all(len(point) == 2 and min(point) >= 0 for point in self.points)
        loads = [point[0] for point in self.points if point]
        if not right or any(b <= a for a, b in pairwise(loads)):
            raise misfit(
                "points",
                "expected [[load_kw, loss_kw], ...], none below 0, the loads ascending "
                f"(loss {self.name!r})",
            )
        if any(b[0] + b[1] <= a[0] + a[1] for a, b in pairwise(self.points)):
            raise misfit(
                "points",
                "expected that more goes in where more comes out: load + loss must rise from "
                f"point to point (loss {self.name!r})",
            )
        return self

    @model_validator(mode="after")
    def _says_one_side(self) -> LossKeys:
        if self.metered is not None and len(self.between) > 1:
            raise misfit(
                "metered, between",
                "expected `metered` only beside one meter: of two, their roles tell which stands "
                f"before the loss (loss {self.name!r})",
            )
        if self.accuracy_percent is not None and self.accuracy_percent > 100:
            raise misfit("accuracy_percent", f"expected 0 to 100 (loss {self.name!r})")
        return self
