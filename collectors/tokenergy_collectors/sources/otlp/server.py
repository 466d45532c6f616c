"""Takes OTLP over HTTP on a loopback port.

In: `POST /v1/metrics` in protobuf or JSON, also in gzip. Out: the blocks of each request go to a
function; the answers are those of the protocol. One request a connection, a few at a time, each
with a limit of size and time: a client that sends nothing, or without end, delays no other one for
long, and never the sampling.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any

from tokenergy_collectors.base.address import parse_loopback_port
from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.base.httpserver import Failed, LimitedServer, PlainHandler
from tokenergy_collectors.sources.otlp import messages

PATH = "/v1/metrics"

_AT_ONCE = 4
_REQUEST_S = 10.0
_WAIT_S = 1.0

Take = Callable[[list[Any]], tuple[int, str]]
"""Takes the blocks of a request; returns how many points were refused, and the first reason."""


class OtlpServer:
    """Listens from construction until `close`.

    Args:
        listen: loopback address and port; port 0 takes a free port.
        limit_bytes: a larger request is refused.
        take: see `Take`.
        failed: called for requests that are refused.

    Attributes:
        port: on which it listens.

    Raises:
        UserError: the address cannot be used, or a package is missing.
    """

    def __init__(self, listen: str, limit_bytes: int, take: Take, failed: Failed) -> None:
        messages.load_otlp()
        address = parse_loopback_port(listen)
        family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
        self._server = _Server(
            family,
            (address.host, address.port),
            _Handler,
            at_once=_AT_ONCE,
            wait_s=_WAIT_S,
            request_s=_REQUEST_S,
            failed=failed,
        )
        self._server.limit_bytes, self._server.take = limit_bytes, take
        try:
            self._server.server_bind()
            self._server.server_activate()
        except OSError as error:
            self._server.server_close()
            raise UserError(
                f"otlp.listen: {listen}: {error.strerror}; does another collector of OpenTelemetry "
                "listen there? Take another port, and let it forward"
            ) from None
        self.port: int = self._server.server_address[1]
        self._server.start("otlp")

    def close(self) -> None:
        """Take no more requests."""
        self._server.stop()


class _RefusedError(Exception):
    """A request is not taken: its HTTP status, and why."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status
        self.why = why


class _Handler(PlainHandler):
    """Answers one request."""

    server: _Server

    def do_POST(self) -> None:
        """Take metrics."""
        content = self.headers.get("Content-Type", "").partition(";")[0].strip().lower()
        try:
            if self.path.partition("?")[0] != PATH:
                raise _RefusedError(404, f"only {PATH} is taken here")
            # A web page in a browser of this host may send neither of these types unasked.
            if content not in (messages.PROTOBUF, messages.JSON):
                raise _RefusedError(415, f"expected {messages.PROTOBUF} or {messages.JSON}")
            rejected, why = self.server.take(messages.blocks(self._body(), content))
        except messages.TooLargeError:
            limit = self.server.limit_bytes >> 10
            self._refuse(413, f"more than {limit} KiB: see limit_kib in [otlp]", content)
        except _RefusedError as error:
            self._refuse(error.status, error.why, content)
        except ValueError as error:
            self._refuse(400, str(error), content)
        else:
            self.answer(200, messages.answer(rejected, why, content), content)

    def _body(self) -> bytes:
        length = self.headers.get("Content-Length", "")
        if not (length.isascii() and length.isdigit()):
            raise _RefusedError(411, "expected a Content-Length")
        if len(length) > 12 or int(length) > self.server.limit_bytes:
            raise messages.TooLargeError
        body = self.rfile.read(int(length))
        if len(body) != int(length):
            raise ValueError("the request is cut off")
        coding = self.headers.get("Content-Encoding", "identity").strip().lower()
        if coding == "gzip":
            return messages.unpack(body, self.server.limit_bytes)
        if coding != "identity":
            raise _RefusedError(415, f"Content-Encoding {coding[:40]!r}: expected gzip or none")
        return body

    def _refuse(self, status: int, why: str, content: str) -> None:
        # Other signals sent to the same port are no failure of the metrics.
        if status != 404:
            self.server.failed(f"a request was refused: {why}")
        content = content if content == messages.JSON else messages.PROTOBUF
        self.answer(status, messages.refusal(why, content), content)


class _Server(LimitedServer):
    limit_bytes: int
    take: Take
