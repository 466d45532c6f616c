"""Where alerts go in tests: a webhook and a mail server on loopback that keep what they get."""

from __future__ import annotations

import http.server
import json
import queue
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from email import message_from_bytes
from email.message import Message
from email.policy import default
from typing import Any

WAIT_S = 60
"""Longer than any alert takes; a test that waits so long has failed."""


class Webhook:
    """An HTTP server on 127.0.0.1 that answers every POST alike and keeps its body.

    Args:
        status: of its answers.
        headers: of its answers.
    """

    def __init__(self, status: int = 200, headers: dict[str, str] | None = None) -> None:
        got: queue.Queue[tuple[str, Any]] = queue.Queue()
        self._got = got

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                got.put((self.path, json.loads(body)))
                self.send_response(status)
                for name, value in (headers or {}).items():
                    self.send_header(name, value)
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name is http.server's
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self._server.server_address[1])

    def serve(self) -> None:
        self._server.serve_forever(poll_interval=0.05)

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def next(self) -> tuple[str, Any]:
        """Return the path and body of the next message; wait for it."""
        return self._got.get(timeout=WAIT_S)

    def all(self) -> list[Any]:
        """Return the bodies that have come and were not taken yet."""
        found = []
        while not self._got.empty():
            found.append(self._got.get_nowait()[1])
        return found


class _Mailbox(socketserver.StreamRequestHandler):
    """One session of SMTP, as far as smtplib goes: no TLS, no login."""

    def handle(self) -> None:
        self.wfile.write(b"220 sink\r\n")
        while line := self.rfile.readline():
            word = line[:4].upper()
            if word == b"DATA":
                self.wfile.write(b"354 go on\r\n")
                lines = list(iter(self.rfile.readline, b".\r\n"))
                raw = b"".join(one.removeprefix(b".") for one in lines)
                self.server.got.put(message_from_bytes(raw, policy=default))
            self.wfile.write(b"221 bye\r\n" if word == b"QUIT" else b"250 ok\r\n")
            if word == b"QUIT":
                return


class MailSink(socketserver.ThreadingTCPServer):
    """A mail server on 127.0.0.1 that keeps what it gets."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Mailbox)
        self.got: queue.Queue[Message] = queue.Queue()

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self.server_address[1])

    def serve(self) -> None:
        self.serve_forever(poll_interval=0.05)

    def close(self) -> None:
        self.shutdown()
        self.server_close()

    def next(self) -> Message:
        """Return the next mail; wait for it."""
        return self.got.get(timeout=WAIT_S)


@contextmanager
def serving(*servers: Webhook | MailSink) -> Iterator[None]:
    """Serve as long as the block runs."""
    threads = [threading.Thread(target=server.serve, daemon=True) for server in servers]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        for server, thread in zip(servers, threads, strict=True):
            server.close()
            thread.join()
