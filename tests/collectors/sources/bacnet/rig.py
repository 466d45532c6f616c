"""A `bacnet` source on a virtual clock, and what it records."""

from tests.collectors.sources.meters.rig import T0_US, MeterRig, N, S
from tokenergy_collectors.sources.bacnet.settings import BacnetKeys
from tokenergy_collectors.sources.bacnet.source import BacnetMeters

__all__ = ["T0_US", "N", "Rig", "S", "device", "keys_of"]


def device(port, *objects, **keys):
    """A [[bacnet]] table; each object is (meter, TYPE,INSTANCE) and further keys."""
    found = [
        {"meter": meter, "object": object_, **(more[0] if more else {})}
        for meter, object_, *more in objects
    ]
    return {"host": "127.0.0.1", "port": port, "timeout_s": 5.0, **keys, "object": found}


def keys_of(*devices):
    return BacnetKeys.model_validate({"bacnet": list(devices)})


class Rig(MeterRig):
    """A source that reads every 10 s."""

    def __init__(self, *devices, clock=None):
        super().__init__(BacnetMeters, keys_of(*devices), clock)
