"""The readings of an nvidia-smi log.

In: rows of the log's cells. Out: columns of integers. Logs are long and repeat the same texts, so
each text is parsed once and cached.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable
from typing import Any

from tokenergy_collectors.base.csvfile import BadValueError
from tokenergy_collectors.base.timestamps import StampReader
from tokenergy_collectors.importers.nvidia.columns import (
    GAUGES,
    MISSING,
    Columns,
    describe,
    is_missing,
    power_mw,
)

_MAX_CACHED = 1_000_000


class Readings:
    """The readings of one log, column by column; MISSING means no value."""

    def __init__(self, columns: Columns, node: str, clock: StampReader) -> None:
        self.columns = columns
        self.devices = _Devices(columns, node)
        self.stamps = array("q")
        """Microseconds UTC."""
        self.codes = array("q")
        """The device of each reading: a position in `devices.ids`."""
        self.powers = {sensor: array("q") for sensor in columns.powers}
        """mW, by sensor."""
        self.gauges = {column: array("q") for column in columns.gauges}
        """In the units of `state`, by its columns."""
        self.unnamed = 0
        """Rows of a lost GPU, which have neither a device nor any value."""
        self.cut_off = False
        """Whether the last line was skipped because it is cut off."""
        self.clock = clock
        watts = _ParseCache(power_mw)
        self.cells = [(self.powers[s], place, watts) for s, place in columns.powers.items()]
        self.cells += [
            (self.gauges[column], place, _ParseCache(GAUGES[column][1]))
            for column, place in columns.gauges.items()
        ]

    def add(self, row: list[str]) -> None:
        """Add one row.

        Raises:
            BadValueError: a value cannot be used. Then nothing was added.
        """
        ts_us = self.clock.read(row[self.columns.stamp])
        values = [parsed[row[place]] for _, place, parsed in self.cells]
        device = row[self.columns.device]
        if device not in self.devices:
            if is_missing(device) and all(value == MISSING for value in values):
                self.unnamed += 1
                return
            self.devices.register(device, row)
        self.stamps.append(ts_us)
        self.codes.append(self.devices[device])
        for (values_of, _, _), value in zip(self.cells, values, strict=True):
            values_of.append(value)


class _ParseCache(dict[str, int]):
    """Values of texts; a new text is parsed at its first use."""

    def __init__(self, parse: Callable[[str], int]) -> None:
        self._parse = parse

    def __missing__(self, text: str) -> int:
        if len(self) > _MAX_CACHED:
            self.clear()
        value = self[text] = self._parse(text)
        return value


class _Devices(dict[str, int]):
    """The devices of a log, numbered as they appear: text of the cell -> number."""

    def __init__(self, columns: Columns, node: str) -> None:
        self.ids: list[str] = []
        self.descriptions: list[dict[str, Any]] = []
        """Columns of `device`, from the first line of each device."""
        self._columns = columns
        self._node = node

    def register(self, text: str, row: list[str]) -> None:
        """Give the device of a new cell text its number.

        Raises:
            BadValueError: the cell names no device, or its line has a value that cannot be read.
        """
        name = text.strip()
        if is_missing(name):
            raise BadValueError(f"cannot tell which GPU this is: {text!r}")
        if not self._columns.by_uuid:
            if not (name.isascii() and name.isdigit()):
                raise BadValueError(f"cannot read index {text!r}: expected 0, 1, 2, ...")
            name = f"{self._node}/{int(name)}"
        if name not in self.ids:
            self.descriptions.append(describe(self._columns, row))
            self.ids.append(name)
        self[text] = self.ids.index(name)
