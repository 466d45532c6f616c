"""Token endpoints: real HTTP servers on the loopback, in Prometheus text.

In: a function that reads a job's counters now, or returns None while its process does not run.
Out: `GET /metrics` as vLLM (for inference) or a training loop serves it, and 503 while no process
runs. Connections are kept alive; requests may come from several threads at once.
"""

from __future__ import annotations

import contextlib
import logging
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import accumulate
from socketserver import ThreadingTCPServer
from typing import Any

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.base.httpserver import PlainHandler
from tokenergy_collectors.emulate.workloads.request_record import BUCKETS_S, Told

_LOG = logging.getLogger(__name__)
_JOIN_S = 5.0

COUNTERS = {
    "prompt": ("vllm:prompt_tokens", "Number of prefill tokens processed."),
    "prompt_cached": ("vllm:prompt_tokens_cached", "Number of prompt tokens found in a cache."),
    "generated": ("vllm:generation_tokens", "Number of generation tokens processed."),
    "trained": ("tokenergy_trained_tokens", "Number of tokens trained on."),
}
"""Metric name (without `_total`) and help of each counter. `prompt` includes cache hits."""

GAUGES = {
    "running": ("vllm:num_requests_running", "Number of requests in model execution batches."),
    "waiting": ("vllm:num_requests_waiting", "Number of requests waiting to be processed."),
}

FINISHED = ("vllm:request_success", "Count of successfully processed requests.")
"""Metric name (without `_total`) and help of the request counter."""

LATENCIES = {
    "ttft": ("vllm:time_to_first_token_seconds", "Histogram of time to first token in seconds."),
    "tpot": (
        "vllm:request_time_per_output_token_seconds",
        "Histogram of time_per_output_token_seconds per request.",
    ),
    "e2e": ("vllm:e2e_request_latency_seconds", "Histogram of e2e request latency in seconds."),
}
"""Metric name and help of each latency."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What a job's process would report at one moment.

    Attributes:
        counters: cumulative tokens, by keys of COUNTERS.
        gauges: current values, by keys of GAUGES.
        since_s: start of the process, Unix time in seconds.
        requests: what it tells of requests, if anything.
    """

    counters: dict[str, int]
    gauges: dict[str, int]
    since_s: float
    requests: Told | None = None


class _GoneError(Exception):
    """No process runs that could answer."""


class _JobCollector(Collector):
    """Turns a job's snapshot into metric families."""

    def __init__(self, read: Callable[[], Snapshot | None], labels: dict[str, str]) -> None:
        self._read = read
        self._labels = labels

    def describe(self) -> list[Metric]:
        """Name nothing in advance, so that registering does not read."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Yield the families of one consistent snapshot."""
        snapshot = self._read()
        if snapshot is None:
            raise _GoneError
        names, values = list(self._labels), list(self._labels.values())
        for key, value in snapshot.counters.items():
            counter = CounterMetricFamily(*COUNTERS[key], labels=names)
            counter.add_metric(values, value)
            yield counter
        for key, value in snapshot.gauges.items():
            gauge = GaugeMetricFamily(*GAUGES[key], labels=names)
            gauge.add_metric(values, value)
            yield gauge
        if snapshot.requests is not None:
            yield from request_families(snapshot.requests, names, values)
        yield GaugeMetricFamily(
            "process_start_time_seconds",
            "Start time of the process since unix epoch in seconds.",
            value=snapshot.since_s,
        )


def request_families(told: Told, names: list[str], values: list[str]) -> Iterator[Metric]:
    """Yield the request counters and latency histograms of vLLM.

    Args:
        told: what the server tells.
        names: labels of every sample.
        values: of these labels.
    """
    finished = CounterMetricFamily(*FINISHED, labels=[*names, "finished_reason"])
    for reason, count in (("stop", told.finished), ("length", 0), ("abort", 0)):
        finished.add_metric([*values, reason], count)
    yield finished
    for name, of_name in told.latencies.items():
        family = HistogramMetricFamily(*LATENCIES[name], labels=names)
        edges = [*(str(edge_s) for edge_s in BUCKETS_S[name]), "+Inf"]
        buckets = list(zip(edges, accumulate(of_name.counts), strict=True))
        family.add_metric(values, buckets, of_name.sum_s)
        yield family


class _Handler(PlainHandler):
    """Answers one connection, request after request."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def do_GET(self) -> None:
        """Serve /metrics."""
        if self.path.partition("?")[0] != "/metrics":
            self.answer(404, b"only /metrics is served here\n")
            return
        try:
            body = generate_latest(self.server.registry)
        except _GoneError:
            self.answer(503, b"the process does not run\n")
        else:
            self.answer(200, body, CONTENT_TYPE_LATEST)


class _Server(ThreadingTCPServer):
    """A threading server that can end its connections.

    Unlike `HTTPServer`, it does not look up the host name when it binds: that may take seconds.
    """

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, port: int, registry: CollectorRegistry) -> None:
        self.registry = registry
        self.live: dict[socket.socket, threading.Thread] = {}
        super().__init__(("127.0.0.1", port), _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Serve a connection in a thread of its own, and remember both."""
        thread = threading.Thread(
            target=self.process_request_thread, args=(request, client_address), daemon=True
        )
        self.live[request] = thread
        thread.start()

    def shutdown_request(self, request: Any) -> None:
        """Forget a connection that has ended."""
        self.live.pop(request, None)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Log what went wrong, unless the client only closed the connection."""
        error = sys.exception()
        if not isinstance(error, ConnectionError):
            _LOG.error("token endpoint: a request failed: %r", error)


class MetricsServer:
    """One token endpoint, served from construction until `close`.

    Args:
        read: returns the job's snapshot, or None while its process does not run.
        labels: labels of every sample.
        port: TCP port on 127.0.0.1; 0 takes a free one.

    Raises:
        UserError: the port is taken, or may not be used.
    """

    def __init__(
        self, read: Callable[[], Snapshot | None], labels: dict[str, str], port: int = 0
    ) -> None:
        registry = CollectorRegistry()
        registry.register(_JobCollector(read, labels))
        try:
            self._server = _Server(port, registry)
        except OSError as error:
            raise UserError(f"port {port} on 127.0.0.1: {error.strerror}") from None
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/metrics"
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True
        )
        self._thread.start()

    def close(self) -> None:
        """Stop serving, end open connections and wait for their threads."""
        self._server.shutdown()
        # Before the connections: no new one may be accepted while the open ones are ended.
        self._thread.join(_JOIN_S)
        for connection, thread in list(self._server.live.items()):
            with contextlib.suppress(OSError):  # its thread may have closed it meanwhile
                connection.shutdown(socket.SHUT_RDWR)
            thread.join(_JOIN_S)
        self._server.server_close()
