"""The benchmark of scale: its fleets are sound, and its questions have one answer."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from benchmarks.scale import __main__ as command
from benchmarks.scale import fleet
from benchmarks.scale.aims import aims, lines
from benchmarks.scale.fromreadings import from_readings
from benchmarks.scale.measure import SITE
from benchmarks.scale.questions import QUESTIONS, ask

from tokenergy_collectors.lake import Lake
from tokenergy_collectors.lake.contract import HOUR_US, SEGMENT
from tokenergy_sql.checks.checking import run_checks
from tokenergy_sql.index.pipeline import index

DEVICES, HOURS = 11, 2


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    made, segments = fleet.make_lake(tmp_path_factory.mktemp("scale") / "lake", DEVICES, HOURS)
    assert segments == len(made.read("segment", columns=["start_us"]))
    index(made, SITE, progress=lambda _: None)
    return made


def test_segments_are_those_of_a_fleet(lake: Lake) -> None:
    rows = lake.read("segment")
    assert rows.schema == SEGMENT.schema()
    frame = {name: rows[name].to_numpy() for name in ("start_us", "end_us", "energy_nj")}
    devices = np.array(rows["device_id"].to_pylist())
    assert len(set(devices)) == DEVICES
    for device in set(devices):
        mine = devices == device
        order = np.argsort(frame["start_us"][mine])
        start, end = frame["start_us"][mine][order], frame["end_us"][mine][order]
        assert (start[0], end[-1]) == (fleet.T0, fleet.T0 + HOURS * HOUR_US)
        assert (start[1:] == end[:-1]).all()
        assert (end - start).max() == fleet.S
    counter = rows["counter_nj"].to_numpy()
    seen = frame["energy_nj"] > 0
    assert np.abs(counter[seen].sum() / frame["energy_nj"][seen].sum() - 1) < 0.01


def test_job_edges_are_cuts(lake: Lake) -> None:
    starts = set(lake.read("segment", columns=["start_us"])["start_us"].to_pylist())
    edges = set(lake.read("jobs")["end_us"].to_pylist())
    inside = {t for t in edges if fleet.T0 < t < fleet.T0 + HOURS * HOUR_US}
    assert inside
    assert inside <= starts
    assert any(t % fleet.S for t in inside)


def test_a_day_of_a_thousand_devices_has_two_thousand_jobs() -> None:
    jobs = sum(len(list(fleet.jobs_of(node, 24))) for node in range(125))
    assert 1_800 < jobs < 2_300


def test_the_books_of_such_a_fleet_are_sound(lake: Lake) -> None:
    # There are no readings, so that the law has nothing to be held against.
    breaches = [found.name for found in run_checks(lake) if found.breach]
    assert breaches == ["law"]
    methods = set(lake.read("ledger", columns=["method"])["method"].to_pylist())
    assert methods == {"counter", "counter_gap"}


def test_sql_and_polars_give_the_same_answers(lake: Lake) -> None:
    found = ask(lake, 1)
    assert [row["title"] for row in found] == [question.title for question in QUESTIONS]
    assert all(row["rows"] for row in found)
    assert [row["agree"] for row in found if "agree" in row] == [True] * 4


@pytest.mark.long
def test_readings_of_such_a_fleet_become_sound_books(tmp_path: Path) -> None:
    """Three nodes: on one nothing reads the counter, on one half a minute is missing."""
    found = from_readings(tmp_path, 3 * fleet.GPUS_A_NODE, 1, 1)
    assert found["breaches"] == []
    assert found["readings"] == 24 * 36_000 - 8 * 300
    assert {*found["steps"]} == {"read_table", "aggregate", "index", "check"}
    assert all(step["seconds"] > 0 < step["cpu_seconds"] for step in found["steps"].values())


def test_the_aims_are_told_beside_what_was_before() -> None:
    took = {"read_table": 2.0, "aggregate": 4.0, "index": 5.0, "check": 4.0}
    steps = {step: {"seconds": seconds, "peak_mib": 100.0} for step, seconds in took.items()}
    sizes = [{"hours": h, "seconds": 5.0 * h, "peak_mib": 2_050.0} for h in (24, 48)]
    found = [*aims(sizes, {"devices": 1_000, "steps": steps})]
    assert [one.now for one in found] == [9 / 4, 0.5, 13 * 100 / 3_600, 2_050.0, 2.0]
    assert [one.met for one in found] == [False, False, False, False, True]
    text = [*lines(iter(found))]
    assert [line.endswith("missed") for line in text[1:]] == [True, True, True, True, False]


def test_growth_is_that_of_twice_the_hours() -> None:
    sizes = [{"hours": 1, "seconds": 5.0}, {"hours": 24, "seconds": 9.0}]
    twice = {"hours": 48, "seconds": 18.9}
    assert command.growth_of(sizes) == []
    assert command.growth_of([*sizes, twice]) == ["48 hours take 2.10 × as long as 24"]
