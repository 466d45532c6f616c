"""What each job used its energy for: output at full rate, at a lower rate, or none.

In: facts and marks. Out: plain values for the template, and the bar of a job's own page. The parts
are those of `job_efficiency`; they add up to the job's GPU energy exactly.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from tokenergy_sql.catalog.namedrows import NamedRow
from tokenergy_sql.report.facts import Facts
from tokenergy_sql.report.format import Cell, between, energy_unit, number, percent, significant
from tokenergy_sql.report.meanings import why_no_energy, why_no_prefill, why_no_rate
from tokenergy_sql.report.palette import ACCOUNTS, Mark

PARTS = {
    "e_steady_nj": ("full rate", ACCOUNTS["active"]),
    "e_low_batch_nj": ("low batch", "var(--job-5)"),
    "e_prefill_nj": ("prefill", "var(--job-4)"),
    "e_no_tokens_nj": ("busy, no tokens", "var(--job-6)"),
    "e_idle_nj": ("idle", ACCOUNTS["resident_idle"]),
    "e_unknown_nj": ("rate not known", "var(--other)"),
}
"""Name and colour of each part, by the column of `job_efficiency`."""

MOST_JOBS = 40


def rate_values(facts: Facts, marks: dict[str, Mark]) -> dict[str, Any] | None:
    """Return all values of the section on full rate; None if no job has any."""
    metered = [row for row in facts.efficiency.values() if row["e_gpu_nj"]]
    if not metered:
        return None
    total = {name: sum(row[name] or 0 for row in metered) for name in (*PARTS, "e_gpu_nj")}
    unit, scale = energy_unit(float(total["e_gpu_nj"]) / 1e9)
    of_job = {job["job_id"]: job for job in facts.jobs}
    return {
        "unit": unit,
        "legend": list(PARTS.values()),
        "all": bar(total),
        "sentence": _sentence(total),
        "jobs": [
            _job(row, of_job[row["job_id"]], marks[row["job_id"]], scale)
            for row in metered[:MOST_JOBS]
            if row["job_id"] in of_job
        ],
        "left_out": max(0, len(metered) - MOST_JOBS),
    }


def bar(row: NamedRow | None) -> list[tuple[str, str, float, str]]:
    """Return colour, name, share (0 to 1) and share as text of each part that has energy."""
    if row is None or not row["e_gpu_nj"]:
        return []
    found = []
    for column, (name, color) in PARTS.items():
        if row[column]:
            share = float(row[column]) / float(row["e_gpu_nj"])
            found.append((color, name, round(share, 6), f"{significant(100 * share)} %"))
    return found


def rate_cells(row: NamedRow | None, job: NamedRow) -> dict[str, Cell]:
    """Return the fields of a job that come from `job_efficiency`."""
    why = why_no_rate(row)
    if row is None:
        return {"te_steady": Cell(None, why=why), "full_rate": Cell(None, why=why)}
    steady = between(row["te_steady"], row["te_steady_low"], row["te_steady_high"], why)
    return {"te_steady": steady, "full_rate": _share(row, "e_steady_nj", job)}


def _job(row: NamedRow, job: NamedRow, mark: Mark, scale: float) -> dict[str, Any]:
    why = why_no_rate(row)
    excess = row["e_low_batch_excess_nj"]
    return {
        "mark": mark,
        "energy": number(float(row["e_gpu_nj"]) / 1e9, scale=scale),
        "bar": bar(row),
        "parts": [_share(row, column, job) for column in PARTS],
        "excess": number(None if excess is None else float(excess) / 1e9, why, scale=scale),
        "steady": rate_cells(row, job)["te_steady"],
        "whole": number(job["te_gpu"], why),
    }


def _share(row: NamedRow, column: str, job: NamedRow) -> Cell:
    """Return a part's share of the job's energy."""
    if not row["e_gpu_nj"]:
        return percent(None, why_no_energy(job))
    if row[column] is None:
        prefill = column == "e_prefill_nj"
        return percent(None, why_no_prefill(row, job["workload"]) if prefill else why_no_rate(row))
    return percent(float(row[column]) / float(row["e_gpu_nj"]))


def _sentence(total: NamedRow) -> str:
    """Return the parts of the energy of all jobs as text, the largest part first."""
    parts: Iterable[tuple[str, float, str]] = ((name, s, text) for _, name, s, text in bar(total))
    ordered = sorted(parts, key=lambda part: -part[1])
    return ", ".join(f"{text} {name}" for name, _, text in ordered)
