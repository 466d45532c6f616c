"""Real processes that serve a metrics page on loopback, alone or with children."""

import subprocess
import sys

_CODE = """
import http.server, subprocess, sys
worker, page = sys.argv[1] == "worker", sys.argv[2].encode()
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", str(len(page)))
        self.end_headers()
        self.wfile.write(page)
    def log_message(self, *args):
        pass
server = http.server.HTTPServer(("127.0.0.1", int(sys.argv[3])), Handler)
waiting = [sys.executable, "-c", "input()"]
child = subprocess.Popen(waiting, stdin=subprocess.PIPE) if worker else None
print(server.server_address[1], child.pid if child else 0, flush=True)
server.serve_forever()
"""

PAGE = """# TYPE vllm:generation_tokens_total counter
vllm:generation_tokens_total{model_name="m"} 1000
"""


class Server:
    """A process that serves a page, until `stop`; `gpu_pid` is the one that would use a board.

    Args:
        worker: whether that is a child, as with vLLM; else the server itself.
        page: what it serves.
        port: where; any if 0.
    """

    def __init__(self, *, worker=False, page=PAGE, port=0):
        command = [sys.executable, "-c", _CODE, "worker" if worker else "", page, str(port)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        port, child = map(int, self.process.stdout.readline().split())
        self.pid, self.port = self.process.pid, port
        self.gpu_pid = child or self.pid
        self.url = f"http://127.0.0.1:{port}/metrics"

    def stop(self):
        """End it; a child ends with the end of its input."""
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()
