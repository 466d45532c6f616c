"""What an agent is asked with: sessions of v2c and of v3, which the next one replaces.

In: objects to get. Out: what the agent answered. Only GET requests are sent.

pysnmp is imported when the first session is opened: a collector without meters does not need it.
"""

from __future__ import annotations

import socket
from abc import ABC, abstractmethod
from collections.abc import Sequence
from importlib import import_module
from typing import Any, NamedTuple

from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.sources.meters.reader import AwayError


class Answer(NamedTuple):
    """What an agent answered.

    Attributes:
        error: what went wrong in v3, by pysnmp's name; None if nothing did.
        status: error status of RFC 3416.
        found: objects and values, as pysnmp has them.
    """

    error: str | None
    status: int
    found: Sequence[tuple[Any, Any]]


class Session(ABC):
    """What one agent is asked with.

    Attributes:
        fresh: whether nothing has been answered yet.
    """

    fresh = True

    @abstractmethod
    def get(self, oids: Sequence[str], timeout_s: float) -> Answer:
        """Return the answer to one request.

        Raises:
            TimeoutError: there was none.
            ConnectionError: nobody listens there.
            CancelledError: `cancel` was called.
        """

    @abstractmethod
    def cancel(self) -> None:
        """End a request under way, from any thread, and every later one."""

    @abstractmethod
    def close(self) -> None:
        """Close the socket; no request may be under way."""


class CancelledError(Exception):
    """A request was ended by `Session.cancel`."""


class Address(NamedTuple):
    """Where an agent is."""

    family: socket.AddressFamily
    host: str
    port: int


def find_address(host: str, port: int) -> Address:
    """Return the address of a host.

    Raises:
        AwayError: its name is not known.
    """
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)[0]
    except OSError:
        raise AwayError("the name of the host is not known", connected=False) from None
    return Address(family, str(address[0]), int(address[1]))


def load_pysnmp(*, encrypted: bool) -> None:
    """Check that pysnmp is there, and what it encrypts with.

    Raises:
        UserError: it is not installed.
    """
    for name in ("pysnmp", *(["cryptography"] if encrypted else [])):
        try:
            import_module(name)
        except ImportError:
            raise UserError(f"snmp: {name} is needed: pip install 'tokenergy[meters]'") from None
