"""A real browser shows the report: pictures drawn, console quiet, no request, usable by keyboard,
on a phone, in light and dark, and without a serious fault of accessibility."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.lakes import T0, LakeBuilder, S, level
from tests.support.long import pairs
from tests.support.report_fleet import JOBS
from tests.support.report_names import CHROMIUM, HOSTILE
from tokenergy_sql.report import build_report
from tokenergy_sql.report.format import clean

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
axe_api = pytest.importorskip(
    "axe_playwright_python.sync_playwright", reason="axe-playwright-python is not installed"
)
expect = sync_api.expect  # waits: an address changes before the page that follows it
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")

DESKTOP, PHONE = (1280, 900), (360, 740)
ROUTES = ("#/", "#/jobs", "#/job/7015", "#/energy", "#/efficiency", "#/quality", "#/nowhere")


class Tab:
    """One page of the browser, and all that it said and asked for."""

    def __init__(self, browser: Any, size: tuple[int, int], scheme: str) -> None:
        viewport = {"width": size[0], "height": size[1]}
        self.context = browser.new_context(viewport=viewport, color_scheme=scheme)
        self.page = self.context.new_page()
        self.said: list[str] = []
        self.asked: list[str] = []
        self.page.on("console", lambda message: self.said.append(message.text))
        self.page.on("pageerror", lambda error: self.said.append(str(error)))
        self.page.on("request", lambda request: self.asked.append(request.url))

    def open(self, path: Path, route: str = "#/") -> Any:
        """Load the report again; return when its charts are drawn."""
        self.page.goto("about:blank")
        self.page.goto(path.as_uri() + route)
        self.page.wait_for_function(
            "[...document.querySelectorAll('main .chart')]"
            ".every(c => !c.offsetParent || c.classList.contains('drawn'))"
        )
        return self.page


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with sync_api.sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield found
        found.close()


@pytest.fixture
def tab(browser: Any) -> Iterator[Tab]:
    opened = Tab(browser, DESKTOP, "light")
    yield opened
    opened.context.close()


def names(page: Any) -> list[str]:
    found: list[str] = page.locator("#rows th bdi[data-cell=name]").all_text_contents()
    return found


@pytest.mark.parametrize(
    ("name", "screen"), pairs(["fleet_page", "window_page"], [(DESKTOP, "light"), (PHONE, "dark")])
)
def test_all_pages_are_quiet_and_accessible(
    browser: Any,
    request: pytest.FixtureRequest,
    name: str,
    screen: tuple[tuple[int, int], str],
) -> None:
    size, scheme = screen
    opened = Tab(browser, size, scheme)
    path: Path = request.getfixturevalue(name)
    for route in ROUTES:
        page = opened.open(path, route)
        assert page.locator("section:not([hidden]) h1").count() == 1
        wider = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        assert page.evaluate(wider) == 0, f"{route} does not fit into {size[0]} px"
        found = axe_api.Axe().run(page).response["violations"]
        faults = [
            (fault["id"], node["html"][:120])
            for fault in found
            for node in fault["nodes"]
            if fault["impact"] in ("serious", "critical")
        ]
        assert not faults, (route, faults)
    assert opened.said == []
    assert {url.split("#")[0] for url in opened.asked} == {path.as_uri()}
    opened.context.close()


def test_a_window_shows_whole_jobs_beside_its_hours(tab: Tab, window_page: Path) -> None:
    page = tab.open(window_page, "#/jobs")
    first = page.locator("#rows tr").first
    hours, whole = (
        float(first.locator(f"[data-cell={name}]").inner_text())
        for name in ("gpu_energy", "whole_gpu_energy")
    )
    assert 0 < hours < whole
    page = tab.open(window_page, "#/job/7001")
    assert page.get_by_role("heading", name="Whole job").is_visible()
    assert page.locator("[data-cell=whole_te_gpu] .interval").is_visible()
    page = tab.open(window_page)
    page.get_by_text("Table by day").click()
    assert page.locator("#days-caption").is_visible()
    assert page.locator("#chart-days-inference svg").is_visible()
    assert tab.said == []


def test_hostile_names_and_unknown_figures_are_shown_as_text(tab: Tab, page_path: Path) -> None:
    page = tab.open(page_path, "#/jobs")
    assert HOSTILE in names(page)
    page.get_by_role("link", name="x").first.click()
    expect(page.locator("#job")).to_have_text(HOSTILE)
    page = tab.open(page_path, "#/job/ghost")
    assert "Nothing metered the job's GPUs" in page.locator(".figures.strong").inner_text()
    assert page.locator("#job-nothing").is_visible()
    assert tab.said == []


def test_any_job_id_has_an_address(tab: Tab, tmp_path: Path) -> None:
    builder = LakeBuilder(tmp_path / "lake")
    builder.device("d")
    builder.power("d", level(100_000, T0, T0 + 60 * S, S))
    ids = ("a/b%2F?#ü 'x\"", "../..", "__proto__", "a\u202eb")
    for place, job_id in enumerate(ids):
        builder.job(job_id, "d", T0 + place * 10 * S, T0 + (place + 1) * 10 * S)
    path = build_report(builder.build(), tmp_path / "x.html", findings=[])
    for job_id in ids:
        page = tab.open(path, "#/jobs")
        shown = clean(job_id)
        page.locator("#rows tr", has_text=shown).locator("a").click()
        expect(page.locator("#job")).to_have_text(shown)
        address = page.evaluate("location.hash")
        assert tab.open(path, address).locator("#job").text_content() == shown
    page = tab.open(path, "#/job/%E0%A4%A")
    assert page.locator("#missing").is_visible()
    assert tab.said == []


def test_every_chart_is_drawn(tab: Tab, fleet_page: Path) -> None:
    for route, count in (("#/", 3), ("#/efficiency", 4), ("#/job/7005", 3), ("#/job/7010", 1)):
        page = tab.open(fleet_page, route)
        assert page.locator("section:not([hidden]) .chart svg:visible").count() == count
        marks = "section:not([hidden]) .chart svg g.mark-area path, .chart svg g.mark-rule line"
        assert page.locator(marks).count() >= 1
    page = tab.open(fleet_page, "#/energy")
    assert page.locator(".sankey.wide .ribbon").count() > 15
    assert not page.locator(".sankey.slim").is_visible()


@pytest.mark.parametrize("name", ["planted", "halls"])
@pytest.mark.parametrize(("size", "scheme"), [(DESKTOP, "dark"), (PHONE, "light")])
def test_the_building_is_drawn_quiet_and_accessible(
    browser: Any, request: pytest.FixtureRequest, size: tuple[int, int], scheme: str, name: str
) -> None:
    opened = Tab(browser, size, scheme)
    path: Path = request.getfixturevalue(name) / "report.html"
    page = opened.open(path, "#/site")
    assert page.locator("section:not([hidden]) h1").text_content() == "The building"
    wider = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    assert page.evaluate(wider) == 0
    found = axe_api.Axe().run(page).response["violations"]
    faults = [
        (fault["id"], node["html"][:120])
        for fault in found
        for node in fault["nodes"]
        if fault["impact"] in ("serious", "critical")
    ]
    assert not faults
    wide = page.locator("section:not([hidden]) .sankey.wide")
    slim = page.locator("section:not([hidden]) .sankey.slim")
    shown, other = (wide, slim) if size == DESKTOP else (slim, wide)
    assert shown.count() == (1 if size == DESKTOP else 2)
    assert all(one.is_visible() for one in shown.all())
    assert not any(one.is_visible() for one in other.all())
    for one in shown.all():
        assert _overlaps(one.locator("text")) == []
    assert page.locator("#chart-site-pue svg g.mark-rule line").count() >= 2
    assert page.locator("#chart-site-inference svg").is_visible()
    expect(page.locator("[data-nav=site]")).to_have_attribute("aria-current", "page")
    assert opened.said == []
    assert {url.split("#")[0] for url in opened.asked} == {path.as_uri()}
    opened.context.close()


def _overlaps(texts: Any) -> list[tuple[str, str]]:
    """Return labels of which one is drawn over the other."""
    boxes = [(one.text_content(), one.bounding_box()) for one in texts.all()]
    return [
        (name, other)
        for at, (name, a) in enumerate(boxes)
        for other, b in boxes[at + 1 :]
        if a["x"] < b["x"] + b["width"] - 1
        and b["x"] < a["x"] + a["width"] - 1
        and a["y"] + 2 < b["y"] + b["height"]
        and b["y"] + 2 < a["y"] + a["height"]
    ]


def test_search_narrows_and_sorting_orders_the_table(tab: Tab, fleet_page: Path) -> None:
    page = tab.open(fleet_page, "#/jobs")
    assert len(names(page)) == len(JOBS)
    page.fill("#search", "llama-3.1-8b h100")
    assert sorted(names(page)) == ["chat-eu", "chat-us", "summaries", "summaries"]
    assert page.locator("#shown").text_content() == "4 of 4 found, 20 jobs in all"
    page.fill("#search", "")
    head = page.locator("th[data-sort=te_gpu]")
    button = head.locator("button")
    button.focus()
    page.keyboard.press("Enter")
    assert head.get_attribute("aria-sort") == "descending"
    assert page.locator("th[aria-sort]").count() == 1
    largest = names(page)
    page.keyboard.press("Space")
    assert head.get_attribute("aria-sort") == "ascending"
    smallest = names(page)
    known = 18
    assert largest[:known] == smallest[:known][::-1]
    unknown = {"notebook", "broken-loader"}
    assert set(largest[known:]) == set(smallest[known:]) == unknown


def test_csv_holds_exact_values_and_no_formula(tab: Tab, page_path: Path, fleet_page: Path) -> None:
    page = tab.open(fleet_page, "#/jobs")
    page.fill("#search", "chat")
    with page.expect_download() as download:
        page.click("#csv")
    assert download.value.suggested_filename == "tokenergy-jobs.csv"
    text = Path(download.value.path()).read_text("utf-8-sig")
    rows = list(csv.DictReader(io.StringIO(text, newline="")))
    assert [row["name"] for row in rows] == ["chat-large", "chat-eu", "chat-us"]
    assert rows[1]["end"] == ""
    for row in rows:
        low, value, high = (float(row[f"te_gpu{end}"]) for end in ("_low", "", "_high"))
        assert low < value < high
        assert value == pytest.approx(float(row["e_gpu_j"]) / int(row["tokens"]))
        assert len(row["inputs_digest"]) == 64
    page = tab.open(page_path, "#/jobs")
    with page.expect_download() as download:
        page.click("#csv")
    text = Path(download.value.path()).read_text("utf-8-sig")
    hostile = {row["job_id"]: row for row in csv.DictReader(io.StringIO(text, newline=""))}
    assert hostile["train"]["name"] == HOSTILE
    assert hostile["hold"]["user"] == "'=2+2"
    assert hostile["hold"]["account"] == 'a "b", c'
    assert hostile["ghost"]["e_gpu_j"] == ""
    assert all(url.startswith(("file:", "about:", "blob:")) for url in tab.asked)


def test_keyboard_reaches_a_job_and_comes_back(tab: Tab, fleet_page: Path) -> None:
    page = tab.open(fleet_page, "#/jobs")
    page.locator("#search").focus()
    for _ in range(40):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.matches('#rows a')"):
            break
    page.keyboard.press("Enter")
    expect(page.locator("#job")).to_be_focused()
    assert page.evaluate("location.hash") == "#/job/7001"
    assert page.title() == "pretrain – TokEnergy report"
    assert page.locator("[data-nav=jobs]").get_attribute("aria-current") == "true"
    page.go_back()
    expect(page.locator("#jobs")).to_be_visible()
    expect(page.locator("#job")).to_be_hidden()
    assert page.evaluate("location.hash") == "#/jobs"


def test_theme_button_overrides_the_system(tab: Tab, fleet_page: Path) -> None:
    page = tab.open(fleet_page)
    paper = "getComputedStyle(document.body).backgroundColor"
    assert page.evaluate(paper) == "rgb(255, 255, 255)"
    for name, color in (("light", 255), ("dark", 20), ("system", 255)):
        page.click("#theme")
        assert page.locator("#theme").text_content().strip() == f"Theme: {name}"
        assert page.evaluate(paper).startswith(f"rgb({color},")
    page.click("#theme")
    page.click("#theme")
    page = tab.open(fleet_page)
    assert page.evaluate(paper).startswith("rgb(20,")


def test_jobs_are_cards_on_a_phone(browser: Any, fleet_page: Path) -> None:
    opened = Tab(browser, PHONE, "light")
    page = opened.open(fleet_page, "#/jobs")
    card = page.locator("#rows tr").first
    box = card.bounding_box()
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= PHONE[0]
    assert (
        "GPU energy, kWh"
        in page.evaluate(
            "[...document.querySelectorAll('#rows tr td')]"
            ".map(c => getComputedStyle(c, '::before').content)"
        )[4]
    )
    page.select_option("#sort", "name")
    assert names(page)[0] == "agents"
    page.click("#reverse")
    assert names(page)[0] == "summaries"
    opened.context.close()


def test_print_is_light_and_without_controls(tab: Tab, fleet_page: Path) -> None:
    page = tab.open(fleet_page, "#/jobs")
    page.click("#theme")
    page.click("#theme")
    page.emulate_media(media="print")
    assert not page.locator(".top").is_visible()
    assert not page.locator("#csv").is_visible()
    page.set_viewport_size({"width": 718, "height": 1000})  # A4 with margins of 1 cm
    assert page.evaluate("document.documentElement.scrollWidth") <= 718
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"


def test_without_script_the_tables_are_there(browser: Any, fleet_page: Path) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(fleet_page.as_uri())
    assert page.get_by_role("heading", name="Data quality").is_visible()
    assert page.get_by_text("need JavaScript").is_visible()
    context.close()
