"""`tokenergy site --sheet`: what meters give of a year's quantities, and what stays empty."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from tests.sql.metering.planted import truth
from tests.support.building import HOURS, build
from tests.support.commands import command
from tests.support.once import once
from tokenergy_collectors.lake import Lake


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    return Lake(once(tmp_path_factory, "site", lambda folder: build(folder / "lake")) / "lake")


def site(lake: Lake, *more: str) -> tuple[int, str, str]:
    return command("tokenergy", "site", "--lake", str(lake.root), *more)


def test_the_sheet_is_that_of_the_planted_site(lake: Lake, tmp_path: Path) -> None:
    out = tmp_path / "sheet.csv"
    code, said, err = site(lake, "--year", "2026", "--sheet", str(out))
    assert (code, err) == (0, "")
    assert "6 quantities of 2026" in said
    with out.open(encoding="utf-8", newline="") as handle:
        found = {row["quantity"]: row for row in csv.DictReader(handle)}
    planted, end = truth(1), HOURS * 3_600
    kwh = {
        name: sum(planted.nj(one, 0, end) for one in of) / 3.6e15
        for name, of in {"dc": ["dc"], "it": ["it-a", "it-b"], "roof": ["roof"]}.items()
    }
    m3 = planted.water_l(end) / 1e3
    expected = {
        "total energy consumption": kwh["dc"],
        "energy consumption of the IT equipment": kwh["it"],
        "total water input": m3,
        "renewable energy generated on the site": kwh["roof"],
        "power usage effectiveness": kwh["dc"] / kwh["it"],
        "water usage effectiveness": m3 * 1e3 / kwh["it"],
    }
    for name, value in expected.items():
        row = found[name]
        assert float(row["low"]) <= value <= float(row["high"]), name
        assert float(row["value"]) == pytest.approx(value, rel=0.01), name
        assert float(row["coverage_of_year"]) == pytest.approx(HOURS / 8_760)
        assert row["interim"] == "True"
    assert found["power usage effectiveness"]["remark"] == "PUE category 1"
    empty = {name: row for name, row in found.items() if name not in expected}
    assert len(empty) == 4
    for row in empty.values():
        assert {row[name] for name in ("value", "low", "high", "coverage_of_year")} == {""}
        assert "no meter" in row["remark"]


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (("--year", "2026"), "give both or none"),
        (("--sheet", "x.csv"), "give both or none"),
        (("--year", "2025", "--sheet", "x.csv"), "from 2026-01-15T07 to 2026-01-15T10"),
        (("--year", "26", "--sheet", "x.csv"), "expected a year from 2000 to 2099"),
        (("--year", "2026", "--sheet", "x.csv", "--by", "day"), "without --by"),
        (("--year", "2026", "--sheet", "x.csv", "--place", "hall:a"), "without --by"),
    ],
)
def test_a_slip_is_one_line_and_writes_nothing(
    lake: Lake,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    more: tuple[str, ...],
    words: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    code, out, err = site(lake, *more)
    assert (code, out) == (2, "")
    assert words in err
    assert err.count("\n") == 1
    assert not [*tmp_path.iterdir()]


def test_a_lake_without_meters_has_no_sheet(cluster: Lake, tmp_path: Path) -> None:
    code, _, err = site(cluster, "--year", "2026", "--sheet", str(tmp_path / "x.csv"))
    assert code == 2
    assert "[[meter]] in site.toml" in err
    assert not [*tmp_path.iterdir()]
