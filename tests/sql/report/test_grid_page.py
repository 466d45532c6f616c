"""The page of the grid's side: there only with profiles, figures of the tables, names as text."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from tests.support.lakes import HOUR_US, T0, LakeBuilder, S
from tests.support.once import once
from tests.support.report_names import CHROMIUM, HOSTILE
from tests.support.report_reading import charts
from tokenergy_collectors.lake import Lake
from tokenergy_sql.catalog.namedrows import NamedRow
from tokenergy_sql.cli import app
from tokenergy_sql.report import build_report
from tokenergy_sql.report.facts import read_facts
from tokenergy_sql.report.format import clean
from tokenergy_sql.report.grid import facts as grid_facts
from tokenergy_sql.report.grid.page import grid_values
from tokenergy_sql.report.palette import marks

T1, T2 = T0 + HOUR_US, T0 + 2 * HOUR_US
FIRST, SECOND = (range(start, start + HOUR_US, HOUR_US) for start in (T0, T1))
SPAN = ("--from", "2026-01-15T08:00:00Z", "--until", "2026-01-15T09:05:00Z")


def _profile(lake: Lake, *given: str) -> None:
    done = CliRunner().invoke(app, ["load-profile", "--lake", str(lake.root), *given])
    assert done.exit_code == 0, done.output


def _wave(start_us: int, length_s: int, every_us: int, period_s: float) -> list[tuple[int, int]]:
    """Readings of a load that jumps between 100 and 400 W, every 100 ms or slower."""
    stamps = range(start_us, start_us + length_s * S, every_us)
    return [(t, 400_000 if (t - T0) / S % period_s < period_s / 2 else 100_000) for t in stamps]


def _make(folder: Path) -> None:
    """Two boards that swing: read ten times a second, an hour later every 2 s, then hardly ever."""
    builder = LakeBuilder(folder / "lake")
    for k in range(2):
        where: dict[str, Any] = {"index": k, "site": "s", "hall": "h", "rack": f"r{k}"}
        builder.device(f"G{k}", **where, update_us=100_000)
        builder.device(f"G{k}", **where, update_us=2 * S, ts_us=T1)
        builder.power(f"G{k}", _wave(T0, 300, 100_000, 4 - k))
        builder.power(f"G{k}", _wave(T1, 300, 2 * S, 20))
        builder.power(f"G{k}", _wave(T2, 300, 100 * S, 400))
    builder.job(HOSTILE, "G0", T0, T0 + 299 * S)
    builder.job("plain", "G1", T0, T0 + 299 * S)
    lake = builder.build()
    build_report(lake, folder / "without.html", findings=[])
    _profile(lake, "--by", "site,rack,node,job")
    _profile(lake, "--by", "site,job", *SPAN)
    build_report(lake, folder / "report.html", findings=[])
    build_report(lake, folder / "second.html", findings=[], hours=SECOND)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return once(tmp_path_factory, "report-grid", _make)


def values_of(lake: Lake, hours: range | None = None) -> dict[str, Any]:
    facts = read_facts(lake, hours)
    values: dict[str, Any] | None = grid_values(facts.grid, marks(facts.jobs))
    assert values is not None
    return values


def rows_of(folder: Path, table: str, kind: str = "site") -> list[NamedRow]:
    rows: list[NamedRow] = Lake(folder / "lake").read(table).to_pylist()
    return [row for row in rows if row["kind"] == kind]


def section(page: str) -> str:
    start = page.index('data-page="grid"')
    return page[start : page.index("</section>", start)]


def test_the_page_is_there_only_with_profiles_of_sites_or_racks(made: Path, tmp_path: Path) -> None:
    for word in ('data-page="grid"', "#/grid"):
        assert word not in (made / "without.html").read_text("utf-8")
    page = (made / "report.html").read_text("utf-8")
    assert page.count('data-page="grid"') == 1
    assert 'href="#/grid"' in page
    shutil.copytree(made / "lake", tmp_path / "lake")
    shutil.rmtree(tmp_path / "lake" / "load_span")
    lake = Lake(tmp_path / "lake")
    _profile(lake, "--by", "rack")
    racks = values_of(lake)
    assert racks["kind"] == "rack"
    assert racks["others"] == 1
    assert {row["name"] for row in racks["groups"]} == {"s/h/r0", "s/h/r1"}
    _profile(lake, "--by", "job")
    assert read_facts(lake).grid is None


def test_the_first_figures_are_those_of_the_tables(made: Path) -> None:
    values = values_of(Lake(made / "lake"))
    profiles = [*rows_of(made, "load_profile"), *rows_of(made, "load_span")]
    assert len(profiles) == 4
    shown = {label: (cell, remark) for label, cell, remark in values["figures"]}

    def largest(*names: str) -> float:
        found = [row[name] for row in profiles for name in names if row[name] is not None]
        return float(max(found))

    for length, name in (("1 s", "1s"), ("10 s", "10s")):
        cell, remark = shown[f"Largest ramp in {length}, kW"]
        assert float(cell.raw) == largest(f"up_{name}_mw", f"down_{name}_mw")
        assert "site s, 2026-01-15 08:00–09:00" in remark, "the first of those that are as large"
    assert float(shown["Peak, kW"][0].raw) == largest("max_mw")
    hours = [row for row in rows_of(made, "load_profile") if row["cells"]]
    time = [row["cells"] * row["step_us"] for row in hours]
    mean = sum(row["mean_mw"] * us for row, us in zip(hours, time, strict=True)) / sum(time)
    factor = mean / max(row["max_mw"] for row in hours)
    assert float(shown["Load factor, %"][0].raw) == pytest.approx(factor)
    limits = [row["limit_hz"] for row in profiles if row["limit_hz"] is not None]
    assert float(shown["The sensors show up to, Hz"][0].raw) == min(limits)
    swings = [*rows_of(made, "load_swing"), *rows_of(made, "load_span_swing")]
    top = max((row for row in swings if row["rms_mw"]), key=lambda row: row["rms_mw"])
    cell, remark = shown["Largest swing, kW rms"]
    assert float(cell.raw) == top["rms_mw"]
    assert f"at {top['centre_hz']:.3f} Hz" in remark


def test_what_is_not_known_says_why_and_is_no_zero(made: Path) -> None:
    lake = Lake(made / "lake")
    why = "The readings are further apart than the time of a ramp."
    partly = {label: remark for label, _, remark in values_of(lake)["figures"]}
    # The span is as coarse as its coarsest hour.
    never = "The load is known at no time."
    assert partly["Largest ramp in 1 s, kW"].endswith(
        f"known in 1 of 4 profiles, else: {never} {why}"
    )
    assert partly["Largest ramp in 10 s, kW"].endswith(f"known in 3 of 4 profiles, else: {never}")
    second = values_of(lake, SECOND)
    cell = {label: cell for label, cell, _ in second["figures"]}["Largest ramp in 1 s, kW"]
    assert (cell.text, cell.why) == (None, why)
    shown = section((made / "second.html").read_text("utf-8"))
    assert f'<span class="none">not known</span><span class="why">{why}</span>' in shown
    assert f"<dt><code>ramp_below_period</code></dt><dd>{why}</dd>" in shown
    [site] = [row for row in second["groups"] if row["kind"] == "site"]
    assert (site["ramp_1s"].text, site["ramp_1s"].why) == (None, why)
    assert site["ramp_10s"].text is not None


def test_charts_hold_the_rows_of_the_tables(made: Path) -> None:
    drawn = charts((made / "report.html").read_text("utf-8"))
    load = [row for row in drawn["grid-load"]["rows"] if "value" in row]
    hours = sorted(rows_of(made, "load_profile"), key=lambda row: row["hour_us"])
    assert [row["cells"] > 0 for row in hours] == [True, True, False]
    unknown = {row["t"]: row["missing"] for row in drawn["grid-load"]["rows"] if "missing" in row}
    assert unknown[T2 // 1000] == 1, "a strip, and no value"
    hours = hours[:2]
    assert [(row["t"], row["low"], row["high"]) for row in load] == [
        (row["hour_us"] // 1000, row["min_mw"] / 1e6, row["max_mw"] / 1e6) for row in hours
    ]
    means = [row["mean_mw"] / 1e6 for row in hours]
    assert [row["value"] for row in load] == pytest.approx(means)
    bands = {row["band"]: row for row in drawn["grid-bands"]["rows"]}
    known: dict[str, list[float]] = {}
    for row in rows_of(made, "load_spectrum"):
        own = known.setdefault(f"{row['low_hz']:g}–{row['high_hz']:g}", [])
        own += [] if row["rms_mw"] is None else [row["rms_mw"] / 1e6]
    assert set(bands) == set(known)
    for band, values in known.items():
        assert bands[band].get("rms") == (max(values) if values else None)
        assert ("hidden" in bands[band]) == (not values)
    assert "do not resolve" in bands["10–25"]["text"]
    assert "10–25 Hz. The sensors do not resolve" in section(
        (made / "report.html").read_text("utf-8")
    )


def test_swings_are_those_of_the_tables_the_largest_first(
    made: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake = Lake(made / "lake")
    every = [
        row
        for table in ("load_swing", "load_span_swing")
        for kind in ("site", "rack", "node", "job")
        for row in rows_of(made, table, kind)
    ]
    values = values_of(lake)
    harmonics = [row for row in every if "harmonic" in row["reason_codes"].split(",")]
    assert 0 < len(harmonics) == values["harmonics"] < len(every)
    every = [row for row in every if row not in harmonics]
    assert values["swings_total"] == str(len(every))
    sizes = [float(row["rms"].raw) for row in values["swings"] if row["rms"].text is not None]
    most = sorted((row["rms_mw"] for row in every if row["rms_mw"] is not None), reverse=True)
    assert sizes == most[: len(values["swings"])]
    spans = {row["span"] for row in values["swings"]}
    assert spans >= {"2026-01-15 08:00–09:00", "2026-01-15 08:00–09:05"}
    assert {row["span"] for row in values_of(lake, FIRST)["swings"]} == {"2026-01-15 08:00–09:00"}
    monkeypatch.setattr(grid_facts, "MOST_SWINGS", 2)
    few = values_of(lake)
    assert (len(few["swings"]), few["swings_total"]) == (2, str(len(every)))


def test_groups_link_the_pages_of_their_jobs_and_names_are_text(made: Path) -> None:
    values = values_of(Lake(made / "lake"))
    names = [(row["kind"], row["name"]) for row in values["groups"]]
    assert names[:3] == [("site", "s"), ("rack", "s/h/r0"), ("rack", "s/h/r1")]
    assert set(names[3:]) == {("job", clean(HOSTILE)), ("job", "plain")}
    for row in values["groups"]:
        kind = row["kind"]
        own = [
            r for r in rows_of(made, "load_profile", kind) if clean(r["group_id"]) == row["name"]
        ]
        own += [r for r in rows_of(made, "load_span", kind) if clean(r["group_id"]) == row["name"]]
        own = [r for r in own if r["cells"]]
        assert float(row["battery"].raw) == max(float(one["battery_nj"]) for one in own)
        assert float(row["peak"].raw) == max(one["max_mw"] for one in own)
        assert float(row["swing"].raw) == max(one["swing_share"] for one in own)
        assert bool(row["href"]) == (kind == "job")
    shown = section((made / "report.html").read_text("utf-8"))
    assert HOSTILE not in shown
    assert 'job <a href="#/job/plain"><bdi>plain</bdi></a>' in shown
    for command in ("comply", "swings", "storage"):
        assert f"<code>tokenergy {command}</code>" in shown
    assert len(re.findall(r'id="grid-unknown"', shown)) == 1


@pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")
@pytest.mark.parametrize("report", ["report.html", "second.html"])
@pytest.mark.parametrize(("size", "scheme"), [((1280, 900), "light"), ((390, 844), "dark")])
def test_the_page_is_quiet_and_accessible(
    made: Path, report: str, size: tuple[int, int], scheme: str
) -> None:
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe is missing")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        viewport = {"width": size[0], "height": size[1]}
        page = browser.new_context(viewport=viewport, color_scheme=scheme).new_page()
        said: list[str] = []
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.goto((made / report).as_uri() + "#/grid")
        page.wait_for_function(
            "[...document.querySelectorAll('main .chart')]"
            ".every(c => !c.offsetParent || c.classList.contains('drawn'))"
        )
        wider = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        assert page.evaluate(wider) == 0
        assert page.locator("#chart-grid-bands [fill='url(#grid-unknown)']").count() > 0
        faults = [
            fault["id"]
            for fault in axe.Axe().run(page).response["violations"]
            if fault["impact"] in ("serious", "critical")
        ]
        assert faults == []
        if report == "report.html":
            page.locator('[data-page="grid"] a', has_text="plain").first.click()
            assert page.locator('[data-page="job"] h1').inner_text().strip() == "plain"
        assert said == []
        browser.close()
