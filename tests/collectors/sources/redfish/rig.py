"""A `redfish` source on a virtual clock, and what it records."""

from tests.collectors.sources.meters.rig import T0_US, MeterRig, N, S
from tokenergy_collectors.sources.redfish.settings import RedfishKeys
from tokenergy_collectors.sources.redfish.source import BmcMeters

__all__ = ["T0_US", "N", "Rig", "S", "bmc"]


def bmc(port, *readings, scheme="http", **keys):
    """A [[redfish]] table; each reading is a dict of keys."""
    return {"url": f"{scheme}://127.0.0.1:{port}", **keys, "reading": list(readings)}


class Rig(MeterRig):
    """A source that reads every 30 s."""

    def __init__(self, *devices, clock=None):
        keys = RedfishKeys.model_validate({"redfish": list(devices)})
        super().__init__(BmcMeters, keys, clock)
