"""Random fleets, scraped rarely and often, by exporters slow and fast: bounds hold every job.

In the process, with a small store in place of a Prometheus: half an hour of four boards each.
"""

from __future__ import annotations

import random
import re
import threading
from pathlib import Path
from typing import Any

import pytest

from tests.support.exporters import Exporter
from tests.support.ledger import ask
from tests.support.store import Point, Store
from tokenergy_collectors.base.clock import VirtualClock
from tokenergy_collectors.emulate.profile.profile import Profile
from tokenergy_collectors.emulate.run.node import EmulatedNode
from tokenergy_collectors.importers.prometheus.client import Client, Door
from tokenergy_collectors.importers.prometheus.plan import order
from tokenergy_collectors.importers.prometheus.run import import_prometheus
from tokenergy_collectors.lake import Lake
from tokenergy_sql.index.pipeline import index
from tokenergy_sql.index.site import Site
from tokenergy_transforms.aggregate import aggregate, worklist
from tokenergy_transforms.inventory import read_inventory

pytestmark = pytest.mark.e2e

LENGTH_S = 1_800
BOARDS = ("h100", "a100", "v100", "rtx4090")
SCRAPES_S = (5, 15, 30, 60)
EXPORTERS_S = (1, 10, 30, 60)


def workload(chance: random.Random) -> dict[str, Any]:
    """A load that swings faster or slower than scrapes, one that trains, or none."""
    periodic = {
        "type": "periodic",
        "model": "m",
        "frequency_hz": chance.choice([0.003, 0.011, 0.033, 0.05, 0.5, 5]),
        "high_w": chance.uniform(220, 290),
        "low_w": chance.uniform(60, 120),
        "tokens_per_period": 3,
    }
    training = {"type": "training", "model": "m", "tokens_per_step": 1_000, "load_s": 20}
    return chance.choice([periodic, training, {"type": "reservation"}])


def profile(seed: int, chance: random.Random) -> Profile:
    """Jobs of one to twenty minutes, one after the other, with or without a pause."""
    jobs: list[dict[str, Any]] = []
    for board in range(4):
        at_s = chance.uniform(0, 60)
        while True:
            length_s = chance.choice([60, 120, 300, 900]) * chance.uniform(0.7, 1.3)
            if at_s + length_s > LENGTH_S - 20:
                break
            span = {"start_s": round(at_s, 3), "end_s": round(at_s + length_s, 3)}
            named = {"id": f"j{len(jobs)}", "devices": {"n": [board]}}
            jobs.append({**named, **span, "workload": workload(chance)})
            at_s += length_s + chance.choice([0, 5, 40, 120])
    values = {"name": "x", "start": "2026-01-15T08:20:00Z", "duration_s": LENGTH_S, "seed": seed}
    boards = {"kind": {"like": chance.choice(BOARDS)}}
    nodes = {"n": {"boards": "kind", "count": 4}}
    return Profile.model_validate(
        {**values, "boards": boards, "nodes": nodes, "jobs": jobs}, strict=False
    )


def scrape(node: EmulatedNode, clock: VirtualClock, exporter: Exporter, every_s: int,
           first_us: int, store: Store) -> None:  # fmt: skip
    """Fill a store with what scrapes of an exporter's page show."""
    origin_us = clock.monotonic_us()
    series: dict[tuple[str, str], list[Point]] = {}
    for at_us in range(first_us, LENGTH_S * 1_000_000, every_s * 1_000_000):
        clock.sleep_until(origin_us + at_us, threading.Event())
        for metric, found in exporter.samples(at_us).items():
            for labels, value in found:
                point = ((node.start_us + at_us) / 1e6, float(value))
                series.setdefault((metric, labels), []).append(point)
    for (metric, labels), points in series.items():
        store.add(metric, points, **dict(re.findall(r'(\w+)="([^"]*)"', labels)), instance="n:1")
    clock.sleep_until(origin_us + LENGTH_S * 1_000_000, threading.Event())


@pytest.mark.parametrize("seed", range(10))
def test_bounds_hold_every_job(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    every_s, exporter_s = chance.choice(SCRAPES_S), chance.choice(EXPORTERS_S)
    fleet = profile(seed, chance)
    clock = VirtualClock(fleet.start_us)
    lake = Lake(tmp_path / "lake", create=True)
    with EmulatedNode(fleet, "n", clock) as node, Store() as store:
        phase_us = chance.randrange(exporter_s * 1_000) * 1_000
        pods_now = chance.random() < 0.5
        exporter = Exporter(node, exporter_s * 1_000_000, phase_us, pods_now)
        scrape(node, clock, exporter, every_s, chance.randrange(every_s * 1_000) * 1_000, store)
        truth = node.truth()
        door = Door(store.url)
        what = order(door, "2026-01-15T08:00:00Z", "2026-01-15T09:00:00Z", settle_us=1,
                     chunk_us=600_000_000, exporter_interval_us=exporter_s * 1_000_000)  # fmt: skip
        import_prometheus(lake, what, Client(door))
    inventory = read_inventory(lake)
    for hour_us, name in worklist(lake):
        aggregate(lake, hour_us, name, 1_000_000, "cpu", inventory)
    index(lake, Site(None, None, {}), progress=lambda _: None)
    found = {row["job_id"]: row for row in ask(lake, "FROM job_index")}
    energy = {f"ml/{r['job_id']}": r["energy_nj"] for r in truth if r["row"] == "allocation"}
    seen = energy.keys() & found.keys()
    outside = [
        job for job in seen
        if not found[job]["e_gpu_low_nj"] <= energy[job] <= found[job]["e_gpu_high_nj"]
    ]  # fmt: skip
    assert not outside, (every_s, exporter_s)
    # Only what is shorter than the time between two scrapes can be missed.
    assert len(energy) - len(seen) <= len(energy) // 5
    unseen = len(energy) - len(seen)
    print(f"scrapes {every_s} s, exporter {exporter_s} s: {len(seen)} jobs inside, {unseen} unseen")
