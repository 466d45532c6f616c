"""J/token of halls, in SQL alone: which jobs and hours count, and when it is unknown."""

from __future__ import annotations

from typing import Any

import duckdb
import pytest

from tokenergy_sql.catalog import views
from tokenergy_sql.catalog.namedrows import named_rows
from tokenergy_sql.terminal.halltokens import SQL

HOUR = 3_600_000_000
NJ = 10**9

_TABLES = """
CREATE TABLE ledger_hour (hour_us BIGINT, job_id VARCHAR, node VARCHAR);
CREATE TABLE site_hour (hour_us BIGINT, place VARCHAR, figure VARCHAR, covered_us BIGINT);
CREATE TABLE job_index (job_id VARCHAR, workload VARCHAR);
CREATE TABLE job_hour_index (
    hour_us BIGINT, job_id VARCHAR, device_us BIGINT, joint_us BIGINT, emulated BOOLEAN,
    n_joint BIGINT, n_joint_low BIGINT, n_joint_high BIGINT,
    e_joint_nj BIGINT, e_joint_low_nj BIGINT, e_joint_high_nj BIGINT,
    e_joint_facility_nj BIGINT, e_joint_facility_low_nj BIGINT, e_joint_facility_high_nj BIGINT
);
CREATE TABLE hall_spot (node VARCHAR, place VARCHAR, from_us BIGINT, until_us BIGINT);
CREATE TABLE hall_period (from_us BIGINT, to_us BIGINT);
INSERT INTO hall_spot VALUES ('n1', 'hall:a', 0, 36000000000), ('n2', 'hall:b', 0, 36000000000);
INSERT INTO hall_period VALUES (0, 36000000000);
"""


def lake(figure: str = "cooling", covered_us: int = HOUR) -> duckdb.DuckDBPyConnection:
    con = duckdb.connect()
    views.define(con, views.UNITS)
    con.execute(_TABLES)
    for hour in range(3):
        for hall in ("hall:a", "hall:b"):
            row = [hour * HOUR, hall, figure, covered_us]
            con.execute("INSERT INTO site_hour VALUES ($1, $2, $3, $4)", row)
    return con


def job(
    con: duckdb.DuckDBPyConnection,
    job_id: str,
    nodes: tuple[str, ...],
    joules: int = 600,
    tokens: int = 100,
    joint_us: int = HOUR,
    facility: int | None = 900,
    hour: int = 0,
) -> None:
    con.execute("INSERT INTO job_index VALUES ($1, 'inference')", [job_id])
    for node in nodes:
        con.execute("INSERT INTO ledger_hour VALUES ($1, $2, $3)", [hour * HOUR, job_id, node])
    gpu = [joules * NJ, joules * NJ * 9 // 10, joules * NJ * 11 // 10]
    of_all = [None] * 3 if facility is None else [facility * NJ * n // 10 for n in (10, 8, 12)]
    counts = [tokens, tokens - 10, tokens + 10]
    row: list[Any] = [hour * HOUR, job_id, HOUR, joint_us, True, *counts, *gpu, *of_all]
    con.execute("INSERT INTO job_hour_index VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", row)


def found(con: duckdb.DuckDBPyConnection) -> dict[str, dict[str, Any]]:
    return {row["place"]: row for row in named_rows(con, SQL)}


def test_sums_over_sums_with_bounds() -> None:
    con = lake()
    job(con, "one", ("n1",), 600, 100)
    job(con, "two", ("n1",), 1_000, 300, facility=1_500)
    row = found(con)["hall:a"]
    assert row["n_joint"] == 400
    assert row["te_gpu"] == pytest.approx(1_600 / 400)
    assert row["te_gpu_low"] == pytest.approx(1_440 / 420)
    assert row["te_gpu_high"] == pytest.approx(1_760 / 380)
    assert row["tokenergy"] == pytest.approx(2_400 / 400)
    assert row["te_low"] == pytest.approx(1_920 / 420)
    assert row["te_high"] == pytest.approx(2_880 / 380)
    assert row["emulated"] is True


def test_a_job_in_two_halls_or_nowhere_counts_in_none() -> None:
    con = lake()
    job(con, "both", ("n1", "n2"))
    job(con, "half", ("n1", "n9"))
    job(con, "lost", ("n9",))
    assert found(con) == {}
    job(con, "own", ("n2",))
    assert found(con)["hall:b"]["n_joint"] == 100


@pytest.mark.parametrize(
    ("figure", "covered_us", "counts"),
    [("cooling", HOUR, True), ("pue", 1, True), ("cooling", 0, False), ("it", HOUR, False)],
)
def test_only_hours_with_known_cooling_or_pue_count(
    figure: str, covered_us: int, counts: bool
) -> None:
    con = lake(figure, covered_us)
    job(con, "one", ("n1",))
    assert bool(found(con)) is counts


def test_too_little_known_time_gives_no_ratio() -> None:
    con = lake()
    job(con, "one", ("n1",), joint_us=HOUR // 11)
    row = found(con)["hall:a"]
    assert (row["n_joint"], row["te_gpu"], row["tokenergy"]) == (100, None, None)
    con = lake()
    job(con, "one", ("n1",), joint_us=HOUR // 9)
    assert found(con)["hall:a"]["te_gpu"] == pytest.approx(6.0)


def test_one_job_without_facility_energy_leaves_the_facilitys_unknown() -> None:
    con = lake()
    job(con, "one", ("n1",))
    job(con, "two", ("n1",), facility=None, hour=1)
    row = found(con)["hall:a"]
    assert row["te_gpu"] == pytest.approx(6.0)
    assert (row["tokenergy"], row["te_low"], row["te_high"]) == (None, None, None)


def test_a_node_counts_where_it_stood_for_the_whole_hour() -> None:
    con = lake()
    con.execute("UPDATE hall_spot SET until_us = $1 WHERE node = 'n1'", [HOUR + HOUR // 2])
    job(con, "one", ("n1",), hour=0)
    job(con, "two", ("n1",), hour=1)
    assert found(con)["hall:a"]["n_joint"] == 100
