"""The power sensor: it turns true power into the readings that NVML reports.

In: the exact trace of true power, and the sensor's parameters. Out: tables of readings, one entry a
refresh. A reading is the mean over a window that ends at the refresh (25 ms for the instant reading
of an H100-like sensor, 1 s for the average), with the card's own gain and offset.

Readings are tabulated once for every chunk of the trace, so that looking one up costs about a
microsecond.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tokenergy_collectors.emulate.physics.power import Ints, Trace

PPM = 1_000_000


@dataclass(frozen=True, slots=True)
class SensorSpec:
    """How the power reading is made, how the energy counter runs, and where it began (mJ)."""

    update_us: int
    phase_us: int
    window_us: int
    average_window_us: int
    gain_ppm: int
    offset_mw: int
    counter_base_mj: int
    counter_update_us: int = 0
    counter_phase_us: int = 0
    counter_gain_ppm: int = 0
    counter_rest_mw: int = 0
    """Power of the rest of the module, where the counter covers it."""
    module_rest_mw: int = 0
    usage_instant: bool = False
    """Whether nvmlDeviceGetPowerUsage returns the short-window reading."""


@dataclass(frozen=True, slots=True)
class ReadingTable:
    """A board's readings over one trace.

    Attributes:
        start_us: where the trace begins, profile time.
        end_us: where it ends.
        trace: the trace itself.
        power_mw: true power of this board, one value a cell.
        energy_nj: integral of this board's power at the start of each cell.
        first: number of the first refresh in the lists below.
        instant_mw: short-window readings, one a refresh.
        average_mw: one-second readings, one a refresh.
    """

    start_us: int
    end_us: int
    trace: Trace
    power_mw: memoryview
    energy_nj: memoryview
    first: int
    instant_mw: list[int]
    average_mw: list[int]


@dataclass(frozen=True, slots=True)
class BoardTables:
    """What a board's power and energy are read from in a stretch of time, for a reader elsewhere.

    Attributes:
        from_us: where it begins, profile time; a whole number of cells.
        to_us: where it ends.
        update_us: period of the power readings; refresh n happens at phase_us + n * update_us.
        phase_us: see `update_us`.
        first: number of the refresh that is the latest at `from_us`.
        instant_mw: short-window readings from refresh `first` on.
        average_mw: one-second readings from refresh `first` on.
        power_mw: true power of each cell.
        energy_nj: integral since time zero at the start of each cell.
        base_mj: the counter at time zero.
        counter_update_us: period in which the counter is refreshed; 1: at every instant.
        counter_phase_us: a time at which it is refreshed.
        counter_gain_ppm: the counter's own gain.
        counter_rest_mw: power of the rest of a module that the counter covers too.
        module_rest_mw: the same where power is reported in the module's scope; 0 where it is not.
        usage_instant: whether nvmlDeviceGetPowerUsage returns the short-window reading.
    """

    from_us: int
    to_us: int
    update_us: int
    phase_us: int
    first: int
    instant_mw: Sequence[int]
    average_mw: Sequence[int]
    power_mw: Ints
    energy_nj: Ints
    base_mj: int
    counter_update_us: int = 1
    counter_phase_us: int = 0
    counter_gain_ppm: int = 0
    counter_rest_mw: int = 0
    module_rest_mw: int = 0
    usage_instant: bool = False


def tabulate(trace: Trace, index: int, sensor: SensorSpec) -> ReadingTable:
    """Return all readings of board `index` whose windows are inside a trace."""
    longest_us = max(sensor.window_us, sensor.average_window_us)
    # Rounded up: the first refresh whose longest window does not begin before the trace.
    first = -((sensor.phase_us - trace.start_us - longest_us) // sensor.update_us)
    last = (trace.end_us - 1 - sensor.phase_us) // sensor.update_us
    stamps_us = sensor.phase_us + sensor.update_us * np.arange(first, last + 1, dtype=np.int64)
    return ReadingTable(
        trace.start_us,
        trace.end_us,
        trace,
        # A memoryview hands out Python integers, several times as fast as a NumPy array does.
        memoryview(trace.power_mw[index]),
        memoryview(trace.energy_nj[index]),
        first,
        _readings_mw(trace, index, stamps_us, sensor.window_us, sensor),
        _readings_mw(trace, index, stamps_us, sensor.average_window_us, sensor),
    )


def _readings_mw(
    trace: Trace, index: int, stamps_us: Ints, window_us: int, sensor: SensorSpec
) -> list[int]:
    """Return the readings refreshed at some instants: window means, with gain and offset."""
    energy_nj = trace.energy_at(index, stamps_us) - trace.energy_at(index, stamps_us - window_us)
    # Both divisions round to the nearest milliwatt, in integers, so that the C library agrees.
    mean_mw = (energy_nj + window_us // 2) // window_us
    gained_mw = (mean_mw * (PPM + sensor.gain_ppm) + PPM // 2) // PPM
    # The reading is unsigned in NVML: an offset cannot take it below zero.
    readings: list[int] = np.maximum(gained_mw + sensor.offset_mw, 0).tolist()
    return readings
