"""Token usage: differences of counters at edges, through restarts, with bounds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.support.lakes import HOUR_US, T0, LakeBuilder, S, level
from tests.support.ledger import ask
from tokenergy_collectors.lake import Lake


@pytest.fixture
def builder(tmp_path: Path) -> LakeBuilder:
    found = LakeBuilder(tmp_path / "lake")
    found.device("A")
    found.power("A", level(100_000, T0, T0 + 100 * S, S))
    return found


def usage(lake: Lake, job: str = "j") -> list[tuple[Any, ...]]:
    rows = ask(lake, "SELECT * FROM token_usage ORDER BY job_id, kind, hour_us")
    return [(r["kind"], r["tokens"], r["low"], r["high"]) for r in rows if r["job_id"] == job]


def test_readings_at_the_edges_are_exact(builder: LakeBuilder) -> None:
    builder.job("j", "A", T0 + 10 * S, T0 + 90 * S)
    builder.tokens("j", [(T0, 5), (T0 + 10 * S, 70), (T0 + 50 * S, 300), (T0 + 90 * S, 1000)])
    assert usage(builder.build()) == [("generated", 930, 930, 930)]


def test_between_readings_it_is_linear_and_bounded(builder: LakeBuilder) -> None:
    builder.job("j", "A", T0 + 15 * S, T0 + 90 * S)
    builder.tokens("j", [(T0 + 10 * S, 0), (T0 + 20 * S, 99), (T0 + 90 * S, 1000)])
    assert usage(builder.build()) == [("generated", 1000 - 49, 901, 1000)]


def test_hours_add_up_to_the_job(builder: LakeBuilder) -> None:
    start, end = T0 + HOUR_US - 7 * S, T0 + 2 * HOUR_US + 13 * S
    builder.job("j", "A", start, end)
    builder.tokens(
        "j", [(start - 3 * S, 11), (start + 5 * HOUR_US // 7, 10**9 + 7), (end, 3 * 10**9)]
    )
    lake = builder.build()
    rows = usage(lake)
    assert len(rows) == 3
    (job,) = ask(lake, "SELECT n_generated FROM job_index")
    assert sum(r[1] for r in rows) == job["n_generated"]


def test_a_restart_begins_at_zero(builder: LakeBuilder) -> None:
    builder.job("j", "A", T0, T0 + 90 * S)
    values = [(T0, 100), (T0 + 30 * S, 400), (T0 + 60 * S, 50), (T0 + 90 * S, 80)]
    builder.tokens("j", values, epochs={T0 + 60 * S: 1, T0 + 90 * S: 1})
    assert usage(builder.build())[0][:2] == ("generated", 300 + 80)


def test_a_restart_that_overtakes_is_seen_by_its_process(builder: LakeBuilder) -> None:
    builder.job("j", "A", T0, T0 + 90 * S)
    builder.tokens("j", [(T0, 0), (T0 + 30 * S, 40)], since_us=T0)
    builder.tokens("j", [(T0 + 60 * S, 70), (T0 + 90 * S, 80)], since_us=T0 + 40 * S)
    assert usage(builder.build())[0][:2] == ("generated", 40 + 80)


def test_a_smaller_epoch_is_another_file_and_no_restart(builder: LakeBuilder) -> None:
    builder.job("j", "A", T0, T0 + 90 * S)
    builder.tokens("j", [(T0, 0), (T0 + 20 * S, 90), (T0 + 30 * S, 10)], epochs={T0 + 30 * S: 1})
    builder.tokens("j", [(T0 + 60 * S, 30), (T0 + 90 * S, 50)])
    assert usage(builder.build())[0][:2] == ("generated", 90 + 50)


def test_a_counter_born_in_the_job_counts_from_zero(builder: LakeBuilder) -> None:
    builder.job("j", "A", T0 + 10 * S, T0 + 90 * S)
    builder.tokens("j", [(T0 + 40 * S, 300), (T0 + 90 * S, 500)], since_us=T0 + 10 * S)
    assert usage(builder.build()) == [("generated", 500, 500, 500)]


def test_a_counter_born_before_the_job_does_not(builder: LakeBuilder) -> None:
    builder.job("j", "A", T0 + 10 * S, T0 + 90 * S)
    builder.tokens("j", [(T0 + 40 * S, 300), (T0 + 90 * S, 500)], since_us=T0 - 999 * S)
    ((kind, tokens, low, high),) = usage(builder.build())
    assert (kind, tokens) == ("generated", 200)
    assert low == 200
    assert high == 200 + 30 * 4  # 30 s unseen at the counter's own peak rate


def test_the_unseen_end_widens_the_upper_bound(builder: LakeBuilder) -> None:
    builder.job("j", "A", T0, T0 + 90 * S)
    builder.tokens("j", [(T0, 0), (T0 + 60 * S, 600)])
    assert usage(builder.build()) == [("generated", 600, 600, 900)]


def test_several_sources_and_kinds_add_up(builder: LakeBuilder) -> None:
    builder.job("j", "A", T0, T0 + 90 * S)
    for source in ("a", "b"):
        builder.tokens("j", [(T0, 0), (T0 + 90 * S, 10)], source_id=source)
        builder.tokens("j", [(T0, 0), (T0 + 90 * S, 7)], source_id=source, kind="prompt_cached")
    assert usage(builder.build()) == [("generated", 20, 20, 20), ("prompt_cached", 14, 14, 14)]


def test_a_counter_that_falls_has_restarted_whoever_reads_it(builder: LakeBuilder) -> None:
    """Neither an epoch nor a process start says so: the collector itself was restarted too."""
    builder.job("j", "A", T0, T0 + 90 * S)
    builder.tokens("j", [(T0, 100), (T0 + 30 * S, 400), (T0 + 60 * S, 50), (T0 + 90 * S, 80)])
    assert usage(builder.build())[0][:2] == ("generated", 300 + 80)
