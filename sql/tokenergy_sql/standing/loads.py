"""What each node drew in each slot of an hour, and where that is not known.

In: the ledger of an hour and its files of segments, one a node. Out: `NodeLoads`. Files are read
one after the other, so memory grows with nodes and slots, not with segments.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tokenergy_collectors.lake import Lake
from tokenergy_collectors.lake.contract import SEGMENT
from tokenergy_collectors.lake.reading import BrokenFileError, RawFile
from tokenergy_sql.standing.booked import SPLIT, Booked, Pair
from tokenergy_sql.standing.grid import STEP_US, Array, Grid
from tokenergy_sql.standing.shape import BoardLoads, Segments, board_loads

if TYPE_CHECKING:
    import pyarrow as pa

_THREADS = os.cpu_count() or 1
_TEXTS = ("node", "device_id")
_NUMBERS = ("start_us", "end_us", "covered_us", "energy_nj")

_EMPTY = np.zeros(0, np.int64)

LEAST_KNOWN = 2
"""A board's power of a slot is its mean over the known part, if that is one of so many parts."""


@dataclass(frozen=True, slots=True)
class NodeLoads:
    """Amounts of n nodes in K slots: int64[n, K] each.

    Attributes:
        names: of the nodes, sorted.
        split: by name of `booked.SPLIT`: what the ledger has.
        power_mw: what a node adds to the mean power of the slot's cell, as far as it is known.
        unknown: whether a board of the node is not known: bool[n, K].
        watched_us: longest time of one of its boards in the ledger.
        boards: in the ledger: int64[n].
        priced: whether some energy of the node is known: bool[n].
        longest_us: longest segment.
    """

    names: list[str]
    split: dict[str, Array]
    power_mw: Array
    unknown: Array
    watched_us: Array
    boards: Array
    priced: Array
    longest_us: int


@dataclass
class _Found:
    """What a file of segments says of the boards of its nodes."""

    pairs: list[int]
    loads: BoardLoads
    longest_us: int


def node_loads(
    lake: Lake, hour_us: int, booked: Booked, expected: Iterable[Pair], grid: Grid
) -> NodeLoads:
    """Return what the nodes of an hour drew.

    Args:
        lake: has the segments.
        hour_us: start of the hour, microseconds UTC.
        booked: its ledger.
        expected: boards that nodes should have: one that is not in the ledger is unknown.
        grid: the slots.

    Raises:
        UserError: a file cannot be read.
    """
    place = {pair: number for number, pair in enumerate(booked.pairs)}
    into = _Adding(booked, grid)

    def read(path: Path) -> _Found | None:
        return _of_file(lake, path, booked, place, grid)

    with ThreadPoolExecutor(_THREADS) as pool:
        for found in pool.map(read, lake.files("segment", [hour_us])):
            if found is not None:
                into.add(found)
    left = [number for number in range(len(booked.pairs)) if number not in into.seen]
    if left:
        into.add(_Found(left, board_loads(booked, left, _NONE, grid), 0))
    return into.finished(expected)


@dataclass
class _Adding:
    """Adds up boards to nodes."""

    booked: Booked
    grid: Grid
    seen: set[int] = field(default_factory=set)
    longest_us: int = 0

    def __post_init__(self) -> None:
        self.names = sorted({node for node, _ in self.booked.pairs})
        self._number = {name: number for number, name in enumerate(self.names)}
        shape = len(self.names), len(self.grid)
        self.split = {name: np.zeros(shape, np.int64) for name in SPLIT}
        self.power_mw, self.watched_us = np.zeros(shape, np.int64), np.zeros(shape, np.int64)
        self.unknown = np.zeros(shape, np.bool_)
        nodes_of: dict[str, int] = {}
        for _, device in self.booked.pairs:
            nodes_of[device] = nodes_of.get(device, 0) + 1
        # A board that was on two nodes in the hour is known where one of them knows it.
        self._moved: dict[str, list[tuple[int, Array, Array]]] = {
            device: [] for device, count in nodes_of.items() if count > 1
        }

    def add(self, found: _Found) -> None:
        """Add the boards of a file."""
        self.seen.update(found.pairs)
        self.longest_us = max(self.longest_us, found.longest_us)
        by_node: dict[str, list[int]] = {}
        moved: dict[int, str] = {}
        for board, pair in enumerate(found.pairs):
            name, device = self.booked.pairs[pair]
            by_node.setdefault(name, []).append(board)
            if device in self._moved:
                moved[board] = device
        for name, boards in by_node.items():
            self._add_boards(self._number[name], boards, found.loads, moved)

    def _add_boards(
        self, node: int, boards: list[int], loads: BoardLoads, moved: Mapping[int, str]
    ) -> None:
        """Add boards of a node, all at once: a large site has thousands."""
        for what, amounts in loads.split.items():
            self.split[what][node] += amounts[boards].sum(axis=0)
        booked_us = np.minimum(loads.split["device_us"][boards].max(axis=0), self.grid.length)
        np.maximum(self.watched_us[node], booked_us, out=self.watched_us[node])
        stayed = [board for board in boards if board not in moved]
        if stayed:
            self._add_power(loads.sampled_us[stayed], [(node, loads.shaped_nj[stayed])])
        for board in boards:
            if board in moved:
                one = loads.shaped_nj[[board]], loads.sampled_us[[board]]
                self._moved[moved[board]].append((node, *one))

    def _add_power(self, sampled_us: Array, shares: Sequence[tuple[int, Array]]) -> None:
        """Add the power of b boards.

        Args:
            sampled_us: time for which samples are known: int64[b, K].
            shares: the nodes that they were on, with the energy of known shape there: int64[b, K].
        """
        known = LEAST_KNOWN * sampled_us >= self.grid.length
        scale = np.where(known, self.grid.length / np.maximum(sampled_us, 1), 0.0)
        for node, shaped_nj in shares:
            # Whole milliwatts of a node's board, so that sums are the same in any order.
            power_mw = np.rint(shaped_nj * scale / STEP_US).astype(np.int64)
            self.power_mw[node] += power_mw.sum(axis=0)
            self.unknown[node] |= ~known.all(axis=0)

    def finished(self, expected: Iterable[Pair]) -> NodeLoads:
        """Return the sums; boards that are nowhere in the ledger are unknown."""
        none = np.zeros((1, len(self.grid)), np.int64)
        for ones in self._moved.values():
            sampled_us = sum((sampled for _, _, sampled in ones), none)
            self._add_power(sampled_us, [(node, shaped_nj) for node, shaped_nj, _ in ones])
        devices = {device for _, device in self.booked.pairs}
        for name, device in expected:
            if device not in devices and name in self._number:
                self.unknown[self._number[name]] = True
        boards, priced = (np.zeros(len(self.names), np.int64) for _ in range(2))
        starts = self.booked.offsets[:-1]
        # `reduceat` takes no empty list.
        known = (
            np.add.reduceat(self.booked.priced.astype(np.int64), starts) if len(starts) else _EMPTY
        )
        for pair, (name, _) in enumerate(self.booked.pairs):
            boards[self._number[name]] += 1
            priced[self._number[name]] += known[pair]
        return NodeLoads(
            self.names, self.split, self.power_mw, self.unknown, self.watched_us,
            boards, priced > 0, self.longest_us,
        )  # fmt: skip


def _of_file(
    lake: Lake, path: Path, booked: Booked, place: Mapping[Pair, int], grid: Grid
) -> _Found | None:
    """Return what a file of segments says; None if it is damaged, or of nobody in the ledger."""
    import pyarrow as pa

    try:
        with RawFile(path, SEGMENT, _TEXTS) as file:
            parts = [file.read(group.number, (*_TEXTS, *_NUMBERS)) for group in file.groups(())]
    except BrokenFileError as error:
        lake.quarantine(path, SEGMENT, str(error))
        return None
    if not parts:
        return None
    rows = pa.concat_tables(parts).unify_dictionaries().combine_chunks()
    return _loads_of(rows, booked, place, grid)


def _loads_of(
    rows: pa.Table, booked: Booked, place: Mapping[Pair, int], grid: Grid
) -> _Found | None:
    key, names = _keys(rows)
    values = {name: rows[name].to_numpy() for name in _NUMBERS}
    # Files are in this order already: a search for steps takes a tenth of a sort.
    step = np.diff(key)
    if np.any(step < 0) or np.any((np.diff(values["start_us"]) < 0) & (step == 0)):
        order = np.lexsort((values["start_us"], key))
        key, values = key[order], {name: column[order] for name, column in values.items()}
        step = np.diff(key)
    first = np.concatenate([[0], np.flatnonzero(step) + 1])
    found = [place.get(names(code)) for code in key[first].tolist()]
    pairs = [pair for pair in found if pair is not None]
    if not pairs:
        return None
    number = np.full(len(found), -1, np.int64)
    number[[pair is not None for pair in found]] = np.arange(len(pairs))
    board = np.repeat(number, np.diff(np.append(first, len(key))))
    if len(pairs) < len(found):
        known = board >= 0
        board, values = board[known], {name: column[known] for name, column in values.items()}
    segments = Segments(board, *(values[name] for name in _NUMBERS))
    longest_us = int(np.max(segments.end_us - segments.start_us, initial=0))
    return _Found(pairs, board_loads(booked, pairs, segments, grid), longest_us)


def _keys(rows: pa.Table) -> tuple[Array, Callable[[int], Pair]]:
    """Return a number for the node and board of each row, and what gives their names."""
    node, device = (rows[name].chunk(0) for name in _TEXTS)
    nodes, devices = node.dictionary.to_pylist(), device.dictionary.to_pylist()
    key = node.indices.to_numpy().astype(np.int64) * len(devices)
    key += device.indices.to_numpy()
    return key, lambda code: (nodes[code // len(devices)], devices[code % len(devices)])


_NONE = Segments(_EMPTY, _EMPTY, _EMPTY, _EMPTY, _EMPTY)
