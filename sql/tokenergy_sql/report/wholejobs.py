"""A report of a window: the line that says which hours it covers, and figures of whole jobs.

In: facts and marks. Out: plain values for the template, and further fields of each job. A whole job
is its row of `job_index`: from its start to the latest booked hour, whatever the window.
"""

from __future__ import annotations

from typing import Any

from tokenergy_collectors.lake.contract import HOUR_US
from tokenergy_sql.catalog.namedrows import NamedRow
from tokenergy_sql.report.facts import Facts
from tokenergy_sql.report.format import THIN, Cell, counted, grouped, iso
from tokenergy_sql.report.jobfields import job_cells
from tokenergy_sql.report.palette import Mark

CSV = {
    "window_start": "window_start",
    "window_end": "window_end",
    "whole_gpu_energy": "whole_e_gpu_j",
    "whole_facility_energy": "whole_e_facility_j",
    "whole_tokens": "whole_tokens",
    "whole_te_gpu": "whole_te_gpu",
    "whole_tokenergy": "whole_tokenergy",
    "whole_coverage": "whole_coverage",
    "whole_digest": "whole_inputs_digest",
}
"""Further columns of the CSV by field, as `jobfields.CSV`."""

INTERVALS = ("whole_gpu_energy", "whole_facility_energy", "whole_te_gpu", "whole_tokenergy")
"""Fields with bounds."""

_WHOLE = "whole_"


def window_values(facts: Facts) -> dict[str, str] | None:
    """Return how long the window is, when it ends, and how many jobs began before it, as text.

    None if the report covers the whole lake.
    """
    if facts.window is None:
        return None
    start_us, end_us = facts.window[0], facts.window[-1] + HOUR_US
    before = sum(job["start_us"] < start_us for job in facts.jobs)
    every = counted(len(facts.jobs), "job")
    return {
        "length": f"{grouped(len(facts.window))}{THIN}h",
        "start": iso(start_us),
        "end": iso(end_us),
        "shown": f"{iso(end_us)[:16]}Z",
        "jobs": f"{grouped(before)} of {every} began before it." if facts.jobs else "No job ran.",
    }


def whole_cells(facts: Facts, job: NamedRow, mark: Mark, scale: float) -> dict[str, Cell]:
    """Return what the page of a window says of a whole job; nothing in a report of the lake.

    Args:
        facts: the rows.
        job: one of `facts.jobs`.
        mark: its name and colour.
        scale: factor from joules to the unit shown.
    """
    if facts.window is None:
        return {}
    ends = (iso(facts.window[0]), iso(facts.window[-1] + HOUR_US))
    cells = job_cells(facts.whole[job["job_id"]], None, mark, scale)
    return {
        "window_start": Cell(ends[0], raw=ends[0]),
        "window_end": Cell(ends[1], raw=ends[1]),
        **{name: cells[name.removeprefix(_WHOLE)] for name in CSV if name.startswith(_WHOLE)},
    }


def csv_fields(facts: Facts) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Return the columns that the CSV has besides those of every report, and which have bounds."""
    return ({}, ()) if facts.window is None else (dict(CSV), INTERVALS)
