"""Jobs during which a host's clock was set, or the host slept, have the code `clock_step`."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.lakes import HOUR_US, T0, LakeBuilder, S, level
from tokenergy_collectors.lake import Lake
from tokenergy_sql.checks.checking import run_checks
from tokenergy_sql.index.pipeline import index
from tokenergy_sql.index.site import Site

EDGE = T0 + HOUR_US


@pytest.fixture
def builder(tmp_path: Path) -> LakeBuilder:
    """Four minutes over the edge of an hour: `first` and `second` on n1, `other` on n2."""
    builder = LakeBuilder(tmp_path / "lake")
    for number, (name, node) in enumerate((("A", "n1"), ("B", "n2"))):
        builder.device(name, node=node, index=number, ts_us=EDGE - 120 * S)
        builder.power(name, level(100_000, EDGE - 120 * S, EDGE + 120 * S, S), node=node)
    builder.job("first", "A", EDGE - 120 * S, EDGE - 65 * S)
    builder.job("second", "A", EDGE - 55 * S, EDGE + 120 * S)
    builder.job("other", "B", EDGE - 120 * S, EDGE + 120 * S, node="n2")
    return builder


def note(builder: LakeBuilder, second: int, **off_s: float) -> None:
    """Add a note of n1's clocks; `off_s` are seconds to add to boottime and realtime."""
    ts_us = EDGE + second * S
    boot_us = (1_000 + second) * S
    row = {
        "ts_us": ts_us,
        "node": "n1",
        "monotonic_us": boot_us,
        "boottime_us": boot_us + round(off_s.get("boottime", 0) * S),
        "realtime_us": ts_us + round(off_s.get("realtime", 0) * S),
    }
    builder.add("clock", [row])


def note_later_run(builder: LakeBuilder, second: int, set_s: int) -> None:
    """Add a note of a run that began after the wall clock was set: its stamps follow that clock.

    Args:
        builder: where to add it.
        second: when, by the clock of the first run.
        set_s: by how much the wall clock was set before the run.
    """
    ts_us = EDGE + (second + set_s) * S
    row = {"ts_us": ts_us, "node": "n1", "realtime_us": ts_us}
    boot_us = (1_000 + second) * S
    builder.add("clock", [{**row, "monotonic_us": boot_us, "boottime_us": boot_us}])


def flagged(lake: Lake) -> set[str]:
    rows = lake.read("job_index", columns=["job_id", "reason_codes"]).to_pylist()
    return {row["job_id"] for row in rows if "clock_step" in row["reason_codes"].split(",")}


def hours(lake: Lake) -> set[tuple[str, int]]:
    rows = lake.read("job_hour_index", columns=["job_id", "hour_us", "reason_codes"]).to_pylist()
    return {(r["job_id"], r["hour_us"]) for r in rows if "clock_step" in r["reason_codes"]}


def test_clocks_that_agree_say_nothing(builder: LakeBuilder) -> None:
    for second in (-110, -60, 0, 60):
        note(builder, second)
    assert flagged(builder.build()) == set()


@pytest.mark.parametrize(
    ("notes", "jobs"),
    [
        # The wall clock is set back by 5 s between two notes of the second job, and set again.
        ([(-50, 0), (-20, -5), (-10, 0), (60, 0)], {"second"}),
        ([(-110, 0), (-80, 3), (-70, 0), (60, 0)], {"first"}),
        # It stays off: everything from the note before on is doubtful.
        ([(-90, 0), (-70, 5), (30, 5)], {"first", "second"}),
        ([(-110, 0), (-60, 1), (60, 0)], set()),  # a second is none
    ],
)
def test_a_wall_clock_that_was_set(
    builder: LakeBuilder, notes: list[tuple[int, int]], jobs: set[str]
) -> None:
    for second, off_s in notes:
        note(builder, second, realtime=off_s)
    assert flagged(builder.build()) == jobs


def test_a_host_that_slept(builder: LakeBuilder) -> None:
    note(builder, -50)
    note(builder, -10)
    note(builder, 50, boottime=30)
    lake = builder.build()
    assert flagged(lake) == {"second"}
    assert hours(lake) == {("second", T0), ("second", EDGE)}  # it slept in one of the two


def test_a_run_behind_an_earlier_one(builder: LakeBuilder) -> None:
    note(builder, -110)
    note(builder, -50)
    for second in (-40, 20):
        note_later_run(builder, second, -60)
    assert flagged(builder.build()) == {"first", "second"}


@pytest.mark.parametrize(
    ("seconds", "set_s", "jobs"),
    [
        ((-50, 0), 30, {"second"}),
        ((-20, 40), -20, {"second"}),
        ((-100, -50), 90, {"first", "second"}),
        ((-50, 0), 1, set()),  # a second is none
        ((-50, 0), 0, set()),
    ],
)
def test_a_wall_clock_that_was_set_between_two_runs(
    builder: LakeBuilder, seconds: tuple[int, int], set_s: int, jobs: set[str]
) -> None:
    """Each run takes its stamps from the wall clock at its start, so both agree with it."""
    for second in (-118, -110) if seconds[0] == -100 else (-110, -60):
        note(builder, second)
    for second in seconds:
        note_later_run(builder, second, set_s)
    lake = builder.build()
    assert flagged(lake) == jobs
    (finding,) = run_checks(lake, only=["clocks_agree"])
    assert [row[1] for row in finding.rows] == (["wall clock set"] if jobs else [])


def test_a_step_over_the_right_time(builder: LakeBuilder) -> None:
    """Neither note is a second off, but the clock was set by more than one."""
    note(builder, -50, realtime=-0.9)
    note(builder, 10, realtime=0.9)
    lake = builder.build()
    assert flagged(lake) == {"second"}
    (finding,) = run_checks(lake, only=["clocks_agree"])
    (row,) = [dict(zip(finding.columns, row, strict=True)) for row in finding.rows]
    assert (row["from"], row["to"], row["off_s"], row["set_s"]) == (
        "2026-01-15T08:59:10.000000Z",
        "2026-01-15T09:00:10.000000Z",
        0.9,
        1.8,
    )


def test_a_host_that_was_started_again_is_no_step(builder: LakeBuilder) -> None:
    note(builder, -110)
    note(builder, -80, boottime=-910)  # 10 s after its start
    assert flagged(builder.build()) == set()


def test_counters_that_were_read_on_that_host(builder: LakeBuilder) -> None:
    """The job's boards are on n2, its tokens were read on n1."""
    readings = [(EDGE + 10 * second * S, second * 100) for second in range(5)]
    builder.tokens("other", readings, source_id="s")
    note(builder, 0)
    note(builder, 30, realtime=7)
    assert flagged(builder.build()) == {"other", "second"}


def test_a_note_that_arrives_late_makes_its_hour_stale(builder: LakeBuilder) -> None:
    note(builder, -110)
    lake = builder.build()
    note(builder, -70, realtime=5)
    done = index(lake, Site(None, None, {}), progress=lambda _: None)
    assert {cause for causes in done.causes.values() for cause in causes} == {"clock"}
    assert "first" in flagged(lake)
