"""An HTTP server for one page of metrics, on a loopback port or a Unix socket.

In: a registry and an address. Out: `GET /metrics` in Prometheus or OpenMetrics text, as the client
asks; any other path is 404. A few connections at a time, each with a time limit: a client that
connects and sends nothing delays no other client, and never the sampling.
"""

from __future__ import annotations

import os
import socket
import stat
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

from tokenergy_collectors.base.address import Address
from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.base.httpserver import Failed, LimitedServer, PlainHandler

_AT_ONCE = 8
_REQUEST_S = 5.0
_MODE = 0o660


class MetricsServer:
    """Serves from construction until `close`.

    Args:
        registry: the metrics to serve.
        address: where to listen; port 0 takes a free port.
        failed: called for requests that fail.

    Attributes:
        address: the address to ask, as text, with the actual port.

    Raises:
        UserError: the address cannot be used.
    """

    def __init__(self, registry: CollectorRegistry, address: Address, failed: Failed) -> None:
        self._server = _listen(registry, address, failed)
        self.address = address.text
        self._socket_file: tuple[int, int] | None = None
        if address.path is None:
            host = f"[{address.host}]" if ":" in address.host else address.host
            self.address = f"{host}:{self._server.server_address[1]}"
        else:
            self._socket_file = _identity(Path(address.path))
        self._path = address.path
        self._server.start("metrics")

    def close(self) -> None:
        """Stop serving, and remove the socket's file if it is still the one made here."""
        self._server.stop()
        if self._path is not None and self._socket_file == _identity(Path(self._path)):
            Path(self._path).unlink(missing_ok=True)


class _Handler(PlainHandler):
    """Answers one request."""

    server: _Server

    def do_GET(self) -> None:
        """Serve /metrics; `/` says where it is."""
        path = self.path.partition("?")[0]
        if path == "/metrics":
            encode, kind = choose_encoder(self.headers.get("Accept", ""))
            try:
                body = encode(self.server.registry)
            except Exception as error:  # noqa: BLE001 - becomes an HTTP 500
                self.server.failed(f"the metrics could not be collected: {error!r}")
                self.answer(500, b"the metrics could not be collected; see the collector's log\n")
            else:
                self.answer(200, body, kind)
        elif path == "/":
            self.answer(200, b"tokenergy-collect: the metrics are at /metrics\n")
        else:
            self.answer(404, b"only /metrics is served here\n")


class _Server(LimitedServer):
    registry: CollectorRegistry


def _listen(registry: CollectorRegistry, address: Address, failed: Failed) -> _Server:
    where: Any = address.path
    family: int = socket.AF_UNIX
    if address.path is None:
        family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
        where = (address.host, address.port)
    else:
        _clear(Path(address.path))
    server = _Server(
        family, where, _Handler, at_once=_AT_ONCE, wait_s=0, request_s=_REQUEST_S, failed=failed
    )
    server.registry = registry
    try:
        if address.path is not None:
            # The mode is set before binding, so that other users can connect at no instant. The
            # umask may then remove too much; the `chmod` below restores that.
            os.fchmod(server.fileno(), _MODE)
        server.server_bind()
        if address.path is not None:
            Path(address.path).chmod(_MODE)
        server.server_activate()
    except OSError as error:
        server.server_close()
        raise UserError(f"metrics.listen: {address.text}: {error.strerror}") from None
    return server


def _clear(path: Path) -> None:
    """Remove a socket that an earlier process left behind.

    Raises:
        UserError: a process answers there, or the file is not a socket.
    """
    try:
        if not stat.S_ISSOCK(path.lstat().st_mode):
            raise UserError(f"metrics.listen: {path}: the file exists and is not a socket")
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            probe.settimeout(1.0)
            probe.connect(str(path))
    except (FileNotFoundError, NotADirectoryError):
        return
    except ConnectionRefusedError:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise UserError(f"metrics.listen: {path}: {error.strerror or error}") from None
    else:
        raise UserError(f"metrics.listen: {path}: in use by another process")


def _identity(path: Path) -> tuple[int, int] | None:
    """Return device and inode of a file; None if there is none."""
    try:
        found = path.lstat()
    except OSError:
        return None
    return (found.st_dev, found.st_ino)
