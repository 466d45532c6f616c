"""The readings of an nvidia-smi log between two headers.

In: rows of the log's cells. Out: columns of integers. Logs are long and repeat the same texts, so
each text is parsed once and cached.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable
from typing import Any

from tokenergy_collectors.base.timestamps import StampReader
from tokenergy_collectors.importers.nvidia.cells import MISSING, is_missing, power_mw
from tokenergy_collectors.importers.nvidia.columns import GAUGES, Columns, describe
from tokenergy_collectors.importers.nvidia.naming import Name, names_in

_MAX_CACHED = 1_000_000


class Readings:
    """The readings of one section of a log, column by column; MISSING means no value.

    Args:
        columns: the columns of the section.
        node: the host that it was recorded on.
        clock: reads the stamps.
        device: the device, if no column names it.
        delimiter: what separates the cells.
    """

    def __init__(
        self,
        columns: Columns,
        node: str,
        clock: StampReader,
        device: Name | None = None,
        delimiter: str = ",",
    ) -> None:
        self.columns, self.node, self.clock, self.delimiter = columns, node, clock, delimiter
        self.combined: list[dict[str, Name]] = []
        """The names of each combination of naming cells."""
        self.descriptions: list[dict[str, Any]] = []
        """Columns of `device`, from the first line of each combination."""
        self.known: dict[tuple[str, ...], int] = {}
        """Naming cells -> position in `combined`."""
        self.stamps = array("q")
        """Microseconds UTC."""
        self.codes = array("q")
        """For each reading, the position of its names in `combined`."""
        self.powers = {sensor: array("q") for sensor in columns.powers}
        """mW, by sensor."""
        self.gauges = {column: array("q") for column in columns.gauges}
        """In the units of `state`, by its columns."""
        self.unnamed = 0
        """Rows of a lost GPU, which have neither a device nor any value."""
        self._device = device
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
        names = tuple([row[place].strip() for place in self.columns.naming.values()])
        if names not in self.known:
            if names and all(map(is_missing, names)) and set(values) == {MISSING}:
                self.unnamed += 1
                return
            self._register(names, row)
        self.stamps.append(ts_us)
        self.codes.append(self.known[names])
        for (values_of, _, _), value in zip(self.cells, values, strict=True):
            values_of.append(value)

    def leave_out_instances(self) -> int:
        """Leave out the lines of MIG instances, and return how many there were.

        Power is metered by board: what such a line gives is that of the whole board again.
        """
        boards = [
            code
            for code, names in enumerate(self.combined)
            if not any(name.device_id.upper().startswith("MIG-") for name in names.values())
        ]
        if len(boards) == len(self.combined):
            return 0
        before = len(self.codes)
        renumbered = {code: place for place, code in enumerate(boards)}
        kept = [place for place, code in enumerate(self.codes) if code in renumbered]
        for column in (self.stamps, self.codes, *self.powers.values(), *self.gauges.values()):
            column[:] = array("q", [column[place] for place in kept])
        self.codes[:] = array("q", [renumbered[code] for code in self.codes])
        self.combined = [self.combined[code] for code in boards]
        self.descriptions = [self.descriptions[code] for code in boards]
        return before - len(kept)

    def _register(self, names: tuple[str, ...], row: list[str]) -> None:
        """Give a new combination of names its number.

        Raises:
            BadValueError: the cells name no device.
        """
        found = names_in(list(self.columns.naming), names, self.node)
        if self._device is not None:
            found = {"index": self._device}
        self.combined.append(found)
        self.descriptions.append(describe(self.columns, row))
        self.known[names] = len(self.known)


class _ParseCache(dict[str, int]):
    """Values of texts; a new text is parsed at its first use."""

    def __init__(self, parse: Callable[[str], int]) -> None:
        self._parse = parse

    def __missing__(self, text: str) -> int:
        if len(self) > _MAX_CACHED:
            self.clear()
        value = self[text] = self._parse(text)
        return value
