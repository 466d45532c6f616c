"""Questions to a lake, what its ledger booked, and whether its books close."""

from __future__ import annotations

from typing import Any

from tokenergy_collectors.lake import Lake
from tokenergy_sql.catalog import connecting as catalog
from tokenergy_sql.checks.checking import run_checks

J = 10**9  # nanojoules


def ask(lake: Lake, sql: str) -> list[dict[str, Any]]:
    with catalog.connect(lake) as con:
        result = con.sql(sql)
        return [dict(zip(result.columns, row, strict=True)) for row in result.fetchall()]


def booked(lake: Lake) -> dict[tuple[str, str | None, str], int | None]:
    """Energy by (account, job, method), nJ."""
    sql = "SELECT account, job_id, method, sum(energy_nj) AS nj FROM ledger GROUP BY ALL"
    return {
        (r["account"], r["job_id"], r["method"]): None if r["nj"] is None else int(r["nj"])
        for r in ask(lake, sql)
    }


def assert_checks_pass(lake: Lake) -> None:
    for finding in run_checks(lake):
        assert not (finding.fatal and finding.rows), (finding.name, finding.rows[:5])
