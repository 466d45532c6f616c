"""The comparison of a lake with the emulator's truth, as the terminal shows it.

In: scored jobs. Out: a rich table; an unknown energy is a dash.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from tokenergy_sql.demo.score import Scored
from tokenergy_sql.terminal.table import new_table

if TYPE_CHECKING:
    from rich.table import Table


def score_table(jobs: Sequence[Scored]) -> Table:
    """Return one row a job: true and found energy, tokens, and whether its bounds hold."""
    from rich.text import Text

    table = new_table("Against the truth")
    table.add_column("job")
    for name in ("true kJ", "found kJ", "error %", "tokens", "truth in [low, high]", "verdict"):
        table.add_column(Text(name), justify="right")  # rich would read brackets as markup
    for job in jobs:
        table.add_row(
            job.job_id,
            f"{job.true_nj / 1e12:,.3f}",
            "-" if job.found_nj is None else f"{job.found_nj / 1e12:,.3f}",
            "-" if job.error is None else f"{100 * job.error:+.4f}",
            "exact" if job.tokens_exact else "DIFFER",
            "yes" if job.inside else "NO",
            "ok" if job.passed else "MISS",
        )
    return table
