"""Energy per token by a dimension: sums to the unit, ratios of sums, places, and the table."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.lake import Lake
from tokenergy_sql.catalog import connecting as catalog
from tokenergy_sql.catalog import views
from tokenergy_sql.terminal.dimensions import dimension_table, print_by
from tokenergy_sql.terminal.output import Output

JOB = ("job", "model", "user", "account", "workload")
TIME = ("day", "hour")
PLACE = ("gpu", "node", "rack", "pod", "hall", "site")

SUMS = (
    *("n_low", "n_high", "e_gpu_nj", "e_gpu_low_nj", "e_gpu_high_nj", "e_gpu_active_nj"),
    *("e_facility_nj", "e_facility_low_nj", "e_facility_high_nj"),
    *("e_gpu_burdened_nj", "e_facility_burdened_nj"),
)


Ask = Callable[[str], list[dict[str, Any]]]


@pytest.fixture(scope="module")
def ask(cluster: Lake) -> Iterator[Ask]:
    """Questions to the small cluster, on one connection: to define all its views takes a while."""
    with catalog.connect(cluster, adhoc=True) as con:

        def rows(sql: str) -> list[dict[str, Any]]:
            result = con.sql(sql)
            return [dict(zip(result.columns, row, strict=True)) for row in result.fetchall()]

        yield rows


@pytest.mark.parametrize("dimension", [*JOB, *TIME, *PLACE])
def test_values_add_up_to_the_jobs(ask: Ask, dimension: str) -> None:
    """To the nanojoule and the token, bounds and burden included."""
    tokens = "CASE workload WHEN 'inference' THEN n_generated WHEN 'training' THEN n_trained END"
    sums = ", ".join(f"sum({name}) AS {name}" for name in SUMS)
    one = f"FROM job_index SELECT workload, sum({tokens}) AS n_tokens, {sums} GROUP BY workload"
    other = f"FROM tokenergy_by('{dimension}') SELECT workload, sum(n_tokens) AS n_tokens, {sums}"
    jobs, found = ask(one), ask(f"{other} GROUP BY workload")
    assert len(jobs) == 4
    assert sorted(found, key=str) == sorted(jobs, key=str)


@pytest.mark.parametrize("dimension", [*JOB, *TIME, *PLACE])
def test_a_ratio_is_the_sum_of_energy_over_the_sum_of_tokens(ask: Ask, dimension: str) -> None:
    rows = ask(f"FROM tokenergy_by('{dimension}')")
    assert len({(r["value"], r["workload"]) for r in rows}) == len(rows)
    ratios = 0
    for row in rows:
        assert row["dimension"] == dimension
        if row["workload"] not in ("inference", "training"):
            assert (row["te_gpu"], row["tokenergy"], row["counted"]) == (None, None, 0)
        elif row["counted"] == row["jobs"]:
            ratios += 1
            assert row["te_gpu"] == pytest.approx(float(row["e_joint_nj"]) / 1e9 / row["n_joint"])
            assert row["tokenergy"] == pytest.approx(
                float(row["e_joint_facility_nj"]) / 1e9 / row["n_joint"]
            )
            assert row["te_gpu_low"] <= row["te_gpu"] <= row["te_gpu_high"]
            assert row["te_low"] <= row["tokenergy"] <= row["te_high"]
            assert row["tokenergy"] <= row["tokenergy_burdened"]
    assert ratios


def test_a_job_has_the_figures_of_its_own_row(ask: Ask) -> None:
    same = {"te_gpu": "coalesce(te_gpu_out, te_train)", "tokens_per_kwh": "tokens_per_kwh"}
    same |= {name: name for name in ("te_gpu_low", "te_gpu_high", "te_low", "te_high", "tokenergy")}
    same |= {name: name for name in ("te_gpu_burdened", "tokenergy_burdened", "coverage")}
    columns = ", ".join(f"{sql} AS {name}" for name, sql in same.items())
    jobs = ask(f"FROM job_index SELECT job_id, {columns} ORDER BY job_id")
    by_job = f"FROM tokenergy_by('job') SELECT value AS job_id, {', '.join(same)} ORDER BY value"
    found = ask(by_job)
    assert [row["job_id"] for row in found] == [row["job_id"] for row in jobs]
    for one, other in zip(found, jobs, strict=True):
        assert one == pytest.approx(other)


def test_a_job_on_two_racks_is_split_by_device_time(ask: Ask) -> None:
    """`chat` held A for 400 s and C for 343 s, and made 97 tokens a second."""
    rows = ask("FROM tokenergy_by('rack') WHERE workload = 'inference'")
    by_rack = {row["value"]: row for row in rows}
    assert set(by_rack) == {"s/h1/p1/r1", "s/h1/p1/r2", None}
    first, second, nowhere = (by_rack[r] for r in ("s/h1/p1/r1", "s/h1/p1/r2", None))
    chat, small = 97 * 400, 31 * 150
    assert first["n_tokens"] == chat * 400 // 743 + small
    assert second["n_tokens"] == chat - chat * 400 // 743
    assert (first["estimate"], second["estimate"], nowhere["estimate"]) == (True, True, False)
    assert (first["jobs"], second["jobs"]) == (2, 1)
    # energy is as metered: A and B here, C there, less what nobody saw
    assert first["e_gpu_nj"] == (601 * 400 + 350 * 153) * 10**9
    assert second["e_gpu_nj"] == 503 * (343 - 30) * 10**9


def test_a_job_in_one_place_is_no_estimate(ask: Ask) -> None:
    rows = ask("SELECT value, workload, estimate FROM tokenergy_by('hall')")
    assert not any(row["estimate"] for row in rows)


def test_tokens_without_energy_do_not_make_others_cheap(ask: Ask) -> None:
    """`dark` has tokens of the model `big` and no energy: it is shown, and counts in no ratio."""
    (row,) = ask("FROM tokenergy_by('model') WHERE value = 'big'")
    (chat,) = ask("FROM tokenergy_by('job') WHERE value = 'chat'")
    assert (row["jobs"], row["counted"]) == (2, 1)
    assert row["n_tokens"] == chat["n_tokens"] + 11 * 60
    assert row["tokenergy"] == chat["tokenergy"]
    assert "uncounted" in row["reason_codes"].split(",")


def test_bounds_of_tokens_are_in_those_of_the_ratio(ask: Ask) -> None:
    """The counter of `small` was not read in its last 3 s: up to 93 tokens more.

    The energy of these 3 s is in no ratio: what was generated then is not known.
    """
    (row,) = ask("FROM tokenergy_by('user') WHERE value = 'bob' AND workload = 'inference'")
    assert (row["n_low"], row["n_tokens"], row["n_high"]) == (31 * 150, 31 * 150, 31 * 153)
    assert row["te_gpu"] == pytest.approx(350 / 31)
    assert (row["e_joint_nj"], row["n_joint"]) == (350 * 150 * 10**9, 31 * 150)
    assert row["te_gpu_low"] < row["te_gpu"] < row["te_gpu_high"]
    assert row["te_gpu_high"] < float(row["e_gpu_high_nj"]) / 1e9 / (31 * 150)
    assert "partial_tokens" in row["reason_codes"].split(",")


def test_hours_take_energy_and_tokens_of_their_own(ask: Ask) -> None:
    rows = ask("FROM tokenergy_by('hour') WHERE workload = 'training' ORDER BY value")
    assert [(r["value"], r["n_tokens"], r["e_gpu_nj"]) for r in rows] == [
        ("2026-01-15T08", 1013 * 180, Decimal(287 * 180 * 10**9)),
        ("2026-01-15T09", 1013 * 180, Decimal(287 * 180 * 10**9)),
    ]


@pytest.fixture(scope="module")
def parts() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as con:
        views.define(con, ("part_of",))
        yield con


@settings(deadline=None)
@given(
    weights=st.lists(st.integers(0, 10**16), min_size=1, max_size=20).filter(any),
    amount=st.integers(0, 10**15),
)
def test_parts_add_up(parts: duckdb.DuckDBPyConnection, weights: list[int], amount: int) -> None:
    total, lower, found = sum(weights), 0, []
    for weight in weights:
        sql = "SELECT part_of($1::BIGINT, $2::HUGEINT, $3::HUGEINT, $4::HUGEINT)"
        row = parts.execute(sql, [amount, lower, lower + weight, total]).fetchone()
        assert row is not None
        found.append(int(row[0]))
        lower += weight
    assert sum(found) == amount
    exact = [amount * weight / total for weight in weights]
    assert all(abs(part - true) <= 1 + 1e-9 * true for part, true in zip(found, exact, strict=True))


def test_a_dimension_that_is_not_there(cluster: Lake) -> None:
    for name in ("colour", "'; DROP TABLE x; --", ""):
        with pytest.raises(UserError, match="expected job, model, user"):
            dimension_table(cluster, name)


def test_the_table(cluster: Lake) -> None:
    out = io.StringIO()
    console = Console(file=out, width=300)
    console.print(dimension_table(cluster, "rack"))
    lines = [line.split() for line in out.getvalue().splitlines()]
    assert lines[0] == ["Energy", "per", "token", "by", "rack", "(emulated)"]
    assert lines[1][:4] == ["rack", "┃", "workload", "┃"]
    (train,) = [line for line in lines if line[:3] == ["s/h2/p1/r1", "│", "training"]]
    assert "364,680" in train
    narrow = dimension_table(cluster, "workload")
    assert [heading.text for heading in narrow.headings][:3] == ["workload", "jobs", "tokens"]


def test_a_lake_that_was_not_indexed_says_what_to_run(
    tmp_path: Path, cluster: Lake, capsys: pytest.CaptureFixture[str]
) -> None:
    print_by(Lake(tmp_path / "lake", create=True), "job", Output())
    assert "the lake has no readings yet. `tokenergy-collect run" in capsys.readouterr().err
    print_by(cluster, "job", Output())
    assert capsys.readouterr().err == ""
