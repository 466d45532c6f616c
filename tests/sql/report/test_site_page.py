"""The page of the building: there only with meters, figures of the views, names as text."""

from __future__ import annotations

import html
import re
import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from tests.sql.metering.planted import truth
from tests.sql.report import sitelake
from tests.support import building
from tests.support.lakes import HOUR_US, T0
from tests.support.report_names import HOSTILE
from tests.support.report_reading import Reader, charts, job_fields
from tokenergy_collectors.lake import Lake
from tokenergy_collectors.lake.contract import METER_HOUR
from tokenergy_sql.catalog import connecting as catalog
from tokenergy_sql.catalog.namedrows import NamedRow, named_rows
from tokenergy_sql.report import build_report, last_hours
from tokenergy_sql.report.facts import read_facts
from tokenergy_sql.report.format import significant
from tokenergy_sql.report.site.facts import MOST_METERS, SiteFacts
from tokenergy_sql.report.site.page import site_values

KWH_J = 3.6e6


def lake(folder: Path) -> Lake:
    return Lake(folder / "lake")


def page_of(folder: Path) -> str:
    return (folder / "report.html").read_text("utf-8")


def section(page: str) -> str:
    """Return the page of the building alone."""
    return page[page.index('data-page="site"') : page.index('data-page="quality"')]


def facts_of(found: Lake, hours: range | None = None) -> SiteFacts:
    facts = read_facts(found, hours).site
    assert facts is not None
    return facts


def values_of(found: Lake, hours: range | None = None) -> dict[str, Any]:
    values = site_values(facts_of(found, hours))
    assert values is not None
    return values


def view(found: Lake, sql: str) -> list[NamedRow]:
    with catalog.connect(found, adhoc=True) as con:
        return named_rows(con, sql)


def groups(values: dict[str, Any]) -> dict[str, dict[str, float]]:
    """Return the energy of each part (J) by group of the table."""
    found: dict[str, dict[str, float]] = {}
    group = ""
    for row in values["flow"]["rows"]:
        group = row["group"] or group
        found.setdefault(group, {})[row["label"]] = float(row["energy"].raw)
    return found


def test_a_lake_without_meters_has_no_such_page(page: str) -> None:
    assert 'data-page="site"' not in page
    assert 'data-nav="site"' not in page
    assert "#/site" not in page


def test_a_lake_with_meters_links_it_from_every_page(planted: Path) -> None:
    page = page_of(planted)
    assert page.count('href="#/site"') == 2, "in the bar, and on the overview"
    assert page.count('data-page="site"') == 1


def test_its_figures_are_those_of_the_views(planted: Path) -> None:
    found, values = lake(planted), values_of(lake(planted))
    of_site = {
        row["figure"]: row for row in view(found, "FROM site_figure_by('all') WHERE place = 'site'")
    }
    assert values["pue"].raw == repr(of_site["pue"]["value"])
    assert values["pue"].ends == (of_site["pue"]["low"], of_site["pue"]["high"])
    cards = {label: cell.raw for label, cell, _ in values["figures"]}
    assert cards == {
        "Facility energy, kWh": repr(of_site["facility"]["value"]),
        "IT energy, kWh": repr(of_site["it"]["value"]),
        "Cooling / IT": repr(of_site["cooling"]["value"]),
        "WUE, L/kWh": repr(of_site["wue"]["value"]),
        "REF": repr(of_site["ref"]["value"]),
    }
    [tokens] = view(found, "FROM site_tokens_by('all')")
    [shown] = values["tokens"]
    assert (shown["gpu"].raw, shown["facility"].raw) == (
        repr(tokens["te_gpu"]), repr(tokens["tokenergy"]),
    )  # fmt: skip
    steps = view(found, "FROM site_figure_by('hour') WHERE figure = 'pue' AND place = 'site'")
    drawn = [row for row in charts(page_of(planted))["site-pue"]["rows"] if "value" in row]
    assert [(r["t"], r["value"], r["low"], r["high"]) for r in drawn] == [
        (r["from_us"] // 1000, r["value"], r["low"], r["high"]) for r in steps
    ]
    beside = view(found, "FROM site_tokens_by('hour')")
    te = charts(page_of(planted))["site-inference"]["rows"]
    assert {(r["t"], r["value"]) for r in te} == {
        (row["from_us"] // 1000, row[name]) for row in beside for name in ("te_gpu", "tokenergy")
    }
    assert len(beside) == len(drawn) == building.HOURS


def test_energy_from_grid_to_token_is_that_of_the_planted_site(planted: Path) -> None:
    found = truth(1)
    values = values_of(lake(planted))
    parts = groups(values)
    seconds = building.HOURS * 3600

    def joules(*names: str, begin: int = 0, end: int = seconds) -> float:
        return sum(found.nj(name, begin, end) for name in names) / 1e9

    inputs, goes, it, boards = (parts[name] for name in ("Comes in", "Goes to", "IT", "GPUs"))
    within = pytest.approx
    assert inputs["grid"] == within(joules("grid"), rel=0.01)
    assert inputs["own sun and wind"] == within(joules("roof"), rel=0.02)
    assert goes["IT"] == within(joules("it-a", "it-b"), rel=0.01)
    lost = joules("ups-a", "ups-b") - joules("it-a", "it-b")
    assert goes["UPS and distribution"] == within(lost, rel=0.05)
    # Nobody read a chiller for half an hour: that is what is not known.
    first, last = building.DARK.start - 10, building.DARK.stop
    dark = joules("cool-a", begin=first, end=last)
    assert goes["cooling"] == within(joules("cool-a", "cool-b") - dark, rel=0.02)
    assert goes["not metered or not known"] == within(dark, rel=0.3)
    assert sum(inputs.values()) == within(sum(goes.values()))
    assert sum(it.values()) == within(goes["IT"])
    assert sum(boards.values()) == within(it["GPUs"])
    assert it["hosts, declared"] == within(building.HOURS * 100 * 3600)
    wide = values["flow"]["drawings"][0].picture
    ends = {box.label: box.value for box in wide.boxes}
    [tokens] = view(lake(planted), "FROM site_tokens_by('all')")
    assert ends["serving"] == f"{significant(tokens['tokenergy'])} J/token"
    assert "training" not in ends


def test_parts_are_the_sums_of_the_views(planted: Path) -> None:
    found = lake(planted)
    values = values_of(found)
    parts = groups(values)
    [sums] = view(
        found,
        "SELECT sum(above)::DOUBLE / 1e9 AS dc, sum(below)::DOUBLE / 1e9 AS it FROM site_hour "
        "WHERE place = 'site' AND figure = 'pue'",
    )
    assert sum(parts["Comes in"].values()) == pytest.approx(sums["dc"])
    assert parts["Goes to"]["IT"] == pytest.approx(sums["it"])
    [boards] = view(found, "SELECT sum(energy_nj)::DOUBLE / 1e9 AS j FROM ledger_hour")
    assert parts["IT"]["GPUs"] == pytest.approx(boards["j"])
    [dark] = [r for r in values["flow"]["rows"] if r["label"] == "cooling"]
    chillers = view(
        found, "SELECT sum(covered_us) / (count(*) * 3.6e9) AS c FROM meter_hour "
        "WHERE role = 'chiller'"
    )  # fmt: skip
    assert float(dark["covered"].raw) == pytest.approx(chillers[0]["c"])


def test_what_is_not_known_is_hatched_and_says_so(tmp_path: Path) -> None:
    found = sitelake.build(tmp_path / "lake", host_w=None)
    values = values_of(found)
    parts = groups(values)
    assert parts["Goes to"]["cooling, UPS losses: not metered"] == pytest.approx(180 * KWH_J)
    assert parts["IT"]["hosts and other IT: not known"] == pytest.approx(600 * KWH_J - 2.8 * KWH_J)
    assert "hosts, declared" not in parts["IT"]
    shown = section(build_report(found, tmp_path / "x.html", findings=[]).read_text("utf-8"))
    hatched = re.findall(
        r'<rect [^>]*fill="url\(#(flow-[\w-]+)\)"></rect>\s*<text[^>]*>([^<]*)', shown
    )
    assert {label.strip() for _, label in hatched} == {
        "cooling, UPS losses: not metered", "hosts and other IT: not known",
    }  # fmt: skip
    for name, _ in hatched:
        assert shown.count(f'<pattern id="{name}"') == 1
    assert "not metered or not known" in shown, "in the legend"
    assert "declared in the site file</li>" not in shown
    assert values["tokens"][0]["facility"].text is None


def test_patterns_have_ids_of_their_own(planted: Path) -> None:
    ids = [attrs["id"] for _, attrs in Reader(page_of(planted)).tags if "id" in attrs]
    assert len(ids) == len(set(ids))


def test_halls_have_the_figures_of_the_views_and_the_jobs_inside_them(halls: Path) -> None:
    found, values = lake(halls), values_of(lake(halls))
    rows = {row["name"]: row for row in values["places"]}
    assert list(rows) == ["site", f"hall:{HOSTILE}", "hall:b"]
    for row in view(found, "FROM site_figure_by('all') WHERE figure = 'pue'"):
        assert rows[row["place"]]["pue"].raw == repr(row["value"])
        assert rows[row["place"]]["category"].text == "1"
    jobs = {row["job_id"]: row for row in view(found, "FROM job_index")}
    for place, job in ((f"hall:{HOSTILE}", "one"), ("hall:b", "two")):
        [(workload, facility, gpu)] = rows[place]["tokens"]
        assert workload == "inference"
        assert float(facility.raw) == pytest.approx(jobs[job]["tokenergy"])
        assert float(gpu.raw) == pytest.approx(jobs[job]["te_gpu_out"])
    assert [rows[name]["cooling"] for name in rows] == ["", "air", "liquid"]
    drawn = [row for row in charts(page_of(halls))["site-pue"]["rows"] if "value" in row]
    assert {row["what"] for row in drawn} == set(rows)


def test_names_from_outside_stay_text(halls: Path) -> None:
    page = page_of(halls)
    assert HOSTILE not in page
    assert "<i>grid" not in page
    assert html.escape(sitelake.GRID, quote=False).split('"')[0] in section(page)
    assert not [tag for tag, _ in Reader(page).tags if tag == "b"]
    assert f"hall:{html.escape(HOSTILE, quote=False)}".split('"')[0] in section(page)


def test_a_window_has_the_figures_of_its_hours(planted: Path) -> None:
    found = lake(planted)
    values = values_of(found, last_hours(found, 1))
    since = T0 + HOUR_US
    [row] = view(
        found,
        f"FROM site_figure_by('all', since := {since}) WHERE place = 'site' AND figure = 'pue'",
    )
    assert values["pue"].raw == repr(row["value"])
    assert values["flow"]["hours"] == "1 hour"
    assert "1 h with figures" in values["span"]
    jobs = read_facts(found, last_hours(found, 1)).jobs
    assert jobs[0]["facility_method"] == "measured"


def test_without_a_site_file_what_feeds_what_is_not_known(planted: Path, tmp_path: Path) -> None:
    text = (planted / "lake" / "site.toml").read_text("utf-8")
    for path, why in ((None, "has no site.toml"), ("[site]\nnonsense = 1\n", "not known")):
        (planted / "lake" / "site.toml").unlink()
        if path:
            (planted / "lake" / "site.toml").write_text(path, "utf-8")
        try:
            values = values_of(lake(planted))
        finally:
            (planted / "lake" / "site.toml").write_text(text, "utf-8")
        assert why in values["no_feeds"]
        assert all(row["below"].text is None for row in values["meters"]["rows"])
        parts = groups(values)
        assert "UPS and distribution" not in parts["Goes to"]
        assert parts["Goes to"]["UPS losses: not metered"] > 0


def test_meters_say_what_they_feed_and_why_they_are_in_doubt(planted: Path) -> None:
    values = values_of(lake(planted))
    rows = {row["id"]: row for row in values["meters"]["rows"]}
    assert next(iter(rows)) == "cool-a", "the least known first"
    assert rows["cool-a"]["doubts"] == [("gap", "readings are too far apart")]
    assert rows["cool-a"]["covered"].text == "83.2"
    assert rows["grid"]["below"].text == "ups-a, ups-b, cool-a, cool-b"
    assert rows["ups-a"]["below"].text == "it-a"
    assert rows["it-a"]["below"].text == ""
    assert (rows["water"]["unit"], rows["grid"]["unit"]) == ("L", "kWh")
    [measured] = values["methods"]
    assert (measured["how"], measured["hours"]) == ("measured by meters", "3")
    assert (measured["host"], measured["known"]) == ("declared in the site file", "3 of 3")


def test_a_page_of_ten_thousand_meters_stays_small(planted: Path, tmp_path: Path) -> None:
    small = section(page_of(planted))
    shutil.copytree(planted / "lake", tmp_path / "lake")
    found = lake(tmp_path)
    many = view(found, f"FROM meter_hour WHERE hour_us = {T0}")
    more = [
        {**many[0], "meter_id": f"rack-{place:05}", "role": "rack_in", "covered_us": HOUR_US}
        for place in range(10_000)
    ]
    rows = pa.Table.from_pylist(many + more, schema=METER_HOUR.schema())
    found.replace("meter_hour", rows, T0, "meter_hour")
    page = build_report(found, tmp_path / "x.html", findings=[]).read_text("utf-8")
    shown = section(page)
    assert len(shown) < len(small) + 60_000
    listed = re.findall(
        r'<th scope="row"><bdi>([\w-]+)</bdi></th><td><bdi>[\w:-]+</bdi></td><td title', shown
    )
    assert len(listed) == MOST_METERS
    left = len(many) + len(more) - MOST_METERS
    assert f"{left:,}".replace(",", "\u202f") + " more meters" in shown
    assert "tokenergy export --table meter_hour" in shown


@pytest.mark.parametrize(("hours", "period"), [(120, "hour"), (121, "day"), (2881, "week")])
def test_steps_are_no_more_than_can_be_read(hours: int, period: str) -> None:
    from tokenergy_sql.report.site.facts import _period

    assert _period(hours) == period


def test_a_job_shows_its_pue_and_where_that_comes_from(planted: Path, page: str) -> None:
    chat = job_fields(page_of(planted))["chat"]
    [row] = view(
        lake(planted),
        "SELECT min(pue_low_ppb) / 1e9 AS low, max(pue_high_ppb) / 1e9 AS high, "
        "sum(e_facility_nj)::DOUBLE / sum(e_gpu_nj + e_host_nj)::DOUBLE AS pue "
        "FROM job_hour_index",
    )
    assert float(chat["pue"].raw) == pytest.approx(row["pue"], rel=1e-6)
    assert [float(end) for end in chat["pue"].ends] == [row["low"], row["high"]]
    assert chat["facility_method"].raw == "measured"
    assert chat["facility_method"].text == "measured by meters of the building"
    serve = job_fields(page)["serve"]
    assert (serve["pue"].raw, serve["facility_method"].raw) == ("1.25", "declared")
    assert serve["facility_method"].text == "declared in the site file"
    ghost = job_fields(page)["ghost"]
    assert ghost["facility_method"].text is None
    assert ghost["facility_method"].why


def test_hours_are_those_of_utc(planted: Path) -> None:
    begin = datetime.fromtimestamp(building.BEGIN / 1e6, UTC)
    assert values_of(lake(planted))["span"].startswith(f"{begin:%Y-%m-%d %H:%M}")
