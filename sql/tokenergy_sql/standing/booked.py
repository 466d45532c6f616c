"""The rows of the ledger of an hour, node by node.

In: the ledger of an hour, and which boards each node should have. Out: `Booked`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.lake import Lake
from tokenergy_collectors.lake.contract import LEDGER
from tokenergy_collectors.lake.reading import BrokenFileError, RawFile
from tokenergy_sql.standing.grid import Array

if TYPE_CHECKING:
    import pyarrow as pa

_TEXTS = ("node", "device_id", "method")
_NUMBERS = ("start_us", "end_us", "energy_nj", "low_nj", "high_nj", "device_us", "covered_us")
SPLIT = _NUMBERS[2:]
"""Numbers of a row that are divided where something moves, and where a cell ends."""

_SHAPELESS = ("missing", "counter_gap")
"""Methods of rows of which no sample says how their energy lies in time."""

Pair = tuple[str, str]
"""A node and one of its boards."""


@dataclass(frozen=True, slots=True)
class Booked:
    """The ledger of an hour: m rows of pairs of a node and a board, in the order of the pairs.

    Attributes:
        pairs: sorted by node, then board.
        offsets: int64[pairs + 1]; rows of a pair are offsets[p]:offsets[p + 1].
        values: of `start_us`, `end_us` and `SPLIT`: int64[m] each; energy is 0 where unknown.
        shaped: whether samples say how the energy of a row lies in time: bool[m].
        priced: whether the energy of a row is known: bool[m].
    """

    pairs: list[Pair]
    offsets: Array
    values: dict[str, Array]
    shaped: Array
    priced: Array


def read_booked(lake: Lake, hour_us: int) -> Booked:
    """Read the ledger of an hour, as the run of the index sees it.

    Raises:
        UserError: a file cannot be read.
    """
    import pyarrow as pa

    parts: list[pa.Table] = []
    for path, _ in lake.valid_files("ledger", [hour_us]):
        try:
            with RawFile(path, LEDGER, _TEXTS) as file:
                names = (*_TEXTS, *_NUMBERS)
                parts += [file.read(group.number, names) for group in file.groups(())]
        except BrokenFileError as error:
            raise UserError(f"{path}: damaged: {error}") from None
    if not parts:
        none = np.zeros(0, np.int64)
        return Booked([], np.zeros(1, np.int64), dict.fromkeys(_NUMBERS, none), none > 0, none > 0)
    return _ordered(pa.concat_tables(parts).unify_dictionaries().combine_chunks())


def _ordered(rows: pa.Table) -> Booked:
    texts = {name: rows[name].chunk(0) for name in _TEXTS}
    node, device, method = (texts[name].indices.to_numpy() for name in _TEXTS)
    nodes, devices, methods = (texts[name].dictionary.to_pylist() for name in _TEXTS)
    # Codes in the order of the names, so that pairs are in it too.
    node_rank, device_rank = _ranks(nodes)[node], _ranks(devices)[device]
    key = node_rank * len(devices) + device_rank
    start_us = rows["start_us"].to_numpy()
    order = np.lexsort((start_us, key))
    found, first = np.unique(key[order], return_index=True)
    by_node, by_device = sorted(nodes), sorted(devices)
    pairs = [(by_node[k // len(devices)], by_device[k % len(devices)]) for k in found.tolist()]
    priced = rows["energy_nj"].is_valid().to_numpy()
    values = {
        name: np.asarray(rows[name].fill_null(0).to_numpy(), np.int64)[order] for name in _NUMBERS
    }
    shapeless = np.array([text in _SHAPELESS for text in methods], np.bool_)
    offsets = np.append(first, len(order)).astype(np.int64)
    return Booked(pairs, offsets, values, ~shapeless[method][order], priced[order])


def _ranks(names: list[str]) -> Array:
    ranks = np.empty(len(names), np.int64)
    ranks[np.argsort(np.array(names, object))] = np.arange(len(names))
    return ranks
