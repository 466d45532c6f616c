"""Jobs at a modelled PUE: who speaks first, what explains it, which hours a change restates."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.sql.checks.meterbooks import change
from tests.sql.metering.modelledsite import GRID, OTHER_HALL, TEXT, Truth, whole
from tests.sql.metering.test_planted_site import again
from tests.support.commands import command
from tests.support.lakes import HOUR_US, T0, LakeBuilder
from tests.support.ledger import ask, assert_checks_pass
from tokenergy_collectors.lake import Lake
from tokenergy_sql.checks.checking import run_checks
from tokenergy_sql.explain.explain import explanation
from tokenergy_sql.explain.text import print_text
from tokenergy_sql.report.facts import read_facts
from tokenergy_sql.report.site.balance import balance_of

SITE = "[site]\nhost_w = 100\npue = 1.5\n"
TRUTH = Truth(11, hours=2)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """Two halls and two hours; hall a is modelled, hall b has the declared PUE of the site."""
    return whole(tmp_path_factory.mktemp("modelled"), SITE + TEXT + OTHER_HALL, TRUTH)


@pytest.fixture
def lake(built: Lake, tmp_path: Path) -> Lake:
    """A copy of it."""
    shutil.copytree(built.root, tmp_path / "lake")
    return Lake(tmp_path / "lake")


def nodes(lake: Lake, hour_us: int = T0) -> dict[str, dict[str, Any]]:
    return {row["node"]: row for row in ask(lake, f"FROM node_hour WHERE hour_us = {hour_us}")}


def jobs(lake: Lake) -> dict[str, dict[str, Any]]:
    return {row["job_id"]: row for row in ask(lake, f"FROM job_hour_index WHERE hour_us = {T0}")}


def test_the_model_speaks_before_the_declaration(built: Lake) -> None:
    found = nodes(built)
    for node in ("a1", "a2"):
        row = found[node]
        assert (row["facility_method"], row["pue_place"]) == ("modelled", "hall:a")
        assert row["pue_low_ppb"] <= TRUTH.pue(0) * 1e9 <= row["pue_high_ppb"]
        # No meter shows what comes in, so jobs together add up to none.
        assert row["metered_nj"] is None
    other = found["b1"]
    assert (other["facility_method"], other["pue_ppb"]) == ("declared", 1_500_000_000)
    for node, method in (("a1", "modelled"), ("b1", "declared")):
        job = jobs(built)[f"job-{node}"]
        it_nj = int(job["e_gpu_nj"]) + int(job["e_host_nj"])
        assert int(job["e_facility_nj"]) == it_nj * job["pue_ppb"] // 10**9
        assert job["facility_method"] == method
    assert_checks_pass(built)


def test_a_meter_of_what_comes_in_speaks_before_the_model(lake: Lake) -> None:
    path = lake.root / "site.toml"
    path.write_text(path.read_text().replace(SITE, SITE.replace("pue = 1.5\n", "")) + GRID)
    assert again(lake).causes == {T0: ["meters"], T0 + HOUR_US: ["meters"]}
    row = nodes(lake)["a1"]
    # Of the site: its only bill is that of hall a.
    assert (row["facility_method"], row["pue_place"]) == ("measured", "site")
    assert abs(row["pue_ppb"] / 1e9 / TRUTH.pue(0) - 1) < 0.01
    # The constants without a date stay with the hours; the model is beside the measurement.
    rows = {
        r["figure"]: r for r in lake.read("site_hour", [T0]).to_pylist() if r["place"] == "hall:a"
    }
    assert {"pue", "pue_modelled", "losses_modelled"} <= set(rows)
    code, out, _ = command(
        "tokenergy", "site", "--lake", str(lake.root), "--place", "hall:a", "--format", "json"
    )
    assert code == 0
    assert '"pue_compared_hours":2' in out.replace(" ", "")
    measured, modelled = (
        sum(int(r["above"]) for r in lake.read("site_hour").to_pylist() if r["figure"] == name)
        / sum(int(r["below"]) for r in lake.read("site_hour").to_pylist() if r["figure"] == name)
        for name in ("pue", "pue_modelled")
    )
    error = float(out.replace(" ", "").partition('"pue_modelled_error":')[2].partition(",")[0])
    assert error == pytest.approx(modelled / measured - 1, rel=1e-6)
    assert abs(error) < 0.05
    assert_checks_pass(lake)


def test_the_explanation_names_every_part(built: Lake, capsys: pytest.CaptureFixture[str]) -> None:
    print_text(explanation(built, "job-a1"))
    lines = [line.strip() for line in capsys.readouterr().out.splitlines()]
    text = "\n".join(lines)
    assert "modelled from the parts of hall:a" in text
    assert any(one.startswith("IT:") and one.endswith("kWh, measured by it-a") for one in lines)
    assert any(one.startswith("losses:") and "modelled by declared curves" in one for one in lines)
    assert any(
        one.startswith("of which ups-a:") and "modelled by its curve at the load of it-a" in one
        for one in lines
    )
    assert any(
        one.startswith("cooling:") and "modelled: class air, tower, outdoors" in one
        for one in lines
    )
    assert "other: 4 kWh, declared as 4 kW" in lines


PAGE = Path(__file__).parents[3] / "docs" / "building.md"


def test_the_questions_of_the_page_have_answers(built: Lake) -> None:
    questions = re.findall(r"^```sql\n(.+?)^```", PAGE.read_text("utf-8"), re.M | re.S)
    of_parts = [ask(built, sql) for sql in questions if "site_part" in sql]
    losses, parts = of_parts
    assert [(row["ups"], row["method"], row["added"]) for row in losses] == [
        ("ups-a", "modelled", True)
    ]
    assert {(row["place"], row["part"]) for row in parts} == {
        ("hall:a", part) for part in ("it", "losses", "cooling", "other")
    }


def test_the_report_draws_the_loss_as_modelled(lake: Lake) -> None:
    path = lake.root / "site.toml"
    path.write_text(path.read_text().replace(SITE, SITE.replace("pue = 1.5\n", "")) + GRID)
    again(lake)
    facts = read_facts(lake)
    assert facts.site is not None
    drawn = balance_of(facts.site.frame)
    assert drawn is not None
    (loss,) = [part for part in drawn.parts if part.key == "curves"]
    rows = lake.read("site_hour").to_pylist()
    of_site = [r for r in rows if (r["place"], r["figure"]) == ("site", "losses_modelled")]
    # Of the hours that are drawn: those of which PUE is known for nearly all the time.
    known = {r["hour_us"] for r in rows if (r["place"], r["figure"]) == ("site", "pue")
             and r["covered_us"] >= 0.99 * HOUR_US}  # fmt: skip
    expected_j = sum(int(r["above"]) for r in of_site if r["hour_us"] in known) / 1e9
    assert (loss.how, loss.covered) == ("modelled", pytest.approx(1.0))
    assert loss.energy_j == pytest.approx(expected_j)


def test_a_changed_curve_restates_the_hours_for_which_it_holds(lake: Lake) -> None:
    path = lake.root / "site.toml"
    text = path.read_text()
    edge = "2026-01-15T09:00:00Z"
    curve = text[text.index("[[loss]]") : text.index("[[cooling]]")]
    later = curve.replace("[80, 5]", "[80, 6]") + f"from = {edge}\n"
    path.write_text(text.replace(curve, curve.rstrip() + f"\nuntil = {edge}\n" + later))
    before = nodes(lake, T0 + HOUR_US)["a1"]["pue_ppb"]
    assert again(lake).causes == {T0 + HOUR_US: ["meters"]}
    assert nodes(lake, T0 + HOUR_US)["a1"]["pue_ppb"] > before


def test_late_weather_restates_its_hour(tmp_path: Path) -> None:
    lake = whole(tmp_path, SITE + TEXT + OTHER_HALL, Truth(12, hours=1), "outdoor", "humidity")
    assert nodes(lake)["a1"]["facility_method"] == "declared"
    parts = [r for r in lake.read("site_part", [T0]).to_pylist() if r["part"] == "cooling"]
    assert [(r["method"], r["energy_nj"], r["reasons"]) for r in parts] == [
        ("none", None, "no_weather")
    ]
    assert_checks_pass(lake)
    late = LakeBuilder(lake.root)
    Truth(12, hours=1).write(late, "it-a", "grid-a")
    assert again(lake).causes == {T0: ["meters"]}
    assert nodes(lake)["a1"]["facility_method"] == "modelled"
    assert_checks_pass(lake)


@pytest.mark.parametrize(
    ("table", "changes", "what"),
    [
        ("site_part", {"energy_nj": lambda r: r["energy_nj"] + 100}, "parts of the modelled PUE"),
        ("site_part", {"method": lambda _: "none"}, "parts of the modelled PUE"),
        ("site_hour", {"above": lambda r: r["above"] + 100}, "parts of the modelled PUE"),
        ("node_hour", {"metered_nj": lambda _: 1}, "a modelled PUE"),
        (
            "job_hour_index",
            {"e_facility_burdened_nj": lambda r: r["e_facility_burdened_nj"] + 10**7},
            "jobs and idle boards at a modelled PUE",
        ),
    ],
)  # fmt: skip
def test_the_check_sees_what_does_not_add_up(
    lake: Lake, table: str, changes: dict[str, Any], what: str
) -> None:
    chosen = {
        "site_part": lambda row: row["part"] == "cooling",
        "site_hour": lambda row: row["figure"] == "pue_modelled",
        "node_hour": lambda row: row["node"] == "a1",
        "job_hour_index": lambda row: row["job_id"] == "job-a1",
    }
    change(lake, table, chosen[table], **changes)
    (found,) = run_checks(lake, None, ["modelled_adds_up"])
    assert found.fatal
    assert {row[2] for row in found.rows} == {what}
