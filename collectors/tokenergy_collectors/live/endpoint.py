"""The endpoint of one process: off, or on at an address that a reload may change.

In: the configuration, at start and at every reload. Out: a server that shows the live view, which
stays the same throughout, and so do its counters. What serves is loaded only where it is wanted.
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
    """Serves a view where the configuration says. Methods may be called from several threads.

    Args:
        view: what is shown.
    """

    def __init__(self, view: LiveView) -> None:
        self._view = view
        self._lock = threading.Lock()
        self._closed = False
        self._listen: str | None = None
        self._server: MetricsServer | None = None

    def follow(self, config: Config) -> None:
        """Serve where a configuration says; what does not change is left alone.

        Raises:
            UserError: the address cannot be had; then nothing has changed.
        """
        listen = config.metrics.listen
        with self._lock:
            if listen == self._listen or self._closed:
                return
            server = None if listen is None else self._serve(listen, Log(config.log_format))
            self._stop()
            self._listen, self._server = listen, server

    def close(self) -> None:
        """Stop serving, for good."""
        with self._lock:
            self._closed = True
            self._stop()

    def _serve(self, listen: str, log: Log) -> MetricsServer:
        from prometheus_client import CollectorRegistry

        from tokenergy_collectors.live.exposition import ViewCollector
        from tokenergy_collectors.live.server import MetricsServer

        registry = CollectorRegistry()
        registry.register(ViewCollector(self._view))
        server = MetricsServer(
            registry, parse_listen(listen), lambda why: log.warning("metrics_failed", why=why)
        )
        log.info("metrics", listen=server.told)
        return server

    def _stop(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
