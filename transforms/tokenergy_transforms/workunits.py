"""Cuts the work of a node and hour into units that fit into memory.

In: how many rows each device has. Out: work units: some devices for the whole hour or, if one
device alone is too large, a part of the hour of that device. The segments do not depend on how the
work was cut.
"""

from __future__ import annotations

import bisect
import itertools
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.lake.contract import HOUR_US
from tokenergy_transforms.powerfiles import RowGroupRef

ROW_BYTES = 80
"""Memory of one row in work: 28 bytes decoded, 12 to 32 copied, the rest buffers of the decoder.
`make bench-large` shows the peak that results."""

SEGMENT_BYTES = 400
"""Memory of one segment: its cut, its result, its row, and that row being encoded."""

UNIT_BYTES = 160 << 20
"""No unit is larger, however much memory is allowed: larger ones are no faster."""

LEAST_MEMORY = 512 << 20
"""The least that `--memory` accepts: the interpreter and its libraries take most of it."""

BASE_BYTES = 384 << 20
"""What the process holds besides units: interpreter, libraries, a row group being written."""


@dataclass(frozen=True, slots=True)
class WorkUnit:
    """Some devices of a node, and a part of the hour (us)."""

    devices: tuple[str, ...]
    begin_us: int
    end_us: int


@dataclass(frozen=True, slots=True)
class Budget:
    """How many units are in work at once, and how large each may be (bytes)."""

    workers: int
    unit_bytes: int


def memory_budget(memory_bytes: int) -> Budget:
    """Return how the allowed memory is shared among the cores.

    One unit more than there are workers may be waiting to be written.
    """
    cores = len(os.sched_getaffinity(0))
    free = max(memory_bytes - BASE_BYTES, LEAST_MEMORY - BASE_BYTES)
    workers = max(1, min(cores, free // (16 << 20) - 1))
    return Budget(workers, min(UNIT_BYTES, free // (workers + 1)))


def parse_memory(text: str) -> int:
    """Return an amount of memory such as `800MiB`, `2GiB` or `1.5G` in bytes; 1 K is 1024 bytes.

    Raises:
        UserError: it is not an amount, or less than `LEAST_MEMORY`.
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


def plan_units(
    rows: Mapping[str, int],
    devices: Sequence[str],
    hour_us: int,
    window_us: int,
    unit_bytes: int,
    row_groups: Sequence[RowGroupRef] = (),
) -> list[WorkUnit]:
    """Return the units of a node and hour, in the order of their segments.

    Args:
        rows: rows of each device in the hour.
        devices: the devices, sorted; those without rows too.
        hour_us: start of the hour.
        window_us: size of the window: it divides the hour.
        unit_bytes: memory that a unit may take; one window of one device is never divided.
        row_groups: those that hold the devices. One that is in two units is decoded twice, so units
            end where few row groups go on.
    """
    windows = HOUR_US // window_us
    hour = (hour_us, hour_us + HOUR_US)
    sizes = [rows.get(d, 0) * ROW_BYTES + windows * SEGMENT_BYTES for d in devices]
    straddling = _straddling(devices, row_groups)
    units: list[WorkUnit] = []
    first = 0
    while first < len(devices):
        if sizes[first] > unit_bytes:
            cut = min(-(-sizes[first] // unit_bytes), windows)
            spans = _spans(hour_us, windows, cut)
            units += [WorkUnit((devices[first],), *span) for span in spans]
            first += 1
            continue
        end, taken = first, 0
        while end < len(devices) and taken + sizes[end] <= unit_bytes:
            taken += sizes[end]
            end += 1
        if end < len(devices) and sizes[end] <= unit_bytes:
            choices = range(end, first + (end - first) // 2, -1)
            end = min(choices, key=lambda place: straddling[place])
        units.append(WorkUnit(tuple(devices[first:end]), *hour))
        first = end
    return units


def _straddling(devices: Sequence[str], row_groups: Sequence[RowGroupRef]) -> list[int]:
    """Return, for each place between two devices, the rows of row groups that span it."""
    change = [0] * (len(devices) + 2)
    for group in row_groups:
        if group.first_id is not None and group.last_id is not None:
            change[bisect.bisect_right(devices, group.first_id)] += group.rows
            change[bisect.bisect_left(devices, group.last_id) + 1] -= group.rows
    return list(itertools.accumulate(change))


def _spans(hour_us: int, windows: int, count: int) -> Iterator[tuple[int, int]]:
    """Yield parts of an hour of whole windows, about equal."""
    edges = [hour_us + HOUR_US // windows * (windows * part // count) for part in range(count + 1)]
    yield from itertools.pairwise(edges)
