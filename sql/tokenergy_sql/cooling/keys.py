"""The table `[[cooling]]` of `site.toml`: how a place is cooled, and what its own coefficients are.

In: tables of TOML. Out: models that refuse unknown keys and values. What they mean together with
places and meters is checked in `declared.py`.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, PlainValidator, field_validator
from pydantic_core import PydanticCustomError

from tokenergy_collectors.base.strict import Strict
from tokenergy_sql.cooling.classes import CLASSES
from tokenergy_sql.cooling.coefficients import ABOUT
from tokenergy_sql.cooling.coolants import COOLANTS
from tokenergy_sql.places import SITE, Place, parse_place, place
from tokenergy_sql.places.dated import Dated, Name


def _place(value: Any) -> Place:
    try:
        found = parse_place(value if isinstance(value, str) else "")
    except ValueError:
        raise PydanticCustomError("place", place.EXPECTED) from None
    if found.kind not in ("site", "hall", "module"):
        raise PydanticCustomError("place", 'expected "site", "hall:NAME" or "module:NAME"')
    return found


def _coolant(value: Any) -> str:
    if value not in COOLANTS:
        raise PydanticCustomError("coolant", f"expected one of {', '.join(COOLANTS)}")
    return str(value)


class LoopKeys(Strict):
    """The meters of a loop: flow, and temperature to and from the equipment."""

    flow: Name
    supply: Name
    return_: Name = Field(alias="return")
    coolant: Annotated[str, PlainValidator(_coolant)] = "water"


class CoolingKeys(Dated):
    """How a place is cooled; what a hall does not say is as the site says, or the default."""

    place: Annotated[Place, PlainValidator(_place)] = SITE
    class_: str | None = Field(default=None, alias="class")
    rejection: Literal["tower", "dry"] | None = None
    rated_kw: float | None = Field(default=None, gt=0, le=10_000_000)
    elevation_m: float | None = Field(default=None, ge=-500, le=6_000)
    loop: list[LoopKeys] = Field(default_factory=list)
    coefficients: dict[str, float] = Field(default_factory=dict)

    @property
    def all_names(self) -> list[str]:
        """Return the place of the entry, in a list."""
        return [str(self.place)]

    @field_validator("class_")
    @classmethod
    def _is_a_class(cls, name: str | None) -> str | None:
        if name is not None and name not in CLASSES:
            raise PydanticCustomError("class", f"expected one of {', '.join(CLASSES)}")
        return name

    @field_validator("coefficients", mode="before")
    @classmethod
    def _are_known(cls, values: Any) -> Any:
        if not isinstance(values, dict):
            return values
        for name, value in values.items():
            about = ABOUT.get(name)
            if about is None:
                text = f"unknown coefficient {name!r}; allowed: {', '.join(ABOUT)}"
                raise PydanticCustomError("value_error", "{text}", {"text": text})
            number = isinstance(value, int | float) and not isinstance(value, bool)
            if not number or not about.least <= value <= about.most:
                text = f"{name}: expected {about.least:g} to {about.most:g} {about.unit}"
                raise PydanticCustomError("coefficient", "{text}", {"text": text})
        return {name: float(value) for name, value in values.items()}
