"""One node and hour: how its work is cut into units, and the segments of each unit.

In: power files, the lake's inventory. Out: rows of `segment`, unit by unit. The rows of an hour do
not depend on how it was cut.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from tokenergy_collectors.lake.contract import HOUR_US
from tokenergy_transforms import cuts, readings
from tokenergy_transforms.batch import COUNTER_SPAN_US, I64, Readings
from tokenergy_transforms.choice import Backend, Integrator
from tokenergy_transforms.doubts import doubts_of
from tokenergy_transforms.inventory import Inventory
from tokenergy_transforms.neighbours import looked_until
from tokenergy_transforms.plausible import Plausible
from tokenergy_transforms.powerfiles import PowerFiles
from tokenergy_transforms.powerfolders import PowerFolders
from tokenergy_transforms.provenance import MadeFrom, made_from
from tokenergy_transforms.segmentrows import to_table
from tokenergy_transforms.workunits import Budget, WorkUnit, plan_units

if TYPE_CHECKING:
    import pyarrow as pa

_LEAST_MARGIN_US = 10_000_000
"""So that the neighbours of a unit see the same glitches at its edges (`counters.GLITCH_US`)."""


class UnitRows(NamedTuple):
    """The segments of one work unit, the back end that integrated them, and until when they look.

    `until_us` is the latest stamp after the hour at which a reading would have changed them.
    """

    rows: pa.Table
    backend: Backend
    until_us: int


@dataclass(frozen=True, slots=True)
class NodeHour:
    """What to integrate of one node and hour, and how it is cut.

    Attributes:
        window_us: size of a window.
        allocations: those of each device.
        gap_limit_us: gap limit of each device.
        most_mw: the most that each device can be believed to draw.
        boots_us: returns when the host was started again; reads the clocks at the first call.
        margins_us: how far outside of a unit the readings of each device are looked for.
        units: the work, in the order of its segments.
        folders: the files that there were before the readings were read.
        made_from: what the segments are made from; see `provenance.py`.
    """

    node: str
    hour_us: int
    window_us: int
    allocations: dict[str, list[cuts.Allocation]]
    gap_limit_us: dict[str, int]
    most_mw: dict[str, int]
    boots_us: Callable[[], I64]
    margins_us: dict[str, int]
    units: list[WorkUnit]
    folders: PowerFolders
    made_from: MadeFrom


def plan_node_hour(
    files: PowerFiles,
    inventory: Inventory,
    node: str,
    hour_us: int,
    window_us: int,
    budget: Budget,
) -> NodeHour:
    """Return the work of a node and hour, cut into units that fit the budget.

    Raises:
        UserError: a file cannot be reached.
    """
    while True:
        folders = files.folders
        # Listed before the readings are read: a file that arrives in between is then missing in
        # what the segments say they were made from, and they are made again.
        made = made_from(folders, inventory, node, hour_us, window_us)
        rows = readings.row_counts(files, node, hour_us, budget.workers)
        row_groups = files.around(node, hour_us, 0)
        if files.folders is folders:  # none has gone meanwhile
            break
    allocations = inventory.allocations_of(node, hour_us, rows.keys())
    devices = sorted({*rows, *allocations})
    limits = readings.gap_limits(inventory.update_us(devices, hour_us), devices)
    return NodeHour(
        node=node,
        hour_us=hour_us,
        window_us=window_us,
        allocations=allocations,
        gap_limit_us=dict(zip(devices, limits.tolist(), strict=True)),
        most_mw=dict(zip(devices, inventory.most_mw(devices, hour_us).tolist(), strict=True)),
        boots_us=cache(partial(inventory.boots_of, node, hour_us)),
        margins_us=dict(zip(devices, np.maximum(limits, _LEAST_MARGIN_US).tolist(), strict=True)),
        units=plan_units(rows, devices, hour_us, window_us, budget.unit_bytes, row_groups),
        folders=folders,
        made_from=made,
    )


def integrate_unit(
    files: PowerFiles, work: NodeHour, unit: WorkUnit, integrate: Integrator
) -> UnitRows:
    """Return the segments of one unit.

    Raises:
        StaleError: a file broke or went since the work was planned.
        UserError: a file cannot be reached.
    """
    loaded = _load(files, work, unit)
    observed = cuts.observed_spans(loaded, work.hour_us)
    if (unit.begin_us, unit.end_us) != (work.hour_us, work.hour_us + HOUR_US):
        observed = [_observed(files, work, unit)]
    allocations = [work.allocations.get(device, []) for device in unit.devices]
    device, start, end = cuts.segments(observed, allocations, work.hour_us, work.window_us)
    own = (start >= unit.begin_us) & (start < unit.end_us)
    limits = np.array([work.gap_limit_us[d] for d in unit.devices], np.int64)
    segments = (device, start, end) if own.all() else (device[own], start[own], end[own])
    batch = loaded.batch(limits, segments)
    integrated = integrate(batch)
    doubts = doubts_of(loaded, batch, integrate)
    rows = to_table(batch, integrated.result, doubts, list(unit.devices), work.node)
    far_us = work.hour_us + HOUR_US + COUNTER_SPAN_US
    until_us = looked_until(loaded, unit.begin_us, unit.end_us, far_us)
    return UnitRows(rows, integrated.backend, until_us)


def _load(files: PowerFiles, work: NodeHour, unit: WorkUnit) -> Readings:
    return readings.load_span(
        files,
        work.node,
        list(unit.devices),
        work.hour_us,
        (unit.begin_us, unit.end_us),
        np.array([work.margins_us[device] for device in unit.devices], np.int64),
        Plausible(
            np.array([work.most_mw[device] for device in unit.devices], np.int64), work.boots_us
        ),
    )


def _observed(files: PowerFiles, work: NodeHour, unit: WorkUnit) -> cuts.Observed | None:
    """Return when a device was observed whose hour is cut into several units.

    Its first and last readings are in the first and the last unit.
    """
    of_device = [one for one in work.units if one.devices == unit.devices]
    found = []
    for one in (of_device[0], of_device[-1]):
        found += cuts.observed_spans(_load(files, work, one), work.hour_us)
    span = cuts.united(found)
    return None if span is None else cuts.Observed(span.first_us, span.last_us, inside=True)
