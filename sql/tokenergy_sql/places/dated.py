"""What all entries of places and meters share: names, and the time for which they hold."""

from __future__ import annotations

from abc import abstractmethod
from datetime import datetime
from typing import Annotated

from pydantic import AfterValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from tokenergy_collectors.base.instants import END_US, FIRST_US
from tokenergy_collectors.base.nameranges import expand_names
from tokenergy_collectors.base.strict import Strict
from tokenergy_sql.places.timeline import instant_us


def misfit(keys: str, text: str) -> PydanticCustomError:
    """Return the error of keys that do not fit together."""
    # As a value of the template: a name may have braces.
    return PydanticCustomError("value_error", "{text}", {"text": f"{keys}: {text}"})


def _proper(name: str) -> str:
    if name != name.strip() or not name.isprintable():
        raise PydanticCustomError("name", "expected a name without blanks around it")
    return name


def _written_out(names: list[str]) -> list[str]:
    try:
        return [one for name in names for one in expand_names(name)]
    except ValueError as error:
        raise misfit("names", str(error)) from None


Name = Annotated[str, Field(min_length=1, max_length=200), AfterValidator(_proper)]
Names = Annotated[list[Name], Field(min_length=1), AfterValidator(_written_out)]
"""Names, and ranges of names such as `gpu-{00..15}`, written out."""


class Dated(Strict):
    """An entry that may hold for a time: from `from` on, before `until`."""

    start: datetime | None = Field(default=None, alias="from")
    end: datetime | None = Field(default=None, alias="until")

    @property
    def from_us(self) -> int:
        """Return when the entry begins to hold, microseconds UTC."""
        return FIRST_US if self.start is None else instant_us(self.start)

    @property
    def until_us(self) -> int:
        """Return when the entry holds no more, microseconds UTC."""
        return END_US if self.end is None else instant_us(self.end)

    @property
    @abstractmethod
    def all_names(self) -> list[str]:
        """Return the names of what the entry is about."""

    @model_validator(mode="after")
    def _in_order(self) -> Dated:
        if not FIRST_US <= self.from_us < self.until_us <= END_US:
            expected = "expected from < until, both in the years 2000 to 2099 (UTC)"
            raise misfit("from, until", expected)
        return self


class Named(Dated):
    """An entry with a `name`, or with `names` of several things that are alike."""

    name: Name | None = None
    names: Names | None = None

    @model_validator(mode="after")
    def _one_of_both(self) -> Named:
        if (self.name is None) == (self.names is None):
            raise misfit("name, names", 'expected one: name = "a", or names = ["a{1..8}"]')
        return self

    @property
    def all_names(self) -> list[str]:
        """Return the names of the entry."""
        return [self.name] if self.name is not None else list(self.names or ())
