"""What the site file adds to the page, and the chart of PUE."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.support.lakes import HOUR_US, T0
from tokenergy_sql.catalog import views
from tokenergy_sql.catalog.duck import open_memory
from tokenergy_sql.index.site import load_places
from tokenergy_sql.places import Places
from tokenergy_sql.report.querying import query
from tokenergy_sql.report.site.chart import MOST_PLACES, pue_chart, token_charts
from tokenergy_sql.report.site.feeds import MOST_EPOCHS, feeds_of, read_places, ups_pairs

METER = '[[meter]]\nid = "{}"\nrole = "{}"\nquantity = "{}"\nunit = "kWh"\nfeeds = [{}]\n{}\n'


def meter(meter_id: str, role: str, *feeds: str, more: str = "") -> str:
    below = ", ".join(f'"{one}"' for one in feeds)
    return METER.format(meter_id, role, "energy", below, more)


def places_of(folder: Path, *tables: str) -> Places:
    path = folder / "site.toml"
    path.write_text("\n".join(tables), "utf-8")
    return load_places(path)


def pairs(places: Places) -> list[tuple[str, str]]:
    return [*ups_pairs(places.meters.at(T0))]


def test_a_ups_is_paired_with_the_first_meters_behind_it(tmp_path: Path) -> None:
    places = places_of(
        tmp_path,
        meter("grid", "utility", "ups", "chiller"),
        meter("chiller", "chiller"),
        meter("ups", "ups_in", "board", "pump"),
        meter("board", "feeder", "pdu-1", "pdu-2"),
        meter("pump", "pump"),
        meter("pdu-1", "pdu_out", "rack"),
        meter("pdu-2", "pdu_out"),
        meter("rack", "rack_in"),
    )
    assert pairs(places) == [("ups", "pdu-1"), ("ups", "pdu-2"), ("ups", "pump")]


def test_a_ups_behind_another_or_behind_it_energy_is_no_loss_of_its_own(tmp_path: Path) -> None:
    places = places_of(
        tmp_path,
        meter("grid", "utility", "first", "pdu", "alone"),
        meter("first", "ups_in", "second"),
        meter("second", "ups_in", "out"),
        meter("out", "ups_out"),
        meter("pdu", "pdu_out", "inside"),
        meter("inside", "ups_in", "rack"),
        meter("rack", "rack_in"),
        meter("alone", "ups_in"),
    )
    assert pairs(places) == [("first", "out")]


def test_an_hour_in_which_a_meter_changes_has_no_pair(tmp_path: Path) -> None:
    """A UPS that is taken out in the middle of the second hour."""
    moment = "2026-01-15T09:30:00Z"
    rack = '[[rack]]\nname = "r"\nhall = "{}"\n{}\n'
    places = places_of(
        tmp_path,
        '[[hall]]\nname = "a"\n[[hall]]\nname = "b"\ncooling = "air"\n',
        rack.format("a", "until = 2026-01-15T09:40:00Z"),
        rack.format("b", "from = 2026-01-15T09:40:00Z"),
        '[[placed]]\nnodes = ["n"]\nrack = "r"\n',
        meter("ups", "ups_in", "out", more=f"until = {moment}"),
        meter("out", "ups_out"),
    )
    found = feeds_of(places, T0, T0 + 4 * HOUR_US, ["n", "stranger"])
    assert [(p.meter, p.below, p.from_us, p.to_us) for p in found.pairs] == [
        ("ups", "out", T0, T0 + HOUR_US)
    ]
    stood = [(s.node, s.hall, (s.from_us - T0) // HOUR_US) for s in found.standing]
    assert stood == [("n", "a", 0), ("n", "a", 1), ("n", "b", 2)]
    assert found.cooling == {"hall:b": "air"}
    assert found.below == {"out": []}


def test_too_many_changes_are_left_out(tmp_path: Path) -> None:
    entries = []
    for hour in range(MOST_EPOCHS + 1):
        day, rest = divmod(hour, 24)
        entries.append(f"2026-01-{15 + day:02}T{rest:02}:00:00Z")
    text = "".join(
        meter(f"m{at}", "ups_out", more=f"from = {begin}") for at, begin in enumerate(entries)
    )
    places = places_of(tmp_path, text, meter("ups", "ups_in", "m0"))
    first = T0 - 8 * HOUR_US
    assert feeds_of(places, first, first + (MOST_EPOCHS + 9) * HOUR_US, []).pairs == []
    assert feeds_of(places, first, first + 9 * HOUR_US, []).pairs


def test_no_site_file_and_a_wrong_one_say_why(tmp_path: Path) -> None:
    assert read_places(tmp_path)[0] is None
    assert "no site.toml" in read_places(tmp_path)[1]
    (tmp_path / "site.toml").write_text(meter("a", "utility", "a"), "utf-8")
    places, why = read_places(tmp_path)
    assert places is None
    assert "\n" not in why


def step(place: str, hour: int, value: float | None, covered: float = 1.0) -> dict[str, Any]:
    begin = T0 + hour * HOUR_US
    return {
        **{"place": place, "from_us": begin, "to_us": begin + HOUR_US, "name": f"h{hour}"},
        **{"value": value, "low": None, "high": None, "coverage_of_period": covered},
    }


def test_a_step_without_pue_is_a_gap_and_a_strip() -> None:
    steps = [step("site", 0, 1.2), step("site", 1, None, 0.0), step("site", 2, 1.3, 0.6)]
    chart = pue_chart(steps, "hour")
    assert chart is not None
    assert [row["t"] for row in chart.rows if "value" in row] == [
        step("site", hour, None)["from_us"] // 1000 for hour in (0, 2)
    ]
    assert [row["missing"] for row in chart.rows if "missing" in row] == [1.0, 0.4]
    assert "1.200 to 1.300" in chart.alternative
    assert chart.legend[-1][0].startswith("site not known all the time")
    assert pue_chart(steps[1:2], "hour") is None
    whole = pue_chart(steps[:1], "hour")
    assert whole is not None
    assert [label for label, _ in whole.legend] == ["site"]


def test_halls_beyond_the_colours_are_in_the_table_alone() -> None:
    halls = [f"hall:{at:02}" for at in range(20)]
    chart = pue_chart([step(place, 0, 1.2) for place in [*halls, "site"]], "hour")
    assert chart is not None
    shown = {row["what"] for row in chart.rows}
    assert shown == {"site", *halls[: MOST_PLACES - 1]}
    assert f"{21 - MOST_PLACES} more halls" in chart.alternative


def test_j_per_token_of_workloads_is_never_mixed() -> None:
    common = {"from_us": T0, "to_us": T0 + HOUR_US}
    names = ("te_gpu", "te_gpu_low", "te_gpu_high", "tokenergy", "te_low", "te_high")
    rows = [
        {**common, "workload": work, **dict.fromkeys(names, value)}
        for work, value in (("inference", 2.0), ("training", 0.5))
    ]
    found = dict(token_charts(rows))
    assert {row["value"] for row in found["inference"].rows} == {2.0}
    assert {row["value"] for row in found["training"].rows} == {0.5}
    none = [{**rows[0], **dict.fromkeys(names)}]
    assert token_charts(none) == []


@pytest.mark.parametrize("place", ["site", "hall:b"])
def test_pue_starts_with_the_site_if_it_has_one(place: str) -> None:
    chart = pue_chart([step("hall:c", 0, 1.1), step(place, 0, 1.4)], "day")
    assert chart is not None
    assert chart.legend[0][0] == place
    assert chart.alternative.startswith(f"PUE of {place} in 1 day: 1.400")


@pytest.mark.parametrize("more", ["", ", 'modelled' AS host_method"])
def test_how_hosts_are_known_is_told_where_a_lake_has_it(more: str) -> None:
    """Lakes of some releases have the column, others do not."""
    with open_memory() as con:
        views.define(con, views.UNITS)
        con.execute("CREATE TABLE site_frame AS SELECT 0 AS hour_us")
        row = (
            "'n' AS node, 0 AS hour_us, NULL AS site, 1 AS pue_ppm, 'site' AS pue_place, "
            "'measured' AS facility_method, 9000000000 AS e_host_nj, 7 AS watched_us, "
            "1000000000 AS e_gpu_nj, "
            "1200000000 AS pue_ppb, 1100000000 AS pue_low_ppb, 1300000000 AS pue_high_ppb"
        )
        con.execute(f"CREATE TABLE node_hour AS SELECT {row}{more}")
        con.execute("INSERT INTO node_hour BY NAME SELECT 'm' AS node, 1 AS hour_us")
        [hosts] = query(con, "site_hosts")
        assert (hosts["energy_j"], hosts["known_us"], hosts["nodes"]) == (9.0, 7, 1)
        assert hosts.get("host_method") == ("modelled" if more else None)
        method = next(r for r in query(con, "site_methods") if r["facility_method"] == "measured")
        assert (method["facility_j"], method["low"], method["high"]) == (12.0, 1.1, 1.3)
        assert method.get("host_method") == ("modelled" if more else None)
        assert method["host_known"]
