"""Token usage: differences of counters at edges, through restarts, with bounds."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.lakes import HOUR_US, T0, LakeBuilder, S, level
from tests.support.ledger import ask
from tests.support.records import Records, build, kept_in
from tokenergy_collectors.lake import Lake

RECORDS: Records = {}
record = kept_in(RECORDS)


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """A job for each test, on a board of its own: nobody who takes them changes them."""
    return build(tmp_path_factory.mktemp("tokens") / "lake", RECORDS)


def hold(builder: LakeBuilder, name: str, start_us: int, end_us: int) -> None:
    """Add a board that is read for 100 s, and the job that holds it."""
    builder.device(name)
    builder.power(name, level(100_000, T0, T0 + 100 * S, S))
    builder.job(name, name, start_us, end_us)


def usage(lake: Lake, job: str) -> list[tuple[Any, ...]]:
    rows = ask(lake, "SELECT * FROM token_usage ORDER BY job_id, kind, hour_us")
    return [(r["kind"], r["tokens"], r["low"], r["high"]) for r in rows if r["job_id"] == job]


@record
def readings_at_the_edges_are_exact(builder: LakeBuilder, name: str) -> None:
    hold(builder, name, T0 + 10 * S, T0 + 90 * S)
    builder.tokens(name, [(T0, 5), (T0 + 10 * S, 70), (T0 + 50 * S, 300), (T0 + 90 * S, 1000)])


def test_readings_at_the_edges_are_exact(lake: Lake) -> None:
    assert usage(lake, "readings_at_the_edges_are_exact") == [("generated", 930, 930, 930)]


@record
def between_readings_it_is_linear_and_bounded(builder: LakeBuilder, name: str) -> None:
    hold(builder, name, T0 + 15 * S, T0 + 90 * S)
    builder.tokens(name, [(T0 + 10 * S, 0), (T0 + 20 * S, 99), (T0 + 90 * S, 1000)])


def test_between_readings_it_is_linear_and_bounded(lake: Lake) -> None:
    assert usage(lake, "between_readings_it_is_linear_and_bounded") == [
        ("generated", 1000 - 49, 901, 1000)
    ]


@record
def hours_add_up_to_the_job(builder: LakeBuilder, name: str) -> None:
    start, end = T0 + HOUR_US - 7 * S, T0 + 2 * HOUR_US + 13 * S
    hold(builder, name, start, end)
    builder.tokens(
        name, [(start - 3 * S, 11), (start + 5 * HOUR_US // 7, 10**9 + 7), (end, 3 * 10**9)]
    )


def test_hours_add_up_to_the_job(lake: Lake) -> None:
    rows = usage(lake, "hours_add_up_to_the_job")
    assert len(rows) == 3
    (job,) = ask(lake, "SELECT n_generated FROM job_index WHERE job_id = 'hours_add_up_to_the_job'")
    assert sum(r[1] for r in rows) == job["n_generated"]


@record
def a_restart_begins_at_zero(builder: LakeBuilder, name: str) -> None:
    hold(builder, name, T0, T0 + 90 * S)
    values = [(T0, 100), (T0 + 30 * S, 400), (T0 + 60 * S, 50), (T0 + 90 * S, 80)]
    builder.tokens(name, values, epochs={T0 + 60 * S: 1, T0 + 90 * S: 1})


def test_a_restart_begins_at_zero(lake: Lake) -> None:
    assert usage(lake, "a_restart_begins_at_zero")[0][:2] == ("generated", 300 + 80)


@record
def a_restart_that_overtakes_is_seen_by_its_process(builder: LakeBuilder, name: str) -> None:
    hold(builder, name, T0, T0 + 90 * S)
    builder.tokens(name, [(T0, 0), (T0 + 30 * S, 40)], since_us=T0)
    builder.tokens(name, [(T0 + 60 * S, 70), (T0 + 90 * S, 80)], since_us=T0 + 40 * S)


def test_a_restart_that_overtakes_is_seen_by_its_process(lake: Lake) -> None:
    assert usage(lake, "a_restart_that_overtakes_is_seen_by_its_process")[0][:2] == (
        "generated",
        40 + 80,
    )


@record
def a_smaller_epoch_is_another_file_and_no_restart(builder: LakeBuilder, name: str) -> None:
    hold(builder, name, T0, T0 + 90 * S)
    builder.tokens(name, [(T0, 0), (T0 + 20 * S, 90), (T0 + 30 * S, 10)], epochs={T0 + 30 * S: 1})
    builder.tokens(name, [(T0 + 60 * S, 30), (T0 + 90 * S, 50)])


def test_a_smaller_epoch_is_another_file_and_no_restart(lake: Lake) -> None:
    assert usage(lake, "a_smaller_epoch_is_another_file_and_no_restart")[0][:2] == (
        "generated",
        90 + 50,
    )


@record
def a_counter_born_in_the_job_counts_from_zero(builder: LakeBuilder, name: str) -> None:
    hold(builder, name, T0 + 10 * S, T0 + 90 * S)
    builder.tokens(name, [(T0 + 40 * S, 300), (T0 + 90 * S, 500)], since_us=T0 + 10 * S)


def test_a_counter_born_in_the_job_counts_from_zero(lake: Lake) -> None:
    assert usage(lake, "a_counter_born_in_the_job_counts_from_zero") == [
        ("generated", 500, 500, 500)
    ]


@record
def a_counter_born_before_the_job_does_not(builder: LakeBuilder, name: str) -> None:
    hold(builder, name, T0 + 10 * S, T0 + 90 * S)
    builder.tokens(name, [(T0 + 40 * S, 300), (T0 + 90 * S, 500)], since_us=T0 - 999 * S)


def test_a_counter_born_before_the_job_does_not(lake: Lake) -> None:
    ((kind, tokens, low, high),) = usage(lake, "a_counter_born_before_the_job_does_not")
    assert (kind, tokens) == ("generated", 200)
    assert low == 200
    assert high == 200 + 30 * 4  # 30 s unseen at the counter's own peak rate


@record
def the_unseen_end_widens_the_upper_bound(builder: LakeBuilder, name: str) -> None:
    hold(builder, name, T0, T0 + 90 * S)
    builder.tokens(name, [(T0, 0), (T0 + 60 * S, 600)])


def test_the_unseen_end_widens_the_upper_bound(lake: Lake) -> None:
    assert usage(lake, "the_unseen_end_widens_the_upper_bound") == [("generated", 600, 600, 900)]


@record
def several_sources_and_kinds_add_up(builder: LakeBuilder, name: str) -> None:
    hold(builder, name, T0, T0 + 90 * S)
    for source in ("a", "b"):
        builder.tokens(name, [(T0, 0), (T0 + 90 * S, 10)], source_id=f"{name} {source}")
        builder.tokens(
            name, [(T0, 0), (T0 + 90 * S, 7)], source_id=f"{name} {source}", kind="prompt_cached"
        )


def test_several_sources_and_kinds_add_up(lake: Lake) -> None:
    assert usage(lake, "several_sources_and_kinds_add_up") == [
        ("generated", 20, 20, 20),
        ("prompt_cached", 14, 14, 14),
    ]


@record
def a_counter_that_falls_has_restarted_whoever_reads_it(builder: LakeBuilder, name: str) -> None:
    hold(builder, name, T0, T0 + 90 * S)
    builder.tokens(name, [(T0, 100), (T0 + 30 * S, 400), (T0 + 60 * S, 50), (T0 + 90 * S, 80)])


def test_a_counter_that_falls_has_restarted_whoever_reads_it(lake: Lake) -> None:
    """Neither an epoch nor a process start says so: the collector itself was restarted too."""
    assert usage(lake, "a_counter_that_falls_has_restarted_whoever_reads_it")[0][:2] == (
        "generated",
        300 + 80,
    )
