"""The page says what the database says, and nothing a name carries can break it."""

from __future__ import annotations

import html
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from tests.sql.report.conftest import HOSTILE, LONG
from tests.support.lakes import T0, LakeBuilder, S, level
from tokenergy_collectors.errors import UserError
from tokenergy_collectors.lake import Lake
from tokenergy_sql import catalog
from tokenergy_sql.checking import Finding
from tokenergy_sql.report import build_report
from tokenergy_sql.report.facts import read_facts
from tokenergy_sql.report.format import significant

MAX_BYTES = 2_500_000


class Reader(HTMLParser):
    """Collects tags, and the rows of the table of jobs."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.styles: list[str] = []
        self.jobs: list[dict[str, Any]] = []
        self._in_jobs = self._in_style = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.tags.append((tag, given))
        self._in_style = tag == "style"
        if tag == "table":
            self._in_jobs = given.get("class") == "jobs"
        if tag == "tr" and self._in_jobs:
            self.jobs.append({"text": "", "values": []})
        if tag == "data" and self._in_jobs:
            self.jobs[-1]["values"].append(given["value"])

    def handle_data(self, data: str) -> None:
        if self._in_style:
            self.styles.append(data)
        if self._in_jobs and self.jobs:
            self.jobs[-1]["text"] += data


def read(page: str) -> Reader:
    reader = Reader()
    reader.feed(page)
    return reader


def charts(page: str) -> dict[str, Any]:
    found = re.findall(
        r'<script type="application/json" data-chart="chart-([\w-]+)">(.*?)</script>', page, re.S
    )
    return {name: json.loads(text) for name, text in found}


def chart_rows(page: str, name: str) -> list[dict[str, Any]]:
    [values] = charts(page)[name]["datasets"].values()
    return list(values)


def rows(lake: Lake, sql: str) -> list[tuple[Any, ...]]:
    with catalog.connect(lake) as con:
        return con.sql(sql).fetchall()


def test_each_job_stands_with_the_numbers_of_the_database(lake: Lake, page: str) -> None:
    lines = read(page).jobs[1:]
    jobs = rows(
        lake,
        "SELECT name, job_id, e_gpu_j, coalesce(te_gpu_out, te_train), tokenergy, tokens_per_kwh "
        "FROM job_index ORDER BY e_gpu_nj DESC NULLS LAST",
    )
    assert len(lines) == len(jobs) == 4
    for line, (name, job_id, *values) in zip(lines, jobs, strict=True):
        assert name in line["text"]
        assert job_id in line["text"]
        assert all(value is None or repr(value) in line["values"] for value in values)
        energy_j, te_gpu, tokenergy, _ = values
        shown = (energy_j and energy_j / 1000, te_gpu, tokenergy)
        assert all(value is None or significant(value) in line["text"] for value in shown)


def test_fleet_is_a_ratio_of_sums(lake: Lake, page: str) -> None:
    [(energy, tokens)] = rows(
        lake,
        "SELECT sum(e_gpu_j), sum(n_generated) FROM job_index WHERE workload = 'inference'",
    )
    inference = next(row for row in read_facts(lake).fleet if row["workload"] == "inference")
    assert inference["gpu"] == pytest.approx(energy / tokens)
    assert f'value="{inference["gpu"]!r}"' in page


def test_hostile_names_stay_text(page: str) -> None:
    assert HOSTILE not in page
    assert "<b>x" not in page
    assert html.escape(HOSTILE, quote=False).split('"')[0] in page
    assert not [tag for tag, _ in read(page).tags if tag == "b"]
    labels = {row["job"] for row in chart_rows(page, "energy")}
    assert HOSTILE in labels
    assert LONG in labels


def test_nothing_is_loaded_from_anywhere(page: str) -> None:
    reader = read(page)
    for tag, attrs in reader.tags:
        assert tag not in {"iframe", "object", "embed", "img", "base"}
        assert "src" not in attrs
        assert not (attrs.get("href") or "#").startswith(("http", "//")), (tag, attrs)
        assert attrs.get("rel") != "stylesheet"
    style = "".join(reader.styles)
    assert style
    assert "@import" not in style
    assert "url(" not in style
    assert "default-src 'none'" in page
    assert "unsafe-eval" not in page
    assert len(page.encode()) < MAX_BYTES


def test_unknown_is_a_dash_with_its_reason(page: str) -> None:
    lines = {line["text"].strip().split()[0]: line for line in read(page).jobs[1:]}
    ghost = lines["ghostghost"]
    assert ghost["values"].count("0") == 0
    assert "no_energy" in ghost["text"]
    assert ghost["text"].count("–") >= 6
    assert "Nothing metered the job&#39;s GPUs" in page
    assert "no_tokens" in lines["reservationhold"]["text"]
    assert "still running" in lines[f"{HOSTILE}train"]["text"]


def test_power_chart_holds_all_booked_energy(lake: Lake, page: str) -> None:
    [(energy_j,)] = rows(lake, "SELECT sum(energy_nj)::DOUBLE / 1e9 FROM ledger")
    values = [row for row in chart_rows(page, "power") if not row.get("end")]
    drawn_j = sum(row["total"] * (row["t2"] - row["t"]) for row in values)
    assert drawn_j == pytest.approx(energy_j, rel=1e-4)
    assert sum(row["unknown"] > 0 for row in values) >= 19


def test_state_of_the_ledger_and_events_are_told(page: str) -> None:
    assert "ledger closes: metered = booked" in page
    assert ">emulated</span>" in page
    assert "gone &lt;/script&gt;" in page
    assert "formula is not public" in page
    assert "own; figures that others publish" in page


def test_a_broken_law_is_told(lake: Lake, tmp_path: Path) -> None:
    finding = Finding("law", "The law", True, ["device_id"], [("GPU-0<i>",)] * 5)
    page = build_report(lake, tmp_path / "x.html", findings=[finding], title="A <b>").read_text()
    assert "the ledger does not close" in page
    assert "ledger closes" not in page
    assert "device_id GPU-0&lt;i&gt;" in page
    assert "<h1>A &lt;b&gt;</h1>" in page


def test_same_lake_same_bytes(lake: Lake, page_path: Path, tmp_path: Path) -> None:
    again = build_report(lake, tmp_path / "again.html")
    assert again.read_bytes() == page_path.read_bytes()
    assert [path.name for path in tmp_path.iterdir()] == ["again.html"]


def test_an_empty_lake_is_one_line(tmp_path: Path) -> None:
    lake = Lake(tmp_path / "empty", create=True)
    with pytest.raises(UserError, match=r"^lake .*empty: has no job_index; run .*$"):
        build_report(lake, tmp_path / "x.html")
    assert not (tmp_path / "x.html").exists()


@pytest.mark.parametrize("name", ["missing/x.html", "folder"])
def test_a_path_that_cannot_be_written_is_one_line(lake: Lake, tmp_path: Path, name: str) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(UserError, match=r"^report .*: cannot be written: [^\n]+$"):
        build_report(lake, tmp_path / name, findings=[])
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]


def test_many_jobs_with_one_name_and_tokens_alone(tmp_path: Path) -> None:
    builder = LakeBuilder(tmp_path / "many")
    devices = range(30)
    common = {"ts_us": T0, "node": "n1", "emulated": False}
    builder.add("device", [{**common, "device_id": f"d{i}", "index": i} for i in devices])
    for place in devices:
        builder.power(f"d{place}", level(100_000 + place, T0, T0 + 10 * S, S))
        builder.job(f"job-{place}", f"d{place}", T0, T0 + 10 * S, name="same name")
    builder.tokens("unplaced", [(T0, 0), (T0 + 10 * S, 100)], source_id="u")
    page = build_report(builder.build(), tmp_path / "x.html", findings=[]).read_text("utf-8")
    bars = {row["label"] for row in chart_rows(page, "energy")}
    assert len(bars) == 25
    assert "(6 other jobs)" in bars
    assert len(read(page).jobs) == 32
    assert len(charts(page)["power"]["layer"]) == 2, "no strip where nothing is unknown"
    assert ">emulated</span>" not in page
    assert "has no allocation" in read(page).jobs[-1]["text"]
    assert "No job&#39;s facility energy is known" in page
