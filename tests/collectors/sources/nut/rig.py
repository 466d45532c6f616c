"""A `nut` source on a virtual clock, and what it records."""

from tests.collectors.sources.meters.rig import T0_US, MeterRig, N, S
from tokenergy_collectors.sources.nut.settings import NutKeys
from tokenergy_collectors.sources.nut.source import UpsMeters

__all__ = ["T0_US", "N", "Rig", "S", "ups"]


def ups(port, *variables, **keys):
    """A [[nut]] table; each variable is (name, meter) and further keys."""
    found = [
        {"name": name, "meter": meter, **(more[0] if more else {})}
        for name, meter, *more in variables
    ]
    return {"host": "127.0.0.1", "port": port, "ups": "u1", **keys, "variable": found}


class Rig(MeterRig):
    """A source that reads every 10 s."""

    def __init__(self, *devices, clock=None):
        keys = NutKeys.model_validate({"nut": list(devices)})
        super().__init__(UpsMeters, keys, clock)
