"""Stamps of an export in UTC microseconds: a local time that is not clear is refused, not guessed.

In: the text of a stamp, and what other columns say of it. Out: microseconds since 1970, UTC.
`base.timestamps` guesses the repeated hour of autumn by the order of the lines. Lines of an export
are of many meters and in any order, so here only a column may decide it.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from tokenergy_collectors.base.csvfile import BadValueError
from tokenergy_collectors.base.timestamps import StampReader, checked_instant, zone
from tokenergy_collectors.importers.meters.mapping import MeterMap

_UNIX = re.compile(r"-?\d+(?:\.\d*)?", re.ASCII)
_OWN_OFFSET = re.compile(r":\d\d(?:[:.,]\d+)*\s*(?:Z|z|[+-]\d\d(?::?\d\d)?)$", re.ASCII)
_OFFSET = re.compile(r"([+-]?)(\d{1,2})(?::?(\d\d))?", re.ASCII)
_EPOCH = datetime(1970, 1, 1)
_US = timedelta(microseconds=1)


class Stamps:
    """Reads the stamps of one file.

    Args:
        found: their format and zone.

    Raises:
        UserError: no zone has this name.
    """

    def __init__(self, found: MeterMap) -> None:
        self._map = found
        self._zone = zone(found.tz)
        self._reader = StampReader()

    def read(self, text: str, offset: str | None = None, summer: str | None = None) -> int:
        """Return a stamp in microseconds UTC.

        Args:
            text: the stamp.
            offset: text of the column of offsets, if there is one.
            summer: text of the column of summer time, if there is one.

        Raises:
            BadInstantError: it is outside the years 2000 to 2099.
            BadValueError: it cannot be read, or it is a local time that came twice or never.
        """
        text = text.strip()
        local_us, has_offset = self.parts(text)
        if has_offset:
            return checked_instant(local_us, text)
        if offset is not None:
            return checked_instant(local_us - _offset_us(offset), text)
        return checked_instant(self._local_us(local_us, text, summer), text)

    def parts(self, text: str) -> tuple[int, bool]:
        """Return microseconds since 1970, and whether they are UTC: else they are local time.

        Raises:
            BadValueError: it cannot be read.
        """
        if self._map.format is None:
            has_offset = bool(_UNIX.fullmatch(text)) or bool(_OWN_OFFSET.search(text))
            return self._reader.read(text), has_offset
        try:
            found = datetime.strptime(text, self._map.format)
        except ValueError:
            raise BadValueError(
                f"cannot read time {text!r}: expected format {self._map.format!r}"
            ) from None
        if found.tzinfo is not None:
            return (found - _EPOCH.replace(tzinfo=UTC)) // _US, True
        return (found - _EPOCH) // _US, False

    def _local_us(self, local_us: int, text: str, summer: str | None) -> int:
        # A stamp of the year 1900 or 9999 has no offset that could be worked out.
        checked_instant(local_us, text)
        local = _EPOCH + local_us * _US
        first, second = (
            (local.replace(tzinfo=self._zone, fold=fold) - _EPOCH.replace(tzinfo=UTC)) // _US
            for fold in (0, 1)
        )
        tz = self._map.tz
        if second < first:
            raise BadValueError(
                f"time {text!r} was skipped in {tz} when the clocks went forward: is tz right?"
            )
        if first == second:
            return first
        if summer is None or self._map.summer is None:
            raise BadValueError(
                f"time {text!r} came twice in {tz}, when the clocks went back: name a column that "
                "decides, `offset` or `summer`, in the map"
            )
        # When the clocks go back, the first pass is summer time.
        if summer.strip() in self._map.summer.yes:
            return first
        if summer.strip() in self._map.summer.no:
            return second
        raise BadValueError(
            f"time {text!r} came twice in {tz}, and {summer!r} says neither summer.yes nor "
            "summer.no"
        )


def _offset_us(text: str) -> int:
    """Return an offset to UTC: +02:00, -0530, 2, Z or UTC.

    Raises:
        BadValueError: it is none.
    """
    text = text.strip()
    if text.upper() in ("Z", "UTC"):
        return 0
    found = _OFFSET.fullmatch(text)
    if found is None or int(found[2]) > 14 or int(found[3] or 0) > 59:
        raise BadValueError(f"offset {text[:60]!r}: expected one such as +02:00, -0530, 2 or Z")
    sign = -1 if found[1] == "-" else 1
    return sign * (int(found[2]) * 60 + int(found[3] or 0)) * 60_000_000
