"""A BACnet/IP device of BACpypes3, run as a child process: `python bacnet_device.py PORT`.

Each line of its input is JSON: objects to add or change. It answers each one with the requests
since the last one (kind, number of objects), and ends with its input.
"""

import asyncio
import json
import sys

from bacpypes3.apdu import AbortPDU, AbortReason, RejectPDU, RejectReason
from bacpypes3.basetypes import (
    EngineeringUnits,
    PropertyIdentifier,
    Reliability,
    Scale,
    StatusFlags,
)
from bacpypes3.ipv4.app import NormalApplication
from bacpypes3.local.device import DeviceObject
from bacpypes3.local.object import Object
from bacpypes3.object import (
    AccumulatorObject,
    AnalogInputObject,
    AnalogValueObject,
    IntegerValueObject,
    LargeAnalogValueObject,
    PositiveIntegerValueObject,
)
from bacpypes3.pdu import IPv4Address
from bacpypes3.primitivedata import ObjectIdentifier


class Planted(Object):
    """What all objects have here: flags as they were given, and no other property by itself."""

    _required = ()
    flags = StatusFlags([0, 0, 0, 0])

    async def read_property(self, attr, index=None):
        # BACpypes3 works the flags out from other properties.
        if PropertyIdentifier(attr) == PropertyIdentifier.statusFlags:
            return self.flags
        return await super().read_property(attr, index)


def local(base):
    """Return a class of objects that a device may have."""
    return type(f"Planted{base.__name__}", (Planted, base), {})


CLASSES = {
    "analog-input": local(AnalogInputObject),
    "analog-value": local(AnalogValueObject),
    "accumulator": local(AccumulatorObject),
    "large-analog-value": local(LargeAnalogValueObject),
    "integer-value": local(IntegerValueObject),
    "positive-integer-value": local(PositiveIntegerValueObject),
}


class Device(NormalApplication):
    """A device that can be told to hang, and not to know ReadPropertyMultiple."""

    def __init__(self, *args):
        super().__init__(*args)
        self.behaviour = {}
        self.seen = []

    async def indication(self, apdu):
        name = type(apdu).__name__
        count = len(getattr(apdu, "listOfReadAccessSpecs", [0]))
        if name.endswith("Request"):  # it also tells itself of aborts
            self.seen.append([name, count])
        if name == "ReadPropertyMultipleRequest" and self.behaviour.get("no_rpm"):
            apdu = RejectPDU(apdu.apduInvokeID, RejectReason.unrecognizedService, context=apdu)
            await self.response(apdu)
        elif count > self.behaviour.get("most", count):
            apdu = AbortPDU(True, apdu.apduInvokeID, AbortReason.bufferOverflow, context=apdu)
            await self.response(apdu)
        elif not self.behaviour.get("hangs"):
            await super().indication(apdu)


def put(app, name, values):
    """Add or change an object: NAME is TYPE,INSTANCE."""
    if name == "behaviour":
        app.behaviour = values
        return
    id_ = ObjectIdentifier(name)
    found = app.get_object_id(id_)
    if found is None:
        kind = name.split(",")[0]
        found = CLASSES[kind](
            objectIdentifier=id_, objectName=name, statusFlags=StatusFlags([0] * 4)
        )
        app.add_object(found)
    for key, value in values.items():
        if key == "statusFlags":
            key, value = "flags", StatusFlags(value)
        elif key == "reliability":
            value = Reliability(value)
        elif key == "units":
            value = EngineeringUnits(value)
        elif key == "scale":
            value = Scale(integerScale=value)
        elif value == "inf" or value == "nan":
            value = float(value)
        setattr(found, key, value)


async def main():
    device = DeviceObject(objectIdentifier=("device", 42), objectName="feeds", vendorIdentifier=999)
    app = Device(device, IPv4Address(f"127.0.0.1/32:{sys.argv[1]}"))
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        for name, values in json.loads(line).items():
            put(app, name, values)
        print(json.dumps(app.seen), flush=True)
        app.seen.clear()
    app.close()


if __name__ == "__main__":
    asyncio.run(main())
