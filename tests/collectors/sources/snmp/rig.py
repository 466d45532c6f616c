"""An `snmp` source on a virtual clock, and what it records."""

from tests.collectors.sources.meters.rig import T0_US, MeterRig, N, S
from tokenergy_collectors.sources.snmp.settings import SnmpKeys
from tokenergy_collectors.sources.snmp.source import SnmpMeters

__all__ = ["COMMUNITY", "T0_US", "N", "Rig", "S", "device", "keys_of"]

COMMUNITY = "TOKENERGY_TEST_COMMUNITY"


def device(port, *oids, **keys):
    """An [[snmp]] table; each object is (meter, OID, type) and further keys."""
    found = [
        {"meter": meter, "oid": oid, "type": type_, **(more[0] if more else {})}
        for meter, oid, type_, *more in oids
    ]
    who = {} if keys.get("version") == "3" else {"community_env": COMMUNITY}
    return {"host": "127.0.0.1", "port": port, "timeout_s": 5.0, **who, **keys, "oid": found}


def keys_of(*devices):
    return SnmpKeys.model_validate({"snmp": list(devices)})


class Rig(MeterRig):
    """A source that reads every 10 s."""

    def __init__(self, *devices, clock=None):
        super().__init__(SnmpMeters, keys_of(*devices), clock)
