"""One board as NVML shows it: power readings, energy counter, utilization, clocks, processes.

In: the exact trace of true power, and the workloads on the board. Out: what a real board would
report, and no more. The energy counter is the exact integral at its latest refresh, with a gain of
its own (none unless the profile says so), rounded down to a millijoule, on top of an arbitrary
base. Where a board sits on a module, the rest of the module draws a constant power; the counter may
cover it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tokenergy_collectors.emulate.physics.power import Trace
from tokenergy_collectors.emulate.physics.sensor import (
    PPM,
    BoardTables,
    ReadingTable,
    SensorSpec,
    tabulate,
)
from tokenergy_collectors.emulate.workloads.base import Process, Workload
from tokenergy_collectors.emulate.workloads.timeline import CELL_US

_SECOND_CELLS = 1_000_000 // CELL_US
_NJ_PER_MJ = 1_000_000

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
    """What a board reports of itself; strings as in NVML, limits in mW, memory in bytes.

    Attributes:
        mig: the profiles of its MIG instances; None where MIG is off.
        minor: the minor number of its device file.
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
    minor: int = 0


class Board:
    """A board's readings at profile times (microseconds), for a clock that does not go back.

    Args:
        identity: what it reports of itself.
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
        self.guests: list[Process] = []
        """Processes that are listed besides those of the profile, such as real ones of a test."""
        self._table = tabulate(trace_to(0), identity.index, sensor)

    def power_instant_mw(self, at_us: int) -> int:
        """Return the latest short-window reading (NVML field 186)."""
        # Written out instead of calling `_at`: the daemon reads this up to 50 times a second.
        table = self._table
        if at_us >= table.end_us:
            table = self._refresh(at_us)
        return table.instant_mw[(at_us - self._phase_us) // self._update_us - table.first]

    def power_average_mw(self, at_us: int) -> int:
        """Return the latest one-second reading (NVML field 185)."""
        table = self._at(at_us)
        return table.average_mw[(at_us - self._phase_us) // self._update_us - table.first]

    def power_usage_mw(self, at_us: int) -> int:
        """Return what nvmlDeviceGetPowerUsage does: an average; on older boards the instant."""
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
        """Return the energy counter as of its latest refresh."""
        sensor = self._sensor
        if sensor.counter_update_us:
            # Between refreshes the counter keeps the value that it had at the latest one.
            at_us -= (at_us - sensor.counter_phase_us) % sensor.counter_update_us
        table = self._at(at_us)
        cell, inside_us = divmod(at_us - table.start_us, CELL_US)
        energy_nj = int(table.energy_nj[cell]) + table.power_mw[cell] * inside_us
        counted_nj = energy_nj * (PPM + sensor.counter_gain_ppm) // PPM
        counted_nj += sensor.counter_rest_mw * at_us
        return self._base_mj + counted_nj // _NJ_PER_MJ

    @property
    def module_rest_mw(self) -> int:
        """Power of the parts that share a module with this board; 0 if it sits on none."""
        return self._sensor.module_rest_mw

    def tables(self, from_us: int, to_us: int) -> BoardTables:
        """Return what readings between two chunk borders are made of; moves on to `to_us`."""
        table, sensor = self._at(to_us - 1), self._sensor
        cells = slice((from_us - table.start_us) // CELL_US, (to_us - table.start_us) // CELL_US)
        first = (from_us - self._phase_us) // self._update_us
        last = (to_us - 1 - self._phase_us) // self._update_us
        readings = slice(first - table.first, last - table.first + 1)
        return BoardTables(
            from_us,
            to_us,
            self._update_us,
            self._phase_us,
            first,
            table.instant_mw[readings],
            table.average_mw[readings],
            table.trace.power_mw[self.identity.index, cells],
            table.trace.energy_nj[self.identity.index, cells],
            self._base_mj,
            counter_update_us=sensor.counter_update_us or 1,
            counter_phase_us=sensor.counter_phase_us,
            counter_gain_ppm=sensor.counter_gain_ppm,
            counter_rest_mw=sensor.counter_rest_mw,
            module_rest_mw=sensor.module_rest_mw,
            usage_instant=sensor.usage_instant,
        )

    def reset_counter(self, at_us: int) -> None:
        """Restart the energy counter at zero, as when the driver is loaded again."""
        self._base_mj -= self.energy_mj(at_us)

    def utilization(self, at_us: int) -> tuple[int, int]:
        """Return SM and memory utilization over the last second, percent."""
        table = self._at(at_us)
        stop = (at_us - table.start_us) // CELL_US + 1
        cells = (self.identity.index, slice(max(stop - _SECOND_CELLS, 0), stop))
        sm = table.trace.sm_percent[cells].mean()
        memory = table.trace.mem_percent[cells].mean()
        return min(round(float(sm)), 100), min(round(float(memory)), 100)

    def temp_c(self, at_us: int) -> int:
        """Return the GPU temperature, degrees Celsius."""
        table = self._at(at_us)
        cell = (at_us - table.start_us) // CELL_US
        return round(float(table.trace.temp_c[self.identity.index, cell]))

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
        return [*(process for process in found if process), *self.guests]

    def used_bytes(self, at_us: int) -> int:
        """Return the memory that processes use."""
        used = sum(process.used_bytes for process in self.processes(at_us))
        return min(used, self.identity.memory_bytes)

    def _true_mw(self, at_us: int) -> int:
        table = self._at(at_us)
        return int(table.power_mw[(at_us - table.start_us) // CELL_US])

    def _at(self, at_us: int) -> ReadingTable:
        table = self._table
        return table if at_us < table.end_us else self._refresh(at_us)

    def _refresh(self, at_us: int) -> ReadingTable:
        self._table = tabulate(self._trace_to(at_us), self.identity.index, self._sensor)
        return self._table
