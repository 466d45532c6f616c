"""The jobs as rows of the page's two tables.

In: rows of `job_index`, marks. Out: one `JobLine` a job, every figure a `Cell`, so that an unknown
one says why it is not there.
"""

from __future__ import annotations

from dataclasses import dataclass

from tokenergy_sql.report.facts import Row
from tokenergy_sql.report.format import (
    Cell,
    between,
    clean,
    clock,
    day,
    energy_unit,
    iso,
    number,
    percent,
    whole,
)
from tokenergy_sql.report.palette import Mark
from tokenergy_sql.report.words import METHODS, REASONS, codes_of, why_no_energy, why_no_index

Tag = tuple[str, str]
"""A code and what it means."""


@dataclass(frozen=True, slots=True)
class JobLine:
    """One job as the page shows it."""

    job_id: str
    mark: Mark
    user: Cell
    account: Cell
    workload: str
    model: Cell
    gpus: Cell
    gpu_type: Cell
    start: Tag
    end: Tag | None
    no_end: Cell
    running: bool
    energy: Cell
    active: Cell
    tokens: Cell
    tokens_kind: str
    gpu: Cell
    facility: Cell
    per_kwh: Cell
    coverage: Cell
    max_gap: Cell
    counter_error: Cell
    methods: list[Tag]
    reasons: list[Tag]


def job_unit(jobs: list[Row]) -> tuple[str, float]:
    """Return the unit of the energy column, and its size per joule."""
    return energy_unit(max((job["e_gpu_j"] or 0.0 for job in jobs), default=0.0))


def job_line(job: Row, mark: Mark, scale: float, only_day: str | None = None) -> JobLine:
    """Return the line of one job.

    Args:
        job: the row of `job_index`.
        mark: its name and colour.
        scale: what energies in joules are multiplied with to be shown.
        only_day: the UTC day that need not be said with each stamp.
    """
    start, end = _span(job, only_day)
    energy_j, active_j = job["e_gpu_j"], job["e_gpu_active_j"]
    share = active_j / energy_j if energy_j and active_j is not None else None
    trains = job["workload"] == "training"
    return JobLine(
        job_id=clean(job["job_id"]),
        mark=mark,
        user=_text(job["user"], "No user was recorded for the job."),
        account=_text(job["account"], "No account was recorded for the job."),
        workload=job["workload"],
        model=_text(job["model"], "No model name came with the tokens."),
        gpus=whole(job["devices"] or None, "No GPU was allocated to the job."),
        gpu_type=_text(job["gpu"], "The job's GPUs were never seen by a collector."),
        start=start,
        end=end,
        no_end=Cell(None, why="The job has no allocation, so its end is not known."),
        running="running" in codes_of(job),
        energy=number(energy_j, why_no_energy(job), scale=scale),
        active=percent(share, why_no_energy(job)),
        tokens=_tokens(job),
        tokens_kind="trained" if trains else "generated",
        gpu=between(
            job["te_gpu"],
            job["te_gpu_low"],
            job["te_gpu_high"],
            why_no_index(job, facility=False),
        ),
        facility=between(
            job["tokenergy"], job["te_low"], job["te_high"], why_no_index(job, facility=True)
        ),
        per_kwh=number(job["tokens_per_kwh"], why_no_index(job, facility=True), scale=1e-6),
        coverage=percent(job["coverage"], "No device time was booked to the job.", digits=2),
        max_gap=number(job["max_gap_s"], "No device time was booked to the job."),
        counter_error=percent(
            job["counter_rel_err"], "No time had both an energy counter and samples.", digits=2
        ),
        methods=[(code, METHODS.get(code, code)) for code in job["method"].split("+") if code],
        reasons=[(code, REASONS.get(code, code)) for code in codes_of(job)],
    )


def _tokens(job: Row) -> Cell:
    trained, generated = job["n_trained"], job["n_generated"]
    if job["workload"] == "mixed":
        parts = [f"{whole(generated).text or '–'} out", f"{whole(trained).text or '–'} trained"]
        return Cell(", ".join(parts), raw=f"{generated}+{trained}")
    return whole(
        trained if job["workload"] == "training" else generated,
        "No counter of generated or trained tokens was seen for the job.",
    )


def _text(text: str | None, why: str) -> Cell:
    if not text:
        return Cell(None, why=why)
    return Cell(clean(text), raw=text)


def _span(job: Row, only_day: str | None) -> tuple[Tag, Tag | None]:
    """Return start and end, each as ISO 8601 and as shown; no end where none is known."""
    start_us, end_us = job["start_us"], job["end_us"]
    start = (iso(start_us), _stamp(start_us, only_day))
    return start, None if end_us is None else (iso(end_us), _stamp(end_us, day(start_us)))


def _stamp(ts_us: int, known_day: str | None) -> str:
    return clock(ts_us) if day(ts_us) == known_day else f"{day(ts_us)} {clock(ts_us)}"
