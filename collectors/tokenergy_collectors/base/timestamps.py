"""Converts time stamps of imported files to UTC microseconds, exactly.

In: the text of one stamp (Unix seconds, ISO 8601, or nvidia-smi's `2024/01/31 12:34:56.789`) and
the time zone of the file. Out: integer microseconds since 1970, UTC. No float is involved; digits
beyond the microsecond are dropped.

Every door accepts the years 2000 to 2099 only, by `checked_instant`.

Local time is ambiguous for an hour each autumn. Rows are in the order in which they were written,
so the reader remembers the previous stamp: local time that goes back is the second occurrence.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, tzinfo

from tokenergy_collectors.base.csvfile import BadValueError
from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.base.instants import END_US, FIRST_US, is_instant

EXPECTED = (
    "expected Unix seconds (1706704496.789), ISO 8601 (2024-01-31T12:34:56.789Z) "
    "or nvidia-smi's 2024/01/31 12:34:56.789"
)

_UNIX = re.compile(r"(-?)(\d{1,20})(?:\.(\d*))?", re.ASCII)
_CIVIL = re.compile(
    r"(\d{4})([-/])(\d\d)\2(\d\d)[T ](\d\d):(\d\d)(?::(\d\d)(?:[.,](\d+))?)?"
    r"\s*(Z|z|[+-]\d\d(?::?\d\d)?)?",
    re.ASCII,
)
_END_S = 253_402_300_800
"""Unix seconds of the year 10000: a larger number is not in seconds."""

OUTSIDE = "time outside the years 2000 to 2099"
"""Why a row with such a time is left out."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MINUTE = len("2024/01/31 12:34:")
_JITTER_US = 10_000_000
"""Stamps of several devices are out of order by less; if by more, the clocks went back."""

_NEXT_US = 600_000_000
"""A stamp that follows another one so soon is of the same pass of an hour."""

_DAY_US = 86_400_000_000
_MAX_CACHED = 200_000


class BadInstantError(BadValueError):
    """A time that can be read, but is outside the years that are accepted."""


def checked_instant(ts_us: int, text: str) -> int:
    """Return a time (microseconds UTC) if it is accepted.

    Args:
        ts_us: the time.
        text: how it was written, for the message.

    Raises:
        BadInstantError: it is outside the years 2000 to 2099.
    """
    if not is_instant(ts_us):
        raise BadInstantError(f"time {text!r} is outside the years 2000 to 2099: {EXPECTED}")
    return ts_us


def zone(name: str) -> tzinfo:
    """Return the time zone of a name such as `Europe/Berlin`.

    Raises:
        UserError: no zone has this name.
    """
    if name == "UTC":
        return UTC
    import zoneinfo  # slow to load, and seldom needed

    try:
        return zoneinfo.ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise UserError(
            f"unknown time zone {name!r}: expected a name such as UTC or Europe/Berlin"
        ) from None


class StampReader:
    """Reads the stamps of one file, in the file's order.

    Args:
        tz: time zone of stamps without an offset.

    Raises:
        UserError: no zone has this name.
    """

    def __init__(self, tz: str = "UTC") -> None:
        self._tz = zone(tz)
        self._tz_name = tz
        self.ambiguous = 0
        """How many stamps were in an hour that came twice: they depend on the stamp before."""
        self.unsure = False
        """Whether some of these could be an hour later: nothing right before them tells."""
        self.last_us: int | None = None
        """The last stamp that was read."""
        self.has_fractions = False
        """Whether any stamp was written with digits after the second."""
        self.is_finer_than_seconds = False
        """Whether any of these digits was not 0."""
        self._minutes: dict[str, int] = {}
        self._seconds: dict[str, int] = {}

    def read(self, text: str) -> int:
        """Return a stamp in microseconds UTC.

        Raises:
            BadInstantError: it is outside the years 2000 to 2099.
            BadValueError: it cannot be read, or the local time did not exist in the zone.
        """
        minute_us = self._minutes.get(text[:_MINUTE])
        second_us = self._seconds.get(text[_MINUTE:])
        if minute_us is not None and second_us is not None:
            ts_us = minute_us + second_us
        else:
            ts_us = self._read_slowly(text.strip())
        self.last_us = ts_us
        return ts_us

    def _read_slowly(self, text: str) -> int:
        if unix := _UNIX.fullmatch(text):
            sign, seconds, fraction = unix.groups()
            if int(seconds) >= _END_S:
                raise BadValueError(f"time {text!r} is not in seconds: {EXPECTED}")
            self._note(fraction)
            ts_us = int(seconds) * 1_000_000 + _fraction_us(fraction)
            return checked_instant(-ts_us if sign else ts_us, text)
        found = _CIVIL.fullmatch(text)
        if found is None:
            raise BadValueError(f"cannot read time {text!r}: {EXPECTED}")
        year, _, month, day, hour, minute, second, fraction, offset = found.groups()
        try:
            civil = datetime(max(int(year), 1), int(month), int(day), int(hour), int(minute))
            within_us = _seconds_us(second or "0") + _fraction_us(fraction)
            offset_us = _offset_us(offset or "Z")
        except ValueError:
            raise BadValueError(f"time {text!r} does not exist: {EXPECTED}") from None
        self._note(fraction)
        naive_us = _since_epoch_us(civil.replace(tzinfo=UTC)) + within_us
        if offset is not None:
            return checked_instant(naive_us - offset_us, text)
        # Near the ends of the calendar the rules of a time zone cannot be worked out.
        if not FIRST_US - _DAY_US <= naive_us < END_US + _DAY_US:
            checked_instant(naive_us, text)
        return checked_instant(self._local_us(civil, within_us, text), text)

    def _note(self, fraction: str | None) -> None:
        self.has_fractions |= bool(fraction)
        self.is_finer_than_seconds |= bool(fraction) and int(fraction or 0) > 0

    def _local_us(self, civil: datetime, within_us: int, text: str) -> int:
        """Return the stamp of a local time: `civil` to the minute, plus microseconds."""
        first_us = _since_epoch_us(civil.replace(tzinfo=self._tz))
        second_us = _since_epoch_us(civil.replace(tzinfo=self._tz, fold=1))
        if second_us < first_us:
            raise BadValueError(
                f"time {text!r} was skipped in {self._tz_name} when the clocks went forward: "
                "expected another --tz"
            )
        if second_us == first_us:
            self._remember(text, first_us, within_us)
            return first_us + within_us
        self.ambiguous += 1
        before_us = self.last_us
        went_back = before_us is not None and first_us + within_us < before_us - _JITTER_US
        if went_back:
            self.unsure = False  # both passes are there: the earlier stamps were the first
        elif before_us is None or first_us + within_us > before_us + _NEXT_US:
            self.unsure = True
        return (second_us if went_back else first_us) + within_us

    def _remember(self, text: str, minute_us: int, within_us: int) -> None:
        """Cache the two halves of a stamp, so that the next one like it needs no parsing."""
        if text[_MINUTE - 1 : _MINUTE] != ":":  # another format: the halves are elsewhere
            return
        if not is_instant(minute_us):  # the next such stamp must be refused like this one
            return
        if len(self._seconds) > _MAX_CACHED:
            self._seconds.clear()
        if len(self._minutes) > _MAX_CACHED:
            self._minutes.clear()
        self._minutes[text[:_MINUTE]] = minute_us
        self._seconds[text[_MINUTE:]] = within_us


def _since_epoch_us(moment: datetime) -> int:
    return (moment - _EPOCH) // timedelta(microseconds=1)


def _seconds_us(digits: str) -> int:
    if int(digits) > 59:
        raise ValueError(digits)
    return int(digits) * 1_000_000


def _fraction_us(digits: str | None) -> int:
    return int((digits or "").ljust(6, "0")[:6])


def _offset_us(text: str) -> int:
    if text in "Zz":
        return 0
    hours, minutes = int(text[1:3]), int(text[3:].lstrip(":") or 0)
    if hours > 23 or minutes > 59:
        raise ValueError(text)
    return (1 if text[0] == "+" else -1) * (hours * 60 + minutes) * 60_000_000
