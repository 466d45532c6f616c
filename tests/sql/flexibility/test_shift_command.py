"""`tokenergy shift` on a lake with known power: costs reckoned by hand, holes, limits, errors."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest

from tests.support.commands import command
from tests.support.lakes import HOUR_US, T0, LakeBuilder, S, level
from tokenergy_collectors.lake import Lake
from tokenergy_collectors.lake.newsignals import SignalName, append_new
from tokenergy_sql.index.site import load_site

PUE, HOST_W = 1.25, 100
SITE = f"[site]\npue = {PUE}\nhost_w = {HOST_W}\n"
HOURS = 2
CARBON = (400, 300, 100, 200, None, 50)
"""By hour from T0 on."""


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """Two boards for two hours: `long` on a at 500 W for 1 h, `short` on b at 300 W for 30 min."""
    root = tmp_path_factory.mktemp("shift")
    (root / "site.toml").write_text(SITE, "utf-8")
    builder = LakeBuilder(root)
    for index, board in enumerate("ab"):
        builder.device(board, index=index)
    end = T0 + HOURS * HOUR_US
    half = T0 + HOUR_US // 2
    hour = T0 + HOUR_US
    builder.power("a", [*level(500_000, T0, hour - S, S), *level(60_000, hour, end, S)])
    builder.power("b", [*level(300_000, T0, half - S, S), *level(60_000, half, end, S)])
    builder.job("long", "a", T0, hour, labels='{"flexible_hours": 5, "team": "x"}')
    builder.job("short", "b", T0, half, labels='{"flexible_hours": "2.5"}')
    builder.job("rigid", "b", hour, hour + HOUR_US // 2)
    builder.job("odd", "b", hour + HOUR_US // 2, end, labels='{"flexible_hours": "soon"}')
    found = builder.build(load_site(None, root))
    add_signal(found, "grid", CARBON)
    return found


def add_signal(
    lake: Lake, name: str, values: tuple[float | None, ...], quantity: str = "carbon_average"
) -> str:
    """Add hourly values from T0 on: g/kWh, or EUR/MWh."""
    rows = [
        (T0 + h * HOUR_US, T0 + (h + 1) * HOUR_US, None if v is None else round(v * 1000), None)
        for h, v in enumerate(values)
    ]
    currency = "EUR" if quantity == "price" else None
    append_new(lake, SignalName(name, quantity, currency=currency), rows, "n", "csv", T0, {})
    return name


def run(lake: Lake, *more: str) -> tuple[int, str, str]:
    return command("tokenergy", "shift", "--lake", str(lake.root), *more)


def rows(lake: Lake, *more: str) -> dict[str, dict[str, str]]:
    code, out, err = run(lake, *more, "--format", "csv")
    assert (code, err) == (0, "")
    found = [*csv.DictReader(io.StringIO(out))]
    assert [row["row"] for row in found] == ["job"] * (len(found) - 1) + ["total"]
    return {row["job_id"] or "total": row for row in found}


def test_labelled_jobs_move_to_the_cheapest_hours_that_are_known(lake: Lake) -> None:
    found = rows(lake, "--carbon", "grid", "--boundary", "gpu")
    assert [*found] == ["long", "short", "odd", "total"]
    # The last hour is cheapest, and a start in it would be allowed, but the hole before is none.
    assert [found[job]["moved_hours"] for job in ("long", "short")] == ["5.0", "2.0"]
    assert found["odd"]["why_not_moved"] == "bad_label"
    assert found["odd"]["carbon_saved"] == ""
    # Linear between readings: the last second falls to 60 W.
    long_kwh = (500 * 3599 + 280) / 3.6e6
    short_kwh = (300 * 1799 + 180) / 3.6e6
    assert float(found["long"]["kwh"]) == pytest.approx(long_kwh)
    assert float(found["long"]["carbon_saved"]) == pytest.approx(long_kwh * 350)
    assert float(found["short"]["carbon_saved"]) == pytest.approx(short_kwh * 300)
    total = found["total"]
    assert float(total["carbon_saved"]) == pytest.approx(long_kwh * 350 + short_kwh * 300)
    assert (total["jobs"], total["moved"], total["unknown"]) == ("3", "2", "1")
    assert total["plan"] == "exact"


def test_facility_energy_is_that_of_the_index(lake: Lake) -> None:
    found = rows(lake, "--carbon", "grid")
    index = {row["job_id"]: row for row in lake.read("job_index").to_pylist()}
    for job in ("long", "short"):
        facility = int(index[job]["e_facility_nj"])
        assert facility > index[job]["e_gpu_nj"]
        assert float(found[job]["kwh"]) == pytest.approx(facility / 3.6e15, rel=1e-15)
        low, high = (float(found[job][f"carbon_saved_{side}"]) for side in ("low", "high"))
        assert low < float(found[job]["carbon_saved"]) < high


def test_a_shift_into_a_hole_is_not_offered(lake: Lake) -> None:
    name = add_signal(lake, "holes", (400, None, 1, None, None, None))
    found = rows(lake, "--carbon", name)
    assert (found["long"]["moved_hours"], found["short"]["moved_hours"]) == ("2.0", "2.0")
    name = add_signal(lake, "none", (400, None, None, None, None, None))
    found = rows(lake, "--carbon", name)
    assert found["long"]["why_not_moved"] == "no_later_signal"
    assert float(found["long"]["carbon_saved"]) == 0


def test_an_unknown_cost_is_no_saving(lake: Lake) -> None:
    name = add_signal(lake, "late", (None, 300, 100, 1))
    found = rows(lake, "--carbon", name)
    for job in ("long", "short"):
        assert found[job]["why_not_moved"] == "signal_unknown"
        assert found[job]["carbon_saved"] == found[job]["to_us"] == ""
    assert found["total"]["carbon_saved"] == ""


def test_two_signals_one_is_minimised(lake: Lake) -> None:
    price = add_signal(lake, "da", (50, 10, 60, 70, 80, 90), "price")
    found = rows(
        lake, "--carbon", "grid", "--price", price, "--minimise", "money",
        "--boundary", "gpu",
    )  # fmt: skip
    assert found["long"]["moved_hours"] == "1.0"
    kwh = float(found["long"]["kwh"])
    assert float(found["long"]["money_saved"]) == pytest.approx(kwh * 0.04)
    assert float(found["long"]["carbon_saved"]) == pytest.approx(kwh * 100)
    assert (found["long"]["money_unit"], found["long"]["carbon_unit"]) == ("EUR", "gCO2e")


def test_a_limit_is_held_against_all_that_runs(lake: Lake, tmp_path: Path) -> None:
    name = add_signal(lake, "two", (400, 100, 400, 400, 400))
    jobs = tmp_path / "jobs.toml"
    jobs.write_text("[jobs]\nlong = 1\nshort = 1\n", "utf-8")
    common = ("--carbon", name, "--boundary", "gpu", "--jobs", str(jobs))
    free = rows(lake, *common, "--limit-kw", "2")
    assert [free[job]["moved_hours"] for job in ("long", "short")] == ["1.0", "1.0"]
    # In the second hour the idle boards draw 120 W: only one of the jobs fits under 700 W.
    tight = rows(lake, *common, "--limit-kw", "0.7")
    assert [tight[job]["moved_hours"] for job in ("long", "short")] == ["1.0", "0.0"]
    assert tight["short"]["why_not_moved"] == "limit"
    assert tight["total"]["plan"] == "heuristic"
    saved, most = (float(tight["total"][f"carbon_{name}"]) for name in ("saved", "most_saved"))
    assert 0 < saved < most
    # Of boards that jobs hold: rigid and odd hold one in the second hour.
    one = rows(lake, *common, "--boards", "1")
    assert [one[job]["moved_hours"] for job in ("long", "short")] == ["0.0", "0.0"]


def test_the_table_says_that_it_is_modelled(lake: Lake) -> None:
    code, out, err = run(lake, "--carbon", "grid")
    assert (code, err) == (0, "")
    assert out.startswith("Modelled: what a later start would have saved, facility energy")
    assert "2 of 3 jobs move" in out
    assert "exact: no start that is allowed would have cost a job less" in out
    _, out, _ = run(lake, "--carbon", "grid", "--format", "json")
    assert [row["row"] for row in json.loads(out)] == ["job"] * 3 + ["total"]


def test_average_and_marginal_are_two_names(lake: Lake) -> None:
    add_signal(lake, "average", (400, 100))
    add_signal(lake, "marginal", (100, 400), "carbon_marginal")
    for name, moved in (("average", "1.0"), ("marginal", "0.0")):
        found = rows(lake, "--carbon", name)
        assert found["long"]["moved_hours"] == moved
        assert found["long"]["carbon_signal"] == f"carbon_{name}"


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ((), "--carbon and --price: give at least one"),
        (("--price", "grid"), "signal 'grid' (price): the lake has none of this name"),
        (("--carbon", "other"), "signal 'other' (carbon_average): the lake has none"),
        (("--carbon", "grid", "--minimise", "money"), "--minimise money: give --price"),
        (("--carbon", "grid", "--boundary", "it"), "--boundary 'it': expected facility or gpu"),
        (("--carbon", "grid", "--label", "x"), "no job has the label x"),
        (("--carbon", "grid", "--from", "2026-01-16T00"), "no flexible job started in this span"),
        (("--carbon", "grid", "--limit-kw", "-1"), "--limit-kw -1: expected 0 or more"),
        (
            ("--carbon", "grid", "--format", "xml"),
            "--format 'xml': expected table, json, csv or parquet",
        ),
    ],
)
def test_what_cannot_be_planned_is_one_line(
    lake: Lake, more: tuple[str, ...], message: str
) -> None:
    code, out, err = run(lake, *more)
    assert (code, out) == (2, "")
    assert message in err
    assert len(err.splitlines()) == 1


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.csv", "job,hours\n", "has no column 'job_id'"),
        ("a.csv", "job_id,flexible_hours\nlong,-1\n", "line 2: flexible_hours '-1': expected"),
        ("a.csv", "job_id,flexible_hours\nlong,1\nlong,2\n", "job 'long' is listed twice"),
        ("a.csv", "job_id,flexible_hours\n", "--jobs: lists no job"),
        ("a.toml", "long = 1\n", "expected one table [jobs]"),
        ("a.toml", "[jobs]\nlong = true\n", "jobs.long = True: expected hours"),
        ("a.toml", "[jobs\n", "not a TOML file"),
    ],
)
def test_a_bad_list_is_one_line(
    lake: Lake, tmp_path: Path, name: str, text: str, message: str
) -> None:
    path = tmp_path / name
    path.write_text(text, "utf-8")
    code, _, err = run(lake, "--carbon", "grid", "--jobs", str(path))
    assert code == 2
    assert message in err
    assert len(err.splitlines()) == 1
