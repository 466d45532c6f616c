"""Files of benchmarks for the tests: those in `data/`, and such as a test needs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tokenergy_collectors.lake import Lake
from tokenergy_collectors.lake.jobkey import job_key

DATA = Path(__file__).parent / "data"
PLAIN = DATA / "openai-infqps-concurrency4-8b.json"
DETAILED = DATA / "openai-infqps-concurrency4-8b-detailed.json"
RECORDS = DATA / "concurrency4" / "profile_export.jsonl"
SUMMARY = DATA / "concurrency4" / "profile_export_aiperf.json"

NINE_US = 1_768_467_600_000_000
"""2026-01-15T09:00:00Z, when the runs of AIPerf begin."""

S = 1_000_000


def changed(path: Path, folder: Path, **fields: Any) -> Path:
    """Write a file of `data/` with other fields; one that is `...` is left out."""
    found = json.loads(path.read_text())
    found |= fields
    copy = folder / path.name
    copy.write_text(json.dumps({name: one for name, one in found.items() if one is not ...}))
    return copy


def tokens(lake: Lake, kind: str = "generated") -> list[tuple[int, int]]:
    """Return instants and counts of the tokens of a kind, in order."""
    rows = lake.read("tokens").to_pylist()
    return sorted((row["ts_us"], row["value"]) for row in rows if row["kind"] == kind)


def jobs(lake: Lake) -> list[tuple[str, str, int, int]]:
    """Return job, device, start and end of each allocation, in order."""
    return sorted(
        (job_key(row["cluster"], row["job_id"]), row["device_id"], row["start_us"], row["end_us"])
        for row in lake.read("jobs").to_pylist()
    )
