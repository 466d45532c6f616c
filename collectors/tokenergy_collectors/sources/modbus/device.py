"""Reads all registers of one device.

In: the device's settings, and the link to its server. Out: for each register a reading, or why
there is none. A server that is away is asked again after waits that double.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from tokenergy_collectors.base.backoff import Backoff
from tokenergy_collectors.sources.modbus.batches import Batch, make_batches
from tokenergy_collectors.sources.modbus.link import AwayError, Link, RefusedError, Words
from tokenergy_collectors.sources.modbus.settings import ModbusDevice, Register
from tokenergy_collectors.sources.modbus.values import MeterValue, NoReadingError, decode

_FIRST_WAIT_US = 1_000_000
_LONGEST_WAIT_US = 60_000_000

_REGROUP_US = 3_600_000_000
"""How long batches that a device refused are read in parts: it may accept them another time."""


class Outcome(NamedTuple):
    """What came of reading one register: a reading and its stamp (us UTC), or why there is none."""

    register: Register
    ts_us: int
    value: MeterValue | None
    why: str = ""


class DeviceReader:
    """Reads one device.

    Args:
        settings: its registers.
        link: to its server.
        monotonic_us: returns monotonic time, for the waits.
    """

    def __init__(self, settings: ModbusDevice, link: Link, monotonic_us: Callable[[], int]) -> None:
        self.settings = settings
        self._link = link
        self._monotonic_us = monotonic_us
        self._backoff = Backoff(_FIRST_WAIT_US, _LONGEST_WAIT_US)
        self._not_before_us: int | None = None
        self._regroup_us: int | None = None
        self._batches = make_batches(settings.registers)

    def read(self) -> list[Outcome] | None:
        """Return what came of each register; None while it is too early to ask again."""
        now_us = self._monotonic_us()
        if self._not_before_us is not None and now_us < self._not_before_us:
            return None
        if self._regroup_us is not None and now_us >= self._regroup_us:
            self._regroup()
        found: list[Outcome] = []
        accepted: list[Batch] = []
        try:
            for batch in self._batches:
                self._read(batch, found, accepted)
        except AwayError as error:
            # The other batches would wait as long, and for the same.
            self._not_before_us = self._monotonic_us() + round(self._backoff.failed())
            self._regroup()
            read = {one.register for one in found}
            missing = (one for one in self.settings.registers if one not in read)
            return [*found, *(Outcome(one, 0, None, str(error)) for one in missing)]
        self._backoff.worked()
        self._not_before_us = None
        if len(accepted) > len(self._batches):
            self._batches = accepted
            self._regroup_us = self._monotonic_us() + _REGROUP_US
        return found

    def _regroup(self) -> None:
        self._batches, self._regroup_us = make_batches(self.settings.registers), None

    def _read(self, batch: Batch, found: list[Outcome], accepted: list[Batch]) -> None:
        """Read a batch; one that is refused is read in halves, down to single registers.

        So a bad address, a gap that the device does not have, or a limit of its own on the length
        of a request keeps no other register from being read.

        Args:
            batch: what to read.
            found: gets the outcomes.
            accepted: gets the parts in which the batch can be read.

        Raises:
            AwayError: nobody answers.
        """
        first = batch.registers[0]
        try:
            answer = self._link.read(
                first.kind, batch.address, batch.count, self.settings.device_id
            )
        except RefusedError as error:
            if len(batch.registers) > 1 and not error.of_the_device:
                for half in batch.halves():
                    self._read(half, found, accepted)
                return
            found += [Outcome(one, 0, None, str(error)) for one in batch.registers]
        else:
            found += values_in(batch, answer)
        accepted.append(batch)


def values_in(batch: Batch, answer: Words) -> Iterator[Outcome]:
    """Yield what the registers of a batch say."""
    for one in batch.registers:
        words = answer.words[one.address - batch.address :][: one.words]
        try:
            value = decode(words, one.type, one.word_order, one.invalid)
        except NoReadingError as error:
            yield Outcome(one, answer.ts_us, None, str(error))
        else:
            yield Outcome(one, answer.ts_us, value)
