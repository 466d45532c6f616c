"""Two thousand jobs: a page of a few megabytes that answers at once, and says what it merged."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.lakes import T0, LakeBuilder, S, level
from tests.support.report_names import CHROMIUM
from tests.support.report_reading import embedded
from tokenergy_sql.report import build_report
from tokenergy_sql.report.facts import DETAILED_JOBS, FEW_POINTS, MOST_POINTS

JOBS, DEVICES = 2000, 20
MAX_BYTES = 8_000_000
LENGTH = 3600 * S // (JOBS // DEVICES)


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> str:
    root = tmp_path_factory.mktemp("many")
    builder = LakeBuilder(root / "lake")
    common = {"ts_us": T0, "node": "n1", "emulated": True, "name": "board", "update_us": 10 * S}
    builder.add("device", [{**common, "device_id": f"d{i}", "index": i} for i in range(DEVICES)])
    jobs, counts = [], []
    for device in range(DEVICES):
        builder.power(f"d{device}", level(200_000 + 9000 * device, T0, T0 + 3600 * S, 10 * S))
        for place in range(JOBS // DEVICES):
            start, name = T0 + place * LENGTH, f"job-{device:02}-{place:03}"
            jobs.append(
                {
                    "job_id": name,
                    "node": "n1",
                    "device_id": f"d{device}",
                    "start_us": start,
                    "end_us": start + LENGTH,
                    "share_ppm": 1_000_000,
                    "method": "declared",
                    "recorded_us": T0,
                    "user": f"user-{place % 37}",
                }
            )
            given = {"source_id": name, "node": "n1", "job_id": name, "engine": "", "epoch": 0}
            counts += [
                {**given, "model": "m", "kind": "generated", "ts_us": ts, "value": 50 * n}
                for n, ts in enumerate(range(start, start + LENGTH + 1, 12 * S))
            ]
    builder.add("jobs", jobs)
    builder.add("tokens", counts)
    lake = builder.build(window_us=10 * S)
    return build_report(lake, root / "report.html", findings=[]).read_text("utf-8")


def test_the_page_stays_small_and_whole(page: str) -> None:
    data = embedded(page)
    assert len(data["rows"]) == len(data["pages"]) == JOBS
    assert len(page.encode()) < MAX_BYTES
    points = [len(job["series"]["active"]) for job in data["pages"]]
    assert max(points[:DETAILED_JOBS]) <= MOST_POINTS + 1
    assert max(points[DETAILED_JOBS:]) <= FEW_POINTS + 1
    assert all(job["series"]["tokens"]["generated"] for job in data["pages"])
    assert f"The {DETAILED_JOBS} largest of {JOBS} jobs" in page.replace("\u202f", "")


def test_the_table_of_many_jobs_is_searched_and_sorted(page: str, tmp_path: Path) -> None:
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if CHROMIUM is None:
        pytest.skip("chromium is not installed")
    path = tmp_path / "report.html"
    path.write_text(page, "utf-8")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        tab = browser.new_page()
        tab.goto(path.as_uri() + "#/jobs")
        assert tab.locator("#rows tr").count() == 100
        assert tab.locator("#shown").text_content() == "100 of 2000 found, 2000 jobs in all"
        tab.click("#more")
        assert tab.locator("#rows tr").count() == 200
        tab.fill("#search", "user-7 job-19")
        found = tab.locator("#rows tr").count()
        assert found == sum(place % 37 == 7 for place in range(JOBS // DEVICES))
        tab.fill("#search", "")
        tab.click("[data-sort=te_gpu] button")
        assert tab.locator("[data-sort=te_gpu]").get_attribute("aria-sort") == "descending"
        tab.click("#all")
        assert tab.locator("#rows tr").count() == JOBS
        browser.close()
