"""Reads all meters of one device; one that is away is asked again after waits that double.

In: what a subclass asks the device. Out: for each meter a reading, or why there is none.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

from tokenergy_collectors.base.backoff import Backoff
from tokenergy_collectors.sources.meters.values import MeterValue

_FIRST_WAIT_US = 1_000_000
_LONGEST_WAIT_US = 60_000_000


class AwayError(Exception):
    """Nobody answered, or not in the protocol: it would be the same for the device's other meters.

    The message says why, without numbers that change: it becomes an event, once.

    Attributes:
        connected: whether there was a connection.
    """

    def __init__(self, why: str, *, connected: bool) -> None:
        super().__init__(why)
        self.connected = connected


class Point(Protocol):
    """One value that a device has: what becomes the rows of one meter."""

    @property
    def meter(self) -> str:
        """The meter's id in the table `meter`."""

    @property
    def place(self) -> str:
        """Where in the device it is, in words."""


class Outcome(NamedTuple):
    """What came of reading one point: a reading and its stamp (us UTC), or why there is none.

    With a reading, `why` is what has changed since the last one, for the event that it is back.
    """

    point: Point
    ts_us: int
    value: MeterValue | None
    why: str = ""


class MeterReader(ABC):
    """Reads one device. Its methods but `close` are called by one thread at a time.

    Args:
        name: the device in metrics and in the log, after the source's name: HOST:PORT.
        about: the device in words, in events.
        every_s: seconds between two readings.
        monotonic_us: returns monotonic time, for the waits.
    """

    def __init__(
        self, name: str, about: str, every_s: float, monotonic_us: Callable[[], int]
    ) -> None:
        self.name = name
        self.about = about
        self.every_s = every_s
        self.monotonic_us = monotonic_us
        self._backoff = Backoff(_FIRST_WAIT_US, _LONGEST_WAIT_US)
        self._not_before_us: int | None = None

    @abstractmethod
    def points(self) -> Sequence[Point]:
        """Return what there is to read, as far as it is known: it is lost with the device."""

    @abstractmethod
    def ask(self, found: list[Outcome]) -> None:
        """Read each point once.

        Args:
            found: gets the outcomes, one for each point; those before an error count.

        Raises:
            AwayError: nobody answers: the points that are missing in `found` have no reading.
        """

    def away(self) -> None:  # noqa: B027 - most have nothing to do
        """Forget what may be different when the device is back."""

    def close(self) -> None:  # noqa: B027 - not each one has a connection
        """End a request under way, from any thread; no other one follows."""

    def read(self) -> list[Outcome] | None:
        """Return what came of each point; None while it is too early to ask again."""
        now_us = self.monotonic_us()
        if self._not_before_us is not None and now_us < self._not_before_us:
            return None
        found: list[Outcome] = []
        try:
            self.ask(found)
        except AwayError as error:
            # The rest would wait as long, and for the same.
            self._not_before_us = self.monotonic_us() + round(self._backoff.failed())
            self.away()
            read = {one.point.meter for one in found}
            missing = (one for one in self.points() if one.meter not in read)
            return [*found, *(Outcome(one, 0, None, str(error)) for one in missing)]
        self._backoff.worked()
        self._not_before_us = None
        return found
