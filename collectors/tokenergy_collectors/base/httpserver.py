"""A small HTTP server beside the sampling: few connections at a time, each within a time.

In: an address and a handler. Out: requests are answered in threads of their own; a client that
sends nothing, a byte now and then, or without end delays no other one for long.
"""

from __future__ import annotations

import socket
import socketserver
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from http.server import BaseHTTPRequestHandler
from typing import Any

_POLL_S = 0.2

Failed = Callable[[str], None]
"""Takes the reason, in words, why a request could not be answered."""


class LimitedServer(socketserver.ThreadingMixIn, socketserver.TCPServer):
    """A threading server with limits on its threads and on the time of each connection.

    It serves from `start` until `stop`, which does not wait for open connections.

    Args:
        family: of the address.
        address: as the family has it.
        handler: answers one connection.
        at_once: connections at a time.
        wait_s: how long one that is too many waits, and those behind it; then it is closed.
        request_s: how long a connection may last.
        failed: called for errors of the handler, but for clients that went away.
    """

    daemon_threads = True
    block_on_close = False
    allow_reuse_address = True
    request_queue_size = 16

    def __init__(
        self,
        family: int,
        address: Any,
        handler: type[BaseHTTPRequestHandler],
        *,
        at_once: int,
        wait_s: float,
        request_s: float,
        failed: Failed,
    ) -> None:
        self._free = threading.BoundedSemaphore(at_once)
        self._wait_s, self._request_s, self.failed = wait_s, request_s, failed
        self.address_family = family
        super().__init__(address, handler, bind_and_activate=False)

    def start(self, name: str) -> None:
        """Serve in a thread of that name."""
        self._thread = threading.Thread(
            target=self.serve_forever, args=(_POLL_S,), name=name, daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        """Take no more connections."""
        self.shutdown()
        self._thread.join()
        self.server_close()

    def process_request(self, request: Any, client_address: Any) -> None:
        """Serve a connection in a thread; close it if too many stay open."""
        # Those that come meanwhile wait in the kernel's queue.
        if not self._free.acquire(timeout=self._wait_s):
            self.shutdown_request(request)
            return
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Serve a connection within its time, then free its place."""
        # A timeout of the socket is for one read: a client that sends a byte now and then needs
        # this.
        timer = threading.Timer(self._request_s, _cut, (request,))
        timer.daemon = True
        timer.start()
        try:
            super().process_request_thread(request, client_address)
        finally:
            timer.cancel()
            self._free.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Report an error, except for clients that went away or sent nothing."""
        error = sys.exception()
        if not isinstance(error, OSError):
            self.failed(f"a request failed: {error!r}")


class PlainHandler(BaseHTTPRequestHandler):
    """Answers with a whole body, and writes no access log."""

    wbufsize = -1  # headers and body leave in one packet

    def answer(self, status: int, body: bytes, content: str = "text/plain; charset=utf-8") -> None:
        """Send an answer.

        Args:
            status: of HTTP.
            body: the whole.
            content: its type.
        """
        self.send_response(status)
        self.send_header("Content-Type", content)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def version_string(self) -> str:
        """Return the value of the header Server."""
        return "tokenergy-collect"

    def address_string(self) -> str:
        """Return the client's address as text; on a Unix socket it has none."""
        return str(self.client_address)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name is http.server's
        """Write no access log."""


def _cut(request: socket.socket) -> None:
    with suppress(OSError):
        request.shutdown(socket.SHUT_RDWR)
