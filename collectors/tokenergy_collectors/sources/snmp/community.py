"""SNMP v2c: one datagram asks, one answers.

In: objects to get. Out: the answer. pysnmp encodes and decodes; its own sessions of v2c cannot be
closed while a request is under way.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from importlib import import_module
from typing import Any

from tokenergy_collectors.sources.meters.udp import Address, UdpSocket
from tokenergy_collectors.sources.snmp.session import Answer, Session

_VERSION = 1
"""What v2c has in its messages."""


class CommunitySession(Session):
    """Asks with a community.

    Args:
        address: where the agent is.
        community: who may read.

    Raises:
        OSError: there is no way to the agent.
    """

    def __init__(self, address: Address, community: str) -> None:
        self._api = import_module("pysnmp.proto.api.v2c")
        self._encode = import_module("pyasn1.codec.ber.encoder").encode
        self._decode = import_module("pyasn1.codec.ber.decoder").decode
        self._community = community.encode()
        self._socket = UdpSocket(address)

    def get(self, oids: Sequence[str], timeout_s: float) -> Answer:
        """Return the answer to one request; it raises what `Session.get` does."""
        pdu = self._api.GetRequestPDU()
        self._api.apiPDU.set_defaults(pdu)
        self._api.apiPDU.set_varbinds(pdu, [(oid, self._api.null) for oid in oids])
        message = self._api.Message()
        self._api.apiMessage.set_defaults(message)
        self._api.apiMessage.set_community(message, self._community)
        self._api.apiMessage.set_pdu(message, pdu)
        asked = self._api.apiPDU.get_request_id(pdu)
        deadline_s = time.monotonic() + timeout_s
        self._socket.send(self._encode(message))
        while True:
            found = self._answer(self._socket.receive(deadline_s), asked)
            if found is not None:
                return found

    def stop(self) -> None:
        """End a request under way, from any thread, and every later one."""
        self._socket.stop()

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()

    def _answer(self, data: bytes, asked: Any) -> Answer | None:
        """Return what a datagram says; None if it does not answer this request."""
        api = self._api
        try:
            message, _ = self._decode(data, asn1Spec=api.Message())
            pdu = api.apiMessage.get_pdu(message)
            if (
                int(message["version"]) != _VERSION
                or pdu.tagSet != api.ResponsePDU.tagSet
                or api.apiPDU.get_request_id(pdu) != asked
            ):
                return None
            return Answer(None, int(api.apiPDU.get_error_status(pdu)), api.apiPDU.get_varbinds(pdu))
        except Exception:  # noqa: BLE001 - whatever a decoder raises on what is no SNMP
            return None
