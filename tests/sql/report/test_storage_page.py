"""The page of storage studies: there only with studies, figures of the table, names as text."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from tests.support.lakes import T0, LakeBuilder, S
from tests.support.once import once
from tests.support.report_names import CHROMIUM, HOSTILE
from tests.support.report_reading import charts
from tokenergy_collectors.lake import Lake
from tokenergy_sql.cli import app
from tokenergy_sql.report import build_report
from tokenergy_sql.report.facts import read_facts
from tokenergy_sql.report.format import clean, significant
from tokenergy_sql.report.storage.page import storage_values


def _make(folder: Path) -> None:
    """Two boards of one hostile job that swing; studies of the job, of its parts, and in vain."""
    builder = LakeBuilder(folder / "lake")
    for k in range(2):
        builder.device(f"G{k}", index=k, site="s", hall="h", rack=f"r{k}", update_us=1_000_000)
        swings = [(T0 + t * S, 400_000 if (t // (4 + k)) % 2 else 100_000) for t in range(300)]
        builder.power(f"G{k}", swings)
        builder.job(HOSTILE, f"G{k}", T0, T0 + 299 * S)
    lake = builder.build()
    build_report(lake, folder / "without.html", findings=[])
    ramp = ("--ramp-kw-per-s", "0.05", "--until", "2026-01-15T08:04:50", "--sweep")
    for given in (
        ("--by", "job", *ramp),
        ("--by", "site", "--split", "rack", "--efficiency", "0.9", "--reserve-kwh", "1", *ramp),
        ("--by", "site", "--peak-kw", "0.2"),
    ):
        done = CliRunner().invoke(app, ["storage", "--lake", str(lake.root), *given])
        assert done.exit_code == (1 if "--peak-kw" in given else 0), done.output
    build_report(lake, folder / "report.html", findings=[])


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return once(tmp_path_factory, "report-storage", _make)


def test_the_page_is_there_only_with_studies(made: Path) -> None:
    assert 'data-page="storage"' not in (made / "without.html").read_text("utf-8")
    page = (made / "report.html").read_text("utf-8")
    assert page.count('data-page="storage"') == 1
    assert 'href="#/storage"' in page


def test_the_table_has_the_figures_of_the_studies(made: Path) -> None:
    facts = read_facts(Lake(made / "lake"))
    values: dict[str, Any] | None = storage_values(facts.storage)
    assert values is not None
    rows = {(row["name"], row["limits"]): row for row in values["studies"]}
    assert len(rows) == 3, "parts have no line of their own"
    (study,) = [
        row
        for row in Lake(made / "lake").read("storage_study").to_pylist()
        if row["kind"] == "site" and row["ramp_mw_s"] is not None
    ]
    shown = rows["site s", "ramps ≤ 0.0500 kW/s, 94.9 % each way, 1.00 kWh in reserve"]
    assert shown["power"].text == significant(study["optimal_power_mw"] / 1e6)
    assert shown["pooling"].text == significant(study["pooling_energy"])
    assert study["pooling_energy"] > 1
    vain = rows["site s", "peak ≤ 0.200 kW"]
    assert vain["energy"].text is None
    assert vain["energy"].why.startswith("The mean load is above the peak limit")
    assert {code for code, _ in vain["codes"]} == {"peak_below_mean"}


def test_charts_hold_the_sweep_and_the_stretch(made: Path) -> None:
    drawn = charts((made / "report.html").read_text("utf-8"))
    sweep = drawn["storage-0-sweep"]["rows"]
    assert len(sweep) == 100
    assert {row["class"] for row in sweep} >= {"kept"}
    power = drawn["storage-0-power"]["rows"]
    assert all(0 <= row["charge"] <= 100 for row in drawn["storage-0-charge"]["rows"])
    assert max(row["grid"] for row in power) <= max(row["load"] for row in power) + 1e-6


def test_names_are_text(made: Path) -> None:
    page = (made / "report.html").read_text("utf-8")
    section = page[page.index('data-page="storage"') : page.index('data-page="quality"')]
    assert HOSTILE not in section
    assert "job " in section
    values = storage_values(read_facts(Lake(made / "lake")).storage)
    assert values is not None
    assert f"job {clean(HOSTILE)}" in {row["name"] for row in values["studies"]}


@pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")
@pytest.mark.parametrize(("size", "scheme"), [((1280, 900), "light"), ((390, 844), "dark")])
def test_the_page_is_quiet_and_accessible(made: Path, size: tuple[int, int], scheme: str) -> None:
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe is missing")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        viewport = {"width": size[0], "height": size[1]}
        page = browser.new_context(viewport=viewport, color_scheme=scheme).new_page()
        said: list[str] = []
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.goto((made / "report.html").as_uri() + "#/storage")
        page.wait_for_function(
            "[...document.querySelectorAll('main .chart')]"
            ".every(c => !c.offsetParent || c.classList.contains('drawn'))"
        )
        wider = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        assert page.evaluate(wider) == 0
        faults = [
            fault["id"]
            for fault in axe.Axe().run(page).response["violations"]
            if fault["impact"] in ("serious", "critical")
        ]
        assert faults == []
        assert said == []
        browser.close()
