"""A real Prometheus server (the package `prometheus` of Debian) in a process of its own."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_READY_S = 60.0


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def missing() -> str | None:
    """Why no Prometheus can be started here; None if it can."""
    if shutil.which("prometheus") and shutil.which("promtool"):
        return None
    return "no prometheus and promtool here: apt-get install prometheus"


class Prometheus:
    """A server with a folder of its own; `targets` are scraped, by name of their job.

    Args:
        folder: for its configuration and its blocks.
        targets: addresses (HOST:PORT) by job.
        every: how often they are scraped.
        labels: labels that it adds to the series of a job.
    """

    def __init__(
        self,
        folder: Path,
        targets: dict[str, str] | None = None,
        every: str = "15s",
        labels: dict[str, dict[str, str]] | None = None,
    ) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        jobs = [
            {
                "job_name": job,
                "honor_labels": True,
                "static_configs": [{"targets": [at], "labels": (labels or {}).get(job, {})}],
            }
            for job, at in (targets or {}).items()
        ]
        config = {
            "global": {"scrape_interval": every, "scrape_timeout": every},
            "scrape_configs": jobs,
        }
        (folder / "prometheus.yml").write_text(json.dumps(config))  # JSON is YAML
        self.url = ""

    def backfill(self, text: str) -> None:
        """Make blocks of samples in OpenMetrics text; before the server starts."""
        path = self.folder / "samples.txt"
        path.write_text(text)
        subprocess.run(
            ["promtool", "tsdb", "create-blocks-from", "openmetrics", path, self.folder / "data"],
            check=True,
            stdout=subprocess.DEVNULL,
        )

    def __enter__(self) -> Prometheus:
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        self._log = (self.folder / "log").open("w")
        self._process = subprocess.Popen(
            [
                "prometheus",
                f"--config.file={self.folder / 'prometheus.yml'}",
                f"--storage.tsdb.path={self.folder / 'data'}",
                f"--web.listen-address=127.0.0.1:{port}",
                "--storage.tsdb.retention.time=100y",
            ],
            stdout=self._log,
            stderr=subprocess.STDOUT,
        )
        deadline_s = time.monotonic() + _READY_S
        while not answers(f"{self.url}/-/ready"):
            assert self._process.poll() is None, (self.folder / "log").read_text()
            assert time.monotonic() < deadline_s, (self.folder / "log").read_text()
            time.sleep(0.05)
        return self

    def __exit__(self, *args: object) -> None:
        self._process.terminate()
        self._process.wait(30)
        self._log.close()

    def value(self, query: str) -> float | None:
        """The first value that an instant query gives now."""
        address = f"{self.url}/api/v1/query?query={query}"
        with urllib.request.urlopen(address, timeout=10) as answer:
            found = json.load(answer)["data"]["result"]
        return float(found[0]["value"][1]) if found else None


def answers(address: str) -> bool:
    """Whether a server answers with 200."""
    try:
        with urllib.request.urlopen(address, timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


@contextmanager
def victoria_metrics(folder: Path, text: str) -> Iterator[str]:
    """A VictoriaMetrics (Debian's package) with samples in OpenMetrics text; yields its address."""
    url = f"http://127.0.0.1:{free_port()}"
    options = {"storageDataPath": folder, "retentionPeriod": "100y", "httpListenAddr": url[7:]}
    command = ["victoria-metrics", *(f"-{name}={value}" for name, value in options.items())]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        deadline_s = time.monotonic() + _READY_S
        while not answers(f"{url}/health"):
            assert process.poll() is None
            assert time.monotonic() < deadline_s
            time.sleep(0.05)
        # It takes stamps in milliseconds where OpenMetrics has seconds.
        parts = [line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#")]
        lines = [f"{series} {round(float(stamp) * 1_000)}" for series, stamp in parts]
        body = "\n".join([*lines, ""]).encode()
        urllib.request.urlopen(f"{url}/api/v1/import/prometheus", body, timeout=60).close()
        urllib.request.urlopen(f"{url}/internal/force_flush", timeout=60).close()
        yield url
    finally:
        process.terminate()
        process.wait(30)
