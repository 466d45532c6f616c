"""The comparison of a lake with the emulator's truth, as the terminal shows it.

In: scored jobs. Out: a table; an unknown energy is a dash.
"""

from __future__ import annotations

from collections.abc import Sequence

from tokenergy_sql.demo.score import Scored
from tokenergy_sql.terminal.grid import Grid, Heading

_FIGURES = (
    *(("true kJ", 2), ("found kJ", 0), ("error %", 0), ("tokens", 0)),
    *(("truth in [low, high]", 1), ("verdict", 0)),
)
"""Headings with their ranks."""


def score_table(jobs: Sequence[Scored]) -> Grid:
    """Return one row a job: true and found energy, tokens, and whether its bounds hold."""
    headings = [Heading("job"), *(Heading(name, "right", rank) for name, rank in _FIGURES)]
    return Grid(headings, [_cells(job) for job in jobs], "Against the truth")


def _cells(job: Scored) -> Sequence[str]:
    return (
        job.job_id,
        f"{job.true_nj / 1e12:,.3f}",
        "-" if job.found_nj is None else f"{job.found_nj / 1e12:,.3f}",
        "-" if job.error is None else f"{100 * job.error:+.4f}",
        "exact" if job.tokens_exact else "DIFFER",
        "yes" if job.inside else "NO",
        "ok" if job.passed else "MISS",
    )
