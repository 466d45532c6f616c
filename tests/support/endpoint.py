"""A loopback HTTP server whose answer a test may change."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Endpoint:
    """Serves `body` with `status`; or, as `raw`, the very bytes of an answer.

    With `pause` it waits for the event before it answers. `headers` are those of the last request.
    """

    def __init__(self):
        self.body: str | bytes = ""
        self.status = 200
        self.headers: dict[str, str] = {}
        self.raw: bytes | None = None
        self.pause: threading.Event | None = None
        self.asked = threading.Semaphore(0)
        endpoint = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                endpoint.headers = dict(self.headers)
                endpoint.asked.release()
                if endpoint.pause is not None:
                    endpoint.pause.wait(20)
                if endpoint.raw is not None:
                    self.wfile.write(endpoint.raw)
                    return
                body = endpoint.body
                body = body.encode() if isinstance(body, str) else body
                self.send_response(endpoint.status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args):
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 16

            def handle_error(self, request, client_address):
                pass

        self._server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/metrics"
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.02}
        )

    def wrap(self, context):
        """Speak TLS from now on."""
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *args):
        if self.pause is not None:
            self.pause.set()
        self._server.shutdown()
        self._thread.join(5)
        self._server.server_close()
