"""When a job's counters moved: told of few long times as of all pairs of readings."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.lakes import HOUR_US, T0, LakeBuilder, S
from tokenergy_sql.catalog import connecting as catalog
from tokenergy_sql.index.models import model_text

Time = tuple[int, int, bool]


def activity(builder: LakeBuilder) -> dict[str, list[Time]]:
    """What the model says of the hour at T0, by job."""
    near = [T0 - HOUR_US, T0, T0 + HOUR_US]
    with catalog.connect(builder.lake, {"tokens": near}) as con:
        con.execute("CREATE TEMP TABLE parameters AS SELECT $1::BIGINT AS hour_us", [T0])
        rows = con.sql(model_text("job_activity")).fetchall()
    found: dict[str, list[Time]] = {}
    for job_id, from_us, to_us, moved in rows:
        found.setdefault(job_id, []).append((from_us, to_us, moved))
    return found


def pairs(readings: list[tuple[int, int]]) -> Iterator[Time]:
    """Every two neighbouring readings (stamp, value) of one counter."""
    ordered = sorted(readings)
    for (from_us, before), (to_us, value) in itertools.pairwise(ordered):
        yield from_us, to_us, value != before


def verdict(times: list[Time], start_us: int, end_us: int) -> bool | None:
    """What the ledger makes of it: moved, looked at and still, or not looked at."""
    said = [moved for from_us, to_us, moved in times if from_us < end_us and to_us > start_us]
    return any(said) if said else None


@pytest.mark.parametrize("seed", range(3))
def test_every_segment_hears_what_all_pairs_say(tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)
    builder = LakeBuilder(tmp_path / "lake")
    expected: dict[str, list[Time]] = {}
    for job in ("a", "b", "c"):
        for source in ("s", "t"):
            stamps = rng.sample(range(T0 - HOUR_US, T0 + 2 * HOUR_US, 10 * S), rng.choice((3, 40)))
            value, readings = 0, []
            for ts_us in sorted(stamps):
                value += rng.choice((0, 0, 5))
                readings.append((ts_us, value))
            builder.tokens(job, readings, source_id=source)
            expected.setdefault(job, []).extend(pairs(readings))
    found = activity(builder)
    verdicts = set()
    for start_us in range(T0, T0 + HOUR_US, 5 * S):
        for job, times in expected.items():
            said = verdict(times, start_us, start_us + 5 * S)
            assert verdict(found.get(job, []), start_us, start_us + 5 * S) == said
            verdicts.add(said)
    assert verdicts >= {True, False}


def test_a_steady_job_is_one_time(tmp_path: Path) -> None:
    builder = LakeBuilder(tmp_path / "lake")
    for kind in ("generated", "prompt_computed"):
        builder.tokens("a", [(T0 + n * 10 * S, n) for n in range(-360, 720)], kind=kind)
    assert activity(builder) == {"a": [(T0, T0 + HOUR_US, True)]}


def test_a_restart_to_the_same_value_has_moved(tmp_path: Path) -> None:
    builder = LakeBuilder(tmp_path / "lake")
    builder.tokens("a", [(T0, 7), (T0 + S, 7), (T0 + 2 * S, 7)], epochs={T0 + 2 * S: 1})
    assert sorted(activity(builder)["a"]) == [(T0, T0 + S, False), (T0 + S, T0 + 2 * S, True)]


def test_no_tokens(tmp_path: Path) -> None:
    builder = LakeBuilder(tmp_path / "lake")
    builder.device("A")
    assert activity(builder) == {}
