"""`bacnet`: facility meters that are read over BACnet/IP.

In: objects of BACnet devices. Out: rows of `meter`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from tokenergy_collectors.base.finding import Finding
from tokenergy_collectors.sources.bacnet.device import BacnetReader
from tokenergy_collectors.sources.bacnet.findings import bacnet_findings
from tokenergy_collectors.sources.bacnet.link import Link
from tokenergy_collectors.sources.bacnet.settings import BacnetDevice, BacnetKeys
from tokenergy_collectors.sources.bacnet.wire import load_bacpypes3
from tokenergy_collectors.sources.host import Host
from tokenergy_collectors.sources.meters.source import MeterSource


class BacnetMeters(MeterSource[BacnetKeys]):
    """Reads objects of BACnet devices.

    Raises:
        UserError: BACpypes3 is not installed.
    """

    name = "bacnet"
    keys = BacnetKeys

    @classmethod
    def devices(cls, config: Any) -> Sequence[BacnetDevice]:
        """Return the devices of the configuration."""
        found: Sequence[BacnetDevice] = config.bacnet
        return found

    @classmethod
    def meters(cls, config: Any) -> Iterable[str]:
        """Return the ids of all meters."""
        return (one.meter for device in config.bacnet for one in device.objects)

    def make_readers(self) -> list[BacnetReader]:
        """Return a reader for each device."""
        now_us, monotonic_us = self.host.now_us, self.host.clock.monotonic_us
        return [BacnetReader(one, Link(one, now_us), monotonic_us) for one in self.config.bacnet]

    @classmethod
    def load(cls, config: Any) -> None:
        """Check that BACpypes3 is there.

        Raises:
            UserError: it is missing.
        """
        load_bacpypes3()

    @classmethod
    def findings(cls, config: Any, host: Host) -> Iterator[Finding]:
        """Yield what each object says now, or what to do where it says nothing."""
        return bacnet_findings(config.bacnet, host.now_us)
