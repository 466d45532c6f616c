"""Claims in derived hours are left out early: what is claimed beyond these is the same without."""

from __future__ import annotations

import random
from typing import Any

import duckdb
import pytest

from tests.support.lakes import HOUR_US, T0
from tokenergy_sql.catalog import views
from tokenergy_sql.catalog.duck import open_memory
from tokenergy_sql.index.models import model_text

WHOLE = 1_000_000
SETUP = """
CREATE TABLE parameters AS SELECT 1_500_000 AS limit_unknown_mw;
CREATE TABLE site AS SELECT 1_200_000 AS pue_ppm, 300_000::BIGINT AS host_mw;
CREATE TABLE site_node (node VARCHAR, host_mw BIGINT);
INSERT INTO site_node VALUES ('n1', 500_000);
CREATE TABLE ledger_hour AS SELECT max(hour_us) + us_per_hour() - 7 AS as_of_us FROM booked_hour;
"""


def connected(rng: random.Random) -> duckdb.DuckDBPyConnection:
    """Return claims on three boards over two days, of which some hours were derived."""
    con = open_memory()
    views.define(con, views.UNITS)
    share = rng.choice([0.5, 0.9, 1.0])
    hours = [T0 + number * HOUR_US for number in range(48) if rng.random() < share]
    con.execute("CREATE TABLE booked_hour (hour_us BIGINT)")
    con.executemany("INSERT INTO booked_hour VALUES ($1)", [[hour] for hour in hours or [T0]])
    con.execute("CREATE TABLE device (device_id VARCHAR, ts_us BIGINT, limit_mw BIGINT)")
    con.execute("INSERT INTO device VALUES ('A', $1, 700_000), ('B', $1, NULL)", [T0])
    con.execute(
        "CREATE TABLE allocation (job_id VARCHAR, node VARCHAR, device_id VARCHAR, "
        "start_us BIGINT, end_us BIGINT, share_ppm BIGINT, mig_id VARCHAR)"
    )
    con.executemany(
        "INSERT INTO allocation VALUES ($1, $2, $3, $4, $5, $6, $7)",
        [claim(rng) for _ in range(rng.randrange(1, 40))],
    )
    con.execute(SETUP)
    return con


def claim(rng: random.Random) -> list[Any]:
    def at(hours: float) -> int:
        whole = rng.random() < 0.4  # edges that meet
        return T0 + int(hours if whole else hours * HOUR_US) * (HOUR_US if whole else 1)

    start = rng.uniform(-4, 50)
    end = None if rng.random() < 0.1 else at(start + rng.expovariate(0.2))
    board = rng.choice("ABC")
    mig = rng.choice([None, None, f"{board}/1", f"{board}/2"])
    part = rng.choice([WHOLE, WHOLE, 333_333, 700_001])
    return [f"j{rng.randrange(12)}", f"n{ord(board) % 2}", board, at(start), end, part, mig]


def found(con: duckdb.DuckDBPyConnection, text: str) -> list[tuple[Any, ...]]:
    return sorted(con.execute(text).fetchall())


LEFT_OUT = model_text("claim_beyond")
BEGIN, END = LEFT_OUT.index("claimed AS ("), LEFT_OUT.index("cut AS (")
OF_ALL = f"{LEFT_OUT[:BEGIN]}claimed AS (FROM every),\n{LEFT_OUT[END:]}"


@pytest.mark.parametrize("seed", range(150))
def test_it_is_the_same_as_of_all_claims(seed: int) -> None:
    with connected(random.Random(seed)) as con:
        assert found(con, LEFT_OUT) == found(con, OF_ALL)


def test_claims_in_derived_hours_are_not_compared() -> None:
    count = f"{LEFT_OUT[: LEFT_OUT.index('cut AS (')].rstrip().rstrip(',')} FROM claimed"
    with connected(random.Random(2)) as con:
        con.execute("DELETE FROM booked_hour")
        con.execute(
            "INSERT INTO booked_hour SELECT $1 + h * us_per_hour() FROM range(48) t(h)", [T0]
        )
        con.execute("DELETE FROM allocation")
        con.execute(
            "INSERT INTO allocation SELECT 'j' || h, 'n1', 'A', $1 + h * us_per_hour(), "
            "$1 + (h + 1) * us_per_hour() - 1, whole_ppm(), NULL FROM range(48) t(h)",
            [T0],
        )
        assert found(con, count) == []
        con.execute("UPDATE allocation SET start_us = start_us - 1 WHERE job_id = 'j0'")
        assert {row[2] for row in found(con, count)} == {"j0"}
        assert [row[:2] for row in found(con, LEFT_OUT)] == [("j0", 1)]
