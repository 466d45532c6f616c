"""Token usage is what its definition says, and a few points an hour lose nothing of it.

`oracles/token_usage.py` is the definition in plain Python. `benchmarks/all_readings.sql` has the
product's rules in one statement over all readings of all time: it says nothing of the rules, but
holds the points to them where the definition is silent (many readings of one counter at one stamp).
"""

from __future__ import annotations

import json
import random
import shutil
from itertools import groupby
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from benchmarks.tokens import by_all_readings as rows_of_all_readings

from tests.sql.oracles.token_usage import token_usage
from tests.support.lakes import HOUR_US, T0, LakeBuilder, S
from tests.support.long import seeds
from tokenergy_collectors.lake import Lake
from tokenergy_collectors.lake.allocations import allocations
from tokenergy_sql.index import tokens
from tokenergy_sql.index.tokenpoints import CACHE_FOLDER
from tokenergy_sql.index.usagekept import FOLDER

Row = dict[str, Any]

COUNTER = ("job_id", "source_id", "engine", "kind", "node", "metric", "series")


def by_definition(lake: Lake) -> list[str]:
    return lines(token_usage(lake.read("tokens").to_pylist(), allocations(lake).to_pylist()))


def by_all_readings(lake: Lake) -> list[str]:
    return lines(rows_of_all_readings(lake).to_pylist())


def by_points(lake: Lake) -> list[str]:
    return lines(tokens.usage(lake).to_pylist())


def lines(rows: list[Row]) -> list[str]:
    return sorted(repr(row) for row in rows)


def some_stamp(rng: random.Random) -> int:
    """A stamp on the edge of an hour, beside it, or anywhere; hours are crowded, thin or empty."""
    offset = rng.choice((0, 1, 50_000, S, HOUR_US // 2, HOUR_US // 2 + 1, HOUR_US - 1, None, None))
    hour = rng.choice((0, 0, 0, 1, 1, 1, 2, 7))
    return T0 + hour * HOUR_US + (rng.randrange(HOUR_US) if offset is None else offset)


LABELS = ({}, {"engine": "1"}, {"dp_rank": "0"}, {"tp_rank": "0"}, {"tp_rank": "1"})
METRICS = (None, "vllm:generation_tokens_total", "sglang:generation_tokens_total")


def some_series(rng: random.Random) -> Row:
    """The names of a series; older rows have neither metric nor labels."""
    metric = rng.choice(METRICS)
    labels = json.dumps(rng.choice(LABELS), sort_keys=True, separators=(",", ":"))
    return {"metric": metric, "series": None if metric is None else labels}


def some_readings(rng: random.Random, job_id: str) -> list[Row]:
    """Readings of one counter: growing, falling, leaping, restarting, read by several at once."""
    counter = {
        "job_id": job_id,
        "source_id": rng.choice(("s", "t")),
        "kind": rng.choice(("generated", "prompt_computed")),
        "engine": rng.choice(("", "1")),
        "node": rng.choice(("n1", "n1", "n2")),
        "quantum": rng.choice((None, 1, 1, 10)),
        "cluster": rng.choice((None, None, None, "east")),
        "epoch": 0,
        **some_series(rng),
    }
    value, since_us, run = rng.randrange(5), rng.choice((None, some_stamp(rng))), None
    found = []
    for ts_us in sorted(some_stamp(rng) for _ in range(rng.choice((1, 3, 8, 20, 60)))):
        what = rng.choice(("grow",) * 9 + ("fall", "low", "leap", "born", "run", "waver", "lost"))
        before = value
        if what == "run":  # the clock may be set back between two runs
            run, ts_us = (run or 0) + 1, ts_us - rng.choice((0, 0, 30 * S))
        elif what == "born":
            since_us = rng.choice((None, some_stamp(rng), ts_us - 1))
        value = {
            "grow": value + rng.randrange(10**6), "fall": rng.randrange(99),
            "born": rng.randrange(10**6), "low": rng.randrange(99), "leap": value + 10**15,
        }.get(what, value)  # fmt: skip
        told_us = since_us
        if since_us is not None and what == "waver":
            told_us = since_us + rng.choice((-S, 1, S, 3 * S))
        told = {
            "ts_us": ts_us, "value": min(value, 2**53), "run": run,
            "since_us": None if what == "lost" else told_us,
        }  # fmt: skip
        if what in ("low", "leap"):
            value = before
        models = rng.sample(("m", "n", None), rng.choice((1, 1, 1, 1, 2)))
        found += [{**counter, **told, "model": model} for model in models[:1] or [None]]
    return found


def some_jobs(rng: random.Random, job_ids: list[str]) -> list[Row]:
    """Allocations: gaps between them, without an end, ending before they start, or none at all."""
    return [
        {"job_id": job, "start_us": some_stamp(rng), "end_us": rng.choice((None, *ends))}
        for job in job_ids
        for _ in range(rng.choice((0, 1, 1, 1, 2)))
        for ends in [[some_stamp(rng) for _ in range(5)]]
    ]


def add_jobs(builder: LakeBuilder, rows: list[Row]) -> None:
    for number, row in enumerate(rows):
        row["device_id"] = f"GPU-{number}"
    full = {"node": "n1", "share_ppm": 1_000_000, "method": "declared", "recorded_us": T0}
    builder.add("jobs", [{**full, **row} for row in rows])


def by_counter(readings: list[Row]) -> list[list[Row]]:
    """Readings of each counter, in their order."""

    def place(row: Row) -> tuple[Any, ...]:
        since_us = 2**63 if row["since_us"] is None else row["since_us"]
        names = (*COUNTER, "ts_us", "value")
        return (*(repr(row[name]) for name in names), since_us)

    rows = sorted(readings, key=place)
    return [list(group) for _, group in groupby(rows, lambda row: [row[n] for n in COUNTER])]


def impossible(rng: random.Random, readings: list[Row]) -> list[Row]:
    """Readings of the same counters that no counter can have."""
    rows = rng.sample(readings, len(readings) // 50)
    return [{**row, "value": rng.choice((-1, 2**53 + 1, 2**62))} for row in rows]


@pytest.mark.parametrize("seed", seeds(3))
def test_points_give_what_the_definition_says(tmp_path: Path, seed: int) -> None:
    """400 jobs a seed, some with stamps and counts that cannot be; then more readings come late."""
    rng = random.Random(seed)
    job_ids = [f"j{number}" for number in range(400)]
    readings = [
        row
        for job_id in job_ids
        for _ in range(rng.choice((1, 1, 2, 3)))
        for row in some_readings(rng, job_id)
    ]
    known, late = [], []
    for rows in by_counter(readings):
        if rng.random() < 0.5:
            known += rows
        else:  # any part of these may come later
            for row in rows:
                (late if rng.random() < 0.5 else known).append(row)
    known += impossible(rng, known)
    jobs = some_jobs(rng, job_ids)
    for row in rng.sample(jobs, 40):
        row.update(rng.choice(({"start_us": 0}, {"end_us": 9 * 10**15})))
    builder = LakeBuilder(tmp_path / "lake")
    builder.add("tokens", known)
    add_jobs(builder, jobs)
    expected = by_definition(builder.lake)
    assert len(expected) > 1_000
    assert by_points(builder.lake) == expected
    builder.add("tokens", late)
    assert by_points(builder.lake) == by_definition(builder.lake), "after more has come"


def test_regular_readings_give_what_the_definition_says(tmp_path: Path) -> None:
    lake = regular(tmp_path / "lake").lake
    assert by_points(lake) == by_definition(lake)


def test_two_readings_at_the_stamp_of_a_restart(tmp_path: Path) -> None:
    builder = LakeBuilder(tmp_path / "lake")
    builder.job("j", "A", T0, T0 + 90 * S)
    builder.tokens("j", [(T0, 100), (T0 + 30 * S, 40), (T0 + 90 * S, 80)])
    builder.tokens("j", [(T0 + 30 * S, 50)])
    assert by_points(builder.lake) == by_definition(builder.lake)


@pytest.mark.parametrize("seed", seeds(3))
def test_points_give_what_all_readings_give(tmp_path: Path, seed: int) -> None:
    """400 jobs a seed, each with counters of its own; then more of everything comes late."""
    rng = random.Random(seed)
    job_ids = [f"j{number}" for number in range(400)]
    readings = [
        row
        for job_id in job_ids
        for _ in range(rng.choice((1, 1, 2, 3)))
        for row in some_readings(rng, job_id)
    ]
    told = list(readings)
    rng.shuffle(told)
    late = len(told) // 4
    builder = LakeBuilder(tmp_path / "lake")
    builder.add("tokens", told[late::2], "n1")
    builder.add("tokens", told[late + 1 :: 2], "n2")
    add_jobs(builder, some_jobs(rng, job_ids))
    expected = by_all_readings(builder.lake)
    assert len(expected) > 1_000
    assert by_points(builder.lake) == expected
    assert by_points(builder.lake) == expected, "from the cache"
    builder.add("tokens", told[:late], "n1")
    add_jobs(builder, some_jobs(rng, job_ids[:99]))
    assert by_points(builder.lake) == by_all_readings(builder.lake), "after more has come"


def regular(root: Path, hours: int = 5) -> LakeBuilder:
    """A lake with one job over some hours, read every 10 s."""
    builder = LakeBuilder(root)
    builder.job("a", "GPU-0", T0 + 95 * S, T0 + (hours - 1) * HOUR_US + 1234 * S + 7)
    builder.tokens("a", [(T0 + n * 10 * S, n * 37) for n in range(360 * hours)])
    return builder


def cached(lake: Lake) -> dict[str, int]:
    return {
        str(path.relative_to(lake.root)): path.stat().st_ino
        for path in (lake.root / CACHE_FOLDER).rglob("*.parquet")
    }


def test_only_hours_that_changed_are_read_again(tmp_path: Path) -> None:
    builder = regular(tmp_path / "lake")
    told: list[str] = []
    tokens.usage(builder.lake, told.append)
    assert len(told) == 5
    before = cached(builder.lake)
    tokens.usage(builder.lake, told.append)
    assert len(told) == 5
    assert cached(builder.lake) == before
    builder.tokens("a", [(T0 + 2 * HOUR_US + 5 * S, 720 * 37)], source_id="late")
    tokens.usage(builder.lake, told.append)
    assert told[5:] == ["tokens date=2026-01-15/hour=10"]
    after = cached(builder.lake)
    assert len(after) == 5, "what stood for fewer files is gone"
    assert len(before.items() & after.items()) == 4


def test_of_an_hour_few_points_are_kept(tmp_path: Path) -> None:
    lake = regular(tmp_path / "lake").lake
    tokens.usage(lake)
    files = sorted((lake.root / CACHE_FOLDER).rglob("*.parquet"))
    assert [pq.read_metadata(path).num_rows for path in files] == [6, 4, 4, 4, 6]


@pytest.mark.parametrize("damage", ["removed", "cut", "rubbish"])
def test_a_lost_or_damaged_cache_is_made_again(tmp_path: Path, damage: str) -> None:
    lake = regular(tmp_path / "lake").lake
    expected = by_points(lake)
    shutil.rmtree(lake.root / FOLDER)
    one = next((lake.root / CACHE_FOLDER).rglob("*.parquet"))
    if damage == "removed":
        shutil.rmtree(lake.root / "cache")
    elif damage == "cut":
        one.write_bytes(one.read_bytes()[:-9])
    else:
        one.write_bytes(b"PAR1" + bytes(range(256)) + b"PAR1")
    assert by_points(lake) == expected
    assert len(cached(lake)) == 5


def test_readings_in_the_partition_of_another_hour_are_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    builder = regular(tmp_path / "lake", 2)
    lake = builder.lake
    expected = by_points(lake)
    stray = lake.files("tokens", [T0])[0]
    shutil.copy(stray, lake.files("tokens", [T0 + HOUR_US])[0].with_name("n1-0-stray.parquet"))
    assert by_points(lake) == expected
    (record,) = caplog.records
    assert "hour=09: 360 readings have timestamps of another hour, ignored" in record.getMessage()


def test_no_tokens_at_all(tmp_path: Path) -> None:
    builder = LakeBuilder(tmp_path / "lake")
    builder.device("A")
    builder.job("a", "A", T0, None)
    assert tokens.usage(builder.lake).num_rows == 0
    assert not (builder.lake.root / "cache").exists()
