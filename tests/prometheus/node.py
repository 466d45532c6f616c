"""An emulated node in real time; a real Prometheus scrapes its pages until its profile is over."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from tests.support.exporters import Exporter
from tests.support.prometheus import Prometheus
from tokenergy_collectors.base.clock import SystemClock
from tokenergy_collectors.emulate.profile.profile import Profile
from tokenergy_collectors.emulate.run.node import EmulatedNode

PROFILE = {
    "name": "live",
    "start": "2026-01-15T08:00:00Z",
    "duration_s": 52.0,
    "seed": 3,
    "boards": {"h100": {"name": "NVIDIA H100 80GB HBM3", "idle_w": 80, "limit_w": 700}},
    "nodes": {"gpu-a": {"boards": "h100", "count": 2}},
    "jobs": [
        {
            "id": "chat-0",
            "devices": {"gpu-a": [0]},
            "start_s": 4.0,
            "end_s": 46.0,
            "workload": {
                "type": "inference", "model": "m-8b", "log": "azure_conv", "rate": 2.0,
                "load_s": 2.0, "step_us": 6_500, "per_sequence_us": 60, "per_prompt_token_us": 32,
            },
        },
        {
            "id": "train-0",
            "devices": {"gpu-a": [1]},
            "start_s": 8.0,
            "end_s": 44.5,
            "workload": {"type": "training", "model": "m", "tokens_per_step": 1_000, "load_s": 1.0},
        },
    ],
}  # fmt: skip


@contextmanager
def live_node(folder: Path) -> Iterator[tuple[Prometheus, list[dict[str, Any]]]]:
    """Yield a Prometheus that has scraped the whole of a node's profile, and the truth."""
    profile = Profile.model_validate(PROFILE, strict=False)
    with EmulatedNode(profile, "gpu-a", SystemClock()) as node, _page(node) as page:
        targets = {"dcgm": page} | {
            f"engine-{source.job_id}": source.url.removeprefix("http://").partition("/")[0]
            for source in node.sources
        }
        labels = {
            f"engine-{source.job_id}": {"namespace": "ml", "pod": source.job_id}
            for source in node.sources
        }
        with Prometheus(folder / "prometheus", targets, "2s", labels) as server:
            _wait_until_scraped(server, node)
            yield server, node.truth()


def _wait_until_scraped(server: Prometheus, node: EmulatedNode) -> None:
    """Wait until the server has a scrape from after the end of the profile."""
    end_s = (node.start_us + node.duration_us) / 1e6
    deadline_s = time.monotonic() + node.duration_us / 1e6 + 60
    while (server.value("max(timestamp(DCGM_FI_DEV_POWER_USAGE))") or 0) < end_s:
        assert time.monotonic() < deadline_s, "Prometheus does not scrape"
        time.sleep(0.2)


@contextmanager
def _page(node: EmulatedNode) -> Iterator[str]:
    """Serve the exporter's page; yield its HOST:PORT."""
    exporter = Exporter(node, every_us=2_000_000)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = exporter.page(min(node.now_us(), node.duration_us)).encode()
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join(5)
        server.server_close()
