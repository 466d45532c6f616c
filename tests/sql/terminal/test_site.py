"""`tokenergy site`: a planted site against its truth, J per token beside PUE, formats, widths."""

from __future__ import annotations

import csv
import io
import json
import re
from pathlib import Path

import pytest
from rich.console import Console

from tests.sql.metering.planted import T0, S, truth
from tests.support.building import BEGIN, DARK, HOURS, RATE, build
from tests.support.commands import command
from tests.support.once import once
from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.lake import Lake
from tokenergy_sql.catalog.asking import ask
from tokenergy_sql.catalog.namedrows import named_rows
from tokenergy_sql.index.site import load_site
from tokenergy_sql.terminal.sitefigures import FIGURES, Wanted, site_rows
from tokenergy_sql.terminal.sitetable import site_table
from tokenergy_sql.terminal.table import significant


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    return Lake(once(tmp_path_factory, "site", lambda folder: build(folder / "lake")) / "lake")


def site(lake: Lake, *more: str) -> tuple[int, str, str]:
    return command("tokenergy", "site", "--lake", str(lake.root), *more)


@pytest.mark.parametrize("period", ["hour", "day", "all"])
def test_figures_are_those_of_the_planted_site(lake: Lake, period: str) -> None:
    found = truth(1)
    of_site = [row for row in site_rows(lake, Wanted(period)) if row["place"] == "site"]
    assert len(of_site) == (HOURS if period == "hour" else 1)
    for row in of_site:
        begin, end = (
            min(max((row[name] - BEGIN) // S, 0), HOURS * 3_600) for name in ("from_us", "to_us")
        )

        def nj(*names: str, begin: int = begin, end: int = end) -> float:
            return sum(found.nj(name, begin, end) for name in names)

        dc, it = nj("dc"), nj("it-a", "it-b")
        litres = found.water_l(end) - found.water_l(begin)
        planted = {
            "pue": dc / it,
            "ref": nj("roof") / dc,
            "wue_l_per_kwh": litres / (it / 3.6e15),
            "facility_kwh": dc / 3.6e15,
            "it_kwh": it / 3.6e15,
        }
        for name, value in planted.items():
            assert row[f"{name}_low"] <= value <= row[f"{name}_high"], name
            assert row[name] == pytest.approx(value, rel=0.01), name
        assert (row["pue_category"], row["interim"], row["erf"]) == (1, True, None)
        assert row["pue_coverage"] == 1.0
    # The last hour's cooling is of its known half: it weighs half in that of all.
    dark = of_site[-1]
    assert dark["missing"] == "cool-a"
    # Readings stop 10 s before the first second of the dark and begin with the next one after it.
    lost_s = len(DARK) + 10
    hours = 1 if period == "hour" else HOURS
    assert dark["cooling_coverage"] == pytest.approx(1 - lost_s / (hours * 3_600))
    if period != "hour":
        known = [(0, DARK.start - 10), (DARK.stop, HOURS * 3_600)]
        above = sum(found.nj(name, *part) for name in ("cool-a", "cool-b") for part in known)
        below = sum(found.nj(name, *part) for name in ("it-a", "it-b") for part in known)
        assert dark["cooling_low"] <= above / below <= dark["cooling_high"]
        assert dark["cooling"] == pytest.approx(above / below, rel=0.01)


@pytest.mark.parametrize("period", ["hour", "day"])
def test_j_per_token_beside_pue_is_that_of_the_same_time(lake: Lake, period: str) -> None:
    same = ("n_joint", "te_gpu", "te_gpu_low", "te_gpu_high", "tokenergy", "te_low", "te_high")
    expected = ask(lake, "by", lambda con: named_rows(con, f"FROM tokenergy_by('{period}')"))
    by_name = {row["value"]: row for row in expected}
    found = [row for row in site_rows(lake, Wanted(period)) if row["place"] == "site"]
    assert [row["period"] for row in found] == sorted(by_name)
    for row in found:
        of_jobs = {name: row[f"inference_{name}"] for name in same}
        assert of_jobs == pytest.approx({name: by_name[row["period"]][name] for name in same})
        assert (row["training_n_joint"], row["emulated"]) == (None, True)
    assert found[0]["inference_te_gpu"] == pytest.approx(
        (300 if period == "hour" else 350) / RATE, rel=1e-3
    )


def test_j_per_token_is_of_hours_in_which_pue_is_known(tmp_path: Path) -> None:
    """Nobody read the utility's meter in the first two hours: J/token is the third hour's too."""
    root = tmp_path / "lake"
    build(root)
    lake = Lake(root)
    for path in lake.files("meter", [BEGIN, T0]):
        path.unlink()
    from tokenergy_sql.index.pipeline import index

    index(lake, load_site(None, root), progress=lambda _: None, catalog=False)
    all_hours, *_ = site_rows(lake, Wanted())
    *_, last = (row for row in site_rows(lake, Wanted("hour")) if row["place"] == "site")
    assert all_hours["inference_te_gpu"] == last["inference_te_gpu"] is not None
    assert all_hours["pue"] == pytest.approx(last["pue"])
    assert all_hours["pue_coverage"] < 0.4


def test_the_table_shows_pue_and_j_per_token_side_by_side(lake: Lake) -> None:
    code, out, err = site(lake)
    assert (code, err) == (0, "")
    title, headings, _, of_site, *halls = out.splitlines()
    cells = dict(zip(re.split(r" *┃ *", headings), re.split(r" *│ *", of_site), strict=True))
    (row,) = (row for row in site_rows(lake, Wanted()) if row["place"] == "site")
    assert "2026-01-15T07 to 2026-01-15T10 UTC" in title
    assert "interim" in title
    assert cells["PUE"].strip() == f"{row['pue']:.3f}"
    assert cells["J/token facility (inference)"].strip() == f"{row['inference_tokenergy']:.2f}"
    assert cells["J/token GPU (inference)"].strip() == f"{row['inference_te_gpu']:.3f}"
    assert (cells["ERF"].strip(), cells["missing"].strip()) == ("-", "cool-a")
    assert [line.split()[0] for line in halls] == ["hall:a", "hall:b"]


def numbers(text: str) -> set[str]:
    return set(re.findall(r"\d[\d.,]*\d|\d", text))


@pytest.mark.parametrize("width", [20, 30, 40, 60, 80, 100, 120, 200])
def test_no_number_is_broken_in_a_narrow_terminal(lake: Lake, width: int) -> None:
    """PUE and J/token stay; what is left out is named."""
    found = site_rows(lake, Wanted("hour"))
    texts = []
    for columns in (1_000, width):
        out = io.StringIO()
        Console(file=out, width=columns).print(site_table(found, "hour"))
        texts.append(out.getvalue())
    whole, narrow = texts
    assert numbers(narrow) <= numbers(whole)
    for row in found:
        if row["place"] == "site":
            for name in ("pue", "inference_tokenergy"):
                assert significant(row[name]) in narrow
    assert "not shown" in narrow or width >= 180 or "-----" in narrow


@pytest.mark.parametrize("more", [(), ("--place", "hall:b"), ("--by", "hour")])
def test_json_and_csv_say_the_same_as_the_rows(lake: Lake, more: tuple[str, ...]) -> None:
    period = more[1] if more[:1] == ("--by",) else "all"
    place = more[1] if more[:1] == ("--place",) else None
    expected = site_rows(lake, Wanted(period, place=place))
    code, out, _ = site(lake, "--format", "json", *more)
    assert code == 0
    assert json.loads(out) == expected
    code, out, _ = site(lake, "--format", "csv", *more)
    assert code == 0
    found = list(csv.DictReader(io.StringIO(out)))
    texts = [{k: "" if v is None else str(v) for k, v in row.items()} for row in expected]
    assert found == texts


@pytest.mark.parametrize("period", ["all", "day", "year"])
def test_some_hours_only(lake: Lake, period: str) -> None:
    """Also of a period that is longer than these hours: J/token is of the same ones."""
    hours = ("--from", "2026-01-15T08", "--to", "2026-01-15T09")
    _, out, _ = site(lake, *hours, "--by", period, "--format", "json")
    (one, *_) = json.loads(out)
    (hour,) = (
        row
        for row in site_rows(lake, Wanted("hour"))
        if row["place"] == "site" and row["from_us"] == T0
    )
    of_period = {"period", "from_us", "to_us"}
    of_period |= {name for name in hour if name.endswith("_coverage_of_period")}
    same = hour.keys() - of_period
    assert {name: one[name] for name in same} == {name: hour[name] for name in same}


def test_a_hall_has_no_j_per_token(lake: Lake) -> None:
    """The jobs of one hall are not told apart: the site's figure beside it would be wrong."""
    halls = [row for row in site_rows(lake, Wanted("hour")) if row["place"] != "site"]
    assert len(halls) == 2 * HOURS
    assert all(row["inference_te_gpu"] is None and not row["emulated"] for row in halls)


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (("--by", "decade"), "expected hour, day, week, month, year or all"),
        (("--place", "hall:z"), "hall:a, hall:b, site"),
        (("--format", "xml"), "expected table, json, csv or parquet"),
        (("--from", "2026-01-15T10"), "from 2026-01-15T07 to 2026-01-15T10"),
        (("--to", "2026-01-15T07"), "from 2026-01-15T07 to 2026-01-15T10"),
        (("--from", "2026-01-15T09", "--to", "2026-01-15T08"), "is not before"),
        (("--from", "tomorrow"), "expected the start of an hour"),
    ],
)
def test_a_slip_is_one_line(lake: Lake, more: tuple[str, ...], words: str) -> None:
    code, out, err = site(lake, *more)
    assert (code, out) == (2, "")
    assert words in err
    assert err.count("\n") == 1


def test_a_lake_without_meters_says_what_to_do(cluster: Lake) -> None:
    code, out, err = site(cluster)
    assert (code, out) == (2, "")
    for words in ("[[meter]] in site.toml", "Modbus", "tokenergy index", "docs/building.md"):
        assert words in err
    assert err.count("\n") == 1


def test_every_figure_of_the_contract_has_a_column(lake: Lake) -> None:
    found = ask(lake, "x", lambda con: con.execute("SELECT figure FROM site_hour").fetchall())
    assert {figure for (figure,) in found} <= {*FIGURES}


@pytest.mark.parametrize("asked", ["*", "te_gpu", "count(*)"])
def test_a_wrong_period_of_tokens_is_an_error(lake: Lake, cluster: Lake, asked: str) -> None:
    sql = f"FROM site_tokens_by('decade') SELECT {asked}"
    for one in (lake, cluster):
        with pytest.raises(UserError, match="expected hour, day, week, month, year or all"):
            ask(one, "query", lambda con: con.execute(sql).fetchall(), sql)


PAGE = Path(__file__).parents[3] / "docs" / "building.md"
# Those of losses and PUEs of parts need a site that has them: see test_modelled_jobs.
QUESTIONS = [
    sql
    for sql in re.findall(r"^```sql\n(.+?)^```", PAGE.read_text("utf-8"), re.M | re.S)
    if "site_part" not in sql
]


@pytest.mark.parametrize("number", range(6))
def test_the_questions_of_the_page_have_answers(lake: Lake, number: int) -> None:
    assert len(QUESTIONS) == 6
    sql = QUESTIONS[number]
    found = ask(lake, "query", lambda con: named_rows(con, sql), sql)
    assert found
    silent = {name for name in found[0] if all(row[name] is None for row in found)}
    # PUE's own meters are known all the time
    assert silent == ({"missing"} if number == 0 else set())
