"""The page shows what the database has, and no job name can break it."""

from __future__ import annotations

import html
from pathlib import Path
from typing import Any

import pytest

from tests.support.lakes import T0, LakeBuilder, S, level
from tests.support.report_names import HOSTILE, LONG
from tests.support.report_reading import Reader, charts, embedded, job_fields
from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.lake import Lake
from tokenergy_sql.catalog import connecting as catalog
from tokenergy_sql.checks.checking import Finding
from tokenergy_sql.report import build_report
from tokenergy_sql.report.facts import read_facts
from tokenergy_sql.report.format import significant

MAX_BYTES = 2_500_000


def rows(lake: Lake, sql: str) -> list[tuple[Any, ...]]:
    with catalog.connect(lake) as con:
        return con.sql(sql).fetchall()


@pytest.mark.parametrize(
    ("field", "column"),
    [
        ("gpu_energy", "e_gpu_j"),
        ("facility_energy", "e_facility_j"),
        ("te_gpu", "coalesce(te_gpu_out, te_train)"),
        ("tokenergy", "tokenergy"),
        ("te_gpu_burdened", "te_gpu_burdened"),
        ("burdened", "tokenergy_burdened"),
        ("per_kwh", "tokens_per_kwh"),
        ("coverage", "coverage"),
        ("max_gap", "max_gap_s"),
    ],
)
def test_each_job_has_the_numbers_of_the_database(
    lake: Lake, page: str, field: str, column: str
) -> None:
    with catalog.connect(lake) as con:
        ordered = con.view("job_index").order("e_gpu_nj DESC NULLS LAST, job_id")
        jobs = ordered.project(f"job_id, {column}").fetchall()
    shown = job_fields(page)
    assert list(shown) == [job_id for job_id, _ in jobs]
    assert any(value is not None for _, value in jobs)
    for job_id, value in jobs:
        cell = shown[job_id][field]
        if value is None:
            assert cell.text is None
            assert cell.why
        else:
            assert cell.raw == repr(value)


@pytest.mark.parametrize(
    ("field", "low", "high"),
    [
        ("te_gpu", "te_gpu_low", "te_gpu_high"),
        ("te_rss", "te_rss_low", "te_rss_high"),
        ("tokenergy", "te_low", "te_high"),
        ("gpu_energy", "e_gpu_low_nj / 1e9", "e_gpu_high_nj / 1e9"),
    ],
)
def test_bounds_are_beside_their_figure(
    lake: Lake, page: str, field: str, low: str, high: str
) -> None:
    shown = job_fields(page)
    with catalog.connect(lake) as con:
        bounded = con.view("job_index").filter("te_gpu_low IS NOT NULL")
        jobs = bounded.project(f"job_id, {low}, {high}").fetchall()
    assert len(jobs) == 2
    for job_id, *ends in jobs:
        cell = shown[job_id][field]
        assert [float(end) for end in cell.ends] == [pytest.approx(end) for end in ends]
        if field != "gpu_energy":
            assert (cell.low, cell.high) == tuple(significant(end) for end in ends)


def test_fleet_is_a_ratio_of_sums(lake: Lake, page: str) -> None:
    [(energy, tokens)] = rows(
        lake,
        "SELECT sum(e_gpu_j), sum(n_generated) FROM job_index WHERE workload = 'inference'",
    )
    inference = next(
        row for row in read_facts(lake).league if row["workload"] == "inference" and row["fleet"]
    )
    assert inference["gpu"] == pytest.approx(energy / tokens)
    assert f'value="{inference["gpu"]!r}"' in page


def test_hostile_names_stay_text(page: str) -> None:
    assert HOSTILE not in page
    assert "<b>x" not in page
    assert html.escape(HOSTILE, quote=False).split('"')[0] in page
    assert not [tag for tag, _ in Reader(page).tags if tag == "b"]
    names = {fields["name"].text for fields in job_fields(page).values()}
    assert {HOSTILE, LONG} < names
    assert HOSTILE in {row["name"] for row in charts(page)["intensity-training"]["rows"]}


def test_nothing_is_loaded_from_anywhere(page: str) -> None:
    reader = Reader(page)
    for tag, attrs in reader.tags:
        assert tag not in {"iframe", "object", "embed", "img", "base"}
        assert "src" not in attrs
        assert (attrs.get("href") or "#").startswith(("#", "data:,")), (tag, attrs)
        assert attrs.get("rel") != "stylesheet"
    style = "".join(reader.styles)
    assert style
    assert "@import" not in style
    assert "url(" not in style
    assert "default-src 'none'" in page
    assert "unsafe-eval" not in page
    assert len(page.encode()) < MAX_BYTES


def test_unknown_has_its_reason(page: str) -> None:
    shown = job_fields(page)
    ghost = shown["ghost"]
    for name in ("gpu_energy", "te_gpu", "tokenergy"):
        assert ghost[name].text is None
        assert ghost[name].raw == ""
    assert (ghost["coverage"].text, ghost["coverage"].raw) == ("0", "0.0"), "never seen"
    assert ghost["gpu_energy"].why == "Nothing metered the job's GPUs, so its energy is not known."
    assert "no_energy" in ghost["remarks"].raw.split(",")
    assert "no_tokens" in shown["hold"]["remarks"].raw
    assert shown["hold"]["te_gpu"].why.startswith("No counter of generated or trained tokens")
    assert shown["train"]["end"].text == "running"


def test_power_chart_holds_all_booked_energy(lake: Lake, page: str) -> None:
    [(energy_j,)] = rows(lake, "SELECT sum(energy_nj)::DOUBLE / 1e9 FROM ledger")
    values = [row for row in charts(page)["power"]["rows"] if not row.get("end")]
    drawn_j = sum(row["total"] * (row["t2"] - row["t"]) for row in values)
    assert drawn_j == pytest.approx(energy_j, rel=1e-4)
    assert sum(row["unknown"] > 0 for row in values) >= 19


def test_state_of_the_ledger_and_events_are_shown(page: str) -> None:
    assert "ledger closes: metered = booked" in page
    assert ">emulated</span>" in page
    assert "gone &lt;/script&gt;" in page
    assert "formula is not public" in page
    assert "own; figures that others publish" in page


def test_a_broken_law_is_shown(lake: Lake, tmp_path: Path) -> None:
    finding = Finding("law", "The law", True, ["device_id"], [("GPU-0<i>",)] * 5)
    page = build_report(lake, tmp_path / "x.html", findings=[finding], title="A <b>").read_text()
    assert "the ledger does not close" in page
    assert "ledger closes" not in page
    assert "device_id GPU-0&lt;i&gt;" in page
    assert 'tabindex="-1">A &lt;b&gt;</h1>' in page


def test_same_lake_same_bytes(lake: Lake, page_path: Path, tmp_path: Path) -> None:
    again = build_report(lake, tmp_path / "again.html")
    assert again.read_bytes() == page_path.read_bytes()
    assert [path.name for path in tmp_path.iterdir()] == ["again.html"]


def test_an_empty_lake_is_one_line(tmp_path: Path) -> None:
    lake = Lake(tmp_path / "empty", create=True)
    with pytest.raises(UserError, match=r"^lake .*empty: has no job_index; run .*$"):
        build_report(lake, tmp_path / "x.html")
    assert not (tmp_path / "x.html").exists()


def test_a_lake_of_an_older_version_is_one_line(tmp_path: Path) -> None:
    builder = LakeBuilder(tmp_path / "old")
    builder.device("d", emulated=False)
    builder.power("d", level(100_000, T0, T0 + 10 * S, S))
    builder.job("j", "d", T0, T0 + 10 * S)
    lake = builder.build()
    lake.remove("ledger_hour", T0, "ledger_hour")
    with pytest.raises(UserError, match=r"^lake .*old: has no ledger_hour; run .* again$"):
        build_report(lake, tmp_path / "x.html")


@pytest.mark.parametrize("name", ["missing/x.html", "folder"])
def test_a_path_that_cannot_be_written_is_one_line(lake: Lake, tmp_path: Path, name: str) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(UserError, match=r"^[^\n]+: cannot be written: [^\n]+$"):
        build_report(lake, tmp_path / name, findings=[])
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]


def test_damage_inside_a_raw_file_is_left_out_and_shown(tmp_path: Path) -> None:
    builder = LakeBuilder(tmp_path / "damaged")
    builder.device("d", emulated=False)
    builder.power("d", level(100_000, T0, T0 + 60 * S, S))
    builder.job("j", "d", T0, T0 + 60 * S)
    builder.tokens("j", [(T0 + s * S, 10 * s) for s in range(61)])
    lake = builder.build()
    [path] = lake.files("tokens")
    whole = path.read_bytes()
    path.write_bytes(whole[:4] + bytes(b ^ 0xFF for b in whole[4:400]) + whole[400:])
    page = build_report(lake, tmp_path / "x.html").read_text("utf-8")
    assert not lake.files("tokens")
    assert path.name in page
    assert job_fields(page)["j"]["gpu_energy"].text


def test_a_job_that_served_and_trained_has_two_counts_and_no_index(tmp_path: Path) -> None:
    builder = LakeBuilder(tmp_path / "mixed")
    builder.device("d", emulated=False)
    builder.power("d", level(100_000, T0, T0 + 60 * S, S))
    builder.job("j", "d", T0, T0 + 60 * S)
    for kind, each in (("generated", 10), ("trained", 70)):
        counts = [(T0 + s * S, each * s) for s in range(61)]
        builder.tokens("j", counts, kind=kind, source_id=kind)
    page = build_report(builder.build(), tmp_path / "x.html", findings=[]).read_text("utf-8")
    fields = job_fields(page)["j"]
    assert (fields["tokens"].text, fields["tokens"].raw) == ("600 out, 4\u202f200 trained", "")
    assert (
        fields["te_gpu"].why
        == "The job both trained and served; the two are never combined in one figure."
    )


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
    shown = job_fields(page)
    assert len(shown) == 31
    assert shown["unplaced"]["end"].why == "The job has no allocation."
    assert "18 other jobs" in page
    assert ">emulated</span>" not in page
    assert "No job&#39;s facility energy is known" in page
    assert embedded(page)["pages"][-1]["series"]["tokens"]["generated"] == [10] * 10
