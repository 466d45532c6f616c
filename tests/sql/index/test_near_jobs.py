"""An hour is derived from the allocations of the jobs near it, and is as if from all."""

from __future__ import annotations

import random
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.support.lakes import HOUR_US, T0, LakeBuilder, S, level
from tests.support.long import seeds
from tests.support.shardfleets import shard_fleet
from tokenergy_collectors.lake import Lake
from tokenergy_sql.index import hour, nearjobs
from tokenergy_sql.index.modelrun import store_rows
from tokenergy_sql.index.pipeline import index
from tokenergy_sql.index.site import Site
from tokenergy_transforms.aggregate import aggregate, worklist

SITE = Site(1_250_000, 900_000, {})
DAY_US = 24 * HOUR_US


def books(lake: Lake) -> dict[str, dict[int, str]]:
    """Index a lake; return the digest of every file of the books."""
    index(lake, SITE, progress=lambda _: None, catalog=False)
    return lake.books.latest().copied()


def keep_all(con: Any, held: Any, _: int, jobs: Any) -> None:
    store_rows(con, "near_job", held.select(["job_id"]))
    con.execute("INSERT INTO near_job SELECT unnest($1)", [sorted(jobs)])
    con.execute("INSERT INTO near_job SELECT job_id FROM token_name")


def with_more_jobs(lake: Lake, rng: random.Random) -> Lake:
    """Add allocations of the same and of other jobs, days before and after and across all."""
    builder, known = LakeBuilder(lake.root), lake.read("jobs").to_pylist()
    for number in range(12):
        row = rng.choice(known)
        job_id = row["job_id"] if number % 2 else f"other-{number}"
        start_us = row["start_us"] + rng.choice([-40, -3, -1, 1, 3, 40]) * DAY_US
        end_us = start_us + rng.choice([1, 20 * HOUR_US, 2 * DAY_US, 50 * DAY_US])
        more = {"node": row["node"], "cluster": row["cluster"], "recorded_us": start_us}
        builder.job(job_id, row["device_id"], start_us, end_us, **more, user=f"u{number}")
    return lake


@pytest.mark.parametrize("seed", seeds(4))
def test_the_books_are_as_of_all_allocations(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    lake = with_more_jobs(shard_fleet(tmp_path / "lake", seed), random.Random(seed))
    copied = Lake(shutil.copytree(lake.root, tmp_path / "copied"))
    found = books(lake)
    monkeypatch.setattr(hour, "keep_near", keep_all)
    assert books(copied) == found


def test_a_counter_that_is_read_long_after_its_job(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its tokens lie between readings that are days apart, and its facts are still known."""
    builder = LakeBuilder(tmp_path / "lake")
    builder.device("A")
    builder.job("gone", "A", T0, T0 + 600 * S, user="ann")
    for days in (0, 3):
        begin_us = T0 + days * DAY_US
        builder.power("A", level(100_000, begin_us, begin_us + 900 * S, S))
    values = [(T0 + 100 * S, 0), (T0 + 500 * S, 9), (T0 + 3 * DAY_US + 300 * S, 5_000)]
    builder.tokens("gone", values)
    for at_us, node in worklist(builder.lake):
        aggregate(builder.lake, at_us, node, S, "cpu")
    copied = Lake(shutil.copytree(builder.lake.root, tmp_path / "copied"))
    found = books(builder.lake)
    monkeypatch.setattr(hour, "keep_near", keep_all)
    assert books(copied) == found


def test_jobs_far_from_the_hour_are_not_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    builder = LakeBuilder(tmp_path / "lake")
    builder.device("A")
    builder.power("A", level(100_000, T0, T0 + 900 * S, S))
    builder.job("now", "A", T0, T0 + 600 * S)
    builder.job("now", "A", T0 - 40 * DAY_US, T0 - 39 * DAY_US)
    for number in range(2, 30):
        builder.job(f"old-{number}", "A", T0 - number * DAY_US, T0 - number * DAY_US + HOUR_US)
    for at_us, node in worklist(builder.lake):
        aggregate(builder.lake, at_us, node, S, "cpu")
    seen: list[tuple[Any, ...]] = []

    def keeping(con: Any, *some: Any) -> None:
        nearjobs.keep_near(con, *some)
        seen.extend(con.execute("SELECT job_id, count(*) FROM allocation GROUP BY 1").fetchall())

    monkeypatch.setattr(hour, "keep_near", keeping)
    index(builder.lake, SITE, [T0], progress=lambda _: None, catalog=False)
    assert seen == [("now", 2)]
