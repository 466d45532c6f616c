"""What `tokenergy-collect check` says about SNMP: each object is read once, by itself.

In: the devices of the configuration. Out: findings: the value, or what to do where there is none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.base.finding import Finding
from tokenergy_collectors.sources.meters.reader import AwayError
from tokenergy_collectors.sources.meters.values import NoReadingError, show_billionths
from tokenergy_collectors.sources.snmp.link import Link, SilentError, StatusError
from tokenergy_collectors.sources.snmp.settings import Oid, SnmpDevice
from tokenergy_collectors.sources.snmp.values import Value, decode

_MOST_SILENT = 2
"""After so many objects without an answer the others of a device are not asked."""

_REMEDIES = {
    2: "compare the OID with the manual; a single value ends in .0",
    6: "does the device's view for this community or user include it?",
    16: "give this community or user a view for reading on the device",
}

_TYPES = ("Gauge32", "Counter32", "Counter64", "Integer32", "OctetString")


def snmp_findings(devices: Sequence[SnmpDevice], now_us: Callable[[], int]) -> Iterator[Finding]:
    """Yield the findings."""
    for device in devices:
        try:
            link = Link(device, now_us)
        except UserError as error:
            yield Finding("FAIL", "snmp", str(error))
            return
        yield from _device(device, link)
        link.close()


def _device(device: SnmpDevice, link: Link) -> Iterator[Finding]:
    silent = 0
    for one in device.oids:
        where = f"{one.meter} at {device.about}, {one.place}"
        try:
            yield _object(one, link, where)
        except AwayError as error:
            remedy = _remedy(error, device)
            yield Finding("warn", "snmp", f"{where}: {error}{f'; {remedy}' if remedy else ''}")
            silent += 1
            refused = not isinstance(error, SilentError) or error.answered
            if refused or silent == _MOST_SILENT:
                if one is not device.oids[-1]:
                    yield Finding("warn", "snmp", f"{device.about}: its other meters: not asked")
                return


def _object(one: Oid, link: Link, where: str) -> Finding:
    """Return what one object says.

    Raises:
        AwayError: nobody answers.
    """
    try:
        [found] = link.get([one.oid]).values
        value = decode(found, one.type, one.invalid)
    except StatusError as error:
        remedy = _REMEDIES.get(error.status)
        return Finding("warn", "snmp", f"{where}: {error}{f'; {remedy}' if remedy else ''}")
    except NoReadingError as error:
        return Finding("warn", "snmp", f"{where}: {error}{_advice(found, one)}")
    return Finding("ok", "snmp", f"{where}: {show_billionths(value.value_n)} ({one.type})")


def _advice(found: Value, one: Oid) -> str:
    if found.type.startswith("NoSuch"):
        return f"; {_REMEDIES[2]}"
    if found.type != one.type and found.type in _TYPES:
        return f'; if it is the right OID: type = "{found.type}"'
    return ""


def _remedy(error: AwayError, device: SnmpDevice) -> str:
    if not isinstance(error, SilentError):
        return ""
    if error.answered:
        return "compare user, auth, priv, their keys and context with the device's"
    about = f"is SNMP v{device.version} switched on there, at port {device.port}, and open for"
    if device.version == "2c":
        return f"{about} this host? A wrong community is not answered either"
    return f"{about} this host? A wrong priv or priv_key is not answered by some devices either"
