"""20 virtual minutes of an emulated node, as a Prometheus would have scraped its pages."""

from __future__ import annotations

import threading
import tomllib
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from tests.support.exporters import Exporter, engine_page, open_metrics
from tokenergy_collectors.base.clock import VirtualClock
from tokenergy_collectors.emulate.profile.profile import Profile
from tokenergy_collectors.emulate.run.node import EmulatedNode

MINUTES = 22
EVERY_US = 15_000_000
PHASE_US = 7_311_000
"""The first scrape: stamps of a real Prometheus are whole milliseconds, not whole seconds."""

PROFILE = """
name = "scraped"
start = 2026-01-15T08:50:00Z
duration_s = 1320
seed = 11

[boards.h100]
name = "NVIDIA H100 80GB HBM3"
idle_w = 80
idle_spread_w = 10
limit_w = 700
load_spread = 0.015

[nodes.gpu-a]
boards = "h100"
count = 4

[[jobs]]
id = "chat-0"
devices = { gpu-a = [0, 1] }
start_s = 63.5
end_s = 1190.25

[jobs.workload]
type = "inference"
model = "m-8b"
log = "azure_conv"
rate = 2.0
load_s = 30
cached_fraction = 0.5
step_us = 6_500
per_sequence_us = 60
per_prompt_token_us = 32

[[jobs]]
id = "train-0"
devices = { gpu-a = [2] }
start_s = 40
end_s = 500
workload = { type = "training", model = "m-1b", tokens_per_step = 1000, load_s = 2 }

[[jobs]]
id = "swing-0"
devices = { gpu-a = [2] }
start_s = 530
end_s = 1250

[jobs.workload]
type = "periodic"
model = "m"
frequency_hz = 0.011
high_w = 680
low_w = 120
tokens_per_period = 3

[[jobs]]
id = "short-0"
devices = { gpu-a = [3] }
start_s = 300
end_s = 480
workload = { type = "training", model = "m-1b", tokens_per_step = 500, load_s = 20 }
"""

Points = dict[str, list[tuple[str, str, int]]]


def history(every_us: int = EVERY_US, exporter_us: int = 30_000_000) -> tuple[str, list[Any]]:
    """Scrapes of a node as OpenMetrics text, and the truth about it."""
    profile = Profile.model_validate(tomllib.loads(PROFILE))
    clock = VirtualClock(profile.start_us)
    origin_us = clock.monotonic_us()
    points: Points = {}
    with EmulatedNode(profile, "gpu-a", clock) as node:
        exporter = Exporter(node, exporter_us, phase_us=11_000_000)
        for at_us in range(PHASE_US, profile.duration_us, every_us):
            clock.sleep_until(origin_us + at_us, threading.Event())
            scrape(points, node, exporter, at_us)
        clock.sleep_until(origin_us + profile.duration_us, threading.Event())
        truth = node.truth()
    return open_metrics(points), truth


def scrape(points: Points, node: EmulatedNode, exporter: Exporter, at_us: int) -> None:
    """Add what a Prometheus reads from all pages of a node at a time of the profile."""
    ts_us = node.start_us + at_us
    for metric, series in exporter.samples(at_us).items():
        for labels, value in series:
            full = f'{labels},instance="gpu-a:9400",job="dcgm"'
            points.setdefault(metric, []).append((full, value, ts_us))
    for port, source in enumerate(node.sources, 8000):
        text = engine_page(source.url)
        for family in text_string_to_metric_families(text or ""):
            for sample in family.samples:
                if sample.name.endswith("_created"):
                    continue
                labels = {
                    **sample.labels, "instance": f"gpu-a:{port}", "job": "engines",
                    "namespace": "ml", "pod": source.job_id,
                }  # fmt: skip
                full = ",".join(f'{name}="{text}"' for name, text in labels.items())
                points.setdefault(sample.name, []).append((full, repr(sample.value), ts_us))
