"""The whole page as values for its template.

In: facts and the findings of the checks. Out: a mapping that `page.html.j2` shows unchanged: the
template and the script hold text and markup, and neither computes nor rounds a figure.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tokenergy_sql.catalog.namedrows import NamedRow
from tokenergy_sql.checks.checking import Finding
from tokenergy_sql.report import meanings, panels
from tokenergy_sql.report.bydays import day_values
from tokenergy_sql.report.energy import energy_values
from tokenergy_sql.report.facts import (
    DETAILED_JOBS,
    FEW_POINTS,
    MOST_POINTS,
    Facts,
    most_hours,
)
from tokenergy_sql.report.format import (
    Cell,
    between,
    clean,
    clock,
    compact,
    counted,
    day,
    grouped,
    iso,
    length,
    number,
    percent,
    whole,
)
from tokenergy_sql.report.fullrate import PARTS, rate_values
from tokenergy_sql.report.grid.page import grid_values
from tokenergy_sql.report.jobfields import CSV, INTERVALS, job_cells, job_unit, packed
from tokenergy_sql.report.jobpages import job_pages
from tokenergy_sql.report.overtime import TOKEN_COLORS
from tokenergy_sql.report.palette import ACCOUNTS as ACCOUNT_COLORS
from tokenergy_sql.report.palette import marks
from tokenergy_sql.report.quality import ledger_state, quality_values
from tokenergy_sql.report.site.page import site_values
from tokenergy_sql.report.storage.page import storage_values
from tokenergy_sql.report.wholejobs import csv_fields, whole_cells, window_values

_KWH = 1 / 3.6e6
_WORKLOADS = ("inference", "training")
_MOST_GROUPS = 200


def page_values(
    facts: Facts,
    findings: Sequence[Finding],
    title: str | None,
    checked: Sequence[int] | None = None,
) -> dict[str, Any]:
    """Return all values of the page.

    Args:
        facts: the rows.
        findings: what the checks found.
        title: heading of the page; "TokEnergy report" if None.
        checked: of a window, starts of the hours that the checks examined, if that is known.
    """
    shown = marks(facts.jobs)
    unit, scale = job_unit(facts.jobs)
    rates = facts.efficiency
    cells = [
        {
            **job_cells(job, rates.get(job["job_id"]), shown[job["job_id"]], scale),
            **whole_cells(facts, job, shown[job["job_id"]], scale),
        }
        for job in facts.jobs
    ]
    more, bounded = csv_fields(facts)
    return {
        "title": clean(title) if title else "TokEnergy report",
        "window": window_values(facts),
        "period": _period(facts),
        "emulated": facts.totals["emulated"],
        "figures": _figures(facts),
        "fleet": [_group(row) for row in facts.league if row["fleet"]],
        "ledger": ledger_state(facts, findings, checked),
        "power": panels.power_chart(facts, shown),
        "bucket": length(facts.bucket_us),
        "trend": [
            (w, panels.trend_chart(facts.trend, facts.trend_us, w, f"trend-{w}"))
            for w in _WORKLOADS
        ],
        "days": None if facts.days is None else day_values(facts.days),
        "trend_step": length(facts.trend_us),
        "energy": energy_values(facts, shown),
        "rate": rate_values(facts, shown),
        "league": [_league(facts, shown, workload) for workload in _WORKLOADS],
        "quality": quality_values(facts, findings, checked),
        "site": site_values(facts.site),
        "storage": storage_values(facts.storage),
        "grid": grid_values(facts.grid, shown),
        "unit": unit,
        "drawn": _drawn(len(facts.jobs)),
        "data": {
            **packed(cells, {**CSV, **more}, (*INTERVALS, *bounded)),
            "ids": [job["job_id"] for job in facts.jobs],
            "colors": [shown[job["job_id"]].color for job in facts.jobs],
            "pages": job_pages(facts, scale),
            "unit": unit,
            "specs": panels.job_specs(),
            "accounts": {
                account: [name, ACCOUNT_COLORS[account]]
                for account, name in meanings.ACCOUNTS.items()
            },
            "parts": list(PARTS.values()),
            "tokens": meanings.TOKENS,
            "token_colors": TOKEN_COLORS,
            "meanings": {**meanings.METHODS, **meanings.REASONS},
        },
    }


def _period(facts: Facts) -> list[tuple[str, str]]:
    """Return start and end of the metered period, each as ISO 8601 and as shown."""
    start_us, end_us = facts.period["start_us"], facts.period["end_us"]
    if start_us is None:
        return []
    last = clock(end_us) if day(start_us) == day(end_us) else f"{day(end_us)} {clock(end_us)}"
    return [(iso(start_us), f"{day(start_us)} {clock(start_us)}"), (iso(end_us), last)]


def _figures(facts: Facts) -> list[tuple[str, Cell, str]]:
    """Return the overview's figures: label, value and remark of each."""
    totals, period = facts.totals, facts.period
    metered = [row["energy_j"] for row in facts.accounts if row["energy_j"] is not None]
    jobs = totals["jobs"]
    return [
        (
            "GPU energy, kWh",
            number(sum(metered) if metered else None, "Nothing was metered.", scale=_KWH, digits=4),
            "all accounts, including idle GPUs",
        ),
        (
            "Facility energy, kWh",
            number(
                totals["facility_j"],
                "No job's facility energy is known: declare host power and PUE in a site file.",
                scale=_KWH,
                digits=4,
            ),
            _of("jobs only", totals["with_facility"], jobs),
        ),
        (
            "Tokens generated",
            compact(totals["n_generated"], "No counter of generated tokens was read."),
            _of("", totals["with_generated"], jobs),
        ),
        (
            "Tokens trained",
            compact(totals["n_trained"], "No counter of trained tokens was read."),
            _of("", totals["with_trained"], jobs),
        ),
        ("Jobs", whole(jobs), ""),
        ("GPUs", whole(period["devices"]), f"metered, on {counted(period['nodes'], 'node')}"),
        ("Coverage, %", percent(period["coverage"], "Nothing was metered."), "of GPU time"),
    ]


def _drawn(jobs: int) -> str:
    """Return a sentence on how coarsely many jobs are drawn; empty if none is coarse."""
    if jobs <= DETAILED_JOBS:
        return ""
    return (
        f"The {DETAILED_JOBS} largest of {grouped(jobs)} jobs have charts of up to {MOST_POINTS} "
        f"steps, all others of up to {FEW_POINTS}. Each job's table has at most "
        f"{most_hours(jobs)} rows; hours are merged to fit."
    )


def _of(remark: str, some: int, every: int) -> str:
    share = f"{some} of {every} jobs" if 0 < some < every else ""
    return ", ".join(part for part in (remark, share) if part)


def _group(row: NamedRow) -> dict[str, Any]:
    """Return J/token of a group of jobs of one workload."""
    kind = "trained" if row["workload"] == "training" else "generated"
    none = f"No {row['workload']} job in this group has both energy and {kind} tokens."
    missing = "The facility energy of a job is not known: declare host power and PUE."
    return {
        "name": panels.league_name(row),
        "model": clean(row["model"] or "") or "no model name",
        "board": clean(row["board"] or "") or "unknown board",
        "workload": row["workload"],
        "kind": kind,
        "gpu": between(row["gpu"], row["gpu_low"], row["gpu_high"], none),
        "facility": between(
            row["facility"],
            row["facility_low"],
            row["facility_high"],
            none if row["gpu"] is None else missing,
        ),
        "jobs": _of("", row["counted"], row["jobs"]) or counted(row["jobs"], "job"),
        "energy": number(row["gpu_j"], none, scale=_KWH, digits=4),
        "tokens": compact(None if row["tokens"] is None else int(row["tokens"]), none),
        "time": length(row["device_us"] or 0),
    }


def _league(facts: Facts, shown: dict[str, Any], workload: str) -> dict[str, Any]:
    rows = [r for r in facts.league if r["workload"] == workload and not r["fleet"]]
    return {
        "workload": workload,
        "groups": [_group(row) for row in rows[:_MOST_GROUPS]],
        "left_out": max(0, len(rows) - _MOST_GROUPS),
        "chart": panels.league_chart(facts, workload),
        "jobs": panels.intensity_chart(facts, shown, workload),
    }
