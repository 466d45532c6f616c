"""Reads all values of one BMC.

In: the BMC's settings, and the link to it. Out: for each value a reading, or why there is none. A
place that was found is kept, so that a meter's rows all say the same; after ten minutes without a
reading another one is looked for.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tokenergy_collectors.sources.meters.reader import MeterReader, Outcome
from tokenergy_collectors.sources.meters.values import NoReadingError
from tokenergy_collectors.sources.redfish.link import Link, RefusedError
from tokenergy_collectors.sources.redfish.reads import Reads
from tokenergy_collectors.sources.redfish.settings import (
    Reading,
    RedfishDevice,
    default_readings,
)
from tokenergy_collectors.sources.redfish.tree import (
    NotFoundError,
    Place,
    find_place,
    read_place,
)

_SEARCH_US = 60_000_000
_SELDOM_US = 3_600_000_000
"""How often a value is looked for that the BMC need not have: each time costs some requests."""

_PATIENCE_US = 600_000_000


class BmcPoint:
    """One value of a BMC.

    Attributes:
        reading: what is wanted.
        needed: whether it is missed if the BMC does not have it.
        found: where it is read; None if that is not known.
        why: why it is not known.
        search_us: not before this instant (monotonic) it is looked for.
        news: where it is read from now on, until a reading has told it.
    """

    def __init__(self, reading: Reading, *, needed: bool) -> None:
        self.reading = reading
        self.needed = needed
        self.found: Place | None = None
        self.why = ""
        self.search_us: int | None = None
        self.news = ""

    @property
    def meter(self) -> str:
        """The meter's id in the table `meter`."""
        return self.reading.meter

    @property
    def place(self) -> str:
        """Where it is, in words."""
        return "no place found" if self.found is None else self.found.words

    @property
    def expected(self) -> bool:
        """Whether it is missed while it is not read."""
        return self.needed or self.found is not None


class RedfishReader(MeterReader):
    """Reads one BMC.

    Args:
        settings: the BMC.
        node: the collector's.
        link: to the BMC.
        monotonic_us: returns monotonic time, for the waits.
        tell: takes what is worth a line of the log: the meter, and where it is read from now on.
    """

    def __init__(
        self,
        settings: RedfishDevice,
        node: str,
        link: Link,
        monotonic_us: Callable[[], int],
        tell: Callable[[str, str], None],
    ) -> None:
        super().__init__(settings.about, settings.about, settings.every_s, monotonic_us)
        self._link = link
        self._tell = tell
        self._points = make_points(settings, node)

    def points(self) -> Sequence[BmcPoint]:
        """Return the values that are missed while they are not read."""
        return [one for one in self._points if one.expected]

    def close(self) -> None:
        """End a request under way."""
        self._link.close()

    def log_out(self) -> None:
        """End the session, after `close`."""
        self._link.log_out()

    def ask(self, found: list[Outcome]) -> None:
        """Read each value once.

        Args:
            found: gets the outcomes.

        Raises:
            AwayError: the BMC does not answer.
        """
        reads = Reads(self._link.get)
        for point in self._points:
            self._search(point, reads)
            if point.expected:
                found.append(self._read(point, reads))

    def _search(self, point: BmcPoint, reads: Reads) -> None:
        """Look for a value that has no place, or no reading for long."""
        now_us = self.monotonic_us()
        if point.found is not None and point.search_us is None:
            return
        if point.search_us is not None and now_us < point.search_us:
            return
        place = point.found
        try:
            place = find_place(point.reading, reads)
        except NotFoundError as error:
            point.why = str(error)
        wait_us = _SEARCH_US if point.needed else _SELDOM_US
        point.search_us = now_us + (wait_us if point.found is None else _PATIENCE_US)
        if place is None or place == point.found:
            return
        point.search_us = None
        point.found = place
        point.news = f"read from {place.words}"
        self._tell(point.meter, place.words)

    def _read(self, point: BmcPoint, reads: Reads) -> Outcome:
        if point.found is None:
            return Outcome(point, 0, None, point.why)
        try:
            value, ts_us = read_place(point.found, point.reading, reads)
        except (NoReadingError, RefusedError) as error:
            if point.search_us is None:
                point.search_us = self.monotonic_us() + _PATIENCE_US
            return Outcome(point, 0, None, str(error))
        news, point.news, point.search_us = point.news, "", None
        return Outcome(point, ts_us, value, news)


def make_points(settings: RedfishDevice, node: str) -> list[BmcPoint]:
    """Return what to read of a BMC; `node` is that of the collector."""
    if settings.readings:
        return [BmcPoint(one, needed=True) for one in settings.readings]
    power, energy = default_readings(settings.node or node)
    # Many BMCs count no energy: that is no loss.
    return [BmcPoint(power, needed=True), BmcPoint(energy, needed=False)]
