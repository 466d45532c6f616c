"""An S3-speaking server of our own, and a wire to it that can be cut, or fall silent.

In: nothing. Out: addresses to give to an uploader. The server is moto's, in a process of its own;
it holds everything in memory, so that a new one is empty. The wire is a TCP proxy.
"""

from __future__ import annotations

import os
import random
import re
import socket
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import s3fs

BUCKET = "tokenergy"
ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "tests",
    "AWS_SECRET_ACCESS_KEY": "tests",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
}
_CREDENTIALS = {"key": "tests", "secret": "tests"}
_START_S = 60.0


def free_port() -> int:
    """Return a port that stays free: it is below those that the kernel gives to connections."""
    first = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    for port in random.sample(range(10_000, max(first, 12_000)), 100):
        with suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port
    raise OSError(f"no free port below {first}")


class Server:
    """moto's server on a port of its own, with one bucket; may be killed and started anew.

    Args:
        log: file that gets a line for each request.
    """

    def __init__(self, log: Path | None = None) -> None:
        self._log = log
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._process: subprocess.Popen[bytes] | None = None
        self._fs: Any = None

    def start(self, *, bucket: bool = True) -> Server:
        words = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(self.port)]
        with (self._log or Path(os.devnull)).open("ab") as log:
            self._process = subprocess.Popen(words, stdout=log, stderr=log)
        until_s = time.monotonic() + _START_S
        while time.monotonic() < until_s:
            with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
                break
            time.sleep(0.05)
        if bucket:
            self.fs().call_s3("create_bucket", Bucket=BUCKET)
        return self

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = self._fs = None

    def requests(self) -> list[str]:
        """Return the requests that the server has answered: `GET /bucket/name`."""
        assert self._log is not None
        text = self._log.read_text("utf-8")
        return re.findall(r'"((?:GET|HEAD|PUT|POST|DELETE) \S+) HTTP', text)

    def fs(self) -> Any:
        """Return a way to the server that goes by no wire of ours and caches nothing."""
        if self._fs is None:  # the client takes a while to read what S3 can do
            self._fs = s3fs.S3FileSystem(
                **_CREDENTIALS,
                endpoint_url=self.url,
                client_kwargs={"region_name": "us-east-1"},
                use_listings_cache=False,
                skip_instance_cache=True,
            )
        return self._fs

    def names(self, prefix: str = "") -> list[str]:
        """Return the names of all objects below a prefix, without it."""
        base = f"{BUCKET}/{prefix}".rstrip("/")
        return sorted(name.removeprefix(f"{base}/") for name in self.fs().find(base))

    def download(self, folder: Path, prefix: str = "") -> None:
        """Write every object below a prefix to a folder."""
        fs = self.fs()
        base = f"{BUCKET}/{prefix}".rstrip("/")
        for name in self.names(prefix):
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(fs.cat_file(f"{base}/{name}"))


class Wire:
    """A TCP proxy. `cut` ends all connections and refuses new ones; `hang` takes, and is silent.

    Attributes:
        hung: set when the wire hangs.
    """

    def __init__(self, port: int) -> None:
        self._to = port
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.silent = False
        self.hung = threading.Event()
        self.connections = 0
        self._puts_left: int | None = None
        self._listener: socket.socket | None = None
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        self.mend()

    def mend(self) -> None:
        """Let connections through."""
        self.silent = False
        self._puts_left = None
        if self._listener is None:
            self._listener = socket.create_server(("127.0.0.1", self.port))
            threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def cut(self) -> None:
        """End everything, in the midst of whatever it carries."""
        listener, self._listener = self._listener, None
        if listener is not None:
            with suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            listener.close()
        self._end_all()

    def hang(self) -> None:
        """Take connections and bytes, and pass nothing on."""
        self.silent = True
        self._end_all()
        self.hung.set()

    def hang_after(self, puts: int) -> None:
        """Pass some requests to put an object on, and hang at the next one."""
        self._puts_left = puts

    def _end_all(self) -> None:
        with self._lock:
            ended, self._open = self._open, set()
        for end in ended:
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                near, _ = listener.accept()
                self.connections += 1
                far = None if self.silent else socket.create_connection(("127.0.0.1", self._to))
            except OSError:
                if self._listener is not listener:
                    return
                near.close()
                continue
            with self._lock:
                self._open.update(end for end in (near, far) if end is not None)
            if far is not None:
                for source, sink in ((near, far), (far, near)):
                    threading.Thread(target=self._carry, args=(source, sink), daemon=True).start()

    def _carry(self, source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(1 << 16):
                if data.startswith(b"PUT ") and self._puts_left is not None:
                    if not self._puts_left:
                        self.hang()
                        return
                    self._puts_left -= 1
                sink.sendall(data)
        for end in (source, sink):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()
            with self._lock:
                self._open.discard(end)


def set_environment(patch: Any) -> None:
    """Give this process the credentials of the server, and no others (a pytest MonkeyPatch)."""
    for name in list(os.environ):
        if name.startswith("AWS_"):
            patch.delenv(name)
    for name, value in ENVIRONMENT.items():
        patch.setenv(name, value)
