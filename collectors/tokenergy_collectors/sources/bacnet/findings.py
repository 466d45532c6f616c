"""What `tokenergy-collect check` says about BACnet: each object is read once, by itself.

In: the devices of the configuration. Out: findings: the value and its units, or what to do where
there is none.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Sequence

from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.base.finding import Finding
from tokenergy_collectors.sources.bacnet.device import outcome, properties, read_singly
from tokenergy_collectors.sources.bacnet.link import Link, Read, SilentError
from tokenergy_collectors.sources.bacnet.settings import BacnetDevice, BacnetObject
from tokenergy_collectors.sources.bacnet.values import PRESENT_VALUE, Value, enumerated
from tokenergy_collectors.sources.bacnet.wire import DeclinedError, RouterError
from tokenergy_collectors.sources.meters.reader import AwayError
from tokenergy_collectors.sources.meters.values import show_billionths

_MOST_SILENT = 2
"""After so many objects without an answer the others of a device are not asked."""

_UNITS, _SCALE = "units", "scale"


def bacnet_findings(
    devices: Sequence[BacnetDevice], now_us: Callable[[], int]
) -> Iterator[Finding]:
    """Yield the findings."""
    for device in devices:
        try:
            link = Link(device, now_us)
        except UserError as error:
            yield Finding("FAIL", "bacnet", str(error))
            return
        yield from _device(device, link)
        link.close()


def _device(device: BacnetDevice, link: Link) -> Iterator[Finding]:
    silent = 0
    for one in device.objects:
        where = f"{one.meter} at {device.about}, {one.place}"
        try:
            yield _object(one, link, where)
        except AwayError as error:
            remedy = _remedy(error, device)
            yield Finding("warn", "bacnet", f"{where}: {error}{f'; {remedy}' if remedy else ''}")
            silent += 1
            if not error.connected or silent == _MOST_SILENT or isinstance(error, RouterError):
                if one is not device.objects[-1]:
                    yield Finding("warn", "bacnet", f"{device.about}: its other meters: not asked")
                return


def _object(one: BacnetObject, link: Link, where: str) -> Finding:
    """Return what one object says.

    Raises:
        AwayError: nobody answers.
    """
    try:
        read = read_singly(one, link)
        found = outcome(one, read, link)
        if found.value is None:
            return Finding("warn", "bacnet", f"{where}: {found.why}{_advice(one, read)}")
        units = _name_of_units(_asked(one, _UNITS, link), link)
        scale = _scale(_asked(one, _SCALE, link)) if "accumulator" in one.object_id else ""
    except DeclinedError as error:
        return Finding("warn", "bacnet", f"{where}: {error}; it is busy: try again")
    type_ = properties(one, read)[PRESENT_VALUE].type
    shown = show_billionths(found.value.value_n)
    text = f"{where}: {shown} ({type_}, {units or 'no units'}{scale})"
    if one.units not in (None, units):
        says = f"the device says {units}" if units else "the device names no units"
        return Finding("warn", "bacnet", f"{text}; {says}, the configuration {one.units}")
    return Finding("ok", "bacnet", text)


def _asked(one: BacnetObject, name: str, link: Link) -> Value | None:
    """Return a property; None if the object does not have it."""
    try:
        return link.read_one(one.number, name).found[one.number, name]
    except DeclinedError as error:
        if error.of_the_device:
            raise
        return None


def _name_of_units(value: Value | None, link: Link) -> str | None:
    return None if value is None else link.wire.units(enumerated(value))


def _scale(value: Value | None) -> str:
    """Return the factor of an accumulator in words: ASHRAE 135, BACnetScale."""
    if value is None:
        return ""
    if value.type == "choice 0" and len(value.data) == struct.calcsize(">f"):
        return f", scale {struct.unpack('>f', value.data)[0]:g}"
    return f", scale 10^{int.from_bytes(value.data, 'big', signed=True)}"


def _advice(one: BacnetObject, read: Read) -> str:
    error = properties(one, read)[PRESENT_VALUE].error
    if error == "unknown-object":
        return "; compare type and instance with the device's list of objects"
    return ""


def _remedy(error: AwayError, device: BacnetDevice) -> str:
    if isinstance(error, RouterError):
        return f"is {device.network} the number of the device's network?"
    if not isinstance(error, SilentError):
        return ""
    about = f"is BACnet/IP switched on there, at port {device.port}, and open for this host?"
    return about if device.network is None else f"{about} Is mac {device.mac} the device's?"
