"""Token counters of the decoding loop, served as vLLM serves its own.

In: tokens as they are computed. Out: an endpoint a job on loopback, in Prometheus text format.
"""

from __future__ import annotations

import threading
from types import TracebackType
from wsgiref.simple_server import WSGIServer

from prometheus_client import CollectorRegistry, Counter, start_http_server


class Counting:
    """The counters of one job, served until the end of the `with` block.

    Args:
        model: label of the series.

    Attributes:
        prompt: prompt tokens computed so far.
        generated: tokens generated so far.
        url: where the counters are served.
    """

    def __init__(self, model: str) -> None:
        registry = CollectorRegistry()
        self._counters = [
            Counter(f"vllm:{name}", f"{name} so far", ["model_name"], registry=registry).labels(
                model
            )
            for name in ("prompt_tokens", "generation_tokens")
        ]
        self.prompt = self.generated = 0
        self._server: WSGIServer
        self._thread: threading.Thread
        self._server, self._thread = start_http_server(0, addr="127.0.0.1", registry=registry)
        self.url = f"http://127.0.0.1:{self._server.server_port}/metrics"

    def add(self, prompt: int, generated: int) -> None:
        """Count tokens that were just computed."""
        self.prompt += prompt
        self.generated += generated
        for counter, tokens in zip(self._counters, (prompt, generated), strict=True):
            counter.inc(tokens)

    def __enter__(self) -> Counting:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
