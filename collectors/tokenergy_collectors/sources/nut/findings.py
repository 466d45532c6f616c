"""What `tokenergy-collect check` says about UPSes: all variables are read once.

In: the UPSes of the configuration. Out: findings: the values, or what to do where there are none.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress

from tokenergy_collectors.base.finding import Finding
from tokenergy_collectors.sources.host import Host
from tokenergy_collectors.sources.meters.reader import AwayError
from tokenergy_collectors.sources.meters.values import show_billionths
from tokenergy_collectors.sources.nut.device import make_points, outcome_of
from tokenergy_collectors.sources.nut.link import Link, UpsError, Variables
from tokenergy_collectors.sources.nut.settings import Ups

_MOST_NAMES = 20
_WORTH_READING = ("power", "load", "energy", "current", "efficiency", "charge")

_REMEDIES = {
    "DATA-STALE": "is the UPS connected? See the log of its driver",
    "DRIVER-NOT-CONNECTED": "start it: upsdrvctl start, or systemctl start nut-driver@UPS",
    "ACCESS-DENIED": "see upsd.conf and upsd.users there",
}


def nut_findings(devices: Sequence[Ups], host: Host) -> Iterator[Finding]:
    """Yield the findings."""
    for device in devices:
        link = Link(device, host.now_us)
        try:
            yield from _device(device, link.variables())
        except AwayError as error:
            text = f"{device.about}: {error}; {_remedy(error, device, link)}".rstrip("; ")
            yield Finding("warn", "nut", text)
        finally:
            link.close()


def _device(device: Ups, read: Variables) -> Iterator[Finding]:
    for point in make_points(device):
        name = point.variable.name
        if name not in read.texts and not point.expected:
            continue
        where = f"{point.meter} at {device.about}, {point.place}"
        found = outcome_of(point, read)
        if found.value is not None:
            yield Finding("ok", "nut", f"{where}: {show_billionths(found.value.value_n)}")
        elif name in read.texts:
            yield Finding("warn", "nut", f"{where}: {found.why}")
        else:
            yield Finding("warn", "nut", f"{where}: {found.why}; {_instead(read)}")


def _instead(read: Variables) -> str:
    """Return which variables there are instead."""
    names = [
        name
        for name in read.texts
        if name.endswith(_WORTH_READING) and not name.startswith("driver.")
    ]
    if not names:
        return "nor any of power, load or charge"
    more = f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else ""
    return f"choose in [[nut.variable]] from {', '.join(names[:_MOST_NAMES])}{more}"


def _remedy(error: AwayError, device: Ups, link: Link) -> str:
    if isinstance(error, UpsError):
        if error.code == "UNKNOWN-UPS":
            with suppress(AwayError):
                return f"it has {', '.join(link.names()) or 'none'}"
        return _REMEDIES.get(error.code, "")
    if not error.connected and str(error).startswith("no connection"):
        return f"does upsd listen there, at port {device.port} (LISTEN in upsd.conf)?"
    return ""
