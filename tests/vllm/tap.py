"""Stands between the daemon and the server, and keeps each page that the daemon was given.

In: requests of the daemon. Out: the server's page, byte for byte; no answer where the server gives
none. Without it nobody but the product would know which page it had last seen when the server was
killed in the middle of work.
"""

from __future__ import annotations

import threading
import urllib.request
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

WAIT_S = 120


class Tap:
    """Serves the page of another server, until the end of the `with` block.

    Attributes:
        pages: texts that were handed on, in their order.
        refused: how often the server gave no page.
    """

    def __init__(self, target: str) -> None:
        self.pages: list[str] = []
        self.refused = 0
        self._changed = threading.Condition()
        tap = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                try:
                    with urllib.request.urlopen(target, timeout=20) as answer:
                        body = answer.read()
                except OSError:
                    with tap._changed:
                        tap.refused += 1
                        tap._changed.notify_all()
                    return
                self.send_response(200)
                self.send_header("Content-Type", answer.headers["Content-Type"])
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)
                with tap._changed:
                    tap.pages.append(body.decode())
                    tap._changed.notify_all()

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/metrics"

    def __enter__(self) -> Tap:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def wait(self, found: Callable[[Tap], bool]) -> None:
        """Wait until the daemon has asked, and what it was given is as asked here."""
        with self._changed:
            assert self._changed.wait_for(lambda: found(self), WAIT_S), "the daemon does not ask"
