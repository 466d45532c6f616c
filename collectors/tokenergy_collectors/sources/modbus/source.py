"""`modbus`: facility meters that are read over Modbus TCP.

In: registers of meters and gateways. Out: rows of `meter`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from tokenergy_collectors.base.finding import Finding
from tokenergy_collectors.sources.host import Host
from tokenergy_collectors.sources.meters.source import MeterSource
from tokenergy_collectors.sources.modbus.device import DeviceReader
from tokenergy_collectors.sources.modbus.findings import modbus_findings
from tokenergy_collectors.sources.modbus.link import Link, load_pymodbus
from tokenergy_collectors.sources.modbus.settings import ModbusDevice, ModbusKeys


class ModbusMeters(MeterSource[ModbusKeys]):
    """Reads registers of meters and gateways.

    Raises:
        UserError: pymodbus is not installed.
    """

    name = "modbus"
    keys = ModbusKeys

    @classmethod
    def devices(cls, config: Any) -> Sequence[ModbusDevice]:
        """Return the devices of the configuration."""
        found: Sequence[ModbusDevice] = config.modbus
        return found

    @classmethod
    def meters(cls, config: Any) -> Iterable[str]:
        """Return the ids of all meters."""
        return (one.meter for device in config.modbus for one in device.registers)

    def make_readers(self) -> list[DeviceReader]:
        """Return a reader for each device; those behind one server share a link."""
        links = _links(self.config.modbus, self.host)
        return [
            DeviceReader(device, links[device.host, device.port], self.host.clock.monotonic_us)
            for device in self.config.modbus
        ]

    @classmethod
    def load(cls, config: Any) -> None:
        """Check that pymodbus is there.

        Raises:
            UserError: it is missing.
        """
        load_pymodbus()

    @classmethod
    def findings(cls, config: Any, host: Host) -> Iterator[Finding]:
        """Yield what each register says now, or what to do where it says nothing."""
        return modbus_findings(config.modbus, host.now_us)


def _links(devices: tuple[ModbusDevice, ...], host: Host) -> dict[tuple[str, int], Link]:
    """Return one link for each server: many gateways accept only few connections."""
    waits: dict[tuple[str, int], float] = {}
    for device in devices:
        place = (device.host, device.port)
        waits[place] = max(device.timeout_s, waits.get(place, 0.0))
    return {place: Link(*place, timeout_s, host.now_us) for place, timeout_s in waits.items()}
