"""A real Prometheus server (the package `prometheus` of Debian) in a process of its own."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path

_READY_S = 60.0


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
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
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
        while not self._is_ready():
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

    def _is_ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/-/ready", timeout=5) as answer:
                return answer.status == 200
        except (urllib.error.URLError, OSError):
            return False
