"""What moving flexible jobs would have saved, on the terminal.

In: a lake, flexible jobs, signals, limits. Out: a table and its totals, CSV or JSON; what is not
known is a dash, or empty, or null. CSV and JSON end with a row of totals.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from tokenergy_collectors.base.errors import UserError
from tokenergy_sql.catalog import views
from tokenergy_sql.catalog.asking import AnyLake, ask
from tokenergy_sql.catalog.namedrows import NamedRow
from tokenergy_sql.flexibility.flexible import Flexible, labelled, listed
from tokenergy_sql.flexibility.movable import READS
from tokenergy_sql.flexibility.named import READS as SIGNAL_READS
from tokenergy_sql.flexibility.named import Named, check, signals_of
from tokenergy_sql.flexibility.shift import EXACT, Wanted, plan
from tokenergy_sql.terminal.grid import Grid
from tokenergy_sql.terminal.output import Output
from tokenergy_sql.terminal.table import Column, interval, significant, table_of

if TYPE_CHECKING:
    import duckdb


_WORDS = {
    "carbon_average": "average carbon",
    "carbon_marginal": "marginal carbon",
    "price": "price",
}


def print_shift(
    lake: AnyLake,
    named: Named,
    wanted: Wanted,
    jobs: Path | None,
    label: str,
    output: Output,
) -> None:
    """Print one row for each flexible job, and the totals.

    Args:
        lake: the lake, indexed.
        named: which signals.
        wanted: boundary, limits and span; its signals are filled in.
        jobs: a list of flexible jobs; None: those with the label.
        label: the key in the labels of jobs.
        output: in which form, and where.

    Raises:
        UserError: no job is flexible, or the list cannot be used.
    """
    check(named)
    flexible = None if jobs is None else listed(jobs)
    rows, totals, wanted = ask(
        lake,
        "shift",
        lambda con: _planned(con, flexible, label, named, wanted),
        f"{READS} {SIGNAL_READS}",
    )
    listed_rows = [{"row": "job", **row} for row in rows] + [{"row": "total", **totals}]
    output.show(listed_rows, lambda: [shift_table(rows, wanted), *shift_lines(totals, wanted)])


def _planned(
    con: duckdb.DuckDBPyConnection,
    flexible: Flexible | None,
    label: str,
    named: Named,
    wanted: Wanted,
) -> tuple[list[NamedRow], NamedRow, Wanted]:
    views.define(con, views.UNITS)
    found = labelled(con, label) if flexible is None else flexible
    if not found:
        where = f"no job has the label {label}" if flexible is None else "--jobs: lists no job"
        raise UserError(f"{where}: say which jobs may move (docs/flexibility.md)")
    wanted = replace(wanted, signals=signals_of(con, named, found))
    rows, totals = plan(con, found, wanted)
    if not rows:
        raise UserError("--from and --to: no flexible job started in this span")
    return rows, totals, wanted


def shift_table(rows: Sequence[NamedRow], wanted: Wanted) -> Grid:
    """Return a plan as a table."""
    names = " and ".join(f"{_WORDS[one.quantity]} of {one.name}" for one in wanted.signals)
    title = f"Modelled: what a later start would have saved, {wanted.boundary} energy, by {names}"
    columns = [
        Column("job", lambda r: str(r["job_id"]), justify="left"),
        Column("may move h", lambda r: significant(r["flexible_hours"], 3), rank=2),
        Column("from (UTC)", lambda r: _utc(r["from_us"]), rank=1, justify="left"),
        Column("to (UTC)", lambda r: _utc(r["to_us"]), justify="left"),
        Column("kWh", lambda r: significant(r["kwh"]), rank=1),
    ]
    for kind in ("carbon", "money"):
        unit = next((r[f"{kind}_unit"] for r in rows if r[f"{kind}_unit"] is not None), None)
        if unit is not None:
            columns += _amounts(kind, unit)
    columns.append(Column("why not moved", lambda r: r["why_not_moved"] or "-", justify="left"))
    return table_of(title, rows, columns)


def _amounts(kind: str, unit: str) -> list[Column]:
    return [
        Column(f"{unit} before", lambda r: significant(r[f"{kind}_before"]), rank=2),
        Column(f"saved {unit}", lambda r: significant(r[f"{kind}_saved"])),
        Column(
            "[low, high]",
            lambda r: interval(r[f"{kind}_saved_low"], r[f"{kind}_saved_high"]),
            rank=2,
        ),
    ]


def shift_lines(totals: NamedRow, wanted: Wanted) -> list[str]:
    """Return what the totals say, a line each."""
    lines = [f"{totals['moved']} of {totals['jobs']} jobs move, with {_kwh(totals)} kWh"]
    for kind in ("carbon", "money"):
        unit = next((one.amount_unit for one in wanted.signals if _kind_of(one) == kind), None)
        if unit is None:
            continue
        saved, before = totals[f"{kind}_saved"], totals[f"{kind}_before"]
        bounds = interval(totals[f"{kind}_saved_low"], totals[f"{kind}_saved_high"])
        line = f"saved {significant(saved)} of {significant(before)} {unit}"
        lines.append(line if bounds == "-" else f"{line}, {bounds}")
    if totals["unknown"]:
        lines.append(f"jobs whose saving is not known, which are in no sum: {totals['unknown']}")
    minimised = _kind_of(wanted.signals[0])
    if totals["plan"] == EXACT:
        lines.append("exact: no start that is allowed would have cost a job less")
    else:
        most, unit = totals[f"{minimised}_most_saved"], wanted.signals[0].amount_unit
        lines.append(
            f"heuristic: no plan saves more than {significant(most)} {unit}, which is what each "
            "job would save alone"
        )
    return lines


def _kind_of(signal: object) -> str:
    return "money" if getattr(signal, "quantity", "") == "price" else "carbon"


def _kwh(totals: NamedRow) -> str:
    return significant(totals["kwh_moved"])


def _utc(at_us: int | None) -> str:
    if at_us is None:
        return "-"
    return f"{datetime.fromtimestamp(at_us // 1_000_000, UTC):%Y-%m-%d %H:%M:%S}"
