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
    assert made(["a", "b"]).outdated_by(now) is is_outdated


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
