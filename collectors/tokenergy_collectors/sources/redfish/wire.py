"""HTTP to one BMC: one connection that is kept, and a limit on the time of each whole request.

In: requests. Out: replies of any status, or `AwayError`, which says why there is none. It never
holds a password.
"""

from __future__ import annotations

import base64
import http.client
import socket
import ssl
import threading
from collections.abc import Mapping
from contextlib import suppress
from typing import NamedTuple
from urllib.parse import urlsplit

from tokenergy_collectors.sources.meters.reader import AwayError
from tokenergy_collectors.sources.redfish.settings import RedfishDevice

_MOST_BYTES = 8 << 20
_REDIRECTS = (301, 302, 307, 308)

_PLAIN = {"WRONG_VERSION_NUMBER", "HTTP_REQUEST", "RECORD_LAYER_FAILURE"}


class Reply(NamedTuple):
    """A whole answer; names of headers are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Wire:
    """A connection to a BMC.

    Args:
        device: where it is, and which certificate it must have.
        timeout_s: how long to wait for a connection, and for each whole answer.
    """

    def __init__(self, device: RedfishDevice, timeout_s: float) -> None:
        self._device = device
        self._timeout_s = timeout_s
        self._connection: http.client.HTTPConnection | None = None
        self._socket: socket.socket | None = None
        self._lock = threading.Lock()
        self._closed = threading.Event()

    def ask(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes | None = None
    ) -> Reply:
        """Return the answer to a request; one redirect to another path of the BMC is followed.

        Raises:
            AwayError: there is no whole answer in time.
        """
        with self._lock:
            return self._follow(method, path, headers, body)

    def _follow(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes | None
    ) -> Reply:
        reply = self._ask(method, path, headers, body)
        if method == "GET" and reply.status in _REDIRECTS:
            moved = self._own_path(reply.headers.get("location", ""))
            if moved is not None:
                return self._ask(method, moved, headers, body)
        return reply

    def _own_path(self, address: str) -> str | None:
        """Return the path of an address; None if it is not this BMC's.

        A redirect from http to https is for the operator to follow.
        """
        to, own = urlsplit(address), urlsplit(self._device.url)
        try:
            elsewhere = (to.scheme, to.hostname, to.port) != (own.scheme, own.hostname, own.port)
        except ValueError:
            return None
        if (to.netloc and elsewhere) or not to.path.startswith("/"):
            return None
        return to.path

    def close(self) -> None:
        """End a request under way, from any thread; no other one follows."""
        self._closed.set()
        self._shut()
        # Only the thread that waits for an answer may close it: its number could be another file's.
        if self._lock.acquire(blocking=False):
            self.hang_up()
            self._lock.release()

    def hang_up(self) -> None:
        """Close the connection; the next request opens another one."""
        connection, self._connection, self._socket = self._connection, None, None
        if connection is not None:
            connection.close()

    def _ask(self, method: str, path: str, headers: Mapping[str, str], body: bytes | None) -> Reply:
        if self._connection is not None:
            # BMCs close connections that were idle: that shows only now.
            with suppress(AwayError):
                return self._try(self._connection, method, path, headers, body)
        return self._try(self._connect(), method, path, headers, body)

    def _try(
        self,
        connection: http.client.HTTPConnection,
        method: str,
        path: str,
        headers: Mapping[str, str],
        body: bytes | None,
    ) -> Reply:
        late = threading.Event()

        def end() -> None:
            late.set()
            self._shut()

        # The timeout of a socket is for one read: a BMC that sends a byte now and then needs this.
        timer = threading.Timer(self._timeout_s, end)
        timer.daemon = True
        timer.start()
        reply = None
        try:
            connection.request(method, path, body, {"Accept": "application/json", **headers})
            with connection.getresponse() as answer:
                promised = answer.length  # None if it comes in chunks, which say where they end
                found = answer.read(_MOST_BYTES + 1)
                if promised is not None and len(found) < min(promised, _MOST_BYTES + 1):
                    raise http.client.IncompleteRead(b"")
                if len(found) <= _MOST_BYTES:
                    reply = Reply(
                        answer.status,
                        {name.lower(): value for name, value in answer.headers.items()},
                        found,
                    )
        except (OSError, http.client.HTTPException, ValueError) as error:
            self.hang_up()
            raise AwayError(self._why(error, late.is_set()), connected=True) from None
        finally:
            timer.cancel()
        if late.is_set() or reply is None or connection.sock is None:
            self.hang_up()
        if late.is_set():
            raise AwayError(f"no answer within {self._timeout_s:g} s", connected=True)
        if reply is None:
            raise AwayError("an answer that is too long", connected=True)
        return reply

    def _connect(self) -> http.client.HTTPConnection:
        if self._closed.is_set():
            raise AwayError("the collector stops", connected=False)
        device = self._device
        connection = http.client.HTTPConnection(device.host, device.port, self._timeout_s)
        connection.auto_open = 0  # it would do so without TLS
        connection.sock = self._open()
        self._connection = connection
        return connection

    def _open(self) -> socket.socket:
        device = self._device
        context = self._context() if device.tls else None
        try:
            plain = socket.create_connection((device.host, device.port), self._timeout_s)
        except socket.gaierror:
            raise AwayError("the name of the host is not known", connected=False) from None
        except TimeoutError:
            raise AwayError(
                f"no connection within {self._timeout_s:g} s", connected=False
            ) from None
        except OSError as error:
            why = (error.strerror or str(error)).lower()
            raise AwayError(f"no connection: {why}", connected=False) from None
        self._take(plain)
        if context is None:
            return plain
        # The handshake comes later, so that `close` can end it.
        name = device.tls_name or device.host
        found: socket.socket = plain
        try:
            found = context.wrap_socket(plain, server_hostname=name, do_handshake_on_connect=False)
            self._take(found)
            found.do_handshake()
        except (OSError, ValueError) as error:
            found.close()
            raise AwayError(_tls_reason(error, self._timeout_s), connected=True) from None
        return found

    def _take(self, found: socket.socket) -> None:
        self._socket = found
        if self._closed.is_set():  # meanwhile: `close` has not seen this socket
            self._shut()

    def _context(self) -> ssl.SSLContext:
        # Read for each connection, so that a new certificate needs no restart.
        device = self._device
        try:
            context = ssl.create_default_context(cafile=device.ca_file)
        except OSError as error:
            why = (error.strerror or "").lower()
            if isinstance(error, ssl.SSLError) or not why:
                why = "holds no certificate in PEM"
            raise AwayError(f"ca_file {device.ca_file}: {why}", connected=False) from None
        # Certificates that BMCs sign themselves lack what newer Pythons ask for.
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT
        if not device.tls_verify:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context

    def _shut(self) -> None:
        found = self._socket
        if found is not None:
            # Not the method of an SSL socket, which the reading thread is using.
            with suppress(OSError):
                socket.socket.shutdown(found, socket.SHUT_RDWR)

    def _why(self, error: Exception, late: bool) -> str:
        if late or isinstance(error, TimeoutError):
            return f"no answer within {self._timeout_s:g} s"
        if isinstance(error, http.client.IncompleteRead):
            return "the answer was cut off"
        if isinstance(error, OSError):
            return "it closed the connection"
        return "an answer that is not HTTP"


def basic(username: str, password: str) -> str:
    """Return the header `Authorization` for a user and password."""
    return f"Basic {base64.b64encode(f'{username}:{password}'.encode()).decode()}"


def _tls_reason(error: Exception, timeout_s: float) -> str:
    if isinstance(error, TimeoutError):
        return f"no answer within {timeout_s:g} s"
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not accepted: {error.verify_message.rstrip('.').lower()}"
    if isinstance(error, ssl.SSLError):
        if error.reason in _PLAIN:
            return "it answers without TLS: expected http://"
        return f"TLS: {(error.reason or 'it closed the connection').lower().replace('_', ' ')}"
    return "it closed the connection"
