"""Jobs beside one another on the terminal: one line each, with its J/token over the first's.

In: a lake, jobs as the user named them. Out: a table; NULL is a dash, with the reason code beside
it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.lake import Lake
from tokenergy_sql.catalog.asking import ask
from tokenergy_sql.catalog.namedrows import NamedRow
from tokenergy_sql.gate.reading import prepare
from tokenergy_sql.gate.runs import TEXT, read_runs
from tokenergy_sql.index.calibration import load_calibration
from tokenergy_sql.terminal.jobnames import find_job
from tokenergy_sql.terminal.nextstep import next_step
from tokenergy_sql.terminal.output import Output, Part
from tokenergy_sql.terminal.table import (
    Column,
    count,
    interval,
    notes,
    scaled,
    significant,
    table_of,
)

if TYPE_CHECKING:
    import duckdb

_DIFFERENT = (("gpu", "GPU"), ("devices", "number of GPUs"), ("model", "model"))
"""What makes runs differ, apart from what is compared."""


def print_comparison(lake: Lake, names: Sequence[str], output: Output) -> None:
    """Print jobs beside one another.

    Args:
        lake: the lake, indexed.
        names: jobs, as for `find_job`; the first is what the others are compared with.
        output: where and how.

    Raises:
        UserError: a job is not there, is named twice, or is not indexed.
    """
    if len(names) < 2:
        raise UserError("RUN: expected two jobs or more")
    if step := next_step(lake):
        raise UserError(f"lake {lake.root}: {step}")
    jobs = [find_job(lake, name) for name in names]
    if twice := next((job for job in jobs if jobs.count(job) > 1), None):
        raise UserError(f"job {twice!r}: is named twice")
    calibration = load_calibration(lake.root)

    def read(con: duckdb.DuckDBPyConnection) -> list[NamedRow]:
        prepare(con, calibration)
        return read_runs(con, jobs)

    rows = ask(lake, "compare", read, TEXT)
    known = {row["job_id"] for row in rows}
    if missing := next((job for job in jobs if job not in known), None):
        raise UserError(
            f"job {missing!r}: is not indexed; run `tokenergy run --lake {lake.root}` "
            "(it needs readings of power of its time)"
        )
    output.show(rows, lambda: compare_parts(rows))


def compare_parts(rows: Sequence[NamedRow]) -> list[Part]:
    """Return rows of `gate.runs.read_runs` as a table, and the lines below it."""
    table = table_of("Runs, and their J/token over the first's", rows, _COLUMNS)
    return [table, *_remarks(rows)]


def _remarks(rows: Sequence[NamedRow]) -> list[str]:
    """Return lines below the table: what to bear in mind before a ratio is believed."""
    differ = [text for column, text in _DIFFERENT if len({row[column] for row in rows}) > 1]
    lines = [f"the runs differ in: {', '.join(differ)}"] if differ else []
    pair = " ".join(f"job:{row['job_id']}" for row in rows[:2])
    return [
        *lines,
        "ratios are of whole runs, whatever their load; at equal operating points: "
        f"tokenergy gate {pair}",
    ]


def _ratio_interval(low: float | None, high: float | None) -> str:
    """Return the bounds of a ratio to four digits: those of one meter's runs are that close."""
    if low is None or high is None:
        return "-"
    return f"[{significant(low)}, {significant(high)}]"


_COLUMNS = (
    Column("run", lambda r: str(r["job_id"]), justify="left"),
    Column("model", lambda r: r["model"] or "-", rank=5, justify="left"),
    Column("GPUs", lambda r: count(r["devices"]), rank=4),
    Column("seconds", lambda r: significant(r["duration_s"]), rank=3),
    Column("tokens", lambda r: count(r["tokens"]), rank=2),
    Column("tokens/s", lambda r: significant(r["tokens_per_s"])),
    Column("requests", lambda r: count(r["requests"]), rank=4),
    Column("failed", lambda r: count(r["requests_failed"]), rank=4),
    Column("TTFT p50 ms", lambda r: significant(r["ttft_median_ms"]), rank=4),
    Column("TTFT p99 ms", lambda r: significant(r["ttft_p99_ms"]), rank=3),
    Column("latency p50 ms", lambda r: significant(r["latency_median_ms"]), rank=4),
    Column("latency p99 ms", lambda r: significant(r["latency_p99_ms"]), rank=3),
    Column("GPU kJ", lambda r: significant(scaled(r["gpu_j"], 1e3)), rank=2),
    Column("mean W", lambda r: significant(r["mean_w"]), rank=2),
    Column("J/token", lambda r: significant(r["j_per_token"])),
    Column("[low, high]", lambda r: interval(r["j_per_token_low"], r["j_per_token_high"]), rank=1),
    Column("ratio", lambda r: significant(r["ratio"])),
    Column("[low, high]", lambda r: _ratio_interval(r["ratio_low"], r["ratio_high"])),
    Column("notes", notes, rank=1, justify="left"),
)
