"""Readings that cannot be taken as they are, through to the ledger: right energy, bounds, reasons.

Each test is a record that someone's monitoring wrote, and the energy that was drawn.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.support.lakes import T0, LakeBuilder, S, level
from tests.support.ledger import J, ask, assert_checks_pass
from tokenergy_collectors.lake import Lake
from tokenergy_collectors.lake.contract import IMPLAUSIBLE_SENSOR


@pytest.fixture
def builder(tmp_path: Path) -> LakeBuilder:
    return LakeBuilder(tmp_path / "lake")


def hours_of(lake: Lake) -> dict[str, Any]:
    """Energy, bounds (J) and reasons of job j; its books must close."""
    assert_checks_pass(lake)
    (row,) = ask(
        lake,
        "SELECT sum(energy_nj)::DOUBLE / 1e9 AS j, sum(low_nj)::DOUBLE / 1e9 AS low, "
        "sum(high_nj)::DOUBLE / 1e9 AS high, string_agg(DISTINCT method, '+' ORDER BY method) "
        "AS method, string_agg(DISTINCT reasons, ';') AS reasons FROM ledger_hour "
        "WHERE job_id = 'j'",
    )
    return row


def counting(watts: int, seconds: range, base_mj: int = 5_000_000_000) -> dict[int, int]:
    """A counter read once a second (mJ, by stamp)."""
    return {T0 + s * S: base_mj + watts * 1_000 * s for s in seconds}


def test_one_high_reading_is_left_out(builder: LakeBuilder) -> None:
    """3,704 W once, on a board of 320 W that draws 300 W and has no counter."""
    builder.device("A", limit_mw=320_000, update_us=100_000)
    readings = dict(level(300_000, T0, T0 + 20 * S)) | {T0 + 6 * S: 3_704_110}
    builder.power("A", sorted(readings.items()))
    builder.job("j", "A", T0 + 4 * S, T0 + 20 * S)
    found = hours_of(builder.build())
    assert found["j"] == 4_800
    assert found["reasons"] == "implausible_power"


def test_what_the_collector_refused_is_reported_with_the_energy(builder: LakeBuilder) -> None:
    """It records no value, and says so in `sensor`."""
    builder.device("A", limit_mw=320_000, update_us=100_000)
    row = {"device_id": "A", "sensor": "instant", "epoch": 0}
    rows = [{**row, "ts_us": ts, "power_mw": mw} for ts, mw in level(300_000, T0, T0 + 20 * S)]
    rows[60] |= {"power_mw": None, "sensor": IMPLAUSIBLE_SENSOR}
    builder.add("power", rows)
    builder.job("j", "A", T0 + 4 * S, T0 + 20 * S)
    found = hours_of(builder.build())
    assert (found["j"], found["reasons"]) == (4_800, "implausible_power")


def test_the_counter_stands_in_for_readings_that_are_all_wrong(builder: LakeBuilder) -> None:
    builder.device("A", limit_mw=320_000, update_us=100_000)
    builder.power("A", level(3_704_110, T0, T0 + 20 * S), counters=counting(300, range(21)))
    builder.job("j", "A", T0 + 4 * S, T0 + 20 * S)
    lake = builder.build()
    found = hours_of(lake)
    assert (found["j"], found["method"]) == (4_800, "counter_gap")
    assert found["reasons"] == "implausible_power"
    assert found["high"] < 6_000
    # Time that no job holds is booked as well: the counter was read then.
    assert ask(lake, "SELECT sum(energy_nj)::BIGINT AS nj FROM ledger") == [{"nj": 6_000 * J}]


@pytest.mark.parametrize(("wrong_mj", "epochs"), [(204_113, 1), (8_600_000_000, 0)])
def test_a_counter_glitch_is_left_out(builder: LakeBuilder, wrong_mj: int, epochs: int) -> None:
    builder.device("A", limit_mw=320_000, update_us=100_000)
    counters = counting(300, range(21)) | {T0 + 6 * S: wrong_mj}
    later = {ts: 1 for ts in counters if ts >= T0 + (6 if epochs else 7) * S}
    readings = level(300_000, T0, T0 + 20 * S)
    builder.power("A", readings, counters=counters, epochs=later)
    builder.job("j", "A", T0 + 4 * S, T0 + 20 * S)
    found = hours_of(builder.build())
    assert (found["j"], found["method"]) == (4_800, "counter")
    assert found["reasons"] == "counter_glitch"


@pytest.mark.parametrize("told", [True, False])
def test_a_reboot_is_no_measurement(builder: LakeBuilder, told: bool) -> None:
    """20 s of 100 W, ten minutes of silence in which the host started again, 40 s of 600 W."""
    builder.device("A", update_us=S)
    before, after = (
        level(100_000, T0, T0 + 20 * S, S),
        level(600_000, T0 + 620 * S, T0 + 660 * S, S),
    )
    counters = {ts: 1_000_000 + 100 * k * 1_000 for k, (ts, _) in enumerate(before)}
    counters |= {ts: 10_000_000 + 600 * k * 1_000 for k, (ts, _) in enumerate(after)}
    builder.power("A", [*before, *after], counters=counters)
    boots = (90_000, 90_020, 40, 80) if told else (90_000, 90_020, 90_620, 90_660)
    clocks = [
        {
            "ts_us": T0 + s * S,
            "node": "n1",
            "monotonic_us": boot * S,
            "boottime_us": boot * S,
            "realtime_us": T0 + s * S,
        }
        for s, boot in zip((0, 20, 620, 660), boots, strict=True)
    ]
    builder.add("clock", clocks)
    builder.job("j", "A", T0, T0 + 660 * S)
    lake = builder.build()
    assert_checks_pass(lake)
    silence = f"FROM ledger WHERE start_us >= {T0 + 20 * S} AND end_us <= {T0 + 620 * S}"
    (found,) = ask(
        lake,
        "SELECT sum(energy_nj)::BIGINT AS nj, sum(low_nj)::BIGINT AS low, sum(high_nj)::BIGINT "
        f"AS high, max(method) AS method {silence}",
    )
    if told:
        assert found == {"nj": None, "low": 0, "high": 420_000 * J, "method": "missing"}
    else:
        assert (found["nj"], found["method"]) == (7_000 * J, "counter_gap")


def test_readings_of_one_stamp_are_averaged(builder: LakeBuilder) -> None:
    """A log with stamps to the second of a board that draws 100 W and 500 W in turn."""
    builder.device("A", update_us=S)
    rows = [
        {"ts_us": T0 + s * S, "device_id": "A", "power_mw": mw, "sensor": "unknown", "epoch": 0}
        for s in range(61)
        for mw in (100_000, 500_000, 100_000, 500_000)
    ]
    builder.add("power", rows)
    builder.add("power", rows)  # the file was imported twice
    builder.job("j", "A", T0, T0 + 60 * S)
    found = hours_of(builder.build())
    assert found["j"] == 18_000
    assert found["reasons"] == "equal_stamps"
    assert found["low"] < 6_000
    assert found["high"] > 30_000


def test_each_reading_of_a_stamp_counts(builder: LakeBuilder) -> None:
    """100 W twice and 400 W once in every second: 200 W, whether a file comes once or twice."""
    builder.device("A", update_us=S)
    rows = [
        {"ts_us": T0 + s * S, "device_id": "A", "power_mw": mw, "sensor": "unknown", "epoch": 0}
        for s in range(61)
        for mw in (100_000, 400_000, 100_000)
    ]
    builder.add("power", rows)
    builder.add("power", rows[::2])
    builder.job("j", "A", T0, T0 + 60 * S)
    found = hours_of(builder.build())
    assert (found["j"], found["reasons"]) == (12_000, "equal_stamps")


@pytest.mark.parametrize("spacing_s", [2, 5, 60])
def test_sparse_readings_say_little(builder: LakeBuilder, spacing_s: int) -> None:
    """Each reading shows 700 W; the board may have drawn next to nothing between them."""
    builder.device("A", name="NVIDIA H100 80GB HBM3", update_us=spacing_s * S)
    builder.power("A", level(700_000, T0, T0 + 600 * S, spacing_s * S))
    builder.job("j", "A", T0, T0 + 600 * S)
    found = hours_of(builder.build())
    assert (found["j"], found["reasons"]) == (420_000, "sparse")
    assert found["low"] == 0
    assert found["high"] >= 420_000


def test_bounds_of_a_log_of_1_hz_do_not_change(builder: LakeBuilder) -> None:
    builder.device("A", name="NVIDIA H100 80GB HBM3", update_us=S)
    builder.power("A", level(700_000, T0, T0 + 600 * S, S))
    builder.job("j", "A", T0 + 100 * S, T0 + 500 * S)
    found = hours_of(builder.build())
    assert found["reasons"] is None
    assert found["low"] > 0.94 * 280_000
    assert found["high"] < 1.07 * 280_000


def test_stalls_of_a_log_of_1_hz_are_bridged(builder: LakeBuilder) -> None:
    """After every tenth reading the next comes 3.9 s later. 300 W all the time."""
    builder.device("A", update_us=1_002_000, limit_mw=None)
    stamps, ts = [], T0
    for k in range(300):
        stamps.append(ts)
        ts += 3_934_000 if k % 10 == 9 else 1_002_000
    builder.power("A", [(ts, 300_000) for ts in stamps])
    builder.job("j", "A", T0, T0 + 360 * S)
    found = hours_of(builder.build())
    assert (found["j"], found["method"], found["reasons"]) == (108_000, "samples", "sparse")
    # 248 s between readings a second apart, 112 s between others: 0 to 1,500 W.
    assert 0.85 * 74_400 < found["low"] < 74_400
    assert found["high"] > 74_400 + 112 * 1_500


def test_a_board_without_limit_and_counter_has_finite_bounds(builder: LakeBuilder) -> None:
    builder.device("A", limit_mw=None, update_us=100_000)
    builder.power("A", level(300_000, T0, T0 + 10 * S))
    builder.job("j", "A", T0, T0 + 10 * S)
    found = hours_of(builder.build())
    assert found["j"] == 3_000
    assert found["high"] < 4_000


def test_the_resolution_of_a_log_is_in_the_bounds(tmp_path: Path) -> None:
    """Half a watt over the time, and a second of power at each edge, in either direction."""
    found = []
    for steps in ({}, {"power_step_mw": 1_000}, {"stamp_step_us": S}):
        builder = LakeBuilder(tmp_path / str(len(found)))
        builder.device("A", update_us=S, **steps)
        builder.power("A", level(300_000, T0, T0 + 600 * S, S))
        builder.job("j", "A", T0 + 100 * S, T0 + 500 * S)
        found.append(hours_of(builder.build()))
    fine, watts, seconds = found
    assert fine["j"] == watts["j"] == seconds["j"] == 120_000
    assert fine["low"] - watts["low"] == pytest.approx(200 / 1.055, rel=0.01)
    assert watts["high"] - fine["high"] == pytest.approx(200 / 0.945, rel=0.01)
    assert fine["low"] - seconds["low"] == pytest.approx(600, rel=0.01)
    assert seconds["high"] - fine["high"] == pytest.approx(600, rel=0.01)


def test_bounds_move_with_an_edge_by_its_microseconds(tmp_path: Path) -> None:
    """Where readings become sparse, after one that was averaged."""
    rows = []
    for end_us in range(T0 + 30 * S - 2, T0 + 30 * S + 3):
        builder = LakeBuilder(tmp_path / str(end_us))
        builder.device("A", update_us=S)
        dense = level(300_000, T0, T0 + 30 * S, S)
        sparse = level(300_000, T0 + 35 * S, T0 + 60 * S, 5 * S)
        builder.power("A", [*dense, *sparse])
        builder.power("A", [(T0 + 20 * S, 340_000)])
        builder.job("j", "A", T0 + 10 * S, end_us)
        rows.append(hours_of(builder.build()))
    for name in ("j", "low", "high"):
        values = [float(row[name]) for row in rows]  # type: ignore[arg-type]
        assert max(values) - min(values) < 0.01, (name, values)


def test_a_counter_is_judged_by_its_own_readings_alone(tmp_path: Path) -> None:
    """Two counters answer in turn; the board beside it is slow in one of the two lakes."""
    found = []
    for beside_us in (100_000, 11 * S):
        builder = LakeBuilder(tmp_path / f"lake-{beside_us}")
        builder.device("A", update_us=100_000)
        builder.device("B", index=1, update_us=beside_us)
        builder.job("j", "A", T0, T0 + 60 * S)
        turns = {
            T0 + s * S: 9_000_000_000 + 100_000 * s if s % 2 else 5_000_000_000 + 300_000 * s
            for s in range(-15, 71)
        }
        for device in "AB":
            builder.power(device, level(300_000, T0 - 15 * S, T0 + 70 * S), counters=turns)
        found.append(hours_of(builder.build()))
    assert found[0] == found[1]
