"""Reads all registers of one device.

In: the device's settings, and the link to its server. Out: for each register a reading, or why
there is none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from tokenergy_collectors.sources.meters.reader import MeterReader, Outcome
from tokenergy_collectors.sources.meters.values import NoReadingError
from tokenergy_collectors.sources.modbus.batches import Batch, make_batches
from tokenergy_collectors.sources.modbus.link import Link, RefusedError, Words
from tokenergy_collectors.sources.modbus.settings import ModbusDevice, Register
from tokenergy_collectors.sources.modbus.values import decode

_REGROUP_US = 3_600_000_000
"""How long batches that a device refused are read in parts: it may accept them another time."""


class DeviceReader(MeterReader):
    """Reads one device.

    Args:
        settings: its registers.
        link: to its server.
        monotonic_us: returns monotonic time, for the waits.
    """

    def __init__(self, settings: ModbusDevice, link: Link, monotonic_us: Callable[[], int]) -> None:
        name = f"{settings.host}:{settings.port}/{settings.device_id}"
        super().__init__(name, settings.about, settings.every_s, monotonic_us)
        self._settings = settings
        self._link = link
        self._regroup_us: int | None = None
        self._batches = make_batches(settings.registers)

    def points(self) -> Sequence[Register]:
        """Return the registers."""
        return self._settings.registers

    def close(self) -> None:
        """End a request under way: those of all devices behind the server."""
        self._link.close()

    def ask(self, found: list[Outcome]) -> None:
        """Read each register once, in few requests.

        Args:
            found: gets the outcomes.

        Raises:
            AwayError: nobody answers.
        """
        if self._regroup_us is not None and self.monotonic_us() >= self._regroup_us:
            self._regroup()
        accepted: list[Batch] = []
        for batch in self._batches:
            self._read(batch, found, accepted)
        if len(accepted) > len(self._batches):
            self._batches = accepted
            self._regroup_us = self.monotonic_us() + _REGROUP_US

    def away(self) -> None:
        """Ask for whole batches again."""
        self._regroup()

    def _regroup(self) -> None:
        self._batches, self._regroup_us = make_batches(self._settings.registers), None

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
                first.kind, batch.address, batch.count, self._settings.device_id
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
