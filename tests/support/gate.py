"""Passes requests on to a server, and holds back all of them after the first few.

In: the address of a server. Out: an address that answers the same, until `after` requests were let
through; then `reached` is set, and whoever asks waits until `open` is called.
"""

from __future__ import annotations

import threading
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Gate:
    """A gate before `upstream`; all requests pass while `after` is None."""

    def __init__(self, upstream: str) -> None:
        self.after: int | None = None
        self.reached = threading.Event()
        self._opened = threading.Event()
        gate = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                gate._let_through()
                try:
                    with urllib.request.urlopen(upstream + self.path, timeout=60) as answer:
                        status, body = answer.status, answer.read()
                        kind = answer.headers["Content-Type"]
                except urllib.error.HTTPError as error:
                    status, body, kind = error.code, error.read(), error.headers["Content-Type"]
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args: object) -> None:
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, request: object, client_address: object) -> None:
                """Keep silent: whoever asked was killed."""

        self._server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.02}
        )

    def __enter__(self) -> Gate:
        self._thread.start()
        return self

    def __exit__(self, *args: object) -> None:
        self.open()
        self._server.shutdown()
        self._thread.join(5)
        self._server.server_close()

    def close_after(self, requests: int) -> None:
        """Let so many requests through, and no more."""
        self.reached.clear()
        self._opened.clear()
        self.after = requests

    def open(self) -> None:
        """Let everything through."""
        self.after = None
        self._opened.set()

    def _let_through(self) -> None:
        if self.after is None:
            return
        if self.after == 0:
            self.reached.set()
            self._opened.wait(60)
            return
        self.after -= 1
