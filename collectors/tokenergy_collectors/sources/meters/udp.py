"""A UDP socket that hears one peer only, and that another thread can stop.

In: datagrams to send. Out: those of the peer, until an instant.
"""

from __future__ import annotations

import math
import os
import select
import socket
import time
from contextlib import suppress
from typing import NamedTuple

from tokenergy_collectors.sources.meters.reader import AwayError

_MOST_BYTES = 65_535


class StoppedError(Exception):
    """A request was ended because the collector stops."""


class Address(NamedTuple):
    """Where a device is."""

    family: socket.AddressFamily
    host: str
    port: int


def find_address(host: str, port: int, family: socket.AddressFamily = socket.AF_UNSPEC) -> Address:
    """Return the address of a host, of a family if one is given.

    Raises:
        AwayError: its name is not known.
    """
    try:
        found, _, _, _, address = socket.getaddrinfo(host, port, family, socket.SOCK_DGRAM)[0]
    except OSError:
        raise AwayError("the name of the host is not known", connected=False) from None
    return Address(found, str(address[0]), int(address[1]))


def no_way(error: OSError) -> AwayError:
    """Return what to raise where a datagram cannot be sent."""
    why = (error.strerror or type(error).__name__).lower()
    return AwayError(f"no way to the device: {why}", connected=False)


class UdpSocket:
    """Speaks with one peer.

    Args:
        address: the peer.

    Raises:
        OSError: there is no way to it.
    """

    def __init__(self, address: Address) -> None:
        self._stopped = False
        # A closed or shut socket does not wake the thread that waits for it everywhere.
        self._wake = os.eventfd(0, os.EFD_CLOEXEC)
        self._socket = socket.socket(address.family, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        self._poll = select.poll()
        self._poll.register(self._socket, select.POLLIN)
        self._poll.register(self._wake, select.POLLIN)
        try:
            # So nobody else's datagrams are seen, and a closed port is told.
            self._socket.connect((address.host, address.port))
        except OSError:
            self.close()
            raise

    def send(self, data: bytes) -> None:
        """Send a datagram.

        Raises:
            StoppedError: `stop` was called.
            OSError: it cannot be sent; the peer's host may have answered an earlier one so.
        """
        self._check()
        self._socket.send(data)

    def receive(self, deadline_s: float) -> bytes:
        """Return the peer's next datagram.

        Args:
            deadline_s: instant (`time.monotonic`) until which to wait.

        Raises:
            StoppedError: `stop` was called.
            TimeoutError: none has come.
            OSError: the peer's host says that nobody listens there.
        """
        while True:
            left_s = deadline_s - time.monotonic()
            if left_s <= 0:
                raise TimeoutError
            self._poll.poll(math.ceil(left_s * 1000))
            self._check()
            # A datagram with a wrong checksum wakes, and is not there.
            with suppress(BlockingIOError):
                return self._socket.recv(_MOST_BYTES)

    def stop(self) -> None:
        """End a request under way, from any thread, and every later one."""
        self._stopped = True
        os.eventfd_write(self._wake, 1)

    def close(self) -> None:
        """Close the socket; no request may be under way, and `stop` may not be called any more."""
        self._socket.close()
        os.close(self._wake)

    def _check(self) -> None:
        if self._stopped:
            raise StoppedError
