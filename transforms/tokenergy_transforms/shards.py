"""Cuts the work of a node and hour into pieces that fit into memory.

In: how many rows each device has. Out: shards: some devices for the whole hour, or, where one
device alone is too much, a part of the hour of that device. What a segment comes to does not depend
on how the work was cut.
"""

from __future__ import annotations

import bisect
import itertools
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.lake.contract import HOUR_US
from tokenergy_transforms.powerfiles import Part

ROW_BYTES = 80
"""Memory of one row while it is worked on: decoded 28 bytes, poured 12 to 32, the rest buffers of
the decoder. `make bench-large` shows the peak that comes of it."""

SEGMENT_BYTES = 400
"""Memory of one segment: its cut, its result, its row, and that row while it is being encoded."""

SHARD_BYTES = 160 << 20
"""No shard takes more, however much memory is allowed: larger ones are no faster."""

LEAST_MEMORY = 512 << 20
"""The least that may be allowed: the interpreter and its libraries take most of it."""

BASE_BYTES = 384 << 20
"""What the process holds beside shards: interpreter, libraries, a row group being written."""


@dataclass(frozen=True, slots=True)
class Shard:
    """Some devices of a node, and a part of the hour (us)."""

    devices: tuple[str, ...]
    begin_us: int
    end_us: int


@dataclass(frozen=True, slots=True)
class Budget:
    """How many shards are worked on at once, and how large each may be (bytes)."""

    workers: int
    shard_bytes: int


def budget(memory_bytes: int) -> Budget:
    """Return how an allowance of memory is shared among the cores.

    One shard more than there are workers may be waiting to be written.
    """
    cores = len(os.sched_getaffinity(0))
    free = max(memory_bytes - BASE_BYTES, LEAST_MEMORY - BASE_BYTES)
    workers = max(1, min(cores, free // (16 << 20) - 1))
    return Budget(workers, min(SHARD_BYTES, free // (workers + 1)))


def parse_memory(text: str) -> int:
    """Return an amount of memory such as `800MiB`, `2GiB` or `1.5G` in bytes; units are of 1024.

    Raises:
        UserError: it is not an amount, or less than can be worked with.
    """
    number = text.strip().removesuffix("iB").removesuffix("B")
    units = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}
    scale = units.get(number[-1:].upper(), 0)
    try:
        amount = int(float(number[:-1]) * scale)
    except (ValueError, OverflowError):
        amount = 0
    if amount < LEAST_MEMORY:
        raise UserError(
            f"--memory {text!r}: expected an amount of at least {LEAST_MEMORY >> 20} MiB, "
            "such as 800MiB or 2GiB"
        )
    return amount


def plan(
    rows: Mapping[str, int],
    devices: Sequence[str],
    hour_us: int,
    window_us: int,
    shard_bytes: int,
    parts: Sequence[Part] = (),
) -> list[Shard]:
    """Return the shards of a node and hour, in the order of their segments.

    Args:
        rows: rows of each device in the hour.
        devices: the devices, sorted; those without rows too.
        hour_us: start of the hour.
        window_us: size of the window: it divides the hour.
        shard_bytes: memory that a shard may take; one window of one device is never divided.
        parts: row groups that hold them. One that lies in two shards is decoded twice, so shards
            end where few do.
    """
    windows = HOUR_US // window_us
    hour = (hour_us, hour_us + HOUR_US)
    sizes = [rows.get(d, 0) * ROW_BYTES + windows * SEGMENT_BYTES for d in devices]
    straddling = _straddling(devices, parts)
    shards: list[Shard] = []
    first = 0
    while first < len(devices):
        if sizes[first] > shard_bytes:
            cut = min(-(-sizes[first] // shard_bytes), windows)
            spans = _spans(hour_us, windows, cut)
            shards += [Shard((devices[first],), *span) for span in spans]
            first += 1
            continue
        end, taken = first, 0
        while end < len(devices) and taken + sizes[end] <= shard_bytes:
            taken += sizes[end]
            end += 1
        if end < len(devices) and sizes[end] <= shard_bytes:
            choices = range(end, first + (end - first) // 2, -1)
            end = min(choices, key=lambda place: straddling[place])
        shards.append(Shard(tuple(devices[first:end]), *hour))
        first = end
    return shards


def _straddling(devices: Sequence[str], parts: Sequence[Part]) -> list[int]:
    """Return how many rows lie in row groups on both sides of each place between two devices."""
    change = [0] * (len(devices) + 2)
    for part in parts:
        if part.first_id is not None and part.last_id is not None:
            change[bisect.bisect_right(devices, part.first_id)] += part.rows
            change[bisect.bisect_left(devices, part.last_id) + 1] -= part.rows
    return list(itertools.accumulate(change))


def _spans(hour_us: int, windows: int, parts: int) -> Iterator[tuple[int, int]]:
    """Yield parts of an hour of whole windows, about equal."""
    edges = [hour_us + HOUR_US // windows * (windows * part // parts) for part in range(parts + 1)]
    yield from itertools.pairwise(edges)
