"""A `redfish` source on a virtual clock, and what it records."""

from tests.collectors.sources.meters.rig import T0_US, MeterRig, N, S
from tests.support.redfish import ROOT, FaultyBmc, environment, tree
from tokenergy_collectors.sources.redfish.settings import RedfishKeys
from tokenergy_collectors.sources.redfish.source import BmcMeters

__all__ = [
    "FOUND", "LOST", "METRICS", "POWER", "SECRET", "T0_US", "TREE", "N", "Rig", "S", "bmc",
    "served", "why",
]  # fmt: skip

POWER = "n1/bmc/power"
LOST, FOUND = "meter_lost", "meter_found"
SECRET = 'Tr0ub4dor-&"3\\ é'  # noqa: S105
METRICS = f"{ROOT}/Chassis/1/EnvironmentMetrics"
TREE = tree(**{"1": environment(400)})


def bmc(port, *readings, scheme="http", **keys):
    """A [[redfish]] table; each reading is a dict of keys."""
    return {"url": f"{scheme}://127.0.0.1:{port}", **keys, "reading": list(readings)}


class Rig(MeterRig):
    """A source that reads every 30 s."""

    def __init__(self, *devices, clock=None):
        keys = RedfishKeys.model_validate({"redfish": list(devices)})
        super().__init__(BmcMeters, keys, clock)


def served(users=True, found=TREE):
    return FaultyBmc(found, {"monitor": SECRET} if users else None)


def why(rig):
    """The reason of the only event."""
    [(kind, detail)] = rig.events
    assert kind == LOST
    return detail.removeprefix(f"{POWER}: ").partition("; 127.0.0.1")[0]
