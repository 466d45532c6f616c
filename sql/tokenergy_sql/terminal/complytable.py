"""Which limits were kept, on the terminal: a line for each, with the worst moment and its jobs.

In: results of `gridload.complying`. Out: a table, CSV or JSON; the JSON has all moments and jobs.
"""

from __future__ import annotations

from collections.abc import Sequence

from tokenergy_sql.catalog.namedrows import NamedRow
from tokenergy_sql.gridload.complying import Moment, Result
from tokenergy_sql.places.timeline import show_instant
from tokenergy_sql.terminal.grid import Grid
from tokenergy_sql.terminal.output import Output
from tokenergy_sql.terminal.table import Column, group, scaled, significant, table_of

NAMES = (
    *("limit", "what", "kind", "group_id", "boundary", "boundary_by", "verdict", "value_mw"),
    *("limit_mw", "reason", "coverage", "min_coverage", "worst_at", "worst_jobs", "moments"),
    "emulated",
)
"""Columns of a row; see `result_row`."""


def require_columns(output: Output) -> None:
    """Return if there are all columns that were asked for.

    Raises:
        UserError: there is none of a name.
    """
    output.require(NAMES, [column.heading for column in _COLUMNS])


def print_results(results: Sequence[Result], output: Output) -> None:
    """Print results.

    Args:
        results: in the order of the limits.
        output: in which form, and where.
    """
    rows = [result_row(result) for result in results]
    output.show(rows, lambda: [limits_table(rows)])


def limits_table(rows: Sequence[NamedRow]) -> Grid:
    """Return limits as a table; the rows are those of `result_row`."""
    return table_of("Limits", rows, _COLUMNS)


def result_row(result: Result) -> NamedRow:
    """Return a result as a row: powers in mW, instants in microseconds and as text."""
    worst = result.moments[0] if result.moments else None
    return {
        "limit": result.limit.name,
        "what": result.limit.what,
        "kind": result.place[0],
        "group_id": result.place[1],
        "boundary": result.limit.boundary,
        "boundary_by": result.boundary_by,
        "verdict": result.verdict,
        "value_mw": result.value_mw,
        "limit_mw": result.limit_mw,
        "reason": result.reason,
        "coverage": result.coverage,
        "min_coverage": result.limit.min_coverage,
        "worst_at": worst and show_instant(worst.at_us),
        "worst_jobs": [one.job for one in worst.jobs] if worst else [],
        "moments": [_moment(one) for one in result.moments],
        "emulated": result.emulated,
    }


def _moment(moment: Moment) -> NamedRow:
    return {
        "at": show_instant(moment.at_us),
        "at_us": moment.at_us,
        "value_mw": moment.value_mw,
        "jobs": [
            {"job": one.job, "part_mw": one.part_mw, "without_mw": one.without_mw}
            for one in moment.jobs
        ],
    }


def _behind(row: NamedRow) -> str:
    if not row["moments"]:
        return "-"
    jobs = row["moments"][0]["jobs"]
    return ", ".join(f"{one['job']} {significant(one['part_mw'] / 1e6, 2)}" for one in jobs) or "-"


def _verdict(row: NamedRow) -> str:
    why = f": {row['reason']}" if row["reason"] else ""
    return f"{row['verdict'].upper()}{why}"


_COLUMNS = (
    Column("limit", lambda row: f"{row['limit']}: {row['what']}", justify="left"),
    Column("where", group, justify="left"),
    Column(
        "boundary", lambda row: f"{row['boundary']} ({row['boundary_by']})", rank=2, justify="left"
    ),
    Column("found kW", lambda row: significant(scaled(row["value_mw"], 1e6), 3)),
    Column("allowed kW", lambda row: significant(scaled(row["limit_mw"], 1e6), 3)),
    Column("verdict", _verdict, justify="left"),
    Column("known %", lambda row: f"{100 * row['coverage']:.1f}", rank=1),
    Column("worst at (UTC)", lambda row: row["worst_at"] or "-", rank=1, justify="left"),
    Column("jobs behind it, kW", _behind, rank=2, justify="left"),
)
