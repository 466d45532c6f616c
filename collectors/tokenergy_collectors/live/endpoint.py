"""The metrics endpoint of one process: off, or on at an address that a reload may change.

In: the configuration, at start and at every reload. Out: a server that shows the live view. The
view and its counters stay the same over reloads. The server's modules are imported only if it is
on.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from tokenergy_collectors.base.address import parse_listen
from tokenergy_collectors.base.logs import Log
from tokenergy_collectors.live.view import LiveView
from tokenergy_collectors.settings.config import Config

if TYPE_CHECKING:
    from tokenergy_collectors.live.server import MetricsServer


class Endpoint:
    """Serves a view at the configured address; methods may be called from several threads.

    Args:
        view: the view to serve.
    """

    def __init__(self, view: LiveView) -> None:
        self._view = view
        self._lock = threading.Lock()
        self._closed = False
        self._listen: str | None = None
        self._server: MetricsServer | None = None

    def follow(self, config: Config) -> None:
        """Serve at the address of a configuration; do nothing if it is the current one.

        Raises:
            UserError: the address cannot be used; then the old server continues.
        """
        listen = config.metrics.listen
        with self._lock:
            if listen == self._listen or self._closed:
                return
            # The new server first: if it fails, the old one is still there.
            server = None if listen is None else self._serve(listen, Log(config.log_format))
            self._stop()
            self._listen, self._server = listen, server

    def close(self) -> None:
        """Stop serving and do not start again."""
        with self._lock:
            self._closed = True
            self._stop()

    def _serve(self, listen: str, log: Log) -> MetricsServer:
        # Imported here: a collector without an endpoint never needs these modules.
        from prometheus_client import CollectorRegistry

        from tokenergy_collectors.live.exposition import ViewCollector
        from tokenergy_collectors.live.server import MetricsServer

        registry = CollectorRegistry()
        registry.register(ViewCollector(self._view))
        server = MetricsServer(
            registry, parse_listen(listen), lambda why: log.warning("metrics_failed", why=why)
        )
        log.info("metrics", listen=server.address)
        return server

    def _stop(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
