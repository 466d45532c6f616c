"""Reads the metrics of a collector's endpoint, over TCP or a Unix socket.

In: an address. Out: parsed metric families.
"""

from __future__ import annotations

import http.client
import socket
from collections.abc import Iterable

from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from tokenergy_collectors.base.address import Address
from tokenergy_collectors.base.errors import UserError

_TIMEOUT_S = 3.0
_MAX_BYTES = 16 << 20
_ADVICE = "expected a running collector with this address in metrics.listen"


def ask(address: Address) -> Iterable[Metric]:
    """Return the families that an endpoint serves.

    Raises:
        UserError: nothing answers there, or it is not a collector.
    """
    connection = _connection(address)
    try:
        connection.request("GET", "/metrics")
        answer = connection.getresponse()
        # Limited: an address may be some other server that sends without end.
        body = answer.read(_MAX_BYTES)
    except (OSError, http.client.HTTPException, UnicodeError) as error:
        why = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise UserError(f"{address.text}: no answer ({why}); {_ADVICE}") from None
    finally:
        connection.close()
    if answer.status != http.client.OK:
        raise UserError(f"{address.text}: HTTP {answer.status}; {_ADVICE}")
    try:
        return list(text_string_to_metric_families(body.decode("utf-8")))
    except (ValueError, LookupError) as error:
        why = " ".join(str(error).split())
        raise UserError(f"{address.text}: not Prometheus text ({why}); {_ADVICE}") from None


class _UnixConnection(http.client.HTTPConnection):
    """A connection to a Unix socket."""

    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=_TIMEOUT_S)
        self._path = path

    def connect(self) -> None:
        """Connect to the socket."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(_TIMEOUT_S)
        self.sock.connect(self._path)


def _connection(address: Address) -> http.client.HTTPConnection:
    if address.path is not None:
        return _UnixConnection(address.path)
    return http.client.HTTPConnection(address.host, address.port, timeout=_TIMEOUT_S)
