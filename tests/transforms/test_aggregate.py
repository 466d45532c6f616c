"""One node and hour from the lake and back: edges of hours, duplicates, limits, idempotency."""

from __future__ import annotations

import itertools
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests.support.lakes import HOUR_US, T0, LakeBuilder, S, level
from tokenergy_collectors.base.instants import END_US, FIRST_US
from tokenergy_transforms import choice, kernel_cpu, readings
from tokenergy_transforms.aggregate import Aggregator, aggregate, worklist
from tokenergy_transforms.batch import Batch


@pytest.fixture
def builder(tmp_path: Path) -> LakeBuilder:
    return LakeBuilder(tmp_path / "lake")


def test_nothing_is_lost_at_the_hour(builder: LakeBuilder) -> None:
    """The pair of readings across the edge belongs to both hours, each its part."""
    edge = T0 + HOUR_US
    builder.device("A")
    builder.power("A", level(123_457, edge - 10 * S, edge + 10 * S, 300_001))
    energy = {}
    for hour in (T0, edge):
        aggregate(builder.lake, hour, "n1", S, "cpu")
        rows = builder.lake.read("segment", [hour])
        energy[hour] = sum(rows["energy_nj"].to_pylist())
        assert rows["covered_us"].to_pylist() == [
            e - s
            for s, e in zip(rows["start_us"].to_pylist(), rows["end_us"].to_pylist(), strict=True)
        ]
    assert energy[T0] == 10 * S * 123_457
    assert sum(energy.values()) == pytest.approx(123_457 * 66 * 300_001, rel=1e-9)


def test_the_counter_is_found_across_a_long_silence(builder: LakeBuilder) -> None:
    """Readings end 10 min before the hour and go on 20 min after it; the counter spans it."""
    edge = T0 + HOUR_US
    first, last = edge - 600 * S, edge + 1200 * S
    builder.device("A")
    builder.power(
        "A",
        [*level(100_000, first - 5 * S, first), *level(100_000, last, last + 5 * S)],
        counters={first: 1_000_000, last: 1_000_000 + 180_000_000},
    )
    builder.job("j", "A", first, last)
    aggregate(builder.lake, T0, "n1", S, "cpu")
    counted = [v for v in builder.lake.read("segment", [T0])["counter_nj"].to_pylist() if v]
    assert sum(counted) == 60_000_000 * 10**6


@pytest.mark.parametrize("rarely", [True, False])
@pytest.mark.parametrize("silent_us", [9 * S, 16 * S, 20 * 60 * S])
def test_a_silence_over_the_hour_is_time_of_its_board(
    builder: LakeBuilder, silent_us: int, rarely: bool
) -> None:
    """However long it is, and whether or not another board's counter is looked for far away."""
    edge = T0 + HOUR_US
    first, last = edge - 5 * S, edge - 5 * S + silent_us
    for name in ("A", "B"):
        builder.device(name)
    builder.power("A", level(100_000, first - 60 * S, first, S))
    builder.power("A", level(100_000, last, last + 60 * S, S))
    stamps = [at for at, _ in level(100_000, edge - 100 * S, edge + 100 * S, S)]
    counted = stamps[::60] if rarely else stamps
    energy = {at: 1_000_000 + (at - stamps[0]) // 10_000 for at in counted}
    builder.power("B", [(at, 100_000) for at in stamps], counters=energy)
    for hour, node in worklist(builder.lake):
        aggregate(builder.lake, hour, node, S, "cpu")
    rows = builder.lake.read("segment").to_pylist()
    spans = sorted((r["start_us"], r["end_us"]) for r in rows if r["device_id"] == "A")
    assert (spans[0][0], spans[-1][1]) == (first - 60 * S, last + 60 * S)
    assert all(before[1] == after[0] for before, after in itertools.pairwise(spans))


def test_duplicates_count_once(builder: LakeBuilder) -> None:
    builder.device("A")
    builder.power("A", level(100_000, T0, T0 + 10 * S))
    builder.power("A", level(100_000, T0, T0 + 5 * S))
    builder.power("A", [(T0 + 3 * S, 900_000)])  # contradicts: the mean counts, and is marked
    aggregate(builder.lake, T0, "n1", S, "cpu")
    rows = builder.lake.read("segment")
    assert sum(rows["readings"].to_pylist()) == 100
    # 500 W instead of 100 W at one reading of ten a second: 0.1 s x 400 W more, and as much doubt.
    assert sum(rows["energy_nj"].to_pylist()) == 1_040 * 10**9
    assert sum(doubt or 0 for doubt in rows["doubt_nj"].to_pylist()) == 40 * 10**9 + 2
    marked = {r["start_us"] - T0: r["reasons"] for r in rows.to_pylist() if r["reasons"]}
    assert marked == {2 * S: "equal_stamps", 3 * S: "equal_stamps"}


def test_the_gap_limit_follows_the_update_period(builder: LakeBuilder) -> None:
    assert readings.gap_limits(
        {"A": 5 * S, "B": 100_000, "C": None}, ["A", "B", "C", "D"]
    ).tolist() == [
        15 * S,
        1_500_000,
        1_500_000,
        1_500_000,
    ]
    builder.device("A", update_us=5 * S)
    builder.power("A", level(100_000, T0, T0 + 60 * S, 5 * S))
    aggregate(builder.lake, T0, "n1", S, "cpu")
    assert sum(builder.lake.read("segment")["covered_us"].to_pylist()) == 60 * S


def test_power_at_the_right_cut_is_linear_between_readings(builder: LakeBuilder) -> None:
    """Cuts every second and at a job's edge; a gap of 3 s in which power is not defined."""
    builder.device("A")
    builder.power("A", [(T0 + S // 2, 100_000), (T0 + 3 * S // 2, 300_000), (T0 + 2 * S, 7_001)])
    builder.power("A", [(T0 + 5 * S, 50_000), (T0 + 6 * S, 50_000)])
    builder.job("j", "A", T0 + 5 * S + 250_000, T0 + 9 * S)
    builder.device("B", index=1)
    builder.power("B", [(T0, 10), (T0 + S, 20)])
    aggregate(builder.lake, T0, "n1", S, "cpu")
    rows = builder.lake.read("segment").to_pylist()
    found = {(r["device_id"], r["end_us"] - T0): r["end_mw"] for r in rows}
    assert found == {
        ("A", 1 * S): 200_000,
        ("A", 2 * S): 7_001,
        ("A", 3 * S): None,
        ("A", 4 * S): None,
        ("A", 5 * S): 50_000,
        ("A", 5 * S + 250_000): 50_000,
        ("A", 6 * S): 50_000,
        ("A", 9 * S): None,
        ("B", 1 * S): 20,
    }


def test_a_power_out_of_bounds_is_left_out(
    builder: LakeBuilder, caplog: pytest.LogCaptureFixture
) -> None:
    builder.device("A")
    builder.power("A", level(100_000, T0, T0 + 5 * S))
    builder.power("A", [(T0 + 6 * S, 5), (T0 + 7 * S, -1)])
    aggregate(builder.lake, T0, "n1", S, "cpu")
    assert "power_mw goes from -1 to 5; expected 0 to 2147483647; moved to" in caplog.text
    assert sum(builder.lake.read("segment")["covered_us"].to_pylist()) == 5 * S


def test_worklist_has_readings_and_closed_jobs(builder: LakeBuilder) -> None:
    builder.device("A")
    builder.power("A", level(100_000, T0, T0 + S))
    builder.job("late", "A", T0 + HOUR_US, T0 + 3 * HOUR_US)
    builder.job("running", "A", T0 + 5 * HOUR_US, None)
    builder.job("unknown", "Z", T0 + 7 * HOUR_US, T0 + 8 * HOUR_US)
    assert worklist(builder.lake) == [(T0, "n1")], "nothing was recorded in the hours after it"
    builder.power("A", level(100_000, T0 + 3 * HOUR_US, T0 + 3 * HOUR_US + S))
    hours = [T0, T0 + HOUR_US, T0 + 2 * HOUR_US, T0 + 3 * HOUR_US]
    assert worklist(builder.lake) == [(hour, "n1") for hour in hours]
    assert worklist(builder.lake, [T0 + HOUR_US]) == [(T0 + HOUR_US, "n1")]


def test_a_job_without_end_makes_no_hours_without_end(builder: LakeBuilder) -> None:
    builder.device("A")
    builder.power("A", level(100_000, T0, T0 + 10 * S, S))
    builder.job("old", "A", FIRST_US, T0 + 5 * S)
    builder.job("new", "A", T0 + 5 * S, END_US - S)
    assert worklist(builder.lake) == [(T0, "n1")]


def test_again_gives_the_same_bytes_and_nothing_removes(builder: LakeBuilder) -> None:
    builder.device("A")
    builder.power("A", level(100_000, T0, T0 + 10 * S))
    aggregate(builder.lake, T0, "n1", S, "cpu")
    (path,) = builder.lake.files("segment")
    before = (path.read_bytes(), path.stat().st_ino)
    aggregate(builder.lake, T0, "n1", S, "cpu")
    assert (path.read_bytes(), path.stat().st_ino) == before
    for raw in builder.lake.files("power"):
        raw.unlink()
    assert worklist(builder.lake) == [(T0, "n1")]
    aggregate(builder.lake, T0, "n1", S, "cpu")
    assert builder.lake.files("segment") == []
    assert worklist(builder.lake) == []


def test_segments_of_a_node_are_not_taken_for_those_of_another(builder: LakeBuilder) -> None:
    for name in ("gpu", "gpu-1-2"):
        builder.device(name, node=name)
        builder.power(name, level(100_000, T0, T0 + S), node=name)
        aggregate(builder.lake, T0, name, S, "cpu")
    assert builder.lake.nodes("power", T0) == builder.lake.nodes("segment", T0)
    assert set(builder.lake.read("segment", node="gpu")["device_id"].to_pylist()) == {"gpu"}


def test_an_empty_file_is_no_reading_and_no_fault(builder: LakeBuilder) -> None:
    builder.device("A")
    builder.power("A", level(100_000, T0, T0 + S))
    (path,) = builder.lake.files("power")
    pq.write_table(pq.read_table(path, partitioning=None).slice(0, 0), path)
    aggregate(builder.lake, T0, "n1", S, "cpu")
    assert builder.lake.read("segment").num_rows == 0
    assert builder.lake.files("power") == [path]


def test_each_outcome_names_the_back_end_that_did_its_work(
    builder: LakeBuilder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def integrate(self: choice.Integrator, batch: Batch) -> choice.Integrated:
        backend: choice.Backend = "cuda" if batch.power_mw.max() > 150_000 else "cpu"
        return choice.Integrated(kernel_cpu.integrate(batch), backend)

    monkeypatch.setattr(choice.Integrator, "__call__", integrate)
    for node, power_mw in (("n1", 100_000), ("n2", 200_000), ("n3", 100_000)):
        builder.device(node, node=node)
        builder.power(node, level(power_mw, T0, T0 + S), node=node)
    outcomes = Aggregator(builder.lake, S).run([*worklist(builder.lake), (T0 + HOUR_US, "n2")])
    assert [(o.node, o.backend, o.segments) for o in outcomes] == [
        ("n1", "cpu", 1),
        ("n2", "cuda", 1),
        ("n3", "cpu", 1),
        ("n2", "cpu", 0),
    ]
