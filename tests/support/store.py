"""A small store in the process of a test that answers Prometheus' HTTP API from plain data.

In: series as labels and points. Out: `/api/v1/query` with a range selector, and the names of
metrics; or whatever odd answer a test sets.
"""

from __future__ import annotations

import json
import re
import ssl
import threading
import urllib.parse
from collections.abc import Callable, Mapping, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Point = tuple[float, float]
"""Unix seconds and a value."""

_SELECTOR = re.compile(r"\{(?P<matchers>.*)\}\[(?P<seconds>\d+)s\]")
_MATCHER = re.compile(r'(\w+)(=~|=)"((?:[^"\\]|\\.)*)"')

Answer = tuple[int, str, bytes]
"""Status, media type and body."""


class Store:
    """Serves series at `url`.

    Attributes:
        series: labels (with `__name__`) and points, ascending.
        odd: answers in place of the store's where it returns one; takes path and parameters.
        most: samples that one answer may hold; more is HTTP 422, as Prometheus says it.
        asked: the queries so far.
        headers: of the last request.
        more: further keys of each answer.
        cut: what of an answer is sent; less than it promises.
        closed_start: whether a range holds its first instant, as before Prometheus 3.
    """

    def __init__(self) -> None:
        self.series: list[tuple[dict[str, str], list[Point]]] = []
        self.odd: Callable[[str, Mapping[str, str]], Answer | None] = lambda _path, _of: None
        self.most = 10**9
        self.asked: list[str] = []
        self.headers: dict[str, str] = {}
        self.closed_start = True
        self.more: dict[str, Any] = {}
        self.cut: Callable[[bytes], bytes] = lambda body: body
        store = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                store.headers = {name.lower(): text for name, text in self.headers.items()}
                path, _, query = self.path.partition("?")
                status, kind, body = store.answer(path, dict(urllib.parse.parse_qsl(query)))
                self.send_response(status)
                self.send_header("Content-Type", kind)
                if 300 <= status < 400:
                    self.send_header("Location", body.decode())
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(store.cut(body))

            def log_message(self, *args: object) -> None:
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, request: object, client_address: object) -> None:
                """Keep silent: a client that trusts nobody goes away."""

        self._server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.02}
        )

    def wrap(self, context: ssl.SSLContext) -> None:
        """Serve behind TLS from now on."""
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.url = self.url.replace("http:", "https:")

    def __enter__(self) -> Store:
        self._thread.start()
        return self

    def __exit__(self, *args: object) -> None:
        self._server.shutdown()
        self._thread.join(5)
        self._server.server_close()

    def add(self, name: str, points: Sequence[Point], /, **labels: str) -> None:
        """Add a series."""
        self.series.append(({"__name__": name, **labels}, list(points)))

    def answer(self, path: str, parameters: Mapping[str, str]) -> Answer:
        found = self.odd(path, parameters)
        if found is not None:
            return found
        if path == "/api/v1/label/__name__/values":
            pattern = re.compile(parameters["match[]"].removeprefix('{__name__=~"')[:-2])
            start_s, end_s = float(parameters["start"]), float(parameters["end"])
            names = {
                labels["__name__"]
                for labels, points in self.series
                if any(start_s <= ts_s <= end_s for ts_s, _ in points)
            }
            return self._success(sorted(name for name in names if pattern.fullmatch(name)))
        if path == "/api/v1/query":
            self.asked.append(parameters["query"])
            return self._matrix(parameters["query"], float(parameters["time"]))
        return 404, "text/plain", b"404 page not found\n"

    def _matrix(self, query: str, end_s: float) -> Answer:
        selector = _SELECTOR.fullmatch(query)
        assert selector is not None, query
        start_s = end_s - int(selector["seconds"])
        result, count = [], 0
        for labels, points in self.series:
            if not all(
                re.fullmatch(text.replace("\\\\", "\\"), labels.get(name, ""))
                if sign == "=~"
                else labels.get(name, "") == text
                for name, sign, text in _MATCHER.findall(selector["matchers"])
            ):
                continue
            inside = [
                [ts_s, repr(value)]
                for ts_s, value in points
                if (start_s <= ts_s if self.closed_start else start_s < ts_s) and ts_s <= end_s
            ]
            count += len(inside)
            if inside:
                result.append({"metric": labels, "values": inside})
        if count > self.most:
            said = "query processing would load too many samples into memory in query execution"
            return 422, "application/json", _json({"status": "error", "error": said})
        return self._success({"resultType": "matrix", "result": result})

    def _success(self, data: object) -> Answer:
        return 200, "application/json", _json({"status": "success", "data": data, **self.more})


def _json(told: object) -> bytes:
    return json.dumps(told).encode()
