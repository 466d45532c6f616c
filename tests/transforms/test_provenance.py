"""Segments say what they were made from, so that newer readings and later job edges are noticed."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.lakes import HOUR_US, T0, LakeBuilder, S, level
from tokenergy_collectors.lake import Lake
from tokenergy_transforms.aggregate import aggregate, worklist
from tokenergy_transforms.inventory import read_inventory
from tokenergy_transforms.provenance import MadeFrom, outdated

EDGE = T0 + HOUR_US


def made(files: list[str], facts: str = "f") -> MadeFrom:
    return MadeFrom(1_000_000, files, facts)


def test_the_text_says_it_all() -> None:
    one = made(["a", "b"])
    assert MadeFrom.parse(one.text()) == one
    assert MadeFrom.parse(None) is None


@pytest.mark.parametrize(
    ("now", "is_outdated"),
    [
        (made(["a", "b"]), False),
        (made(["a", "b", "c"]), True),  # readings arrived
        (made(["a", "b"], "g"), True),  # a job edge arrived
        (made(["a"]), False),  # a file went: without it the segments could not be made again
        (made(["a", "c"]), False),
    ],
)
def test_what_makes_segments_outdated(now: MadeFrom, is_outdated: bool) -> None:
    assert made(["a", "b"]).outdated_by(now, T0) is is_outdated


BEFORE, AT, NEXT = f"n1-{T0 - S}-x.parquet", f"n1-{T0}-x.parquet", f"n1-{EDGE}-x.parquet"
LATE = f"n1-{T0 + S}-x.parquet"


@pytest.mark.parametrize(
    ("now", "is_outdated"),
    [
        (made([AT]), False),  # the disk limit removed the hour before
        (made([AT, LATE]), True),  # then late readings are still booked
        (made([AT], "g"), True),
        (made([AT, NEXT]), False),
        (made([BEFORE, LATE]), False),  # without AT the hour cannot be made again
        (made([BEFORE, AT, NEXT]), True),
    ],
)
def test_files_of_the_hour_matter_more_than_those_next_to_it(
    now: MadeFrom, is_outdated: bool
) -> None:
    assert made([BEFORE, AT]).outdated_by(now, T0) is is_outdated


@pytest.fixture
def builder(tmp_path: Path) -> LakeBuilder:
    """One board, 100 W for a minute in the first hour; nothing is aggregated yet."""
    builder = LakeBuilder(tmp_path / "lake")
    builder.device("A")
    builder.power("A", level(100_000, T0, T0 + 60 * S, S))
    return builder


def look(lake: Lake) -> list[tuple[int, str, int | None]]:
    return outdated(lake, read_inventory(lake), worklist(lake))


def aggregate_all(lake: Lake, window_us: int) -> None:
    for hour, node in worklist(lake):
        aggregate(lake, hour, node, window_us, "cpu")


def test_an_hour_that_was_never_aggregated(builder: LakeBuilder) -> None:
    assert look(builder.lake) == [(T0, "n1", None)]


def test_nothing_is_outdated_after_aggregate(builder: LakeBuilder) -> None:
    aggregate_all(builder.lake, 5 * S)
    assert look(builder.lake) == []


def test_later_readings_of_the_hour(builder: LakeBuilder) -> None:
    aggregate_all(builder.lake, 5 * S)
    builder.power("A", level(100_000, T0 + 61 * S, T0 + 90 * S, S))
    assert look(builder.lake) == [(T0, "n1", 5 * S)]


def test_the_first_readings_of_the_next_hour_and_no_later_ones(builder: LakeBuilder) -> None:
    aggregate_all(builder.lake, 5 * S)
    builder.power("A", level(100_000, EDGE, EDGE + 10 * S, S))
    assert look(builder.lake) == [(T0, "n1", 5 * S), (EDGE, "n1", None)]
    aggregate_all(builder.lake, 5 * S)
    builder.power("A", level(100_000, EDGE + 11 * S, EDGE + 20 * S, S))
    assert look(builder.lake) == [(EDGE, "n1", 5 * S)]


@pytest.mark.parametrize("late", ["A", "B"])
def test_a_log_of_one_board_next_to_the_hour_that_arrives_late(tmp_path: Path, late: str) -> None:
    """Two boards, each with a log of its own: both have a nearest reading beyond each edge."""
    builder = LakeBuilder(tmp_path / "late")
    starts = {"A": 0, "B": S // 4}
    for name in starts:
        builder.device(name)
        builder.power(name, level(100_000, T0, EDGE - S, 60 * S))

    def add(name: str, *, before: bool) -> None:
        begin = T0 - 9 * S if before else EDGE
        builder.power(name, level(100_000, begin + starts[name], begin + 8 * S, S))

    [other] = {"A", "B"} - {late}
    for before in (True, False):
        add(other, before=before)
        aggregate_all(builder.lake, 5 * S)
        add(late, before=before)
        assert (T0, "n1", 5 * S) in look(builder.lake)
        aggregate_all(builder.lake, 5 * S)
    assert look(builder.lake) == []


def test_readings_that_end_a_silence_over_the_edge_arrive_in_a_later_file(tmp_path: Path) -> None:
    """B goes on at once, A after six minutes: the hour's last seconds of A are then its time."""
    builder = LakeBuilder(tmp_path / "silent")
    for name in ("A", "B"):
        builder.device(name)
        builder.power(name, level(100_000, EDGE - 60 * S, EDGE - 5 * S, S))
    builder.power("B", level(100_000, EDGE, EDGE + 20 * S, S))
    aggregate_all(builder.lake, 5 * S)
    assert ends_of(builder.lake) == {"A": EDGE - 5 * S, "B": EDGE}
    builder.power("A", level(100_000, EDGE + 360 * S, EDGE + 380 * S, S))
    assert (T0, "n1", 5 * S) in look(builder.lake)
    aggregate_all(builder.lake, 5 * S)
    assert ends_of(builder.lake) == {"A": EDGE, "B": EDGE}
    builder.power("A", level(100_000, EDGE + 390 * S, EDGE + 400 * S, S))
    assert look(builder.lake) == [(EDGE, "n1", 5 * S)]


def ends_of(lake: Lake) -> dict[str, int]:
    """Return the end of the last segment of each device in the first hour."""
    rows = lake.read("segment", [T0]).sort_by("end_us").to_pylist()
    return {row["device_id"]: row["end_us"] for row in rows}


def test_a_job_edge_that_arrived_later(builder: LakeBuilder) -> None:
    aggregate_all(builder.lake, 5 * S)
    builder.job("j", "A", T0 + 3 * S, T0 + 8 * S)
    assert look(builder.lake) == [(T0, "n1", 5 * S)]


def test_a_job_of_another_node_changes_nothing(builder: LakeBuilder) -> None:
    aggregate_all(builder.lake, 5 * S)
    builder.job("j", "B", T0 + 3 * S, T0 + 8 * S, node="n2")
    assert look(builder.lake) == []


def test_segments_of_an_earlier_version_are_made_again(builder: LakeBuilder) -> None:
    aggregate_all(builder.lake, 5 * S)
    rows = builder.lake.read("segment")
    builder.lake.replace("segment", rows, T0, "n1")  # without the note
    assert look(builder.lake) == [(T0, "n1", None)]


def test_readings_that_the_disk_limit_removed_leave_the_segments(builder: LakeBuilder) -> None:
    aggregate_all(builder.lake, 5 * S)
    builder.power("A", level(100_000, T0 + 61 * S, T0 + 90 * S, S))
    min(builder.lake.files("power")).unlink()
    assert look(builder.lake) == []
