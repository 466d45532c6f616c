"""Macros of units: one place for constants, at no cost, with the values that their names say."""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest

import tokenergy_sql
from tokenergy_collectors.lake import Lake
from tokenergy_collectors.lake.contract import HOUR_US, WHOLE_PPM
from tokenergy_collectors.lake.jobkey import job_key
from tokenergy_collectors.sources.tokens.counters import REPLICA_LABELS
from tokenergy_sql.catalog import views
from tokenergy_sql.catalog.connecting import connect

SQL_FILES = sorted(Path(tokenergy_sql.__file__).parent.rglob("*.sql"))

VALUES = {
    "us_per_second()": 1_000_000,
    "us_per_hour()": HOUR_US,
    "us_per_day()": 24 * HOUR_US,
    "hour_of(7200000001)": 2 * HOUR_US,
    "seconds(1500000)": 1.5,
    "hours(5400000000)": 1.5,
    "per_second(3, 1500000)": 2.0,
    "whole_ppm()": WHOLE_PPM,
    "scale_ppm(1999, 500000)": 999,
    "whole_ppb()": 1_000_000_000,
    "scale_ppb(1999, 500000000)": 999,
    "scaled_mj(2999999::HUGEINT * 500000000)": 1,
    "nanojoules(7)": 7_000_000,
    "joules(1500000000)": 1.5,
    "kwh(5400000000000000)": 1.5,
    "j_per_kwh()": 3.6e6,
    "watts(1500)": 1.5,
    "mean_watts(3000000000, 1500000)": 2.0,
    "job_key('a', '17')": "a/17",
    "least_joint_coverage()": Decimal("0.1"),
    "token_leap(100000001, 10)": True,
    "token_frontend('dynamo_frontend_output_tokens_total')": True,
    "request_failed('ResponseType.CANCEL')": True,
    "token_frontend('gen_ai.client.token.usage')": True,
    """token_parallel('sglang:x', '{"dp_rank":"1","tp_rank":"3"}')""": '{"dp_rank":"1",}',
}


@pytest.fixture(scope="module")
def con() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as found:
        views.define(found, views.UNITS)
        yield found


def test_every_macro_of_units_is_tried() -> None:
    assert {call.partition("(")[0] for call in VALUES} == set(views.UNITS)


@pytest.mark.parametrize(("call", "value"), VALUES.items())
def test_a_macro_gives_what_its_name_says(
    con: duckdb.DuckDBPyConnection, call: str, value: float | str
) -> None:
    assert con.sql(f"SELECT {call}").fetchall() == [(value,)]


def test_a_job_has_the_same_key_in_sql_and_in_python(con: duckdb.DuckDBPyConnection) -> None:
    for cluster, job_id in ((None, "17"), ("", "17"), ("a", "17"), ("a", "b/17"), (None, "a/17")):
        found = con.execute("SELECT job_key($1, $2)", [cluster, job_id]).fetchall()
        assert found == [(job_key(cluster, job_id),)]


def test_ranks_are_the_same_in_sql_and_in_python(con: duckdb.DuckDBPyConnection) -> None:
    for server, labels in REPLICA_LABELS.items():
        for label in labels:
            found = con.execute(
                "SELECT token_parallel($1, $2), token_parallel($1, $3), token_parallel('x:y', $2)",
                [f"{server}:t", f'{{"{label}":"0","z":"1"}}', f'{{"{label}":"7","z":"1"}}'],
            ).fetchone()
            assert found is not None
            assert found[0] == found[1] == '{"z":"1"}' != found[2]


def test_constants_are_folded_before_a_query_runs(con: duckdb.DuckDBPyConnection) -> None:
    con.execute("CREATE OR REPLACE TEMP TABLE stamp AS SELECT 1::BIGINT AS ts_us")
    by_macro, by_number = (
        con.sql(f"FROM stamp WHERE ts_us < {limit}").explain()
        for limit in ("600 * us_per_second() + us_per_hour()", "4200000000")
    )
    assert by_macro == by_number


@pytest.mark.parametrize("path", SQL_FILES, ids=lambda path: path.stem)
def test_no_statement_repeats_a_constant(path: Path) -> None:
    if path.stem in ("units", *views.ADHOC):  # the public ones stand alone
        return
    code = re.sub(r"--.*", "", path.read_text("utf-8"))
    pattern = r"\b(3600000000|86400000000|1000000|2000000|1000000000000|1e9|1e6|1e3|3\.6e\d+)\b"
    assert re.findall(pattern, code) == []


def test_macros_of_a_user_with_these_names_change_no_figure(cluster: Lake) -> None:
    questions = ("FROM tokenergy_by('job') ORDER BY ALL", "FROM fleet_power(3600) ORDER BY ALL")
    with connect(cluster, adhoc=True) as con:
        before = [con.sql(question).fetchall() for question in questions]
        for name in views.UNITS:
            con.execute(f"CREATE TEMP MACRO {name}(x := 1, y := 1) AS x * 7")
        assert [con.sql(question).fetchall() for question in questions] == before
    assert all(before)
