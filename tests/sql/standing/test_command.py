"""`tokenergy modules`: tables, CSV, JSON, errors, and a projection."""

from __future__ import annotations

import csv
import io
import itertools
import json
from pathlib import Path

import numpy as np
import pytest

from tests.sql.standing.fleets import RACKS, curve, indexed, placed
from tests.support.commands import command
from tokenergy_collectors.lake import Lake
from tokenergy_sql.terminal.moduleplan import Drawn, cases, convolved, quantiles

SITE = "[site]\nrated_kw = 6\nhost_w = 50\npue = 1.5\n" + RACKS
SITE += placed("n1", "r1") + placed("n2", "r1") + placed("n3", "r2") + placed("n4", "r3")


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    curves = {f"n{number}": curve(number) for number in (1, 2, 3, 4)}
    return indexed(tmp_path_factory.mktemp("command"), SITE, curves)


def run(lake: Lake, *more: str) -> tuple[int, str, str]:
    return command("tokenergy", "modules", "--lake", str(lake.root), *more)


def rows(lake: Lake, *more: str) -> list[dict[str, str]]:
    code, out, err = run(lake, *more, "--format", "csv")
    assert (code, err) == (0, "")
    return [*csv.DictReader(io.StringIO(out))]


def test_the_table_has_a_line_for_each_rack(lake: Lake) -> None:
    code, out, _ = run(lake)
    assert code == 0
    title, heads, _, *lines = out.splitlines()
    assert title.startswith("Power by rack, 2026-01-15T08 to 2026-01-15T09 UTC, means of 10 s")
    assert [line.split()[0] for line in lines] == ["r1", "r2", "r3"]
    for head in ("p50 kW", "p99 kW", "peak kW", "stranded kW", "coincidence", "load factor"):
        assert head in heads
    assert "boards+host" in lines[0]


def test_csv_and_json_have_the_same_values(lake: Lake) -> None:
    by_csv = rows(lake, "--by", "hall")
    _, out, _ = run(lake, "--by", "hall", "--format", "json")
    by_json = json.loads(out)
    assert [row["name"] for row in by_csv] == ["a", "b"]
    for text, value in zip(by_csv, by_json, strict=True):
        assert [*text] == [*value]
        assert float(text["peak_kw"]) == value["peak_kw"]
        assert value["facility_kwh"] == pytest.approx(1.5 * value["energy_kwh"])
    assert 0.5 < by_json[0]["coincidence"] < 1
    assert by_json[0]["stranded_kw"] == pytest.approx(4 - by_json[0]["p99_kw"])
    assert by_json[0]["inference_tokenergy"] is None


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (("--by", "pod"), "--by 'pod': expected rack, module, hall, type or site"),
        (("--format", "xml"), "--format 'xml': expected table, json, csv or parquet"),
        (("--from", "2026-01-15T10"), "the lake has power of places from 2026-01-15T08 to"),
        (("--from", "2026-01-15T09", "--to", "2026-01-15T08"), "--from 2026-01-15T09"),
        (("--add", "2"), "--add and --type: give both or none"),
        (("--add", "0", "--type", "two"), "--add 0: expected a number of modules, 1 to 10000"),
        (("--add", "1", "--type", "x"), "no power of a module of this type is known in this span;"),
        (("--add", "1", "--type", "two", "--by", "hall"), "--by: a projection is of modules"),
    ],
)
def test_what_cannot_be_shown_is_one_line(lake: Lake, more: tuple[str, ...], message: str) -> None:
    code, out, err = run(lake, *more)
    assert (code, out) == (2, "")
    assert message in err
    assert len(err.splitlines()) == 1


def test_a_lake_without_places_says_what_to_do(tmp_path: Path) -> None:
    other = indexed(tmp_path, "", {"n1": curve(1)})
    code, _, err = run(other)
    assert code == 2
    assert "say in site.toml which nodes stand where ([[placed]])" in err


def test_a_projection_is_labelled_and_holds_both_cases(lake: Lake) -> None:
    (module,) = rows(lake, "--by", "module")
    (site,) = rows(lake, "--by", "site")
    found = rows(lake, "--add", "3", "--type", "two")
    assert [(row["case"], row["of"]) for row in found] == [
        ("coincident", "added"), ("coincident", "site with them"),
        ("independent", "added"), ("independent", "site with them"),
    ]  # fmt: skip
    assert {row["projection"] for row in found} == {"True"}
    added, whole, apart, together = found
    for name in ("p50", "p99", "peak"):
        one, before = float(module[f"{name}_kw"]), float(site[f"{name}_kw"])
        assert float(added[f"it_{name}_kw"]) == pytest.approx(3 * one)
        assert float(whole[f"it_{name}_kw"]) == pytest.approx(before + 3 * one)
        assert float(whole[f"site_{name}_kw"]) == pytest.approx(1.5 * (before + 3 * one))
    assert float(whole["left_peak_kw"]) == pytest.approx(6 - float(whole["site_peak_kw"]))
    assert float(apart["it_peak_kw"]) < float(added["it_peak_kw"])
    assert float(apart["it_p99_kw"]) < float(added["it_p99_kw"])
    assert float(together["it_p50_kw"]) == pytest.approx(
        float(site["mean_kw"]) + 3 * float(module["mean_kw"]), rel=0.02
    )
    assert whole["pue_method"] == "declared"
    _, out, _ = run(lake, "--add", "3", "--type", "two")
    assert out.startswith("Projection, not a measurement: 3 more modules of type two, drawing like")


def test_independent_draws_are_all_combinations() -> None:
    """Against every combination of three draws of each of two modules, and of the site."""
    one = Drawn(np.array([100.0, 200.0, 400.0]), np.array([2.0, 5.0, 3.0]))
    site = Drawn(np.array([1000.0, 1600.0]), np.array([9.0, 1.0]))
    draws = [100.0] * 2 + [200.0] * 5 + [400.0] * 3
    sums = sorted(map(sum, itertools.product(draws, draws)))
    whole = sorted(a + b for a in sums for b in [1000.0] * 9 + [1600.0])
    found = cases(one, 2, site)

    def ranked(values: list[float], part: float) -> float:
        return values[int(np.ceil(part * len(values) - 1e-9)) - 1] / 1000

    alone, together = found["independent"]
    assert together is not None
    for draw, values in ((alone, sums), (together, whole)):
        assert draw.p50 == pytest.approx(ranked(values, 0.5), abs=1e-3)
        assert draw.p99 == pytest.approx(ranked(values, 0.99), abs=1e-3)
        # In less than one of ten cells: 0.95.
        assert draw.peak == pytest.approx(ranked(values, 0.95), abs=1e-3)
    alone, together = found["coincident"]
    assert together is not None
    assert (alone.p50, alone.p99, alone.peak) == (0.4, 0.8, 0.8)
    assert together.p99 == pytest.approx(0.8 + 1.6)


def test_a_convolution_is_that_of_plain_sums() -> None:
    chance = np.random.default_rng(5)
    part = chance.random(7)
    part /= part.sum()
    plain = np.convolve(np.convolve(part, part), part)
    assert convolved(part, 3) == pytest.approx(plain, abs=1e-12)
    assert convolved(part, 1) == pytest.approx(part, abs=1e-12)
    found = quantiles(np.arange(3.0) * 1000, np.array([1.0, 1.0, 2.0]), 4)
    assert tuple(found) == (1.0, 2.0, 2.0)
