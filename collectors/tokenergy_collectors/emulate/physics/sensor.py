"""One board as its sensors show it: power reading, energy counter, utilization, clock, processes.

In: the exact trace of true power. Out: what a real board would tell, and no more. The power reading
is refreshed every `update_us` and is the mean over a window that ends at the refresh (25 ms for the
instant reading of an H100-like sensor, 1 s for the average), with the card's own gain and offset.
The energy counter is the exact integral at its latest refresh, with a gain of its own (none unless
the profile says so), rounded down to a millijoule, on top of an arbitrary base. Where a board sits
on a module, the rest of the module draws a constant power; the counter may cover it.

Readings are tabulated once a chunk, so that one reading costs about a microsecond.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from tokenergy_collectors.emulate.physics.board import Ints, Trace
from tokenergy_collectors.emulate.workloads.base import Process, Workload
from tokenergy_collectors.emulate.workloads.timeline import CELL_US

_SECOND_CELLS = 1_000_000 // CELL_US
_NJ_PER_MJ = 1_000_000
_PPM = 1_000_000

_IDLE_MHZ = 345
_MAX_SM_MHZ = 1980
_MEMORY_MHZ = 2619
_CAP_SHARE = 0.85
_CAP_MHZ = 480
"""An H100 holds 1,980 MHz up to about 85 % of its limit and gives way above."""

_REASON_IDLE = 0x1
_REASON_POWER_CAP = 0x4


@dataclass(frozen=True, slots=True)
class BoardIdentity:
    """What a board says about itself; strings as in NVML, limits in mW, memory in bytes.

    Attributes:
        mig: the profiles of its MIG instances; None where MIG is off.
    """

    index: int
    uuid: str
    name: str
    pci_bus: int
    limit_mw: int
    min_limit_mw: int
    memory_bytes: int
    unsupported: frozenset[str]
    mig: tuple[str, ...] | None = None


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
    """Whether nvmlDeviceGetPowerUsage tells the short-window reading."""


@dataclass(frozen=True, slots=True)
class BoardTables:
    """What a board's power and energy are read from in a stretch of time, for a reader elsewhere.

    Attributes:
        from_us: where it begins, profile time; a whole number of cells.
        to_us: where it ends.
        update_us: period of the power readings; number n is renewed at phase_us + n * update_us.
        phase_us: see there.
        first: number of the reading that is the latest at `from_us`.
        instant_mw: short-window readings from number `first` on.
        average_mw: one-second readings from number `first` on.
        power_mw: true power of each cell.
        energy_nj: integral since time zero at the start of each cell.
        base_mj: the counter at time zero.
        counter_update_us: period in which the counter is renewed; 1: at every instant.
        counter_phase_us: a time at which it is renewed.
        counter_gain_ppm: the counter's own gain.
        counter_rest_mw: power of the rest of a module that the counter covers too.
        module_rest_mw: the same where power is told in the module's scope; 0 where it is not.
        usage_instant: whether nvmlDeviceGetPowerUsage tells the short-window reading.
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


@dataclass(frozen=True, slots=True)
class _Window:
    """Tabulated readings of one trace; `first` is the number of the first refresh in them."""

    start_us: int
    end_us: int
    trace: Trace
    power_mw: memoryview
    energy_nj: memoryview
    first: int
    instant_mw: list[int]
    average_mw: list[int]


class Board:
    """A board's readings at profile times (microseconds), for a clock that does not go back.

    Args:
        identity: its name plate.
        sensor: its sensors' parameters.
        trace_to: returns the node's trace, generated far enough to hold an instant.
        residents: the workloads that run on it, each with this board's rank among its boards.
    """

    def __init__(
        self,
        identity: BoardIdentity,
        sensor: SensorSpec,
        trace_to: Callable[[int], Trace],
        residents: Sequence[tuple[Workload, int]],
    ) -> None:
        self.identity = identity
        self._sensor = sensor
        self._phase_us = sensor.phase_us
        self._update_us = sensor.update_us
        self._base_mj = sensor.counter_base_mj
        self._trace_to = trace_to
        self._residents = residents
        self._window = self._tabulate(trace_to(0))

    def power_instant_mw(self, at_us: int) -> int:
        """Return the latest short-window reading (NVML field 186)."""
        window = self._window
        if at_us >= window.end_us:
            window = self._refresh(at_us)
        return window.instant_mw[(at_us - self._phase_us) // self._update_us - window.first]

    def power_average_mw(self, at_us: int) -> int:
        """Return the latest one-second reading (NVML field 185)."""
        window = self._at(at_us)
        return window.average_mw[(at_us - self._phase_us) // self._update_us - window.first]

    def power_usage_mw(self, at_us: int) -> int:
        """Return what nvmlDeviceGetPowerUsage tells: an average, on older boards instantaneous."""
        if self._sensor.usage_instant:
            return self.power_instant_mw(at_us)
        return self.power_average_mw(at_us)

    def module_instant_mw(self, at_us: int) -> int:
        """Return the latest short-window reading of the whole module (field 186, scope 1)."""
        return self.power_instant_mw(at_us) + self._sensor.module_rest_mw

    def module_average_mw(self, at_us: int) -> int:
        """Return the latest one-second reading of the whole module (field 185, scope 1)."""
        return self.power_average_mw(at_us) + self._sensor.module_rest_mw

    def energy_mj(self, at_us: int) -> int:
        """Return the energy counter as it was last renewed."""
        sensor = self._sensor
        if sensor.counter_update_us:
            at_us -= (at_us - sensor.counter_phase_us) % sensor.counter_update_us
        window = self._at(at_us)
        cell, inside_us = divmod(at_us - window.start_us, CELL_US)
        energy_nj = int(window.energy_nj[cell]) + window.power_mw[cell] * inside_us
        counted_nj = energy_nj * (_PPM + sensor.counter_gain_ppm) // _PPM
        counted_nj += sensor.counter_rest_mw * at_us
        return self._base_mj + counted_nj // _NJ_PER_MJ

    @property
    def module_rest_mw(self) -> int:
        """Power of the parts that share a module with this board; 0 if it sits on none."""
        return self._sensor.module_rest_mw

    def tables(self, from_us: int, to_us: int) -> BoardTables:
        """Return what readings between two chunk borders are made of; moves on to `to_us`."""
        window, sensor = self._at(to_us - 1), self._sensor
        cells = slice((from_us - window.start_us) // CELL_US, (to_us - window.start_us) // CELL_US)
        first = (from_us - self._phase_us) // self._update_us
        last = (to_us - 1 - self._phase_us) // self._update_us
        readings = slice(first - window.first, last - window.first + 1)
        return BoardTables(
            from_us,
            to_us,
            self._update_us,
            self._phase_us,
            first,
            window.instant_mw[readings],
            window.average_mw[readings],
            window.trace.power_mw[self.identity.index, cells],
            window.trace.energy_nj[self.identity.index, cells],
            self._base_mj,
            counter_update_us=sensor.counter_update_us or 1,
            counter_phase_us=sensor.counter_phase_us,
            counter_gain_ppm=sensor.counter_gain_ppm,
            counter_rest_mw=sensor.counter_rest_mw,
            module_rest_mw=sensor.module_rest_mw,
            usage_instant=sensor.usage_instant,
        )

    def reset_counter(self, at_us: int) -> None:
        """Let the energy counter restart at zero, as when the driver is loaded again."""
        self._base_mj -= self.energy_mj(at_us)

    def utilization(self, at_us: int) -> tuple[int, int]:
        """Return SM and memory utilization over the last second, percent."""
        window = self._at(at_us)
        stop = (at_us - window.start_us) // CELL_US + 1
        cells = (self.identity.index, slice(max(stop - _SECOND_CELLS, 0), stop))
        sm = window.trace.sm_percent[cells].mean()
        memory = window.trace.mem_percent[cells].mean()
        return min(round(float(sm)), 100), min(round(float(memory)), 100)

    def temp_c(self, at_us: int) -> int:
        """Return the GPU temperature, degrees Celsius."""
        window = self._at(at_us)
        cell = (at_us - window.start_us) // CELL_US
        return round(float(window.trace.temp_c[self.identity.index, cell]))

    def sm_mhz(self, at_us: int) -> int:
        """Return the SM clock: low without a process, lower near the power limit."""
        if not self.processes(at_us):
            return _IDLE_MHZ
        over = self._true_mw(at_us) / self.identity.limit_mw - _CAP_SHARE
        down_mhz = _CAP_MHZ * min(max(over / (1 - _CAP_SHARE), 0.0), 1.0)
        return _MAX_SM_MHZ - round(down_mhz / 15) * 15

    def clock_mhz(self, domain: int, at_us: int) -> int:
        """Return a clock by NVML's domain: graphics 0, SM 1, memory 2, video 3."""
        if domain == 2:
            return _MEMORY_MHZ
        sm_mhz = self.sm_mhz(at_us)
        return sm_mhz if domain < 2 else sm_mhz * 9 // 10

    def max_clock_mhz(self, domain: int) -> int:
        """Return the highest clock of a domain."""
        return {2: _MEMORY_MHZ, 3: _MAX_SM_MHZ * 9 // 10}.get(domain, _MAX_SM_MHZ)

    def clock_reasons(self, at_us: int) -> int:
        """Return why the clock is not at its highest, NVML's bits."""
        if not self.processes(at_us):
            return _REASON_IDLE
        capped = self._true_mw(at_us) > 0.96 * self.identity.limit_mw
        return _REASON_POWER_CAP if capped else 0

    def processes(self, at_us: int) -> list[Process]:
        """Return the compute processes on the board."""
        found = (workload.process(rank, at_us) for workload, rank in self._residents)
        return [process for process in found if process]

    def used_bytes(self, at_us: int) -> int:
        """Return the memory that processes use."""
        used = sum(process.used_bytes for process in self.processes(at_us))
        return min(used, self.identity.memory_bytes)

    def _true_mw(self, at_us: int) -> int:
        window = self._at(at_us)
        return int(window.power_mw[(at_us - window.start_us) // CELL_US])

    def _at(self, at_us: int) -> _Window:
        window = self._window
        return window if at_us < window.end_us else self._refresh(at_us)

    def _refresh(self, at_us: int) -> _Window:
        self._window = self._tabulate(self._trace_to(at_us))
        return self._window

    def _tabulate(self, trace: Trace) -> _Window:
        sensor = self._sensor
        longest_us = max(sensor.window_us, sensor.average_window_us)
        first = -((sensor.phase_us - trace.start_us - longest_us) // sensor.update_us)
        last = (trace.end_us - 1 - sensor.phase_us) // sensor.update_us
        stamps_us = sensor.phase_us + sensor.update_us * np.arange(first, last + 1, dtype=np.int64)
        return _Window(
            trace.start_us,
            trace.end_us,
            trace,
            memoryview(trace.power_mw[self.identity.index]),
            memoryview(trace.energy_nj[self.identity.index]),
            first,
            self._readings_mw(trace, stamps_us, sensor.window_us),
            self._readings_mw(trace, stamps_us, sensor.average_window_us),
        )

    def _readings_mw(self, trace: Trace, stamps_us: Ints, window_us: int) -> list[int]:
        """Return the readings refreshed at some instants: window means, with gain and offset."""
        index = self.identity.index
        energy_nj = trace.energy_at(index, stamps_us) - trace.energy_at(
            index, stamps_us - window_us
        )
        mean_mw = (energy_nj + window_us // 2) // window_us
        gained_mw = (mean_mw * (_PPM + self._sensor.gain_ppm) + _PPM // 2) // _PPM
        readings: list[int] = np.maximum(gained_mw + self._sensor.offset_mw, 0).tolist()
        return readings
