"""Jobs during which a host's clock was set, or the host slept, have the code `clock_step`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.support.lakes import HOUR_US, T0, LakeBuilder, S, level
from tokenergy_collectors.lake import Lake
from tokenergy_sql.checks.checking import run_checks
from tokenergy_sql.index.pipeline import index
from tokenergy_sql.index.site import Site

EDGE = T0 + HOUR_US


def add_jobs(builder: LakeBuilder, node: str) -> None:
    """Add four minutes over the edge of an hour: `first` and `second`, and `other` beside them.

    The names of the jobs, and of the node beside it, follow that of the node.
    """
    beside = f"{node}-beside"
    for name in (node, beside):
        builder.device(name, node=name, index=0, ts_us=EDGE - 120 * S)
        builder.power(name, level(100_000, EDGE - 120 * S, EDGE + 120 * S, S), node=name)
    builder.job(f"{node} first", node, EDGE - 120 * S, EDGE - 65 * S, node=node)
    builder.job(f"{node} second", node, EDGE - 55 * S, EDGE + 120 * S, node=node)
    builder.job(f"{node} other", beside, EDGE - 120 * S, EDGE + 120 * S, node=beside)


def note(builder: LakeBuilder, node: str, second: int, **off_s: float) -> None:
    """Add a note of a node's clocks; `off_s` are seconds to add to boottime and realtime."""
    ts_us = EDGE + second * S
    boot_us = (1_000 + second) * S
    row = {
        "ts_us": ts_us,
        "node": node,
        "monotonic_us": boot_us,
        "boottime_us": boot_us + round(off_s.get("boottime", 0) * S),
        "realtime_us": ts_us + round(off_s.get("realtime", 0) * S),
    }
    builder.add("clock", [row], node)


def note_later_run(builder: LakeBuilder, node: str, second: int, set_s: int) -> None:
    """Add a note of a run that began after the wall clock was set: its stamps follow that clock.

    Args:
        builder: where to add it.
        node: whose clocks.
        second: when, by the clock of the first run.
        set_s: by how much the wall clock was set before the run.
    """
    ts_us = EDGE + (second + set_s) * S
    row = {"ts_us": ts_us, "node": node, "realtime_us": ts_us}
    boot_us = (1_000 + second) * S
    builder.add("clock", [{**row, "monotonic_us": boot_us, "boottime_us": boot_us}], node)


WALL: dict[str, tuple[list[tuple[int, int]], set[str]]] = {
    # The wall clock is set back by 5 s between two notes of the second job, and set again.
    "set-back": ([(-50, 0), (-20, -5), (-10, 0), (60, 0)], {"second"}),
    "set-forward": ([(-110, 0), (-80, 3), (-70, 0), (60, 0)], {"first"}),
    # It stays off: everything from the note before on is doubtful.
    "stays-off": ([(-90, 0), (-70, 5), (30, 5)], {"first", "second"}),
    "a-second": ([(-110, 0), (-60, 1), (60, 0)], set()),  # a second is none
}
"""When the wall clock was how far off, and the jobs that are flagged."""

RUNS: dict[str, tuple[tuple[int, int], int, set[str]]] = {
    "run-forward": ((-50, 0), 30, {"second"}),
    "run-back": ((-20, 40), -20, {"second"}),
    "run-far": ((-100, -50), 90, {"first", "second"}),
    "run-a-second": ((-50, 0), 1, set()),  # a second is none
    "run-right": ((-50, 0), 0, set()),
}
"""Notes of a second run, by how much the clock was set before it, and the jobs that are flagged."""


def add_wall(builder: LakeBuilder) -> None:
    for node, (steps, _) in WALL.items():
        add_jobs(builder, node)
        for second, off_s in steps:
            note(builder, node, second, realtime=off_s)


def add_runs(builder: LakeBuilder) -> None:
    for node, (seconds, set_s, _) in RUNS.items():
        add_jobs(builder, node)
        for second in (-118, -110) if seconds[0] == -100 else (-110, -60):
            note(builder, node, second)
        for second in seconds:
            note_later_run(builder, node, second, set_s)
    add_jobs(builder, "behind")
    note(builder, "behind", -110)
    note(builder, "behind", -50)
    for second in (-40, 20):
        note_later_run(builder, "behind", second, -60)


def add_others(builder: LakeBuilder) -> None:
    """Add clocks that agree, hosts that slept or were started again, and counters read there."""
    for node in ("agreed", "slept", "over", "restarted", "counted"):
        add_jobs(builder, node)
    for second in (-110, -60, 0, 60):
        note(builder, "agreed", second)
    note(builder, "slept", -50)
    note(builder, "slept", -10)
    note(builder, "slept", 50, boottime=30)
    note(builder, "over", -50, realtime=-0.9)
    note(builder, "over", 10, realtime=0.9)
    note(builder, "restarted", -110)
    note(builder, "restarted", -80, boottime=-910)  # 10 s after its start
    readings = [(EDGE + 10 * second * S, second * 100) for second in range(5)]
    builder.tokens("counted other", readings, source_id="s", node="counted")
    note(builder, "counted", 0)
    note(builder, "counted", 30, realtime=7)


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """All nodes: nobody who takes them changes them."""
    builder = LakeBuilder(tmp_path_factory.mktemp("clocks") / "lake")
    for add in (add_wall, add_runs, add_others):
        add(builder)
    return builder.build()


def flagged(lake: Lake, node: str) -> set[str]:
    rows = lake.read("job_index", columns=["job_id", "reason_codes"]).to_pylist()
    own = [row for row in rows if row["job_id"].startswith(f"{node} ")]
    assert len(own) == 3
    return {
        row["job_id"].removeprefix(f"{node} ")
        for row in own
        if "clock_step" in row["reason_codes"].split(",")
    }


def hours(lake: Lake, node: str) -> set[tuple[str, int]]:
    rows = lake.read("job_hour_index", columns=["job_id", "hour_us", "reason_codes"]).to_pylist()
    return {
        (row["job_id"].removeprefix(f"{node} "), row["hour_us"])
        for row in rows
        if row["job_id"].startswith(f"{node} ") and "clock_step" in row["reason_codes"]
    }


@pytest.fixture(scope="module")
def disagreeing(lake: Lake) -> list[dict[str, Any]]:
    """What `clocks_agree` finds."""
    (finding,) = run_checks(lake, only=["clocks_agree"])
    return [dict(zip(finding.columns, row, strict=True)) for row in finding.rows]


def test_clocks_that_agree_say_nothing(lake: Lake) -> None:
    assert flagged(lake, "agreed") == set()


@pytest.mark.parametrize("node", WALL)
def test_a_wall_clock_that_was_set(lake: Lake, node: str) -> None:
    assert flagged(lake, node) == WALL[node][1]


def test_a_host_that_slept(lake: Lake) -> None:
    assert flagged(lake, "slept") == {"second"}
    assert hours(lake, "slept") == {("second", T0), ("second", EDGE)}  # it slept in one of the two


def test_a_run_behind_an_earlier_one(lake: Lake) -> None:
    assert flagged(lake, "behind") == {"first", "second"}


@pytest.mark.parametrize("node", RUNS)
def test_a_wall_clock_that_was_set_between_two_runs(
    lake: Lake, disagreeing: list[dict[str, Any]], node: str
) -> None:
    """Each run takes its stamps from the wall clock at its start, so both agree with it."""
    jobs = RUNS[node][2]
    assert flagged(lake, node) == jobs
    found = [row["why"] for row in disagreeing if row["node"] == node]
    assert found == (["wall clock set"] if jobs else [])


def test_a_step_over_the_right_time(lake: Lake, disagreeing: list[dict[str, Any]]) -> None:
    """Neither note is a second off, but the clock was set by more than one."""
    assert flagged(lake, "over") == {"second"}
    (row,) = [row for row in disagreeing if row["node"] == "over"]
    assert (row["from"], row["to"], row["off_s"], row["set_s"]) == (
        "2026-01-15T08:59:10.000000Z",
        "2026-01-15T09:00:10.000000Z",
        0.9,
        1.8,
    )


def test_a_host_that_was_started_again_is_no_step(lake: Lake) -> None:
    assert flagged(lake, "restarted") == set()


def test_counters_that_were_read_on_that_host(lake: Lake) -> None:
    """The job's boards are on the node beside it, its tokens were read on the one that was set."""
    assert flagged(lake, "counted") == {"other", "second"}


def test_a_note_that_arrives_late_makes_its_hour_stale(tmp_path: Path) -> None:
    builder = LakeBuilder(tmp_path / "lake")
    add_jobs(builder, "n1")
    note(builder, "n1", -110)
    lake = builder.build()
    note(builder, "n1", -70, realtime=5)
    done = index(lake, Site(None, None, {}), progress=lambda _: None, catalog=False)
    assert {cause for causes in done.causes.values() for cause in causes} == {"clock"}
    assert "first" in flagged(lake, "n1")
