"""What `tokenergy-collect check` says about BMCs: each value is looked for and read once.

In: the BMCs of the configuration. Out: findings: the value, or what to do where there is none.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tokenergy_collectors.base.finding import Finding
from tokenergy_collectors.sources.host import Host
from tokenergy_collectors.sources.meters.reader import AwayError
from tokenergy_collectors.sources.meters.values import NoReadingError, show_billionths
from tokenergy_collectors.sources.redfish.device import BmcPoint, make_points
from tokenergy_collectors.sources.redfish.link import Link, RefusedError
from tokenergy_collectors.sources.redfish.reads import Reads
from tokenergy_collectors.sources.redfish.settings import RedfishDevice
from tokenergy_collectors.sources.redfish.tree import (
    NotFoundError,
    find_place,
    read_place,
)


def redfish_findings(devices: Sequence[RedfishDevice], host: Host) -> Iterator[Finding]:
    """Yield the findings."""
    for device in devices:
        link = Link(device, host.now_us, host.clock.monotonic_us)
        try:
            yield from _device(device, host.node, link)
        finally:
            link.close()
            link.log_out()


def _device(device: RedfishDevice, node: str, link: Link) -> Iterator[Finding]:
    if device.tls and not device.tls_verify:
        text = f"{device.about}: its certificate is not verified: anyone on the way can read the "
        yield Finding("warn", "redfish", f"{text}password and invent power; give ca_file instead")
    reads = Reads(link.get)
    for point in make_points(device, node):
        try:
            found = _point(point, device, reads)
        except AwayError as error:
            text = f"{point.meter} at {device.about}: {error}{_remedy(error, device)}"
            yield Finding("warn", "redfish", text)
            return
        if found is not None:
            yield found


def _point(point: BmcPoint, device: RedfishDevice, reads: Reads) -> Finding | None:
    """Return what one value says; None if the BMC does not have it and need not.

    Raises:
        AwayError: the BMC does not answer.
    """
    where = f"{point.meter} at {device.about}"
    try:
        point.found = find_place(point.reading, reads)
    except NotFoundError as error:
        return Finding("warn", "redfish", f"{where}: {error}") if point.needed else None
    where = f"{where}, {point.place}"
    try:
        value, _ = read_place(point.found, point.reading, reads)
    except (NoReadingError, RefusedError) as error:
        return Finding("warn", "redfish", f"{where}: {error}")
    text = f"{where}: {show_billionths(value.value_n)}"
    if "energy" in point.reading.value or point.reading.sensor is not None:
        return Finding("ok", "redfish", text)
    if value.average_us is not None:
        said = f"the average of {value.average_us / 1_000_000:g} s"
    else:
        said = "the BMC does not say over what time it averages"
    return Finding("ok", "redfish", f"{text} W; {said}")


def _remedy(error: AwayError, device: RedfishDevice) -> str:
    said = str(error)
    if "certificate is not accepted" in said:
        return (
            "; put the BMC's own certificate, or that of who signed it, into ca_file; if it is "
            "made out to another name, give that in tls_name"
        )
    if "user name" in said:
        if device.username is None:
            return "; give username and password_file"
        return "; is that user allowed to log in over Redfish? The collector tries it again later"
    if not error.connected and said.startswith("no connection"):
        return f"; is Redfish switched on there, at port {device.port}, and open for this host?"
    return ""
