"""Token endpoints that answer once as they should, and from then on as no server should.

In: nothing. Out: an address of each. What they did is counted, so that a test sees they were met.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

GOOD = b"vllm:generation_tokens_total 7\n"
HUGE_BYTES = 100 << 20
PIECE = b"# " + b"x" * 8189 + b"\n"

Answer = Callable[[BaseHTTPRequestHandler, threading.Event], None]


def send(peer: BaseHTTPRequestHandler, body: bytes) -> None:
    """Answer with a page."""
    peer.send_response(200)
    peer.send_header("Content-Length", str(len(body)))
    peer.end_headers()
    peer.wfile.write(body)


def hang(_: BaseHTTPRequestHandler, over: threading.Event) -> None:
    """Take the request, and never answer."""
    over.wait()


def huge(peer: BaseHTTPRequestHandler, _: threading.Event) -> None:
    """Send a page of 100 MB, as fast as it is taken."""
    peer.send_response(200)
    peer.send_header("Content-Length", str(HUGE_BYTES))
    peer.end_headers()
    for _number in range(HUGE_BYTES // len(PIECE)):
        peer.wfile.write(PIECE)


def endless(peer: BaseHTTPRequestHandler, over: threading.Event) -> None:
    """Send a chunk now and then, and never the last one."""
    peer.wfile.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    while not over.wait(0.01):
        peer.wfile.write(b"2\r\n#\n\r\n")


def elsewhere(peer: BaseHTTPRequestHandler, _: threading.Event) -> None:
    """Send whoever asks to another server."""
    peer.send_response(302)
    peer.send_header("Location", "http://127.0.0.2:9/metrics")
    peer.send_header("Content-Length", "0")
    peer.end_headers()


def controls(peer: BaseHTTPRequestHandler, _: threading.Event) -> None:
    """Send names that clear the screen and set the title of a terminal."""
    send(
        peer,
        b'vllm:generation_tokens_total\x1b[2J{model_name="m"} 8\n'
        b'vllm:generation_tokens_total{\x1b]0;owned\x07="m"} 8\n',
    )


HOSTILE: dict[str, Answer] = {
    "hanging": hang,
    "huge": huge,
    "endless": endless,
    "elsewhere": elsewhere,
    "controls": controls,
}


class Hostile:
    """One such endpoint, until the end of the `with` block.

    Attributes:
        asked: how often it was asked.
    """

    def __init__(self, answer: Answer) -> None:
        self.asked = 0
        self._over = over = threading.Event()
        hostile = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                hostile.asked += 1
                # The daemon hangs up: that is what it should do.
                with suppress(OSError):
                    if hostile.asked == 1:
                        send(self, GOOD)
                    else:
                        answer(self, over)

            def log_message(self, *_: object) -> None:
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True

        self._server = Server(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/metrics"

    def __enter__(self) -> Hostile:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
