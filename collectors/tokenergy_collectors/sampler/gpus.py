"""The GPUs as a source: power, energy counters, gauges and descriptions of the boards.

In: the boards. Out: rows of `power`, `state`, `device` and `host`, and events. `sampler` reads the
boards; this module says when.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tokenergy_collectors.base.finding import Finding
from tokenergy_collectors.sampler.sampler import Sampler
from tokenergy_collectors.sources.host import Host
from tokenergy_collectors.sources.nvml.devices import DeviceWatch
from tokenergy_collectors.sources.nvml.findings import board_findings
from tokenergy_collectors.sources.nvml.rate import rate_hz
from tokenergy_collectors.sources.nvml.scopes import ScopeReader
from tokenergy_collectors.sources.nvml.settings import GpuKeys
from tokenergy_collectors.sources.plan import Plan
from tokenergy_collectors.sources.source import Source

_DEVICES_EVERY_S = 60.0
_SCOPES_EVERY_S = 1.0


class Gpus(Source[GpuKeys]):
    """Samples the boards of the host."""

    name = "gpu"
    keys = GpuKeys

    def __init__(self, config: GpuKeys, host: Host) -> None:
        super().__init__(config, host)
        self._sampler = Sampler(
            host.boards, host.clock, host.offset_us, host.output, self._take_event
        )
        self._devices = DeviceWatch(config, host)
        self._scopes = ScopeReader(host.boards, host.node, host.now_us, self._add_host)
        self._counter_every_us = round(config.counter_every_s * 1_000_000)
        self._next_energy_us: int | None = None
        self._next_processes_us = 0

    def begin(self) -> None:
        """Record the boards as they were found, and which of them could not be opened."""
        self._devices.begin()
        for why in self.host.missing:
            self.host.warn("lost", None, why)

    def plan(self, plan: Plan) -> None:
        """Read power at the sampling rate, and everything else less often."""
        self._plan = plan
        config = self.config
        if not config.gpus:
            return
        plan.every("gpu", 1 / rate_hz(config, self.host.boards), self._tick, paced=True)
        plan.every("gpu/state", config.state_every_s, self._read_state)
        self._device_reader = plan.every(
            "gpu/device",
            _DEVICES_EVERY_S,
            self._devices.look,
            wait_s=_DEVICES_EVERY_S,
            beside=True,
        )
        if self._scopes.needed:
            plan.every("gpu/host", _SCOPES_EVERY_S, self._scopes.read)

    def edge(self) -> None:
        """Read power and the counters of all boards."""
        self._sample(energy=True, edge_us=None)

    def release(self, *, held_back: bool) -> None:
        """Record what was read; with `held_back` also the ends of runs of equal readings."""
        if held_back:
            self._sampler.flush()
        else:
            self._sampler.record()

    def finish(self, until_us: int) -> None:
        """Record what is held back, and end learning an update period."""
        self._sampler.flush()
        self._devices.finish()

    def _tick(self) -> str | None:
        """Read power, and once per `counter_every_s` the energy counters.

        Some boards are reported to under-count when their counter is read more often. So if an edge
        comes within the next period, the counters are left to the edge, which reads them anyway.
        """
        now_us = self.host.clock.monotonic_us()
        edge_us = self._plan.edges.next_us(now_us)
        # The first tick reads the counters, so that energy is known from the start.
        if self._next_energy_us is None:
            due = True
        else:
            soon = edge_us is not None and edge_us - now_us < self._counter_every_us
            due = now_us >= self._next_energy_us and not soon
        self._sample(energy=due, edge_us=edge_us)
        return None if self._sampler.answers else "no board answers"

    def _sample(self, *, energy: bool, edge_us: int | None) -> None:
        if energy:
            self._next_energy_us = self.host.clock.monotonic_us() + self._counter_every_us
        self._sampler.sample(energy=energy, edge_us=edge_us)

    def _read_state(self) -> None:
        now_us = self.host.clock.monotonic_us()
        processes = now_us >= self._next_processes_us
        if processes:
            self._next_processes_us = now_us + round(self.config.processes_every_s * 1_000_000)
        self._sampler.read_state(processes=processes)

    def _take_event(self, kind: str, device_id: str | None, detail: str) -> None:
        """Report an event of the sampler; look again at a board that is back."""
        self.host.warn(kind, device_id, detail)
        if kind == "found":
            self._devices.returned(device_id)
            self._device_reader.ask(even_if_busy=True)

    def _add_host(self, rows: list[tuple[Any, ...]]) -> None:
        self.host.output.add("host", rows)

    @classmethod
    def check(cls, config: Any, host: Host) -> Iterator[Finding]:
        """Yield the findings about each board."""
        return board_findings(host.boards, config, host.clock)
