"""`modules_by`: percentiles from summed histograms, coincidence, stranded power, J per token."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.lakes import HOUR_US, T0
from tokenergy_collectors.lake.contract import PLACE_HOUR, TABLES
from tokenergy_sql.catalog import connecting, views
from tokenergy_sql.catalog.duck import open_memory
from tokenergy_sql.catalog.namedrows import named_rows
from tokenergy_sql.standing.power import Cells, distribution, histogram

READ = ("place_hour", "ledger_hour", "node_hour", "job_hour_index", "job_index")
NEEDED = ("utc", "stamp_us", "good_argument", "good_period", "place_tokens_by", "modules_by")


@pytest.fixture(scope="module")
def con() -> Iterator[duckdb.DuckDBPyConnection]:
    with open_memory() as found:
        for name in READ:
            found.execute(f"CREATE TABLE {name} AS {connecting.select_from(TABLES[name], [])}")
        views.define(found, NEEDED)
        yield found


def put(con: duckdb.DuckDBPyConnection, table: str, *rows: dict[str, Any]) -> None:
    """Let these be all rows of a table; what may not be NULL and is not named is 0, or empty."""
    usual = {
        c.name: {"string": "", "bool": False}.get(c.type, 0)
        for c in TABLES[table].columns
        if not c.nullable
    }
    full = pa.Table.from_pylist([usual | row for row in rows], schema=TABLES[table].schema())
    con.execute(f"DELETE FROM {table}")  # noqa: S608
    con.register("incoming", full)
    con.execute(f"INSERT INTO {table} FROM incoming")
    con.unregister("incoming")


def place(
    name: str, hour: int, powers_mw: list[int], method: str = "boards", **more: Any
) -> dict[str, Any]:
    """A row of `place_hour`."""
    kind = name.partition(":")[0]
    cells = Cells(np.array(powers_mw, np.int64), np.ones(len(powers_mw), bool))
    return {
        "place": name, "kind": kind, "hour_us": T0 + hour * HOUR_US, "method": method,
        "step_us": 10_000_000, "present_us": HOUR_US, "energy_nj": sum(powers_mw) * 10_000_000,
        **distribution(cells, T0 + hour * HOUR_US), **more,
    }  # fmt: skip


def by(con: duckdb.DuckDBPyConnection, grouped: str, more: str = "") -> list[dict[str, Any]]:
    return named_rows(con, f"FROM modules_by('{grouped}'{more})")


POWERS = st.lists(st.integers(0, 10**10), min_size=1, max_size=40)


@settings(deadline=None, max_examples=80)
@given(hours=st.lists(POWERS, min_size=1, max_size=5))
def test_percentiles_of_a_span_are_those_of_all_its_cells(
    con: duckdb.DuckDBPyConnection, hours: list[list[int]]
) -> None:
    put(con, "place_hour", *(place("rack:r", n, powers) for n, powers in enumerate(hours)))
    (row,) = by(con, "rack")
    every = sorted(power for powers in hours for power in powers)
    assert row["peak_kw"] == pytest.approx(every[-1] / 1e6)
    assert row["mean_kw"] == pytest.approx(sum(every) / len(every) / 1e6)
    for name, part in (("p50_kw", 0.5), ("p99_kw", 0.99)):
        exact = every[math.ceil(part * len(every)) - 1] / 1e6
        # The upper edge of the bin: at most 0.5 % above, or 1 W; never above the peak.
        assert exact * (1 - 1e-9) <= row[name] <= max(exact * 1.005, 0.001) * (1 + 1e-9)
        assert row[name] <= row["peak_kw"]
    assert row["p50_kw"] <= row["p99_kw"]


@given(powers=POWERS, cut=st.integers(0, 40))
def test_histograms_of_parts_add_up_to_that_of_all(powers: list[int], cut: int) -> None:
    def counted(some: list[int]) -> dict[int, int]:
        bins, counts = histogram(np.array(some, np.int64))
        return dict(zip(bins.tolist(), counts.tolist(), strict=True))

    parts = [counted(powers[:cut]), counted(powers[cut:])]
    added = {bin_: sum(p.get(bin_, 0) for p in parts) for bin_ in {*parts[0], *parts[1]}}
    assert added == counted(powers)


def test_a_mean_of_percentiles_would_be_wrong(con: duckdb.DuckDBPyConnection) -> None:
    quiet, busy = [10_000_000] * 360, [10_000_000] * 350 + [90_000_000] * 10
    put(con, "place_hour", place("rack:r", 0, quiet), place("rack:r", 1, busy))
    (row,) = by(con, "rack")
    assert row["p99_kw"] == pytest.approx(90, rel=0.006)
    assert row["load_factor"] == pytest.approx(row["mean_kw"] / 90)
    (row,) = by(con, "rack", f", until := {T0 + HOUR_US}")
    assert (row["p99_kw"], row["hours"]) == (10.0, 1)


def test_coincidence_takes_peaks_over_the_time_in_which_all_is_known(
    con: duckdb.DuckDBPyConnection,
) -> None:
    put(
        con,
        "place_hour",
        place("rack:r1", 0, [8, 1], hall="a", rack="r1", peak_in_hall_mw=8),
        # Its 99 were at a time at which the hall was not known.
        place("rack:r2", 0, [2, 99], hall="a", rack="r2", peak_in_hall_mw=2),
        place("rack:r1", 1, [3, 3], hall="a", rack="r1", peak_in_hall_mw=3),
        place("rack:r2", 1, [6, 6], hall="a", rack="r2", peak_in_hall_mw=6),
        place("hall:a", 0, [10], hall="a"),
        place("hall:a", 1, [9], hall="a"),
        place("hall:a", 0, [99], "metered", hall="a"),
    )
    (row,) = by(con, "hall")
    assert row["parts"] == 2
    assert row["coincidence"] == pytest.approx(10 / (8 + 6))


def test_meters_come_first_where_they_are_known_for_half_of_the_time(
    con: duckdb.DuckDBPyConnection,
) -> None:
    rows = [place("rack:r", 0, [5_000] * 100), place("rack:r", 0, [7_000] * 100, "boards+host")]
    put(con, "place_hour", *rows, place("rack:r", 0, [9_000] * 50, "metered"))
    (row,) = by(con, "rack")
    assert (row["method"], row["peak_kw"]) == ("metered", 0.009)
    put(con, "place_hour", *rows, place("rack:r", 0, [9_000] * 49, "metered"))
    (row,) = by(con, "rack")
    assert (row["method"], row["peak_kw"]) == ("boards+host", 0.007)


def test_stranded_power_is_of_the_last_rating(con: duckdb.DuckDBPyConnection) -> None:
    put(
        con,
        "place_hour",
        place("module:m", 0, [10_000_000] * 99 + [30_000_000], rated_mw=50_000_000, type="t"),
        place("module:m", 1, [10_000_000] * 100, rated_mw=40_000_000, type="t"),
        place("module:o", 1, [20_000_000] * 10, rated_mw=40_000_000, type="t"),
        place("module:x", 1, [20_000_000] * 10),
    )
    found = {row["name"]: row for row in by(con, "module")}
    assert found["m"]["rated_kw"] == 40
    assert found["m"]["stranded_peak_kw"] == 10
    assert found["m"]["stranded_kw"] == pytest.approx(40 - 10, abs=0.06)
    assert found["x"]["stranded_kw"] is None
    (row,) = by(con, "type")
    assert (row["name"], row["places"], row["peak_kw"]) == ("t", 2, 30)
    assert row["coincidence"] is None


def test_a_job_on_two_racks_counts_in_each_with_its_share_of_energy(
    con: duckdb.DuckDBPyConnection,
) -> None:
    of_node = {"kind": "node", "cells": 1}
    put(
        con,
        "place_hour",
        place("node:n1", 0, [1], rack="r1", hall="a", **of_node),
        place("node:n2", 0, [3], rack="r2", hall="a", **of_node),
        # Two thirds of the energy of n3 were drawn in r1, the rest where nothing is placed.
        place("node:n3", 0, [2], rack="r1", hall="a", **of_node),
        place("node:n3", 0, [1], **of_node),
        place("rack:r1", 0, [1], rack="r1", hall="a"),
        place("rack:r2", 0, [1], rack="r2", hall="a"),
        place("hall:a", 0, [1], hall="a"),
    )
    ledger = {"hour_us": T0, "account": "active"}
    put(
        con,
        "ledger_hour",
        {**ledger, "node": "n1", "job_id": "j", "energy_nj": 10 * 10**9},
        {**ledger, "node": "n2", "job_id": "j", "energy_nj": 30 * 10**9},
        {**ledger, "node": "n3", "job_id": "k", "energy_nj": 60 * 10**9},
    )
    joint = {"hour_us": T0, "device_us": 10, "joint_us": 10, "e_joint_facility_nj": None}
    put(
        con,
        "job_hour_index",
        {**joint, "job_id": "j", "e_joint_nj": 40 * 10**9, "n_joint": 80},
        {**joint, "job_id": "k", "e_joint_nj": 60 * 10**9, "n_joint": 30},
    )
    put(con, "job_index", *({"job_id": job, "workload": "inference"} for job in "jk"))
    host = {"hour_us": T0, "pue_ppb": 1_500_000_000}
    put(
        con,
        "node_hour",
        {**host, "node": "n1", "e_gpu_nj": 3_600 * 10**12, "e_host_nj": 3_600 * 10**12},
        {**host, "node": "n2", "e_gpu_nj": 0, "e_host_nj": None},
        {**host, "node": "n3", "e_gpu_nj": 0, "e_host_nj": 3_600 * 10**12},
    )
    found = {row["name"]: row for row in by(con, "rack")}
    assert found["r1"]["n_joint"] == pytest.approx(80 / 4 + 30 * 2 / 3)
    assert found["r1"]["te_gpu"] == pytest.approx((10 + 40) / (20 + 20))
    assert found["r1"]["jobs"] == 2
    assert found["r2"]["te_gpu"] == pytest.approx(0.5)
    assert found["r2"]["tokenergy"] is None
    assert found["r1"]["facility_kwh"] == pytest.approx(1.5 * (2 + 2 / 3))
    assert found["r2"]["facility_kwh"] is None
    (hall,) = by(con, "hall")
    assert hall["n_joint"] == pytest.approx(sum(row["n_joint"] for row in found.values()))
    assert hall["facility_kwh"] is None
    for table in ("ledger_hour", "job_hour_index", "job_index", "node_hour"):
        put(con, table)


def test_a_wrong_group_is_an_error(con: duckdb.DuckDBPyConnection) -> None:
    put(con, "place_hour")
    for statement in ("FROM modules_by('pod')", "SELECT name FROM modules_by(NULL)"):
        with pytest.raises(duckdb.InvalidInputException, match="expected rack, module"):
            con.execute(statement).fetchall()
    assert by(con, "rack") == []
    assert PLACE_HOUR.name in READ
