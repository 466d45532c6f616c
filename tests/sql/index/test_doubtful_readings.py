"""Readings that cannot be taken as they are, through to the ledger: right energy, bounds, reasons.

Each test is a record that someone's monitoring wrote, and the energy that was drawn.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.support.lakes import T0, LakeBuilder, S, level
from tests.support.ledger import J, ask
from tests.support.records import Hours, Record, Records, add, build, hours_of, kept_in
from tokenergy_collectors.lake import Lake
from tokenergy_collectors.lake.contract import IMPLAUSIBLE_SENSOR

RECORDS: Records = {}
record = kept_in(RECORDS)


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """All records: nobody who takes them changes them."""
    return build(tmp_path_factory.mktemp("records") / "lake", RECORDS)


@pytest.fixture(scope="module")
def hours(lake: Lake) -> Hours:
    return hours_of(lake)


def counting(watts: int, seconds: range, base_mj: int = 5_000_000_000) -> dict[int, int]:
    """A counter read once a second (mJ, by stamp)."""
    return {T0 + s * S: base_mj + watts * 1_000 * s for s in seconds}


BOARD: dict[str, Any] = {"limit_mw": 320_000, "update_us": 100_000}
HELD = (T0 + 4 * S, T0 + 20 * S)
"""By the job of a board that is read for 20 s."""


@record
def one_high_reading(builder: LakeBuilder, name: str) -> None:
    readings = dict(level(300_000, T0, T0 + 20 * S)) | {T0 + 6 * S: 3_704_110}
    add(builder, name, sorted(readings.items()), HELD, **BOARD)


def test_one_high_reading_is_left_out(hours: Hours) -> None:
    """3,704 W once, on a board of 320 W that draws 300 W and has no counter."""
    found = hours["one_high_reading"]
    assert found["j"] == 4_800
    assert found["reasons"] == "implausible_power"


@record
def refused(builder: LakeBuilder, name: str) -> None:
    builder.device(name, node=name, **BOARD)
    row = {"device_id": name, "sensor": "instant", "epoch": 0}
    rows = [{**row, "ts_us": ts, "power_mw": mw} for ts, mw in level(300_000, T0, T0 + 20 * S)]
    rows[60] |= {"power_mw": None, "sensor": IMPLAUSIBLE_SENSOR}
    builder.add("power", rows, name)
    builder.job(name, name, *HELD, node=name)


def test_what_the_collector_refused_is_reported_with_the_energy(hours: Hours) -> None:
    """It records no value, and says so in `sensor`."""
    found = hours["refused"]
    assert (found["j"], found["reasons"]) == (4_800, "implausible_power")


@record
def all_wrong(builder: LakeBuilder, name: str) -> None:
    builder.device(name, node=name, **BOARD)
    wrong = level(3_704_110, T0, T0 + 20 * S)
    builder.power(name, wrong, counters=counting(300, range(21)), node=name)
    builder.job(name, name, *HELD, node=name)


def test_the_counter_stands_in_for_readings_that_are_all_wrong(lake: Lake, hours: Hours) -> None:
    found = hours["all_wrong"]
    assert (found["j"], found["method"]) == (4_800, "counter_gap")
    assert found["reasons"] == "implausible_power"
    assert found["high"] < 6_000
    # Time that no job holds is booked as well: the counter was read then.
    sql = "SELECT sum(energy_nj)::BIGINT AS nj FROM ledger WHERE node = 'all_wrong'"
    assert ask(lake, sql) == [{"nj": 6_000 * J}]


def glitched(wrong_mj: int, epochs: int) -> Record:
    def of(builder: LakeBuilder, name: str) -> None:
        builder.device(name, node=name, **BOARD)
        counters = counting(300, range(21)) | {T0 + 6 * S: wrong_mj}
        later = {ts: 1 for ts in counters if ts >= T0 + (6 if epochs else 7) * S}
        readings = level(300_000, T0, T0 + 20 * S)
        builder.power(name, readings, counters=counters, epochs=later, node=name)
        builder.job(name, name, *HELD, node=name)

    return of


GLITCHES = {
    "glitch_down": glitched(204_113, 1),
    "glitch_up": glitched(8_600_000_000, 0),
}
RECORDS |= GLITCHES


@pytest.mark.parametrize("name", GLITCHES)
def test_a_counter_glitch_is_left_out(hours: Hours, name: str) -> None:
    found = hours[name]
    assert (found["j"], found["method"]) == (4_800, "counter")
    assert found["reasons"] == "counter_glitch"


def silent(boots: tuple[int, ...]) -> Record:
    """Return a record of 20 s of 100 W, ten minutes of silence, and 40 s of 600 W."""

    def of(builder: LakeBuilder, name: str) -> None:
        builder.device(name, node=name, update_us=S)
        before, after = (
            level(100_000, T0, T0 + 20 * S, S),
            level(600_000, T0 + 620 * S, T0 + 660 * S, S),
        )
        counters = {ts: 1_000_000 + 100 * k * 1_000 for k, (ts, _) in enumerate(before)}
        counters |= {ts: 10_000_000 + 600 * k * 1_000 for k, (ts, _) in enumerate(after)}
        builder.power(name, [*before, *after], counters=counters, node=name)
        clocks = [
            {
                "ts_us": T0 + s * S,
                "node": name,
                "monotonic_us": boot * S,
                "boottime_us": boot * S,
                "realtime_us": T0 + s * S,
            }
            for s, boot in zip((0, 20, 620, 660), boots, strict=True)
        ]
        builder.add("clock", clocks, name)
        builder.job(name, name, T0, T0 + 660 * S, node=name)

    return of


RECORDS["rebooted"] = silent((90_000, 90_020, 40, 80))
RECORDS["not_rebooted"] = silent((90_000, 90_020, 90_620, 90_660))


@pytest.mark.parametrize("told", [True, False])
def test_a_reboot_is_no_measurement(lake: Lake, hours: Hours, told: bool) -> None:
    """In the silence the host started again, or did not."""
    name = "rebooted" if told else "not_rebooted"
    assert name in hours
    rows = [
        row
        for row in ask(lake, "FROM ledger")
        if row["node"] == name and row["start_us"] >= T0 + 20 * S and row["end_us"] <= T0 + 620 * S
    ]
    (method,) = {row["method"] for row in rows}
    known_nj = [row["energy_nj"] for row in rows if row["energy_nj"] is not None]
    if told:
        assert (known_nj, method) == ([], "missing")
        assert sum(row["low_nj"] for row in rows) == 0
        assert sum(row["high_nj"] for row in rows) == 420_000 * J
    else:
        assert (sum(known_nj), method) == (7_000 * J, "counter_gap")


def stamped(device_id: str, of_a_second: tuple[int, ...]) -> list[dict[str, Any]]:
    """Return the rows of a log with stamps to the second: several readings of each."""
    row = {"device_id": device_id, "sensor": "unknown", "epoch": 0}
    return [{**row, "ts_us": T0 + s * S, "power_mw": mw} for s in range(61) for mw in of_a_second]


@record
def in_turn(builder: LakeBuilder, name: str) -> None:
    builder.device(name, node=name, update_us=S)
    rows = stamped(name, (100_000, 500_000, 100_000, 500_000))
    builder.add("power", rows, name)
    builder.add("power", rows, name)  # the file was imported twice
    builder.job(name, name, T0, T0 + 60 * S, node=name)


def test_readings_of_one_stamp_are_averaged(hours: Hours) -> None:
    """A log with stamps to the second of a board that draws 100 W and 500 W in turn."""
    found = hours["in_turn"]
    assert found["j"] == 18_000
    assert found["reasons"] == "equal_stamps"
    assert found["low"] < 6_000
    assert found["high"] > 30_000


@record
def thrice(builder: LakeBuilder, name: str) -> None:
    builder.device(name, node=name, update_us=S)
    rows = stamped(name, (100_000, 400_000, 100_000))
    builder.add("power", rows, name)
    builder.add("power", rows[::2], name)
    builder.job(name, name, T0, T0 + 60 * S, node=name)


def test_each_reading_of_a_stamp_counts(hours: Hours) -> None:
    """100 W twice and 400 W once in every second: 200 W, whether a file comes once or twice."""
    found = hours["thrice"]
    assert (found["j"], found["reasons"]) == (12_000, "equal_stamps")


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
        found.append(hours_of(builder.build())["j"])
    assert found[0] == found[1]
