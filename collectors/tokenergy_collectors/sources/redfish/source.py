"""`redfish`: power and energy of servers, as their BMCs tell it.

In: resources of BMCs. Out: rows of `meter`.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from tokenergy_collectors.base.finding import Finding
from tokenergy_collectors.sources.host import Host
from tokenergy_collectors.sources.meters.source import MeterSource
from tokenergy_collectors.sources.redfish.device import RedfishReader
from tokenergy_collectors.sources.redfish.findings import redfish_findings
from tokenergy_collectors.sources.redfish.link import Link
from tokenergy_collectors.sources.redfish.settings import RedfishDevice, RedfishKeys

_LOGOUT_US = 2_000_000


class BmcMeters(MeterSource[RedfishKeys]):
    """Reads the power and the energy of servers from their BMCs."""

    name = "redfish"
    keys = RedfishKeys

    @classmethod
    def devices(cls, config: Any) -> Sequence[RedfishDevice]:
        """Return the BMCs of the configuration."""
        found: Sequence[RedfishDevice] = config.redfish
        return found

    @classmethod
    def meters(cls, config: Any) -> Iterable[str]:
        """Return the ids of all meters."""
        return (meter for device in config.redfish for meter in device.meters(config.node))

    def make_readers(self) -> list[RedfishReader]:
        """Return a reader for each BMC."""
        host = self.host
        return [
            RedfishReader(
                device,
                host.node,
                Link(device, host.now_us, host.clock.monotonic_us),
                host.clock.monotonic_us,
                self._tell,
            )
            for device in self.config.redfish
        ]

    def finish(self, until_us: int) -> None:
        """End the requests under way, and the sessions, all at once: a BMC may not answer."""
        super().finish(until_us)
        threads = [
            threading.Thread(target=reader.log_out, daemon=True)
            for reader in self._readers
            if isinstance(reader, RedfishReader)
        ]
        for thread in threads:
            thread.start()
        now_us = self.host.clock.monotonic_us
        end_us = min(until_us, now_us() + _LOGOUT_US)
        for thread in threads:
            thread.join(max(0, end_us - now_us()) / 1_000_000)

    def _tell(self, meter: str, place: str) -> None:
        self.host.log.info("redfish", meter=meter, place=place)

    @classmethod
    def findings(cls, config: Any, host: Host) -> Iterator[Finding]:
        """Yield what each value says now, or what to do where there is none."""
        return redfish_findings(config.redfish, host)
