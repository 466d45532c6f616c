"""Request counters for small lakes: rows by hand, and a server whose every request is known."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry, generate_latest

from tests.support.lakes import LakeBuilder, S
from tokenergy_collectors.emulate.run.metrics_server import Snapshot, _JobCollector
from tokenergy_collectors.emulate.workloads.inference import Inference, InferenceSpec
from tokenergy_collectors.emulate.workloads.request_log import Request, RequestLog
from tokenergy_collectors.emulate.workloads.request_record import Finished, RequestRecord
from tokenergy_collectors.lake.contract import REQUESTS, TOKENS
from tokenergy_collectors.sources.tokens.endpoint import TokenEndpoint
from tokenergy_collectors.sources.tokens.settings import TokenSource


def add_requests(
    builder: LakeBuilder,
    job_id: str,
    readings: Sequence[tuple[int, Mapping[str, int]]],
    *,
    kind: str = "finished",
    **more: Any,
) -> None:
    """Add readings (stamp, counts) of one counter or histogram; `more` are further columns."""
    same = {"source_id": "source", "node": "n1", "job_id": job_id, "model": "m", "engine": ""}
    rest = {"metric": f"vllm:{kind}", "series": "{}", **more}
    builder.add(
        "requests",
        [
            {**same, "ts_us": ts, "kind": kind, "counts": json.dumps(counts), **rest}
            for ts, counts in readings
        ],
    )


class Recorded(RequestRecord):
    """Keeps every request that ended: the truth."""

    def __init__(self) -> None:
        super().__init__()
        self.ended: list[Finished] = []

    def end(self, one: Finished) -> None:
        super().end(one)
        self.ended.append(one)


def serve(
    builder: LakeBuilder, endpoint: Any, start_us: int, end_us: int, every_s: int = 5
) -> list[Finished]:
    """Scrape an emulated server of job `j` while it runs; return its finished requests.

    Its load comes and goes, so that slow first tokens and slow tokens fall together, not always.
    """
    spec = InferenceSpec(
        type="inference", model="m", log="none", load_s=0, max_num_seqs=32, step_us=10_000,
        per_sequence_us=500, per_prompt_token_us=40,
    )  # fmt: skip
    gaps_us = [60_000 if n % 1000 < 600 else 250_000 for n in range(8000)]
    requests = [
        Request(at_us, 100 + 37 * n % 900, 1 + n * n % 90)
        for n, at_us in enumerate(accumulate(gaps_us))
    ]
    log = RequestLog(requests, requests[-1].arrival_us + 150_000)
    server = Inference(spec, log, 1, "j", 0, end_us - start_us)
    truth = server.requests = Recorded()
    now_us = 0

    def snapshot() -> Snapshot:
        totals = server.totals_at(now_us)
        counters = dict(zip(server.counters, totals, strict=False))
        return Snapshot(counters, {}, start_us / 1e6, server.told_at(now_us))

    registry = CollectorRegistry()
    registry.register(_JobCollector(snapshot, {"model_name": "m", "engine": "0"}))
    source = TokenSource(source_id="source", url=endpoint.url, job_id="j", every_s=every_s)
    watch = TokenEndpoint(source, "n1", lambda: start_us + now_us)
    for now_us in range(0, end_us - start_us + 1, every_s * S):
        server.advance(now_us)
        endpoint.body = generate_latest(registry).decode()
        builder.add("tokens", [TOKENS.as_dict(row) for row in watch.scrape()])
        builder.add("requests", [REQUESTS.as_dict(row) for row in watch.requests])
    return truth.ended


def write_site(root: Path, slo: str) -> None:
    """Write a site file with these lines."""
    (root / "site.toml").write_text(f"[site]\npue = 1.2\nhost_w = 100.0\n{slo}\n")
