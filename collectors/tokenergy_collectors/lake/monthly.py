"""Values by hour, or by file, of which months are parsed when they are asked for.

In: the texts of months, as `monthlyfile` has them. Out: `Monthly`, a mapping.
"""

from __future__ import annotations

import json
import re
from abc import abstractmethod
from collections.abc import (
    ItemsView,
    Iterable,
    Iterator,
    Mapping,
    MutableMapping,
    ValuesView,
)
from functools import lru_cache
from itertools import groupby
from pathlib import Path
from typing import Any, Generic, Self, TypeVar

from tokenergy_collectors.lake.contract import HOUR_US
from tokenergy_collectors.lake.paths import hour_of_folder, partition

K = TypeVar("K", bound=int | str)
V = TypeVar("V")

_DATE, _MONTH = len("2026-01-31"), len("2026-01")
_HOURS_A_DAY = 24
_AFTER_US = {f"{hour:02d}": hour * HOUR_US for hour in range(_HOURS_A_DAY)}
"""What each hour of a day begins after, by its name."""

_DATES = re.compile(rb'"(\d{4}-\d\d-\d\d)": \{')
"""The dates of a month of scalars."""


class _Month(Generic[K, V]):
    """A month: its text, its values, or both. Copies share it, until one of them is changed."""

    __slots__ = ("text", "values")

    def __init__(self, text: bytes | None, values: dict[K, V] | None) -> None:
        self.text, self.values = text, values


class _Items(ItemsView[K, V]):
    """All items, month by month: to look for each key takes five times as long."""

    def __init__(self, mapping: Monthly[K, V]) -> None:
        super().__init__(mapping)
        self._of = mapping

    def __iter__(self) -> Iterator[tuple[K, V]]:
        for month in self._of.months():
            values = self._of.of_month(month)
            for key in _ordered(values):
                yield key, values[key]


class _Values(ValuesView[V]):
    """All values, by key."""

    def __init__(self, mapping: Monthly[Any, V]) -> None:
        super().__init__(mapping)
        self._of = mapping

    def __iter__(self) -> Iterator[V]:
        for month in self._of.months():
            values = self._of.of_month(month)
            yield from (values[key] for key in _ordered(values))


def _ordered(keys: Iterable[K]) -> list[K]:
    return sorted(keys)


class Monthly(MutableMapping[K, V]):
    """A mapping whose keys fall into months, or into other spans that `_month_of` tells.

    It is in the order of the months. Copies are cheap: they share the months that stay the same.
    A value is replaced, and never changed itself: its month may be written as the text that it has.
    """

    def __init__(self, items: Mapping[K, V] | None = None) -> None:
        self._months: dict[str, _Month[K, V]] = {}
        self._own: set[str] = set()
        self.update_all(items or {})

    @staticmethod
    @abstractmethod
    def _month_of(key: K) -> str:
        """Return the month of a key, as text."""

    @staticmethod
    @abstractmethod
    def _encode(values: Mapping[K, V]) -> dict[str, Any]:
        """Return what JSON has of a month."""

    @staticmethod
    @abstractmethod
    def _decode(content: Mapping[str, Any]) -> dict[K, V]:
        """Return the values of a month of JSON."""

    @classmethod
    def of_texts(cls, texts: Iterable[bytes]) -> Self:
        """Return the mapping of months as `texts` has them."""
        found = cls()
        for text in texts:
            found._months[cls._month_of_text(text)] = _Month(text, None)
        return found

    @staticmethod
    @abstractmethod
    def _month_of_text(text: bytes) -> str:
        """Return the month of a key as JSON has it."""

    def copied(self) -> Self:
        """Return a copy that may be changed."""
        found = type(self)()
        found._months = {**self._months}
        self._own.clear()
        return found

    def texts(self) -> Iterator[bytes]:
        """Yield the text of each month, ascending: entries of a JSON object."""
        for month in sorted(self._months):
            yield self.text(month)

    def text(self, month: str) -> bytes:
        """Return the text of a month, `YYYY-MM`."""
        one = self._months[month]
        if one.text is None:
            values = self._values(one)
            ordered = {key: values[key] for key in _ordered(values)}
            one.text = json.dumps(self._encode(ordered))[1:-1].encode()
        return one.text

    def months(self) -> list[str]:
        """Return the months that have values, `YYYY-MM`, ascending."""
        return sorted(self._months)

    def of_month(self, month: str) -> Mapping[K, V]:
        """Return the values of a month, `YYYY-MM`."""
        one = self._months.get(month)
        return {} if one is None else self._values(one)

    def _values(self, one: _Month[K, V]) -> dict[K, V]:
        if one.values is None:
            one.values = self._decode(json.loads(b"{%b}" % (one.text or b"")))
        return one.values

    def differing(self, other: Monthly[K, V]) -> Iterator[K]:
        """Yield the keys whose values differ from those of another one."""
        for month in {*self._months, *other._months}:
            one, two = self._months.get(month), other._months.get(month)
            if one is two or (one and two and one.text and one.text == two.text):
                continue
            mine, theirs = self.of_month(month), other.of_month(month)
            for key in {*mine, *theirs}:
                if key not in mine or key not in theirs or mine[key] != theirs[key]:
                    yield key

    def __getitem__(self, key: K) -> V:
        """Return a value."""
        return self.of_month(self._month_of(key))[key]

    def __contains__(self, key: object) -> bool:
        """Return whether there is a value."""
        return key in self.of_month(self._month_of(key))  # type: ignore[arg-type]

    def __setitem__(self, key: K, value: V) -> None:
        """Set a value."""
        self._changing(self._month_of(key))[key] = value

    def update_all(self, items: Mapping[K, V]) -> None:
        """Set many values: faster than one by one."""
        for month, keys in groupby(_ordered(items), self._month_of):
            self._changing(month).update({key: items[key] for key in keys})

    def __delitem__(self, key: K) -> None:
        """Remove a value."""
        month = self._month_of(key)
        if key not in self.of_month(month):
            raise KeyError(key)
        left = self._changing(month)
        del left[key]
        if not left:
            del self._months[month]

    def _changing(self, month: str) -> dict[K, V]:
        """Return the values of a month, to be changed: nobody else has them."""
        one = self._months.get(month)
        if one is None or month not in self._own:
            one = self._months[month] = _Month(None, {**self.of_month(month)})
            self._own.add(month)
        one.text = None
        return self._values(one)

    def __iter__(self) -> Iterator[K]:
        """Yield the keys, ascending."""
        for month in sorted(self._months):
            yield from self._keys(self._months[month])

    def _keys(self, one: _Month[K, V]) -> Iterable[K]:
        """Return the keys of a month, ascending."""
        return _ordered(self._values(one))

    def items(self) -> ItemsView[K, V]:
        """Return the items, by key."""
        return _Items(self)

    def values(self) -> ValuesView[V]:
        """Return the values, by key."""
        return _Values(self)

    def __len__(self) -> int:
        """Return how many values there are."""
        counts = [len([*self._keys(month)]) for month in self._months.values()]
        return sum(counts)

    def __bool__(self) -> bool:
        """Return whether there is any value."""
        return bool(self._months)

    def __eq__(self, other: object) -> bool:
        """Return whether another mapping has the same values."""
        if isinstance(other, Monthly):
            return next(self.differing(other), None) is None
        return isinstance(other, Mapping) and {**self} == {**other}

    # It changes, so it has no hash: as dict does.
    __hash__ = None  # type: ignore[assignment]


class ByHour(Monthly[int, V]):
    """Values by start of the hour (us UTC): in JSON by date, then hour, `2026-01-31` and `07`."""

    _scalar = False

    @staticmethod
    def _month_of(key: int) -> str:
        return date_and_hour(key)[0][:_MONTH]

    @staticmethod
    def _month_of_text(text: bytes) -> str:
        return text[1 : 1 + _MONTH].decode()

    @staticmethod
    def _encode(values: Mapping[int, V]) -> dict[str, Any]:
        return by_date(values)

    @staticmethod
    def _decode(content: Mapping[str, Any]) -> dict[int, V]:
        return of_dates(content)

    def _keys(self, one: _Month[int, V]) -> Iterable[int]:
        if self._scalar and one.values is None and one.text is not None:
            dates = _DATES.findall(one.text)
            if one.text.count(b'": ') == (1 + _HOURS_A_DAY) * len(dates):
                # Each day has all its hours, whose names need not be parsed.
                starts = [day_us(date.decode()) for date in dates]
                return [start + after for start in starts for after in _AFTER_US.values()]
        return _ordered(self._values(one))


class ScalarByHour(ByHour[V]):
    """The same of values that are numbers or short names: they have no `"` and no `:`."""

    _scalar = True


class ByFile(Monthly[str, V]):
    """Values by path of a file below the lake, `TABLE/date=YYYY-MM-DD/...`: each day is a span."""

    @staticmethod
    def _month_of(key: str) -> str:
        _, _, date = key.partition("/date=")
        return date[:_DATE]

    @staticmethod
    def _month_of_text(text: bytes) -> str:
        _, _, date = text.partition(b"/date=")
        return date[:_DATE].decode()

    @staticmethod
    def _encode(values: Mapping[str, V]) -> dict[str, Any]:
        return {**values}

    @staticmethod
    def _decode(content: Mapping[str, Any]) -> dict[str, V]:
        return {**content}


def by_date(hours: Mapping[int, V]) -> dict[str, dict[str, V]]:
    """Return values by date and hour of values by start of the hour."""
    dates: dict[str, dict[str, V]] = {}
    for hour_us, value in sorted(hours.items(), key=_first):
        date, hour = date_and_hour(hour_us)
        dates.setdefault(date, {})[hour] = value
    return dates


def of_dates(dates: Mapping[str, Mapping[str, V]]) -> dict[int, V]:
    """Return values by start of the hour of values by date and hour.

    Raises:
        ValueError, KeyError: one is no date, or no hour.
    """
    found: dict[int, V] = {}
    for date, hours in dates.items():
        start_us = day_us(date)
        found.update(
            zip([start_us + _AFTER_US[hour] for hour in hours], hours.values(), strict=True)
        )
    return found


def _first(pair: tuple[int, Any]) -> int:
    return pair[0]


@lru_cache(1 << 16)
def date_and_hour(hour_us: int) -> tuple[str, str]:
    """Return the date and the hour of an hour, `2026-01-31` and `07`."""
    date, _, hour = partition(hour_us).partition("/")
    return date.removeprefix("date="), hour.removeprefix("hour=")


@lru_cache(1 << 12)
def day_us(date: str) -> int:
    """Return the start of a day, microseconds UTC.

    Raises:
        ValueError: it is no date.
    """
    found = hour_of_folder(Path(f"date={date}") / "hour=00")
    if found is None:
        raise ValueError(f"{date!r} is no date")
    return found
