"""The table `[[pue_model]]` of `site.toml`: a PUE of parts, where no meter shows what comes in.

In: tables of TOML. Out: models that refuse unknown keys, values, and keys that do not fit together.
Every part is said: metered, modelled, or declared as a number. What they mean: see `puemodels.py`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import Field, PlainValidator, model_validator
from pydantic_core import PydanticCustomError

from tokenergy_sql.places.dated import Dated, misfit
from tokenergy_sql.places.exact import ExactFrom0
from tokenergy_sql.places.place import SITE, Place, parse_place


def _place(value: Any) -> Place:
    try:
        found = parse_place(value if isinstance(value, str) else "")
    except ValueError:
        found = Place("node", "")
    if found.kind not in ("site", "hall"):
        raise PydanticCustomError("place", 'expected "site" or "hall:NAME"')
    return found


Kw = Annotated[float, Field(ge=0, le=10_000_000)]


class PueModelKeys(Dated):
    """How the PUE of a place is made up: losses, cooling, and the rest."""

    place: Annotated[Place, PlainValidator(_place)] = SITE
    losses: Literal["curves"] | None = None
    losses_kw: Kw | None = None
    losses_accuracy_percent: ExactFrom0 | None = None
    cooling: Literal["metered", "modelled"] | None = None
    cooling_kw: Kw | None = None
    cooling_accuracy_percent: ExactFrom0 | None = None
    other_kw: Kw
    other_accuracy_percent: ExactFrom0 | None = None

    @property
    def all_names(self) -> list[str]:
        """Return the place of the entry, in a list."""
        return [str(self.place)]

    @model_validator(mode="after")
    def _fits(self) -> PueModelKeys:
        for keys, text in _misfits(self):
            raise misfit(keys, f"{text} (pue_model of {self.place})")
        return self


def _misfits(model: PueModelKeys) -> Iterator[tuple[str, str]]:
    """Yield what is wrong with the keys: which, and what is allowed."""
    if (model.losses is None) == (model.losses_kw is None):
        yield "losses, losses_kw", 'expected one: losses = "curves", or losses_kw = 0 if none'
    if (model.cooling is None) == (model.cooling_kw is None):
        yield (
            "cooling, cooling_kw",
            'expected one: cooling = "metered" or "modelled", or cooling_kw',
        )
    if model.losses == "curves" and model.losses_accuracy_percent is not None:
        yield "losses_accuracy_percent", "each [[loss]] has an accuracy_percent of its own"
    if model.cooling == "metered" and model.cooling_accuracy_percent is not None:
        yield "cooling_accuracy_percent", "each [[meter]] has an accuracy_percent of its own"
    for name in ("losses", "cooling", "other"):
        percent = getattr(model, f"{name}_accuracy_percent")
        if percent is not None and percent > 100:
            yield f"{name}_accuracy_percent", "expected 0 to 100"
