"""`nut`: UPSes, as Network UPS Tools (upsd) tells of them.

In: variables of UPSes. Out: rows of `meter`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from tokenergy_collectors.base.finding import Finding
from tokenergy_collectors.sources.host import Host
from tokenergy_collectors.sources.meters.source import MeterSource
from tokenergy_collectors.sources.nut.device import UpsReader
from tokenergy_collectors.sources.nut.findings import nut_findings
from tokenergy_collectors.sources.nut.link import Link
from tokenergy_collectors.sources.nut.settings import NutKeys, Ups


class UpsMeters(MeterSource[NutKeys]):
    """Reads variables of UPSes."""

    name = "nut"
    keys = NutKeys

    @classmethod
    def devices(cls, config: Any) -> Sequence[Ups]:
        """Return the UPSes of the configuration."""
        found: Sequence[Ups] = config.nut
        return found

    @classmethod
    def meters(cls, config: Any) -> Iterable[str]:
        """Return the ids of all meters."""
        return (one.meter for device in config.nut for one in device.read)

    def make_readers(self) -> list[UpsReader]:
        """Return a reader for each UPS."""
        host = self.host
        return [
            UpsReader(device, Link(device, host.now_us), host.clock.monotonic_us)
            for device in self.config.nut
        ]

    @classmethod
    def findings(cls, config: Any, host: Host) -> Iterator[Finding]:
        """Yield what each variable says now, or what to do where it says nothing."""
        return nut_findings(config.nut, host)
