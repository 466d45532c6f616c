"""Checks of what was recorded: of the records of each kind they name those that are at fault."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.support.lakes import HOUR_US, T0, LakeBuilder, S, level
from tokenergy_collectors.lake import Lake
from tokenergy_sql.checks.checking import run_checks

EDGE = T0 + HOUR_US

Note = tuple[int, int, int, int]
"""Of the clocks: stamp, monotonic and boot time (s), and how far UTC is from the stamp (us)."""

CLOCKS: dict[str, tuple[list[Note], list[str]]] = {
    "clock-set": ([(T0, 100, 100, 0), (T0 + 10 * S, 110, 110, 5 * S)], ["wall clock set"]),
    # The monotonic clock stops, the time since boot goes on.
    "suspended": ([(T0, 100, 100, 0), (T0 + 10 * S, 110, 130, 0)], ["suspended"]),
    "overlapping": (
        [(T0, 100, 100, 0), (T0 + 30 * S, 130, 130, 0), (T0 + 20 * S, 150, 150, 0)],
        ["runs overlap"],
    ),
    "rebooted": (
        [(T0, 90_000, 90_000, 0), (T0 + 20 * S, 90_020, 90_020, 0), (T0 + 70 * S, 40, 40, 0)],
        [],
    ),
}
"""Notes of a node's clocks, and what is found."""

PAUSES_US = (0, 1, S, 20 * S)
LONE = "lone"
HELD_US = (0, 1)
SAME_S = (0, 30, 60)


def add_board(builder: LakeBuilder, name: str) -> None:
    """Add a node with a board of 100 W for a minute, held by a job that names it by its index."""
    builder.device(name, node=name, index=0)
    builder.power(name, level(100_000, T0, T0 + 60 * S, S), node=name)
    builder.job(f"job of {name}", "0", T0, T0 + 60 * S, node=name)


def add_clocks(builder: LakeBuilder) -> None:
    for node, (notes, _) in CLOCKS.items():
        add_board(builder, node)
        rows = [
            {
                "ts_us": ts,
                "node": node,
                "monotonic_us": monotonic * S,
                "boottime_us": boot * S,
                "realtime_us": ts + off,
            }
            for ts, monotonic, boot, off in notes
        ]
        builder.add("clock", rows, node)


def add_moved(builder: LakeBuilder) -> None:
    """Add boards that a second node reads after the first one did, until 90 s."""
    starts = {f"moved-{pause}": T0 + 60 * S + pause for pause in PAUSES_US}
    for name, first_us in {**starts, LONE: T0 + 90 * S}.items():
        add_board(builder, name)
        builder.device(name, node=f"{name}-on", ts_us=first_us)
        builder.power(name, level(100_000, first_us, T0 + 90 * S, S), node=f"{name}-on")


def add_jobs(builder: LakeBuilder) -> None:
    builder.job("lost", "C", T0, T0 + 60 * S, node="unseen")
    add_board(builder, "schedulers")
    of = {"node": "schedulers"}
    builder.job("17", "schedulers", T0, T0 + 10 * S, scheduler="slurm", **of)
    builder.job("17", "schedulers", T0 + 20 * S, T0 + 30 * S, scheduler="kubernetes", **of)
    add_board(builder, "twice")
    builder.job("job of twice", "twice", T0 + 10 * S, T0 + 60 * S, node="twice")
    builder.job("k", "dark", T0, T0 + 60 * S)
    builder.job("l", "dark", T0 + 30 * S, T0 + 60 * S)


def add_unheld(builder: LakeBuilder) -> None:
    """Add boards that are read from 30 s to 50 s.

    They are held until just after the hour begins, and again from 60 s on.
    """
    for held_us in HELD_US:
        of = {"node": f"unheld-{held_us}"}
        name = of["node"]
        builder.device(name, node=name)
        builder.power(name, level(100_000, T0 + 30 * S, T0 + 50 * S, S), node=name)
        builder.job(f"before {name}", name, T0 - 10 * S, T0 + held_us, **of)
        builder.job(f"after {name}", name, T0 + 60 * S, T0 + 70 * S, **of)


def add_files(builder: LakeBuilder) -> None:
    """Add boards of which more than one file has readings."""
    add_board(builder, "contradicted")
    later_us = T0 + 50 * S + 7
    builder.power(
        "contradicted", level(300_000, later_us, later_us + 60 * S, S), node="contradicted"
    )
    for same_s in SAME_S:
        name = f"same-{same_s}"
        add_board(builder, name)
        builder.power(name, level(100_000, T0 + same_s * S, T0 + 70 * S, S), node=name)
    add_board(builder, "filled")
    hole = [*level(1_000, T0 + 70 * S, T0 + 80 * S, S), *level(1_000, T0 + 90 * S, T0 + 99 * S, S)]
    builder.power("filled", hole, node="filled")
    builder.power("filled", level(2_000, T0 + 81 * S, T0 + 89 * S, S), node="filled")
    builder.device("at-edge", node="at-edge")
    builder.power("at-edge", level(100_000, EDGE - 10 * S, EDGE, S), node="at-edge")


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """All records, each on nodes and boards of its own: nobody who takes it changes it."""
    builder = LakeBuilder(tmp_path_factory.mktemp("records") / "lake")
    for add in (add_clocks, add_moved, add_jobs, add_unheld, add_files):
        add(builder)
    return builder.build()


Found = Callable[[str, str], list[tuple[Any, ...]]]


@pytest.fixture(scope="module")
def found(lake: Lake) -> Found:
    """Return the rows of a check whose first column is a node, a board or a job."""
    names = (
        "claims_are_booked",
        "clocks_agree",
        "jobs_do_not_contend",
        "law",
        "ledger_is_complete",
        "one_scheduler_a_job",
        "readings_are_booked",
        "records_take_turns",
    )
    findings = {finding.name: finding for finding in run_checks(lake, only=names)}
    assert [finding.name for finding in findings.values() if finding.breach] == []

    def rows(check: str, name: str) -> list[tuple[Any, ...]]:
        return [row for row in findings[check].rows if row[0] == name]

    return rows


def test_a_reading_on_the_edge_of_an_hour_has_no_time_of_its_own(found: Found) -> None:
    assert found("readings_are_booked", "at-edge") == []


def test_a_board_that_never_reported(found: Found) -> None:
    assert found("claims_are_booked", "lost") == [
        ("lost", "unseen", "C", 60.0, 0.0, "no readings of this device")
    ]


def test_one_id_from_two_schedulers(found: Found) -> None:
    assert found("one_scheduler_a_job", "17") == [("17", "kubernetes+slurm", 2)]


@pytest.mark.parametrize("node", CLOCKS)
def test_clocks_that_disagree(found: Found, node: str) -> None:
    """A reboot is no step."""
    assert [row[1] for row in found("clocks_agree", node)] == CLOCKS[node][1]


@pytest.mark.parametrize("pause_us", PAUSES_US)
def test_a_board_that_changes_its_node_leaves_no_hole(found: Found, pause_us: int) -> None:
    assert found("ledger_is_complete", f"moved-{pause_us}") == []
    assert found("readings_are_booked", f"moved-{pause_us}") == []


def test_a_lone_reading_on_the_next_node_has_no_time_of_its_own(found: Found) -> None:
    assert found("readings_are_booked", LONE) == []


def test_a_job_recorded_twice_contends_with_nobody(found: Found) -> None:
    assert found("jobs_do_not_contend", "twice") == []


def test_two_jobs_on_a_board_without_readings_contend(found: Found) -> None:
    (row,) = found("jobs_do_not_contend", "dark")
    assert row == ("dark", "2026-01-15T08:00:30.000000Z", 1, 2)


@pytest.mark.parametrize("held_us", HELD_US)
def test_time_that_nobody_held_outside_of_the_readings_is_no_hole(
    lake: Lake, found: Found, held_us: int
) -> None:
    name = f"unheld-{held_us}"
    rows = [row for row in lake.read("ledger_hour", [T0]).to_pylist() if row["device_id"] == name]
    assert sum(row["device_us"] for row in rows) == 30 * S + held_us
    assert sum(row["device_us"] for row in rows if row["job_id"] is None) == 20 * S
    for check in ("ledger_is_complete", "readings_are_booked", "law"):
        assert found(check, name) == []


def test_two_files_with_different_readings_of_one_time(lake: Lake, found: Found) -> None:
    ((_, *files, first, last),) = found("records_take_turns", "contradicted")
    assert {*files} < {path.name for path in lake.files("power")}
    assert files[1].startswith(f"contradicted-{T0 + 50 * S + 7}-")
    assert (first, last) == ("2026-01-15T08:00:50.000007Z", "2026-01-15T08:01:00.000000Z")


@pytest.mark.parametrize("same_s", SAME_S)
def test_the_same_readings_in_two_files_are_no_fault(found: Found, same_s: int) -> None:
    assert found("records_take_turns", f"same-{same_s}") == []


def test_a_late_file_that_fills_a_hole_is_no_fault(found: Found) -> None:
    assert found("records_take_turns", "filled") == []
