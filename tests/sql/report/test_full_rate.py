"""The section on full rate shows what `job_efficiency` has, and why where a figure is unknown."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.lakes import T0, LakeBuilder, S, level
from tests.support.report_reading import job_fields, job_page
from tokenergy_collectors.lake import Lake
from tokenergy_sql.index import efficiency
from tokenergy_sql.report import build_report, fullrate
from tokenergy_sql.report.facts import Facts, read_facts
from tokenergy_sql.report.fullrate import PARTS, rate_values
from tokenergy_sql.report.meanings import EFFICIENCY_REASONS, REASONS
from tokenergy_sql.report.palette import marks


@pytest.fixture(scope="module")
def facts(fleet: Lake) -> Facts:
    return read_facts(fleet)


@pytest.fixture(scope="module")
def text(fleet_page: Path) -> str:
    return fleet_page.read_text("utf-8")


def test_each_job_has_its_parts(fleet: Lake, facts: Facts) -> None:
    values = rate_values(facts, marks(facts.jobs))
    assert values is not None
    rows = [row for row in efficiency.jobs(fleet) if row["e_gpu_nj"]]
    assert len(values["jobs"]) == len(rows) > 15
    assert values["left_out"] == 0
    seen = set()
    for shown, row in zip(values["jobs"], rows, strict=True):
        assert shown["mark"].href == f"#/job/{row['job_id']}"
        assert shown["energy"].raw == repr(float(row["e_gpu_nj"]) / 1e9)
        for cell, column in zip(shown["parts"], PARTS, strict=True):
            if row[column] is None:
                assert cell.text is None
                assert cell.why != "Not known."
            else:
                share = float(row[column]) / float(row["e_gpu_nj"])
                assert float(cell.raw) == share
                seen.add(column)
        assert sum(share for _, _, share, _ in shown["bar"]) == pytest.approx(1, abs=1e-5)
        assert shown["steady"].raw == ("" if row["te_steady"] is None else repr(row["te_steady"]))
    assert seen >= {"e_steady_nj", "e_low_batch_nj", "e_idle_nj", "e_no_tokens_nj"}


def test_all_jobs_together_are_sums_of_energy(fleet: Lake, facts: Facts) -> None:
    values = rate_values(facts, marks(facts.jobs))
    assert values is not None
    rows = efficiency.jobs(fleet)
    whole = sum(row["e_gpu_nj"] or 0 for row in rows)
    shares = {name: share for _, name, share, _ in values["all"]}
    for column, (name, _) in PARTS.items():
        part = float(sum(row[column] or 0 for row in rows)) / float(whole)
        assert shares.get(name, 0) == pytest.approx(part, abs=1e-6)
    largest = max(shares, key=lambda name: shares[name])
    assert re.fullmatch(rf"[\d.]+ % {largest}, .*", values["sentence"])


def test_only_the_largest_are_listed(facts: Facts, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fullrate, "MOST_JOBS", 3)
    values = rate_values(facts, marks(facts.jobs))
    assert values is not None
    energies = [float(row["energy"].raw) for row in values["jobs"]]
    assert len(energies) == 3
    assert energies == sorted(energies, reverse=True)
    known = sum(bool(row["e_gpu_nj"]) for row in facts.efficiency.values())
    assert values["left_out"] == known - 3


def test_the_page_of_a_job_has_the_same(fleet: Lake, text: str) -> None:
    fields = job_fields(text)
    names = [name for name, _ in PARTS.values()]
    for row in efficiency.jobs(fleet):
        cells, parts = fields[row["job_id"]], job_page(text, row["job_id"])["parts"]
        shown = {names[place]: share for place, share, _ in parts}
        if not row["e_gpu_nj"]:
            assert shown == {}
            continue
        for column, (name, _) in PARTS.items():
            share = float(row[column] or 0) / float(row["e_gpu_nj"])
            assert shown.get(name, 0) == pytest.approx(share, rel=1e-3, abs=1e-6)
        if row["te_steady"] is None:
            assert cells["te_steady"].text is None
            assert cells["te_steady"].why in {*REASONS.values(), *EFFICIENCY_REASONS.values()}
        else:
            assert cells["te_steady"].raw == repr(row["te_steady"])
            ends = [repr(row[f"te_steady_{end}"]) for end in ("low", "high")]
            assert cells["te_steady"].ends == ends
    assert 'id="rate-caption"' in text
    assert fields["7010"]["te_steady"].why == REASONS["no_tokens"]


def test_a_lake_without_efficiency_has_no_such_part(facts: Facts, tmp_path: Path) -> None:
    """One that an earlier version indexed."""
    bare = replace(facts, efficiency={})
    assert rate_values(bare, marks(facts.jobs)) is None
    builder = LakeBuilder(tmp_path / "lake")
    builder.device("A")
    builder.power("A", level(300_000, T0, T0 + 60 * S, S))
    builder.job("j", "A", T0, T0 + 60 * S)
    lake = builder.build()
    lake.remove("job_efficiency", T0, "job_efficiency")
    page = build_report(lake, tmp_path / "x.html", findings=[]).read_text("utf-8")
    assert 'id="rate-caption"' not in page
    assert job_page(page, "j")["parts"] == []
    assert job_fields(page)["j"]["full_rate"].why == "Not derived: run `tokenergy index` again."
