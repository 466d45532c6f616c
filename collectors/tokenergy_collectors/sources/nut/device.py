"""Reads the variables of one UPS.

In: the UPS's settings, and the link to its upsd. Out: for each variable a reading, or why there is
none.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from decimal import Decimal

from tokenergy_collectors.sources.meters.reader import MeterReader, Outcome
from tokenergy_collectors.sources.meters.values import (
    ALL_ONES,
    BILLION,
    MeterValue,
    NoReadingError,
    to_billionths,
)
from tokenergy_collectors.sources.nut.link import Link, Variables
from tokenergy_collectors.sources.nut.settings import EXPECTED, Ups, Variable

_NUMBER = re.compile(r"[+-]?\d{1,40}(?:\.(\d{1,40}))?", re.ASCII)
_NEVER_NEGATIVE = ("power", "load", "charge", "efficiency")


class UpsPoint:
    """One variable of a UPS.

    Attributes:
        variable: which one.
        expected: whether it is missed while it is not read.
    """

    def __init__(self, variable: Variable, *, expected: bool) -> None:
        self.variable = variable
        self.expected = expected

    @property
    def meter(self) -> str:
        """The meter's id in the table `meter`."""
        return self.variable.meter

    @property
    def place(self) -> str:
        """Where it is, in words."""
        return f"variable {self.variable.name}"


class UpsReader(MeterReader):
    """Reads one UPS.

    Args:
        settings: the UPS.
        link: to its upsd.
        monotonic_us: returns monotonic time, for the waits.
    """

    def __init__(self, settings: Ups, link: Link, monotonic_us: Callable[[], int]) -> None:
        name = f"{settings.host}:{settings.port}/{settings.ups}"
        super().__init__(name, settings.about, settings.every_s, monotonic_us)
        self._link = link
        self._points = make_points(settings)

    def points(self) -> Sequence[UpsPoint]:
        """Return the variables that are missed while they are not read."""
        return [one for one in self._points if one.expected]

    def close(self) -> None:
        """End a request under way."""
        self._link.close()

    def ask(self, found: list[Outcome]) -> None:
        """Read all variables, in one request.

        Args:
            found: gets the outcomes.

        Raises:
            AwayError: nobody answers, or not for this UPS.
        """
        read = self._link.variables()
        for point in self._points:
            # What the UPS once had is missed from then on.
            point.expected = point.expected or point.variable.name in read.texts
            if point.expected:
                found.append(outcome_of(point, read))


def make_points(settings: Ups) -> list[UpsPoint]:
    """Return what to read of a UPS."""
    named = bool(settings.variables)
    return [UpsPoint(one, expected=named or one.name == EXPECTED) for one in settings.read]


def outcome_of(point: UpsPoint, read: Variables) -> Outcome:
    """Return what a variable says."""
    text = read.texts.get(point.variable.name)
    if text is None:
        return Outcome(point, 0, None, "the UPS has no such variable")
    try:
        return Outcome(point, read.ts_us, _value(point.variable, text))
    except NoReadingError as error:
        return Outcome(point, 0, None, str(error))


def _value(variable: Variable, text: str) -> MeterValue:
    """Return the number in a text.

    Raises:
        NoReadingError: there is none, or one that means no reading.
    """
    found = _NUMBER.fullmatch(text.strip())
    if found is None:
        raise NoReadingError(f"says {text[:40]!r}, which is no number")
    number = Decimal(found[0])
    invalid = ALL_ONES if variable.invalid is None else variable.invalid
    if any(number == Decimal(str(one)) for one in invalid):
        raise NoReadingError(f"reads {found[0]}, which means no reading")
    if number < 0 and variable.name.endswith(_NEVER_NEGATIVE):
        raise NoReadingError(f"reads {found[0]}, less than 0, which it cannot be")
    # The step of the last digit that is written.
    step_n = max(1, BILLION // 10 ** len(found[1] or ""))
    return MeterValue(to_billionths(number), step_n)
