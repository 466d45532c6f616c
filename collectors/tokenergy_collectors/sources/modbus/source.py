"""`modbus`: facility meters that are read over Modbus TCP.

In: registers of meters and gateways. Out: rows of `meter`: what each register said, without unit
and scale. A meter that gives no reading has no row, and one event says why.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tokenergy_collectors.base.finding import Finding
from tokenergy_collectors.lake.contract import METER
from tokenergy_collectors.sources.host import Host
from tokenergy_collectors.sources.modbus.device import DeviceReader, Outcome
from tokenergy_collectors.sources.modbus.findings import modbus_findings
from tokenergy_collectors.sources.modbus.link import Link, load_pymodbus
from tokenergy_collectors.sources.modbus.settings import ModbusDevice, ModbusKeys
from tokenergy_collectors.sources.plan import Plan, Task
from tokenergy_collectors.sources.source import Source


class ModbusMeters(Source[ModbusKeys]):
    """Reads the meters of the configuration, each device in a thread of its own.

    Raises:
        UserError: pymodbus is not installed.
    """

    name = "modbus"
    keys = ModbusKeys

    def __init__(self, config: ModbusKeys, host: Host) -> None:
        super().__init__(config, host)
        # Meters of a building do not measure an emulated node.
        devices = () if host.emulated else config.modbus
        self._links = _links(devices, host)
        monotonic_us = host.clock.monotonic_us
        self._readers = [
            DeviceReader(device, self._links[device.host, device.port], monotonic_us)
            for device in devices
        ]
        self._lost: set[str] = set()
        self._stopping = False

    def plan(self, plan: Plan) -> None:
        """Read each device at its own period, beside the sampling: a server may not answer."""
        for reader in self._readers:
            device = reader.settings
            name = f"{self.name}/{device.host}:{device.port}/{device.device_id}"
            plan.every(name, device.every_s, self._task(reader), beside=True)

    def finish(self, until_us: int) -> None:
        """End the requests under way."""
        self._stopping = True
        for link in self._links.values():
            link.close()

    def _task(self, reader: DeviceReader) -> Task:
        failing: str | None = None

        def read() -> str | None:
            nonlocal failing
            outcomes = reader.read()
            if outcomes is not None and not self._stopping:
                failing = self._take(reader.settings, outcomes)
            return failing

        return read

    def _take(self, device: ModbusDevice, outcomes: list[Outcome]) -> str | None:
        """Record readings, and meters that are lost or found; return the first problem."""
        node = self.host.node
        self.host.output.add(
            "meter",
            [
                METER.make_row(
                    ts_us=one.ts_us,
                    meter_id=one.register.meter,
                    node=node,
                    source=self.name,
                    **one.value._asdict(),
                )
                for one in outcomes
                if one.value is not None
            ],
        )
        for one in outcomes:
            self._note(device, one)
        problems = [one for one in outcomes if one.value is None]
        if not problems:
            return None
        first = f"{problems[0].register.meter}: {problems[0].why}"
        return f"{len(problems)} of {len(outcomes)} meters give no reading; {first}"

    def _note(self, device: ModbusDevice, outcome: Outcome) -> None:
        """Record once that a meter is lost, and once that it is back."""
        meter = outcome.register.meter
        if outcome.value is not None:
            if meter in self._lost:
                self._lost.remove(meter)
                self.host.event("meter_found", None, f"{meter} gives readings again")
        elif meter not in self._lost:
            self._lost.add(meter)
            place = f"{device.about}, {outcome.register.place}"
            self.host.event("meter_lost", None, f"{meter}: {outcome.why}; {place}")

    @classmethod
    def validate(cls, config: Any, *, emulated: bool) -> None:
        """Check that pymodbus is there.

        Raises:
            UserError: it is missing.
        """
        if config.modbus and not emulated:
            load_pymodbus()

    @classmethod
    def check(cls, config: Any, host: Host) -> Iterator[Finding]:
        """Yield what each register says now, or what to do where it says nothing."""
        if not config.modbus:
            return iter(())
        if host.emulated:
            return iter([Finding("ok", cls.name, "not read on an emulated node")])
        return modbus_findings(config.modbus, host.now_us)


def _links(devices: tuple[ModbusDevice, ...], host: Host) -> dict[tuple[str, int], Link]:
    """Return one link for each server: many gateways accept only few connections."""
    waits: dict[tuple[str, int], float] = {}
    for device in devices:
        place = (device.host, device.port)
        waits[place] = max(device.timeout_s, waits.get(place, 0.0))
    return {place: Link(*place, timeout_s, host.now_us) for place, timeout_s in waits.items()}
