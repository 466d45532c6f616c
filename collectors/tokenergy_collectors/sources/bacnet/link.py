"""Asks one BACnet device for properties of objects.

In: objects. Out: their properties and when they were read, or why there are none: `AwayError` if
nobody answered, `DeclinedError` if the device refused. The socket listens for answers alone: on the
network the collector is no device.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

from tokenergy_collectors.sources.bacnet.settings import BacnetDevice
from tokenergy_collectors.sources.bacnet.wire import DeclinedError, Found, Route, Wire
from tokenergy_collectors.sources.meters.reader import AwayError
from tokenergy_collectors.sources.meters.udp import StoppedError, UdpSocket, find_address, no_way

_IDS = 256

_OTHER = "the device answers for other objects"


class SilentError(AwayError):
    """Nobody answered.

    Attributes:
        listens: whether somebody may still listen there.
    """

    def __init__(self, why: str, *, listens: bool) -> None:
        super().__init__(why, connected=listens)
        self.listens = listens


class Read(NamedTuple):
    """Properties by object and name, and when they were read (us UTC)."""

    found: Found
    ts_us: int


class Link:
    """Asks one device.

    Args:
        device: where it is.
        now_us: returns the stamp of this instant (us UTC).

    Raises:
        UserError: BACpypes3 is not installed.
    """

    def __init__(self, device: BacnetDevice, now_us: Callable[[], int]) -> None:
        network, mac = device.network, device.mac
        behind = None if network is None or mac is None else Route(network, bytes.fromhex(mac))
        self.wire = Wire(behind)
        self._place = (device.host, device.port)
        self._timeout_s = device.timeout_s
        self._now_us = now_us
        self._id = 0
        self._socket: UdpSocket | None = None
        self._asking = threading.Lock()
        self._changing = threading.Lock()
        self._closed = False

    def read_many(self, objects: Sequence[int], properties: Sequence[str]) -> Read:
        """Return properties of objects, by one request.

        Raises:
            AwayError: nobody answers.
            DeclinedError: the device refuses, or leaves one out.
        """
        read = self._request(lambda id_: self.wire.read_many(id_, objects, properties))
        if any((one, name) not in read.found for one in objects for name in properties):
            raise DeclinedError("other", _OTHER)
        return read

    def read_one(self, object_: int, property_: str) -> Read:
        """Return one property.

        Raises:
            AwayError: nobody answers.
            DeclinedError: the device refuses, or answers another one.
        """
        read = self._request(lambda id_: self.wire.read_one(id_, object_, property_))
        if (object_, property_) not in read.found:
            raise DeclinedError("other", _OTHER)
        return read

    def close(self) -> None:
        """End a request under way, from any thread; no other one follows."""
        with self._changing:
            self._closed = True
            if self._socket is not None:
                self._socket.stop()
        if self._asking.acquire(blocking=False):
            self._forget()
            self._asking.release()

    def _request(self, build: Callable[[int], bytes]) -> Read:
        with self._asking:
            try:
                return self._ask_twice(build)
            finally:
                if self._closed:
                    self._forget()

    def _ask_twice(self, build: Callable[[int], bytes]) -> Read:
        try:
            return self._ask(build)
        except AwayError as error:
            # UDP loses packets, and that a port was closed may be told late.
            if not isinstance(error, SilentError):
                raise
        return self._ask(build)

    def _ask(self, build: Callable[[int], bytes]) -> Read:
        """Return what one request gets.

        Raises:
            AwayError: there is no answer; the next request finds the address again.
            DeclinedError: the device refuses.
        """
        try:
            return self._exchange(self._open(), build)
        except TimeoutError:
            self._forget()
            raise SilentError(f"no answer within {self._timeout_s:g} s", listens=True) from None
        except ConnectionError:
            self._forget()
            raise SilentError("nobody listens at this port", listens=False) from None
        except StoppedError:
            raise AwayError("the collector stops", connected=False) from None
        except OSError as error:
            self._forget()
            raise no_way(error) from None

    def _exchange(self, peer: UdpSocket, build: Callable[[int], bytes]) -> Read:
        self._id = (self._id + 1) % _IDS
        deadline_s = time.monotonic() + self._timeout_s
        before_us = self._now_us()
        peer.send(build(self._id))
        while True:
            answer = self.wire.answer(peer.receive(deadline_s), self._id)
            if answer is not None:
                return Read(answer, (before_us + self._now_us()) // 2)

    def _open(self) -> UdpSocket:
        if self._socket is None:
            # BACnet/IPv6 is another protocol.
            made = UdpSocket(find_address(*self._place, socket.AF_INET))
            with self._changing:
                self._socket = made
        if self._closed:
            raise StoppedError
        return self._socket

    def _forget(self) -> None:
        with self._changing:
            found, self._socket = self._socket, None
        if found is not None:
            found.close()
