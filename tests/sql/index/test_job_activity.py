"""When a job's counters moved: told of few long times as of all pairs of readings."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.lakes import HOUR_US, T0, LakeBuilder, S
from tokenergy_collectors.lake.allocations import allocations
from tokenergy_sql.catalog import connecting as catalog
from tokenergy_sql.index.modelrun import build_activity, build_pages

Time = tuple[int, int, bool]


def activity(builder: LakeBuilder) -> dict[str, list[Time]]:
    """What the model says of the hour at T0, by job."""
    near = [T0 - HOUR_US, T0, T0 + HOUR_US]
    held = allocations(builder.lake)
    with catalog.connect(builder.lake, {"tokens": near}, allocation=held) as con:
        con.execute("CREATE TEMP TABLE parameters AS SELECT $1::BIGINT AS hour_us", [T0])
        build_pages(con)
        build_activity(con)
        rows = con.sql("FROM job_activity").fetchall()
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


def test_a_restart_to_the_same_value_has_moved_since_it_began(tmp_path: Path) -> None:
    """Between the last reading of the dead process and the start of the next, nothing is known."""
    builder = LakeBuilder(tmp_path / "lake")
    builder.tokens("a", [(T0, 7), (T0 + 10 * S, 7)], since_us=T0 - HOUR_US)
    builder.tokens("a", [(T0 + 20 * S, 7), (T0 + 30 * S, 7)], since_us=T0 + 15 * S)
    assert sorted(activity(builder)["a"]) == [
        (T0, T0 + 10 * S, False), (T0 + 15 * S, T0 + 20 * S, True),
        (T0 + 20 * S, T0 + 30 * S, False),
    ]  # fmt: skip


@pytest.mark.parametrize(("value", "moved"), [(0, False), (5, True)])
def test_a_process_that_began_in_the_job_has_moved_from_zero(
    tmp_path: Path, value: int, moved: bool
) -> None:
    builder = LakeBuilder(tmp_path / "lake")
    builder.job("a", "GPU-0", T0, T0 + 60 * S)
    builder.tokens("a", [(T0 + 30 * S, value)], since_us=T0 + 12 * S)
    assert activity(builder) == {"a": [(T0 + 12 * S, T0 + 30 * S, moved)]}


def test_a_process_that_began_before_the_job_is_unknown_until_it_is_read(tmp_path: Path) -> None:
    builder = LakeBuilder(tmp_path / "lake")
    builder.job("a", "GPU-0", T0, T0 + 60 * S)
    builder.tokens("a", [(T0 + 30 * S, 5)], since_us=T0 - 12 * S)
    assert activity(builder) == {}


def test_a_start_that_wavers_is_one_process(tmp_path: Path) -> None:
    builder = LakeBuilder(tmp_path / "lake")
    for n in range(7):
        point = [(T0 + 10 * S * n, 100 * n)]
        builder.tokens("a", point, since_us=T0 - HOUR_US + n % 2 * 400_000)
    assert activity(builder) == {"a": [(T0, T0 + 60 * S, True)]}


def test_two_processes_that_answer_in_turn_do_not_make_each_other_move(tmp_path: Path) -> None:
    """Two workers behind one address; their starts are half a second apart."""
    builder = LakeBuilder(tmp_path / "lake")
    for n in range(7):
        value, start_us = ((900, 0), (400, S // 2))[n % 2]
        builder.tokens("a", [(T0 + 10 * S * n, value)], since_us=T0 - HOUR_US + start_us)
    assert activity(builder) == {"a": [(T0, T0 + 60 * S, False)]}


def test_no_tokens(tmp_path: Path) -> None:
    builder = LakeBuilder(tmp_path / "lake")
    builder.device("A")
    assert activity(builder) == {}
