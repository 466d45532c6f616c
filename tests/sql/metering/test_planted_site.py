"""The building's figures of a site with a known truth."""

import pytest

from tests.sql.metering.planted import T0, S, registers, rows, site_toml, truth
from tests.support.lakes import LakeBuilder
from tests.support.ledger import assert_checks_pass
from tokenergy_sql.index.pipeline import index
from tokenergy_sql.index.site import load_site

HOUR = 3_600 * S
ROLLOVER_KWH = 1_000


def booked(
    tmp_path,
    seed=1,
    but=lambda _id, _s: False,
    text=None,
    shown=None,
    rollover_kwh=ROLLOVER_KWH,
):
    """A lake with a board and the planted meters, indexed; the truth."""
    builder = LakeBuilder(tmp_path / "lake")
    builder.device("GPU-a")
    builder.power("GPU-a", [(T0 + s * S, 300_000) for s in range(0, 3_600, 60)])
    found = truth(seed)
    shows = shown(found) if shown else registers(found, rollover_kwh)
    by_hour = {}
    for row in rows(shows, but=but):
        by_hour.setdefault(row["ts_us"] // HOUR, []).append(row)
    for of_hour in by_hour.values():
        builder.add("meter", of_hour)
    (builder.lake.root / "site.toml").write_text(text or site_toml(rollover_kwh), "utf-8")
    again(builder.lake)
    return builder, found


def again(lake):
    from tokenergy_transforms.aggregate import aggregate, worklist

    for hour, node in worklist(lake):
        aggregate(lake, hour, node, S, "cpu")
    return index(lake, load_site(None, lake.root), progress=lambda _: None, catalog=False)


def figures(lake, hour_us=T0):
    rows = lake.read("site_hour", [hour_us]).to_pylist()
    return {(row["place"], row["figure"]): row for row in rows}


def check(row, above, below=0.0):
    """The truth is within the bounds, and the figure within 1 % of the truth."""
    for side, value in (("above", above), ("below", below)):
        assert row[f"{side}_low"] <= value <= row[f"{side}_high"], (side, row, value)
        assert abs(int(row[side]) - value) <= 0.01 * value
    assert row["covered_us"] == HOUR


@pytest.mark.parametrize("seed", range(3))
def test_every_figure_is_that_of_the_planted_site(tmp_path, seed):
    builder, found = booked(tmp_path, seed)
    rows = figures(builder.lake)

    def nj(*names):
        return sum(found.nj(name, 3_600, 7_200) for name in names)

    dc, it = nj("dc"), nj("it-a", "it-b")
    check(rows["site", "pue"], dc, it)
    check(rows["site", "facility"], dc)
    check(rows["site", "it"], it)
    check(rows["site", "cooling"], nj("cool-a", "cool-b"), it)
    check(rows["site", "ref"], nj("roof"), dc)
    check(rows["hall:b", "cooling"], nj("cool-b"), nj("it-b"))
    litres = found.water_l(7_200) - found.water_l(3_600)
    check(rows["site", "wue"], litres * 1e6, it)
    assert rows["site", "pue"]["pue_category"] == 1
    assert ("hall:a", "pue") not in rows  # nothing says what is bought for one hall


def test_hours_add_up_to_what_the_register_shows(tmp_path):
    builder, _ = booked(tmp_path)
    rows = builder.lake.read("meter_hour").to_pylist()
    assert [row["hour_us"] for row in rows if row["meter_id"] == "grid"] == [T0]
    (grid,) = [row for row in rows if row["meter_id"] == "grid"]
    shows = registers(truth(1), ROLLOVER_KWH)["grid"]
    assert grid["amount"] == (shows(7_200) - shows(3_600)) * 3_600 * 1_000 // 10
    assert (grid["covered_us"], grid["readings"], grid["doubts"]) == (HOUR, 360, None)


def test_figures_divide_only_what_is_known_together(tmp_path):
    """The chiller was not read for half an hour: its hall's figure is of the other half."""

    def but(meter_id, s):
        return meter_id == "cool-a" and 4_500 <= s < 6_300

    builder, found = booked(tmp_path, but=but)
    rows = figures(builder.lake)
    half = rows["hall:a", "cooling"]
    assert half["covered_us"] == HOUR - 1_810 * S
    assert half["missing"] == "cool-a"
    it = found.nj("it-a", 3_600, 4_490) + found.nj("it-a", 6_300, 7_200)
    assert half["below_low"] <= it <= half["below_high"]
    assert abs(int(half["below"]) - it) <= 0.01 * it
    assert rows["site", "pue"]["covered_us"] == HOUR


def test_a_meter_that_was_never_read_leaves_null_above_it(tmp_path):
    builder, _ = booked(tmp_path, but=lambda meter_id, _: meter_id == "grid")
    rows = figures(builder.lake)
    pue = rows["site", "pue"]
    assert (pue["above"], pue["below"], pue["covered_us"], pue["missing"]) == (
        None,
        None,
        0,
        "grid",
    )
    assert rows["site", "it"]["covered_us"] == HOUR
    (grid,) = [r for r in builder.lake.read("meter_hour").to_pylist() if r["meter_id"] == "grid"]
    assert (grid["amount"], grid["doubts"]) == (None, "no_readings")


def test_late_readings_of_a_meter_restate_their_hours_alone(tmp_path):
    def late(meter_id, s):
        return meter_id == "water" and 3_600 <= s < 7_200

    builder, found = booked(tmp_path, but=late)
    lake = builder.lake
    assert figures(lake)["site", "wue"]["missing"] is None  # the register bridges the hour
    assert again(lake).revision is None
    shown = registers(found, ROLLOVER_KWH)
    builder.add(
        "meter", [row for row in rows({"water": shown["water"]}) if T0 <= row["ts_us"] < T0 + HOUR]
    )
    done = again(lake)
    assert done.causes == {T0: ["meters"]}
    litres = found.water_l(7_200) - found.water_l(3_600)
    check(
        figures(lake)["site", "wue"],
        litres * 1e6,
        found.nj("it-a", 3_600, 7_200) + found.nj("it-b", 3_600, 7_200),
    )


def test_a_corrected_scale_restates_and_an_entry_of_another_time_does_not(tmp_path):
    builder, _ = booked(tmp_path)
    lake = builder.lake
    site = lake.root / "site.toml"
    before = figures(lake)["site", "wue"]["above"]
    later = site.read_text("utf-8").replace(
        '[[hall]]\nname = "a"',
        '[[rack]]\nname = "r"\nhall = "a"\nfrom = 2026-02-01T00:00:00Z\n[[hall]]\nname = "a"',
        1,
    )
    site.write_text(later, "utf-8")
    assert again(lake).causes == {}
    site.write_text(later.replace('unit = "L"', 'unit = "L"\nscale = 10'), "utf-8")
    assert again(lake).causes == {T0: ["meters"]}
    assert figures(lake)["site", "wue"]["above"] == 10 * before


def test_a_site_without_meters_has_the_hours_it_had(tmp_path):
    builder, _ = booked(tmp_path, text="[site]\npue = 1.2\n")
    assert not builder.lake.files("site_hour")
    assert not builder.lake.files("meter_hour")


def test_a_value_that_stands_still_while_its_neighbours_move_is_a_gap(tmp_path):
    """A gateway serves the chiller's value of 4,500 s for ten minutes."""

    def stuck(found):
        shown = registers(found, ROLLOVER_KWH)
        wobble = {meter_id: _noisy(shown[meter_id]) for meter_id in ("cool-a", "cool-b")}
        shown |= wobble
        shown["cool-a"] = lambda s: wobble["cool-a"](4_500 if 4_500 <= s < 5_100 else s)
        return shown

    builder, found = booked(tmp_path, shown=stuck)
    rows = figures(builder.lake)
    half = rows["hall:a", "cooling"]
    assert (half["covered_us"], half["missing"]) == (HOUR - 600 * S, "cool-a")
    it = found.nj("it-a", 3_600, 4_500) + found.nj("it-a", 5_100, 7_200)
    assert half["below_low"] <= it <= half["below_high"]
    (row,) = [r for r in builder.lake.read("meter_hour").to_pylist() if r["meter_id"] == "cool-a"]
    assert row["doubts"] == "gap,stale"
    assert rows["hall:b", "cooling"]["covered_us"] == HOUR
    assert_checks_pass(builder.lake)


def test_a_register_that_stands_still_above_others_is_bridged(tmp_path):
    def stuck(found):
        shown = registers(found, ROLLOVER_KWH)
        real = shown["ups-a"]
        shown["ups-a"] = lambda s: real(4_500 if 4_500 <= s < 5_700 else s)
        return shown

    builder, found = booked(tmp_path, shown=stuck)
    rows = {row["meter_id"]: row for row in builder.lake.read("meter_hour").to_pylist()}
    ups = rows["ups-a"]
    assert (ups["doubts"], ups["covered_us"]) == ("stale", HOUR)
    assert ups["max_gap_us"] == 1_200 * S
    assert ups["low"] <= found.nj("ups-a", 3_600, 7_200) <= ups["high"]
    assert_checks_pass(builder.lake)
    assert rows["it-a"]["doubts"] is None


def test_a_pump_that_draws_the_same_all_day_is_in_no_doubt(tmp_path):
    builder, _ = booked(
        tmp_path,
        shown=lambda found: {**registers(found, ROLLOVER_KWH), "cool-a": lambda _: 45_000 * 10**9},
    )
    rows = {row["meter_id"]: row for row in builder.lake.read("meter_hour").to_pylist()}
    assert (rows["cool-a"]["doubts"], rows["cool-a"]["covered_us"]) == (None, HOUR)


def _noisy(shows):
    return lambda s: shows(s) + (s // 10 % 7) * 10**9
