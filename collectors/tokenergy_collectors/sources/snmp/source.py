"""`snmp`: facility meters that are read over SNMP.

In: objects of SNMP agents. Out: rows of `meter`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from tokenergy_collectors.base.finding import Finding
from tokenergy_collectors.sources.host import Host
from tokenergy_collectors.sources.meters.source import MeterSource
from tokenergy_collectors.sources.snmp.device import SnmpReader
from tokenergy_collectors.sources.snmp.findings import snmp_findings
from tokenergy_collectors.sources.snmp.link import Link
from tokenergy_collectors.sources.snmp.session import load_pysnmp
from tokenergy_collectors.sources.snmp.settings import SnmpDevice, SnmpKeys


class SnmpMeters(MeterSource[SnmpKeys]):
    """Reads objects of SNMP agents.

    Raises:
        UserError: pysnmp is not installed.
    """

    name = "snmp"
    keys = SnmpKeys

    @classmethod
    def devices(cls, config: Any) -> Sequence[SnmpDevice]:
        """Return the devices of the configuration."""
        found: Sequence[SnmpDevice] = config.snmp
        return found

    @classmethod
    def meters(cls, config: Any) -> Iterable[str]:
        """Return the ids of all meters."""
        return (one.meter for device in config.snmp for one in device.oids)

    def make_readers(self) -> list[SnmpReader]:
        """Return a reader for each device."""
        now_us, monotonic_us = self.host.now_us, self.host.clock.monotonic_us
        return [SnmpReader(one, Link(one, now_us), monotonic_us) for one in self.config.snmp]

    @classmethod
    def load(cls, config: Any) -> None:
        """Check that pysnmp is there.

        Raises:
            UserError: it is missing.
        """
        users = [one for one in config.snmp if one.version == "3"]
        load_pysnmp(user=bool(users), encrypted=any(one.priv != "none" for one in users))

    @classmethod
    def findings(cls, config: Any, host: Host) -> Iterator[Finding]:
        """Yield what each object says now, or what to do where it says nothing."""
        return snmp_findings(config.snmp, host.now_us)
