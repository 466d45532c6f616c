"""Checks of the meters' books: each passes on sound books, and names the row that is spoilt."""

from __future__ import annotations

import json
import shutil
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tests.sql.checks.meterbooks import (
    BILLION,
    NAMES,
    add,
    book,
    change,
    drawn,
    findings,
    named,
    reading,
    written,
)
from tests.sql.metering.planted import registers, truth
from tests.sql.metering.test_planted_site import again, booked
from tests.support.lakes import HOUR_US, T0, LakeBuilder, S
from tests.support.long import seeds
from tokenergy_collectors.lake import Lake
from tokenergy_sql.metering import figures

HOUR = "2026-01-15T08:00Z"
ROLLOVER_KWH = 150
"""The register of hall a rolls over within the hour."""


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The planted site, indexed; nobody changes it."""
    builder, _ = booked(tmp_path_factory.mktemp("sound"), rollover_kwh=ROLLOVER_KWH)
    return builder.lake.root


@pytest.fixture
def lake(sound: Path, tmp_path: Path) -> Lake:
    """A copy of it."""
    return Lake(shutil.copytree(sound, tmp_path / "copy"))


def passed(lake: Lake) -> bool:
    return not any(one.rows for one in findings(lake).values())


@pytest.mark.parametrize("seed", seeds(3))
def test_planted_sites_pass(tmp_path: Path, seed: int) -> None:
    builder, _ = booked(tmp_path, seed, rollover_kwh=ROLLOVER_KWH)
    assert len(builder.lake.read("meter_hour")) == 9
    assert passed(builder.lake)
    assert not any(one.rows for one in findings(builder.lake, [T0]).values())


def test_a_rollover_within_the_hour(lake: Lake) -> None:
    shows = registers(truth(1), ROLLOVER_KWH)["it-a"]
    values = [shows(s) for s in range(3_600, 7_201, 10)]
    assert any(b < a for a, b in pairwise(values))
    assert passed(lake)
    rollover = ROLLOVER_KWH * 1000 * 3600 * BILLION
    change(lake, "meter_hour", of("it-a"), amount=less(rollover), low=None, high=None)
    assert named(lake, "meter_law") == ["it-a"]


def of(meter_id: str) -> Any:
    return lambda row: row["meter_id"] == meter_id


def less(by: int, name: str = "amount") -> Any:
    return lambda row: row[name] - by


SPOILT: dict[str, dict[str, Any]] = {
    "an amount, by less than a hundred-billionth": {"amount": less(2 * 10**6)},
    "the other way": {"amount": less(-2 * 10**6)},
    "no amount": {"amount": None, "low": None, "high": None},
    "time": {"covered_us": HOUR_US - 1},
    "time, as a gap": {"covered_us": HOUR_US - 10 * S, "doubts": "gap"},
    "more than an hour": {"covered_us": HOUR_US + 1},
    "a reading": {"readings": 359},
    "the longest gap": {"max_gap_us": 20 * S},
    "a bound": {"low": lambda row: row["amount"] + 1},
    "the other bound": {"high": lambda row: row["amount"] - 1},
    "one bound alone": {"high": None},
    "the unit": {"factor": 1e9},
}
"""What may be wrong with a row of `meter_hour`."""


@pytest.mark.parametrize("fault", SPOILT)
@pytest.mark.parametrize("meter_id", ["grid", "cool-b"])
def test_a_row_of_a_meter_that_is_spoilt(lake: Lake, meter_id: str, fault: str) -> None:
    values = SPOILT[fault]
    if fault == "the unit":
        values = {"factor": lambda row: row["factor"] * (1 + 1e-9)}
    change(lake, "meter_hour", of(meter_id), **values)
    finding = findings(lake)["meter_law"]
    assert finding.breach
    assert [row[:2] for row in finding.rows] == [(meter_id, HOUR)]


@pytest.mark.parametrize("seed", seeds(12, always=4))
def test_drawn_meters_pass_and_each_wrong_amount_is_named(tmp_path: Path, seed: int) -> None:
    text, rows = drawn(seed)
    builder = written(tmp_path / "lake", text, rows)
    lake = builder.lake
    assert named(lake, "meter_law") == []
    assert named(lake, "site_sums") == []
    assert named(lake, "unbooked_meters") == []
    spoilt = []
    for row in lake.read("meter_hour", [T0]).to_pylist():
        doubts = set((row["doubts"] or "").split(","))
        doubtful = doubts & {"too_fast", "ambiguous"} or (row["modulus_n"] and "fell" in doubts)
        if row["amount"] is not None and row["one_entry"] and not doubtful:
            # No meter here shows more than 50 units, or grows by more than 200,000.
            off = 10**3 + Decimal(row["factor"]) * 200_000 // 10**11
            unbounded = {"low": None, "high": None}
            change(lake, "meter_hour", of(row["meter_id"]), amount=less(int(off)), **unbounded)
            spoilt.append(row["meter_id"])
    assert spoilt
    assert named(lake, "meter_law") == spoilt


def test_readings_that_came_later(lake: Lake) -> None:
    builder = LakeBuilder(lake.root)
    shows = registers(truth(1), ROLLOVER_KWH)["water"]
    add(builder, [reading("water", T0 + 5 * S, shows(3_605))])
    assert named(lake, "meter_law") == ["water"]
    again(lake)
    assert passed(lake)


SITE = """
[[meter]]
id = "grid"
quantity = "energy"
unit = "kWh"
role = "utility"
accuracy_percent = 1
feeds = ["it"]
[[meter]]
id = "it"
quantity = "energy"
unit = "kWh"
role = "it"
accuracy_percent = 1
"""


def grown(meter_id: str, kwh_per_h: int, until: int = 7_200) -> list[dict[str, Any]]:
    """Readings of each minute, from ten minutes before the hour on."""
    return [
        reading(meter_id, T0 + s * S, kwh_per_h * (s + 3_600) * BILLION // 3_600)
        for s in range(-600, until, 60)
    ]


def test_a_register_that_fell_counts_on_both_sides_of_the_fall(tmp_path: Path) -> None:
    rows = grown("grid", 120)[:40] + [
        row | {"value_n": row["value_n"] - 100 * BILLION} for row in grown("grid", 120)[40:]
    ]
    builder = written(tmp_path / "lake", SITE, [*rows, *grown("it", 60)])
    (row,) = [row for row in builder.lake.read("meter_hour").to_pylist() if of("grid")(row)]
    assert (row["covered_us"], row["doubts"]) == (HOUR_US - 60 * S, "fell")
    assert passed(builder.lake)
    minute = 2 * 3_600_000 * BILLION
    change(builder.lake, "meter_hour", of("grid"), amount=less(-minute), low=None, high=None)
    assert named(builder.lake, "meter_law") == ["grid"]


def test_a_meter_that_was_replaced_within_the_hour(tmp_path: Path) -> None:
    first, second = SITE.split("[[meter]]")[1:]
    old = f"[[meter]]{first}until = 2026-01-15T08:30:00Z\n"
    new = f"[[meter]]{first}from = 2026-01-15T08:30:00Z\n"
    rows = [
        row | {"value_n": row["value_n"] - (row["ts_us"] >= T0 + HOUR_US // 2) * 100 * BILLION}
        for row in grown("grid", 120)
    ]
    text = f"{old}{new}[[meter]]{second}"
    lake = written(tmp_path / "lake", text, [*rows, *grown("it", 60)]).lake
    (row,) = [row for row in lake.read("meter_hour").to_pylist() if of("grid")(row)]
    assert (row["one_entry"], row["doubts"], row["covered_us"]) == (
        False,
        "replaced",
        HOUR_US - 60 * S,
    )
    assert passed(lake)
    right = change(lake, "meter_hour", of("grid"), amount=None, low=None, high=None)
    assert named(lake, "meter_law") == ["grid"]
    change(lake, "meter_hour", of("grid"), **right | {"covered_us": HOUR_US + 1})
    assert named(lake, "meter_law") == ["grid"]


def test_a_meter_that_was_not_read(tmp_path: Path) -> None:
    lake = written(tmp_path / "lake", SITE, grown("it", 60)).lake
    assert passed(lake)
    whole = {"covered_us": HOUR_US, "amount": 1, "low": 0, "high": 2}
    change(lake, "meter_hour", of("grid"), **whole)
    assert named(lake, "meter_law") == ["grid"]


def test_two_hosts_that_read_one_meter(tmp_path: Path) -> None:
    """At different times all readings count; two values of one microsecond leave it open."""
    beside = [row | {"ts_us": row["ts_us"] + 7 * S, "node": "n2"} for row in grown("it", 60)]
    rows = [*grown("grid", 120), *grown("it", 60), *beside]
    lake = written(tmp_path / "lake", SITE, sorted(rows, key=lambda row: row["ts_us"])).lake
    assert named(lake, "meter_law") == []
    twice = [row | {"value_n": row["value_n"] + 1, "node": "n2"} for row in grown("grid", 120)]
    add(LakeBuilder(lake.root), twice)
    book(lake)
    assert named(lake, "meter_law") == []


def figure(place: str, name: str) -> Any:
    return lambda row: (row["place"], row["figure"]) == (place, name)


def without(meter_id: str) -> Any:
    def less(row: dict[str, Any]) -> str:
        meters = json.loads(row["above_meters"])
        del meters[meter_id]
        return json.dumps(meters)

    return less


WRONG: dict[str, tuple[str, dict[str, Any], set[str]]] = {
    "a sum": ("pue", {"above": less(1, "above")}, {"above"}),
    "the sum below": ("pue", {"below": less(-1, "below")}, {"below"}),
    "no line is 0": ("facility", {"below": 1, "below_high": 1}, {"below"}),
    "a bound": ("pue", {"above_low": less(-1, "above_low")}, {"above"}),
    "a bound too wide": ("pue", {"below_high": less(-1, "below_high")}, {"below"}),
    "no bound": ("wue", {"above_low": None, "above_high": None}, {"above"}),
    "a sum outside of its bounds": ("pue", {"above": less(1, "above_low")}, {"above"}),
    "no sum": ("pue", {"above": None, "above_low": None, "above_high": None}, {"above"}),
    "a meter too few": ("pue", {"above_meters": without("roof")}, {"above"}),
    "no meters": ("pue", {"above_meters": "{}"}, {"above"}),
    "a meter of another role": ("cooling", {"below_meters": '{"ups-a":1,"it-b":1}'}, {"below"}),
    "a meter taken off": ("it", {"above_meters": '{"it-a":-1,"it-b":1}'}, {"above"}),
    "a meter that is not there": ("ref", {"above_meters": '{"sun":1}'}, {"above", "below"}),
    "a meter that is missing": ("pue", {"missing": "grid"}, {"above", "below"}),
    "too long": ("pue", {"covered_us": HOUR_US + 1}, {"above", "below"}),
    "a figure that nobody knows": ("dcie", {"figure": "dcie"}, {"above", "below"}),
}
"""What may be wrong with a row of `site_hour`: the figure, the values, the sides that are named."""


@pytest.mark.parametrize("fault", WRONG)
def test_a_figure_that_is_not_the_sum_of_its_meters(lake: Lake, fault: str) -> None:
    name, values, sides = WRONG[fault]
    change(lake, "site_hour", figure("site", "pue" if name == "dcie" else name), **values)
    finding = findings(lake)["site_sums"]
    assert finding.breach
    assert {row[:4] for row in finding.rows} == {("site", HOUR, name, side) for side in sides}


def test_a_meter_whose_role_is_of_another_sum(lake: Lake) -> None:
    change(lake, "meter_hour", of("roof"), role="lighting")
    rows = findings(lake)["site_sums"].rows
    sides = [("facility", "above"), ("pue", "above"), ("ref", "above"), ("ref", "below")]
    assert [row[2:4] for row in rows] == sides
    # A role of a part of the hour is not that of the row.
    change(lake, "meter_hour", of("roof"), one_entry=False)
    assert named(lake, "site_sums") == []


def grid_of(site: str) -> str:
    """The keys of its first meter, which feeds nothing."""
    return site.split("[[meter]]")[1].replace('feeds = ["it"]', "")


def test_a_sum_of_wrong_signs_by_the_pipeline(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not the row is spoilt, but what makes it: electricity that was sold is added."""
    wrong = ((("facility", 1), ("exported", 1)), figures._IT)
    monkeypatch.setitem(figures.QUOTIENTS, "pue", wrong)
    sold = grid_of(SITE).replace('"grid"', '"sold"').replace("utility", "export")
    text = f"{SITE}[[meter]]{sold}"
    lake = written(
        tmp_path / "lake", text, [*grown("grid", 120), *grown("it", 60), *grown("sold", 10)]
    ).lake
    found = findings(lake)["site_sums"].rows
    assert [row[:4] for row in found] == [("site", HOUR, "pue", "above")]


def test_a_figure_of_a_part_of_the_hour(tmp_path: Path) -> None:
    rows = [*grown("grid", 120, until=1_800), *grown("it", 60)]
    lake = written(tmp_path / "lake", SITE, rows).lake
    (pue,) = [row for row in lake.read("site_hour").to_pylist() if figure("site", "pue")(row)]
    assert (pue["covered_us"], pue["missing"]) == (1_740 * S, "grid")
    assert passed(lake)
    change(lake, "site_hour", figure("site", "pue"), covered_us=1_740 * S + 1)
    assert named(lake, "site_sums") == ["site", "site"]
    none = {"above_meters": "{}", "missing": None, "covered_us": 1_740 * S}
    change(lake, "site_hour", figure("site", "pue"), **none)
    assert [row[3] for row in findings(lake)["site_sums"].rows] == ["above"]


def test_a_figure_whose_meters_changed_within_the_hour(tmp_path: Path) -> None:
    more = grid_of(SITE).replace('"grid"', '"second"')
    text = f"{SITE}[[meter]]{more}from = 2026-01-15T08:30:00Z\n"
    rows = [*grown("grid", 120), *grown("it", 60), *grown("second", 30)]
    lake = written(tmp_path / "lake", text, rows).lake
    rows = {row["figure"]: row for row in lake.read("site_hour").to_pylist()}
    assert (rows["pue"]["changed"], rows["it"]["changed"]) == (True, False)
    assert json.loads(rows["pue"]["above_meters"]) == {"grid": 1, "second": 1}
    assert rows["pue"]["covered_us"] == HOUR_US
    assert passed(lake)
    change(lake, "site_hour", figure("site", "pue"), above=less(1, "above_low"))
    assert named(lake, "site_sums") == ["site"]


def test_an_edge_at_which_the_meters_stay_leaves_the_bounds(tmp_path: Path) -> None:
    rows = [*grown("grid", 120), *grown("it", 60)]
    text = f'{SITE}[[hall]]\nname = "a"\nfrom = 2026-01-15T08:30:30Z\n'
    whole, cut = (
        written(tmp_path / name, of_lake, rows).lake
        for name, of_lake in (("whole", SITE), ("cut", text))
    )
    (a,), (b,) = (
        [row for row in one.read("site_hour").to_pylist() if figure("site", "pue")(row)]
        for one in (whole, cut)
    )
    assert a == b


@pytest.mark.parametrize("accuracy", ["accuracy_percent = 1", ""])
@pytest.mark.parametrize(("bought", "told"), [(120, 1), (123, 0)])
def test_a_pue_below_1(tmp_path: Path, accuracy: str, bought: int, told: int) -> None:
    """IT takes 125; 1 % of both, and 1 kWh of resolution, allow for 123 but not for 120."""
    rows = [*grown("grid", bought), *grown("it", 125)]
    text = SITE.replace("accuracy_percent = 1", accuracy)
    lake = written(tmp_path / "lake", text, rows).lake
    finding = findings(lake)["pue_is_plausible"]
    assert not finding.breach
    assert [row[:3] for row in finding.rows] == [("site", HOUR, 0.96)][:told]
    assert named(lake, "site_sums") == []


THERMOMETER = """
[[meter]]
id = "warm"
quantity = "temperature"
unit = "°C"
role = "outdoor_temp"
"""


def test_meters_without_an_entry(tmp_path: Path) -> None:
    warm = [reading("warm", T0 + s * S, 20 * BILLION) for s in range(0, 3_600, 600)]
    rows = [*grown("grid", 120), *grown("it", 60), *grown("Grid", 120), *warm]
    lake = written(tmp_path / "lake", SITE + THERMOMETER, rows).lake
    finding = findings(lake)["unbooked_meters"]
    assert not finding.breach
    assert [row[:4] for row in finding.rows] == [(HOUR, 1, 60, "Grid")]
    assert "correct the id" in finding.rows[0][4]
    # A thermometer counts nothing, and its readings are in its row.
    (row,) = [row for row in lake.read("meter_hour").to_pylist() if of("warm")(row)]
    assert (row["readings"], row["amount"], row["doubts"]) == (6, None, None)
    assert named(lake, "meter_law") == []
    change(lake, "meter_hour", of("warm"), readings=5)
    assert named(lake, "meter_law") == ["warm"]


def test_a_site_file_without_meters(tmp_path: Path) -> None:
    lake = booked(tmp_path, text="[site]\npue = 1.2\n")[0].lake
    found = findings(lake)
    assert [name for name in NAMES if found[name].rows] == ["unbooked_meters"]
    ((hour, meters, _, ids, what),) = found["unbooked_meters"].rows
    assert (hour, meters) == (HOUR, 9)
    assert ids.startswith("cool-a, cool-b, grid")
    assert what.startswith("the site file has no [[meter]] then")


def test_an_hour_without_books_is_no_finding(tmp_path: Path) -> None:
    """Meters are read at the end of the hour too; the next hour has no board, and no books."""
    rows = [*grown("grid", 120), *grown("it", 60)]
    lake = written(tmp_path / "lake", SITE, rows).lake
    LakeBuilder(lake.root).add("meter", [reading("grid", T0 + HOUR_US, 10**12)])
    assert findings(lake, [T0, T0 + HOUR_US])["unbooked_meters"].rows == []
