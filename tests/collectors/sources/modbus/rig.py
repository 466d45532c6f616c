"""A `modbus` source on a virtual clock, and what it records."""

from tests.collectors.sources.meters.rig import T0_US, MeterRig, N, S
from tokenergy_collectors.sources.modbus.settings import ModbusKeys
from tokenergy_collectors.sources.modbus.source import ModbusMeters

__all__ = ["T0_US", "N", "Rig", "S", "device", "keys_of"]


def device(port, *registers, **keys):
    """A [[modbus]] table; each register is (meter, address, type) and further keys."""
    found = [
        {"meter": meter, "address": address, "type": type_, **(more[0] if more else {})}
        for meter, address, type_, *more in registers
    ]
    return {"host": "127.0.0.1", "port": port, **keys, "register": found}


def keys_of(*devices):
    return ModbusKeys.model_validate({"modbus": list(devices)})


class Rig(MeterRig):
    """A source that reads every 10 s."""

    def __init__(self, *devices, clock=None):
        super().__init__(ModbusMeters, keys_of(*devices), clock)
