"""Ad-hoc questions on a large lake, in SQL and, where it can be written, in polars.

In: a lake that was indexed. Out: for each question the seconds that each side took, and whether
both say the same. Polars reads the same Parquet files; DuckDB opens the lake's
`catalog.duckdb` again for each question, as the plain client does.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import duckdb
import polars as pl

from tokenergy_collectors.lake import Lake


@dataclass(frozen=True)
class Question:
    """A question: what it asks, its SQL, and the same in polars, columns in the same order."""

    title: str
    sql: str
    by_polars: Callable[[Lake], pl.DataFrame] | None = None


def _scan(lake: Lake, table: str) -> pl.LazyFrame:
    return pl.scan_parquet(lake.files(table), hive_partitioning=False)


def _by_account(lake: Lake) -> pl.DataFrame:
    rows = _scan(lake, "ledger").group_by("account")
    # A day of a large fleet is more than 64 bits hold; polars would not tell.
    nj = pl.col("energy_nj").cast(pl.Int128).sum().cast(pl.Float64)
    return rows.agg(nj / 3.6e15, pl.col("device_us").sum() / 3.6e9).sort("account").collect()


def _worst_devices(lake: Lake) -> pl.DataFrame:
    rows = _scan(lake, "ledger").filter(pl.col("account") == "resident_idle")
    nj = pl.col("energy_nj").sum().alias("nj")
    by_device = rows.group_by("device_id").agg(nj)
    return by_device.sort("nj", "device_id", descending=[True, False]).head(20).collect()


def _hottest_minutes(lake: Lake) -> pl.DataFrame:
    minute = pl.col("start_us") // 60_000_000
    rows = _scan(lake, "ledger").group_by(minute.alias("minute"))
    found = rows.agg((pl.col("energy_nj").sum() / 6e10).alias("kw"))
    return found.sort("kw", "minute", descending=[True, False]).head(10).collect()


def _by_model(lake: Lake) -> pl.DataFrame:
    rows = _scan(lake, "job_index").filter(pl.col("workload") == "inference").collect()
    sums = rows.group_by("model").agg(
        pl.len(), pl.col("e_gpu_nj").cast(pl.Float64).sum() / 1e9, pl.col("n_generated").sum()
    )
    joules = pl.col("e_gpu_nj") / pl.col("n_generated")
    return sums.with_columns(joules.alias("te")).sort("model")


QUESTIONS = (
    Question(
        "J per token by model",
        """SELECT model, count(*), sum(e_gpu_nj)::DOUBLE / 1e9 AS joules,
            sum(n_generated) AS tokens, joules / tokens AS te
        FROM job_index WHERE workload = 'inference' GROUP BY model ORDER BY model""",
        _by_model,
    ),
    Question(
        "energy by hour and account, from ledger_hour",
        """SELECT hour_us, account, sum(energy_nj) / 3.6e15 AS kwh, sum(device_us) / 3.6e9 AS h
        FROM ledger_hour GROUP BY ALL ORDER BY ALL""",
    ),
    Question(
        "energy by account, from every row of the ledger",
        """SELECT account, sum(energy_nj)::DOUBLE / 3.6e15 AS kwh, sum(device_us) / 3.6e9 AS h
        FROM ledger GROUP BY account ORDER BY account""",
        _by_account,
    ),
    Question(
        "20 devices that idled most while held, from every row of the ledger",
        """SELECT device_id, sum(energy_nj)::BIGINT AS nj FROM ledger
        WHERE account = 'resident_idle' GROUP BY device_id ORDER BY nj DESC, device_id LIMIT 20""",
        _worst_devices,
    ),
    Question(
        "ten minutes of the highest load, from every row of the ledger",
        """SELECT start_us // 60000000 AS minute, sum(energy_nj)::BIGINT / 6e10 AS kw FROM ledger
        GROUP BY minute ORDER BY kw DESC, minute LIMIT 10""",
        _hottest_minutes,
    ),
    Question(
        "one job's power by minute, from its rows of the ledger",
        """SELECT start_us // 60000000 AS minute, sum(energy_nj) / 6e10 AS kw FROM ledger
        WHERE job_id = (SELECT min(job_id) FROM job_index)
          AND start_us BETWEEN (SELECT min(start_us) FROM job_index)
          AND (SELECT max(end_us) FROM job_index WHERE job_id = (SELECT min(job_id) FROM job_index))
        GROUP BY minute ORDER BY minute""",
    ),
    Question(
        "users by energy, with their share of idle",
        """SELECT "user", sum(e_gpu_nj) / 3.6e15 AS kwh,
            1 - sum(e_gpu_active_nj)::DOUBLE / sum(e_gpu_nj)::DOUBLE AS idle
        FROM job_index GROUP BY "user" ORDER BY kwh DESC LIMIT 10""",
    ),
)


def ask(lake: Lake, runs: int) -> list[dict[str, Any]]:
    """Ask all questions some times; return a row a question: title, seconds of both, agreement."""
    found = []
    for question in QUESTIONS:
        by_sql, rows = _timed(lambda q=question: _by_sql(lake, q.sql), runs)  # type: ignore[misc]
        row: dict[str, Any] = {"title": question.title, "sql_s": by_sql, "rows": len(rows)}
        if question.by_polars:
            polars = question.by_polars
            row["polars_s"], other = _timed(lambda p=polars: p(lake).rows(), runs)  # type: ignore[misc]
            row["agree"] = _agree(rows, other)
        found.append(row)
    return found


def _by_sql(lake: Lake, sql: str) -> list[tuple[Any, ...]]:
    with duckdb.connect(lake.root / "catalog.duckdb", read_only=True) as con:
        return con.sql(sql).fetchall()


def _timed(task: Callable[[], list[Any]], runs: int) -> tuple[float, list[Any]]:
    times, rows = [], []
    for _ in range(runs):
        begin = time.perf_counter()
        rows = task()
        times.append(time.perf_counter() - begin)
    return statistics.median(times), rows


def _agree(rows: list[Any], other: list[Any]) -> bool:
    """Tell whether two answers are equal but for the rounding of doubles."""
    return len(rows) == len(other) and all(
        a == b or (isinstance(b, float) and abs(float(a) - b) <= 1e-9 * abs(b))
        for row, twin in zip(rows, other, strict=True)
        for a, b in zip(row, twin, strict=True)
    )
