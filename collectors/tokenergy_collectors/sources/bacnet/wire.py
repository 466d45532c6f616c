"""Requests and answers of BACnet/IP as datagrams: ReadProperty and ReadPropertyMultiple alone.

In: objects and names of properties. Out: datagrams, and what answers to them say. BACpypes3 encodes
and decodes; it is imported when the first link is made.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from importlib import import_module
from typing import Any, NamedTuple

from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.sources.bacnet.values import Value
from tokenergy_collectors.sources.meters.groups import RefusedError
from tokenergy_collectors.sources.meters.reader import AwayError

_BVLC, _UNICAST, _FORWARDED = 0x81, 0x0A, 0x04
_HEADER = {_UNICAST: 4, _FORWARDED: 10}
"""Bytes before the NPDU: a forwarded one also names who sent it."""

_VERSION, _EXPECTS_REPLY, _HAS_DESTINATION, _MOST_HOPS = 1, 0x04, 0x20, 255
_IS_NETWORK_MESSAGE, _REJECT_MESSAGE = 0x80, 0x03

# A confirmed request that is in one piece, and whose answer must be too: up to 1,476 bytes.
_REQUEST, _ONE_PIECE = 0x00, 0x05

_TYPES = {
    0: "Null", 1: "Boolean", 2: "Unsigned", 3: "Integer", 4: "Real", 5: "Double",
    6: "OctetString", 7: "CharacterString", 8: "BitString", 9: "Enumerated", 10: "Date",
    11: "Time", 12: "ObjectIdentifier",
}  # fmt: skip
"""Primitive types by the number of their tag."""

_UNKNOWN_SERVICE = "unrecognized-service"

_OF_THE_DEVICE = frozenset({"device-busy", "out-of-resources", "tsm-timeout"})
"""Refusals that say nothing about an object: another request has the same answer."""


class Route(NamedTuple):
    """A device behind a router: number of its network, its address there."""

    network: int
    mac: bytes


class DeclinedError(RefusedError):
    """The device answered with an error, a reject or an abort.

    Attributes:
        name: what it said, by its name in BACnet.
        no_service: whether the device does not know what it was asked to do.
    """

    def __init__(self, name: str, why: str | None = None) -> None:
        of_the_device = name in _OF_THE_DEVICE
        super().__init__(why or f"the device refuses: {name}", of_the_device=of_the_device)
        self.name = name
        self.no_service = name == _UNKNOWN_SERVICE


class RouterError(AwayError):
    """The router has no way to the device's network."""

    def __init__(self) -> None:
        super().__init__("the router has no way to the network", connected=True)


Found = dict[tuple[int, str], Value]
"""Values by object (as on the wire) and name of the property."""


class Wire:
    """Builds requests and reads answers.

    Args:
        route: the device behind a router; None for one that is not.

    Raises:
        UserError: BACpypes3 is not installed.
    """

    def __init__(self, route: Route | None) -> None:
        load_bacpypes3()
        self._apdu = import_module("bacpypes3.apdu")
        self._basic = import_module("bacpypes3.basetypes")
        self._primitive = import_module("bacpypes3.primitivedata")
        self._pdu = import_module("bacpypes3.pdu").PDU
        self._npdu = import_module("bacpypes3.npdu").NPDU
        self._route = route

    def read_one(self, id_: int, object_: int, property_: str) -> bytes:
        """Return a request for one property, with the number (0 to 255) of the request."""
        request = self._apdu.ReadPropertyRequest(
            objectIdentifier=self._primitive.ObjectIdentifier(object_),
            propertyIdentifier=self._basic.PropertyIdentifier(property_),
        )
        return self._datagram(id_, request)

    def read_many(self, id_: int, objects: Iterable[int], properties: Sequence[str]) -> bytes:
        """Return a request for properties of several objects."""
        basic = self._basic
        request = self._apdu.ReadPropertyMultipleRequest(
            listOfReadAccessSpecs=[
                basic.ReadAccessSpecification(
                    objectIdentifier=self._primitive.ObjectIdentifier(one),
                    listOfPropertyReferences=[
                        basic.PropertyReference(propertyIdentifier=basic.PropertyIdentifier(name))
                        for name in properties
                    ],
                )
                for one in objects
            ]
        )
        return self._datagram(id_, request)

    def answer(self, data: bytes, id_: int) -> Found | None:
        """Return what a datagram answers; None if it does not answer this request.

        Raises:
            DeclinedError: the device answers that it does not.
            RouterError: the router does.
        """
        try:
            apdu = self._apdu_of(data)
            if apdu is None or getattr(apdu, "apduInvokeID", None) != id_:
                return None
            return self._found(apdu)
        except (DeclinedError, RouterError):
            raise
        except Exception:  # noqa: BLE001 - whatever a decoder raises on what is no BACnet
            return None

    def _found(self, apdu: Any) -> Found | None:
        kinds = self._apdu
        if isinstance(apdu, kinds.ErrorPDU):
            raise DeclinedError(self._error_of(bytes(apdu.pduData)))
        if isinstance(apdu, kinds.RejectPDU):
            raise DeclinedError(str(kinds.RejectReason(apdu.apduAbortRejectReason)))
        if isinstance(apdu, kinds.AbortPDU):
            raise DeclinedError(str(kinds.AbortReason(apdu.apduAbortRejectReason)))
        if not isinstance(apdu, kinds.ComplexAckPDU) or apdu.apduSeg:
            return None
        return dict(self._values(apdu))

    def reliability(self, code: int) -> str:
        """Return the name of a reliability."""
        return str(self._basic.Reliability(code))

    def units(self, code: int) -> str:
        """Return the name of engineering units."""
        return str(self._basic.EngineeringUnits(code))

    def _datagram(self, id_: int, request: Any) -> bytes:
        control, to = _EXPECTS_REPLY, b""
        if self._route is not None:
            control |= _HAS_DESTINATION
            network, mac = self._route
            to = network.to_bytes(2, "big") + bytes([len(mac)]) + mac + bytes([_MOST_HOPS])
        npdu = bytes([_VERSION, control]) + to
        apdu = bytes([_REQUEST, _ONE_PIECE, id_, request.service_choice])
        body = npdu + apdu + bytes(request.encode().pduData)
        return bytes([_BVLC, _UNICAST]) + (len(body) + 4).to_bytes(2, "big") + body

    def _apdu_of(self, data: bytes) -> Any:
        """Return the application's part of a datagram; None for what is no such datagram."""
        skipped = _HEADER.get(data[1]) if len(data) > 1 and data[0] == _BVLC else None
        if skipped is None or int.from_bytes(data[2:4], "big") != len(data):
            return None
        npdu = self._npdu.decode(self._pdu(data[skipped:]))
        if not npdu.npduControl & _IS_NETWORK_MESSAGE:
            return self._apdu.APDU.decode(self._pdu(npdu.pduData))
        if npdu.npduNetMessage == _REJECT_MESSAGE and self._route is not None:
            raise RouterError
        return None

    def _error_of(self, data: bytes) -> str:
        """Return the name of an error: its class and its code, two enumerations."""
        tags = self._primitive.TagList.decode(self._pdu(data)).tagList
        code = int.from_bytes(bytes(tags[1].tag_data), "big")
        return str(self._basic.ErrorCode(code))

    def _values(self, apdu: Any) -> Iterator[tuple[tuple[int, str], Value]]:
        kinds = self._apdu
        if apdu.apduService == kinds.ReadPropertyRequest.service_choice:
            one = kinds.ReadPropertyACK.decode(apdu)
            key = (self._number(one.objectIdentifier), str(one.propertyIdentifier))
            yield key, self._value(one.propertyValue)
            return
        for result in kinds.ReadPropertyMultipleACK.decode(apdu).listOfReadAccessResults:
            for one in result.listOfResults:
                key = (self._number(result.objectIdentifier), str(one.propertyIdentifier))
                error = one.readResult.propertyAccessError
                if error is None:
                    yield key, self._value(one.readResult.propertyValue)
                else:
                    yield key, Value("Error", b"", str(error.errorCode))

    def _value(self, any_: Any) -> Value:
        """Return a value that is one primitive; of another one only that it is none."""
        tags = [tag for tag in any_.tagList if tag.tag_class in (0, 1)]
        if len(tags) != 1:
            return Value("list", b"")
        [tag] = tags
        name = _TYPES.get(tag.tag_number, "?") if tag.tag_class == 0 else f"choice {tag.tag_number}"
        return Value(name, bytes(tag.tag_data))

    @staticmethod
    def _number(object_: Any) -> int:
        type_, instance = object_
        return int(type_) << 22 | int(instance)


def load_bacpypes3() -> None:
    """Check that BACpypes3 is there.

    Raises:
        UserError: it is not installed.
    """
    try:
        import_module("bacpypes3")
    except ImportError:
        raise UserError("bacnet: bacpypes3 is needed: pip install 'tokenergy[meters]'") from None
    # Failures are told by their events.
    logging.getLogger("bacpypes3").setLevel(logging.CRITICAL + 1)
