"""Reads all objects of one BACnet device.

In: the device's settings, and the link to it. Out: for each object a reading, or why there is none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from tokenergy_collectors.sources.bacnet.link import Link, Read
from tokenergy_collectors.sources.bacnet.settings import BacnetDevice, BacnetObject
from tokenergy_collectors.sources.bacnet.values import (
    PRESENT_VALUE,
    STATE,
    Properties,
    Value,
    decode,
)
from tokenergy_collectors.sources.bacnet.wire import DeclinedError
from tokenergy_collectors.sources.meters.groups import Groups
from tokenergy_collectors.sources.meters.reader import MeterReader, Outcome
from tokenergy_collectors.sources.meters.values import NoReadingError

_PROPERTIES = (PRESENT_VALUE, *STATE)

_AGAIN_US = 3_600_000_000
"""How long a device that does not know ReadPropertyMultiple is asked one by one."""


class BacnetReader(MeterReader):
    """Reads one device.

    Args:
        settings: its objects.
        link: to the device.
        monotonic_us: returns monotonic time, for the waits.
    """

    def __init__(self, settings: BacnetDevice, link: Link, monotonic_us: Callable[[], int]) -> None:
        super().__init__(settings.name, settings.about, settings.every_s, monotonic_us)
        self._objects = settings.objects
        self._link = link
        self._one_by_one_until_us: int | None = None
        most = settings.most_objects
        groups = [settings.objects[at : at + most] for at in range(0, len(settings.objects), most)]
        self._groups = Groups(groups, self._read, monotonic_us)

    def points(self) -> Sequence[BacnetObject]:
        """Return the objects."""
        return self._objects

    def close(self) -> None:
        """End a request under way."""
        self._link.close()

    def away(self) -> None:
        """Ask for whole groups again."""
        self._groups.forget()
        self._one_by_one_until_us = None

    def ask(self, found: list[Outcome]) -> None:
        """Read each object once, in few requests.

        Args:
            found: gets the outcomes.

        Raises:
            AwayError: nobody answers.
        """
        until_us = self._one_by_one_until_us
        if until_us is not None and self.monotonic_us() >= until_us:
            self._one_by_one_until_us = None
        self._groups.read(found)

    def _read(self, group: Sequence[BacnetObject]) -> Iterator[Outcome]:
        if self._one_by_one_until_us is None:
            try:
                read = self._link.read_many([one.number for one in group], _PROPERTIES)
            except DeclinedError as error:
                if error.no_service:
                    self._one_by_one_until_us = self.monotonic_us() + _AGAIN_US
                elif error.of_the_device or len(group) > 1:
                    raise
            else:
                return (outcome(one, read, self._link) for one in group)
        return self._singly(group)

    def _singly(self, group: Sequence[BacnetObject]) -> Iterator[Outcome]:
        for one in group:
            try:
                read = read_singly(one, self._link)
            except DeclinedError as error:
                yield Outcome(one, 0, None, str(error))
            else:
                yield outcome(one, read, self._link)


def read_singly(one: BacnetObject, link: Link) -> Read:
    """Return what an object says, asked for each property by itself.

    Raises:
        AwayError: nobody answers.
        DeclinedError: the device is busy.
    """
    # State after value: a fault that comes between them is seen.
    value = _property(one, PRESENT_VALUE, link)
    if value.found[one.number, PRESENT_VALUE].error is not None:
        return value
    for name in STATE:
        value.found.update(_property(one, name, link).found)
    return value


def _property(one: BacnetObject, name: str, link: Link) -> Read:
    try:
        return link.read_one(one.number, name)
    except DeclinedError as error:
        if error.of_the_device:
            raise
        return Read({(one.number, name): Value("Error", b"", error.name)}, 0)


def outcome(one: BacnetObject, read: Read, link: Link) -> Outcome:
    """Return what came of reading an object."""
    try:
        value = decode(properties(one, read), link.wire.reliability, one.invalid)
    except NoReadingError as error:
        return Outcome(one, read.ts_us, None, str(error))
    return Outcome(one, read.ts_us, value)


def properties(one: BacnetObject, read: Read) -> Properties:
    """Return what was read of an object, by name of the property."""
    return {name: value for (number, name), value in read.found.items() if number == one.number}
