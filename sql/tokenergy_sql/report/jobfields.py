"""The jobs as fields: what the table, the pages of the jobs and the CSV show of each.

In: rows of `job_index`, marks. Out: a `Cell` by name for each job, which says why if its figure is
unknown; and all of them packed, as the page embeds them.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from tokenergy_sql.catalog.namedrows import NamedRow
from tokenergy_sql.report.format import (
    Cell,
    between,
    clean,
    clock,
    compact,
    counted,
    day,
    energy_unit,
    iso,
    number,
    percent,
    whole,
)
from tokenergy_sql.report.fullrate import rate_cells
from tokenergy_sql.report.meanings import PUE_METHODS, codes_of, why_no_energy, why_no_index
from tokenergy_sql.report.palette import Mark

CSV = {
    "job_id": "job_id",
    "name": "name",
    "user": "user",
    "account": "account",
    "workload": "workload",
    "model": "model",
    "board": "gpu",
    "nodes": "nodes",
    "gpus": "devices",
    "start": "start",
    "end": "end",
    "gpu_energy": "e_gpu_j",
    "active_energy": "e_gpu_active_j",
    "host_energy": "e_host_j",
    "facility_energy": "e_facility_j",
    "tokens": "tokens",
    "te_gpu": "te_gpu",
    "te_rss": "te_rss",
    "te_steady": "te_steady",
    "tokenergy": "tokenergy",
    "te_gpu_burdened": "te_gpu_burdened",
    "burdened": "tokenergy_burdened",
    "requests": "n_requests",
    "j_request": "j_per_request",
    "slo_share": "slo_share",
    "goodput": "te_gpu_goodput",
    "per_kwh": "tokens_per_kwh",
    "coverage": "coverage",
    "token_coverage": "token_coverage",
    "joint_coverage": "joint_coverage",
    "max_gap": "max_gap_s",
    "counter_error": "counter_rel_err",
    "measured": "measured_share",
    "pue": "pue",
    "facility_method": "facility_method",
    "method": "method",
    "remarks": "reason_codes",
    "emulated": "emulated",
    "version": "index_version",
    "digest": "inputs_digest",
}
"""Columns of the CSV by field, in order. Values are exact, in the units of the contract."""

INTERVALS = (
    *("gpu_energy", "facility_energy", "te_gpu", "te_rss", "te_steady", "tokenergy"),
    *("j_request", "slo_share", "goodput", "pue"),
)
"""Fields with bounds: columns `_low` and `_high` follow them."""


def job_unit(jobs: list[NamedRow]) -> tuple[str, float]:
    """Return the unit of the energy column, and its size per joule."""
    return energy_unit(max((job["e_gpu_j"] or 0.0 for job in jobs), default=0.0))


def job_cells(job: NamedRow, rate: NamedRow | None, mark: Mark, scale: float) -> dict[str, Cell]:
    """Return the fields of one job by name.

    Args:
        job: the row of `job_index`.
        rate: the row of `job_efficiency`, added over hours, if there is one.
        mark: its name and colour.
        scale: factor from joules to the unit shown.
    """
    codes = codes_of(job)
    return {
        "job_id": _text(job["job_id"]),
        "name": _text(mark.name),
        "user": _text(job["user"], "No user was recorded for the job."),
        "account": _text(job["account"], "No account was recorded for the job."),
        "workload": _text(job["workload"]),
        "model": _text(job["model"], "The token counters gave no model name."),
        "board": _text(job["gpu"], "No collector ever saw the job's GPUs."),
        "nodes": Cell(counted(job["nodes"], "node"), raw=str(job["nodes"])),
        "gpus": whole(job["devices"] or None, "No GPU was allocated to the job."),
        "start": Cell(_stamp(job["start_us"]), raw=iso(job["start_us"])),
        "end": _end(job),
        "tokens": _tokens(job),
        "method": _text(job["method"], "No energy was booked to the job."),
        "remarks": Cell(", ".join(codes), raw=job["reason_codes"] or ""),
        "emulated": Cell("emulated" if job["emulated"] else "", raw=str(job["emulated"]).lower()),
        "version": _text(job["index_version"]),
        "digest": _text(job["inputs_digest"], "The inputs have no digest."),
        **_energies(job, scale),
        **_ratios(job),
        **_requests(job),
        **_pue(job),
        **rate_cells(rate, job),
        **_audit(job),
    }


def _energies(job: NamedRow, scale: float) -> dict[str, Cell]:
    no_energy = why_no_energy(job)
    no_facility = why_no_index(job, facility=True, tokens=False)
    energy_j, active_j = job["e_gpu_j"], job["e_gpu_active_j"]
    share = active_j / energy_j if energy_j and active_j is not None else None
    return {
        "gpu_energy": between(
            energy_j, _j(job["e_gpu_low_nj"]), _j(job["e_gpu_high_nj"]), no_energy, scale=scale
        ),
        "active_energy": number(active_j, no_energy, scale=scale),
        "active_share": percent(share, no_energy),
        "host_energy": number(job["e_host_j"], no_facility, scale=scale),
        "facility_energy": between(
            job["e_facility_j"],
            _j(job["e_facility_low_nj"]),
            _j(job["e_facility_high_nj"]),
            no_facility,
            scale=scale,
        ),
        "burdened_energy": number(_j(job["e_gpu_burdened_nj"]), no_energy, scale=scale),
    }


def _ratios(job: NamedRow) -> dict[str, Cell]:
    no_gpu, no_facility = (why_no_index(job, facility=f) for f in (False, True))
    te_gpu = job["te_gpu"]
    return {
        "te_gpu": between(te_gpu, job["te_gpu_low"], job["te_gpu_high"], no_gpu),
        "te_rss": between(te_gpu, job["te_rss_low"], job["te_rss_high"], no_gpu),
        "te_total": number(
            job["te_gpu_total"], "No counter of prompt tokens was seen." if te_gpu else no_gpu
        ),
        "tokenergy": between(job["tokenergy"], job["te_low"], job["te_high"], no_facility),
        "te_gpu_burdened": number(job["te_gpu_burdened"], no_gpu),
        "burdened": number(job["tokenergy_burdened"], no_facility),
        "per_kwh": number(job["tokens_per_kwh"], no_facility, scale=1e-6),
        "boundary_ratio": number(job["boundary_ratio"], no_facility),
    }


def _pue(job: NamedRow) -> dict[str, Cell]:
    """Return the PUE that facility energy was made with, and where it comes from."""
    none = "No PUE was measured, modelled or declared for some hour of the job."
    method = job["facility_method"]
    known = method in PUE_METHODS
    why = none if job.get("pue") is None else "Facility energy is not known."
    text = PUE_METHODS.get(method)
    return {
        "pue": between(job.get("pue"), job.get("pue_low"), job.get("pue_high"), none),
        "facility_method": Cell(text, raw=method) if known else Cell(None, why=why),
    }


def _requests(job: NamedRow) -> dict[str, Cell]:
    """Return energy per request, and what is within the site's SLO."""
    untold = "No server told how many requests ended, at all times at which tokens were counted."
    no_slo = "The site file has no [slo], or the servers tell no latency that it limits."
    no_request = untold if job["n_joint_requests"] is None else why_no_index(job, facility=False)
    no_good = no_request if job["j_per_request"] is None else no_slo
    share = job["slo_share"]
    return {
        "requests": whole(job["n_requests"], untold),
        "j_request": between(
            job["j_per_request"], job["j_per_request_low"], job["j_per_request_high"], no_request
        ),
        "slo_share": between(
            share, job["slo_share_low"], job["slo_share_high"], no_good, scale=100
        ),
        "goodput": between(
            job["te_gpu_goodput"], job["te_gpu_goodput_low"], job["te_gpu_goodput_high"],
            "No request was within the SLO." if share == 0 else no_good,
        ),
    }  # fmt: skip


def _audit(job: NamedRow) -> dict[str, Cell]:
    no_time = "The job claimed no device time."
    return {
        "coverage": percent(job["coverage"], no_time, digits=2),
        "token_coverage": percent(job["token_coverage"], no_time, digits=2),
        "joint_coverage": percent(job["joint_coverage"], no_time, digits=2),
        "max_gap": number(job["max_gap_s"], no_time),
        "counter_error": percent(
            job["counter_rel_err"], "There were never both an energy counter and samples.", digits=2
        ),
        "measured": percent(
            job["measured_share"], why_no_index(job, facility=True, tokens=False), digits=1
        ),
    }


def packed(
    jobs: list[dict[str, Cell]], csv: Mapping[str, str], intervals: Collection[str]
) -> dict[str, Any]:
    """Return the jobs as the page embeds them.

    Args:
        jobs: the fields of each.
        csv: columns of the CSV by field.
        intervals: fields with bounds: columns `_low` and `_high` follow theirs.

    A cell is its text; or `[text, raw]`; or `[text, raw, low, high, raw low, raw high]`; or, where
    unknown, the place of its reason in `whys`.
    """
    whys: dict[str, int] = {}
    names = list(jobs[0]) if jobs else []
    rows = [[_packed(cells[name], whys) for name in names] for cells in jobs]
    return {"names": names, "rows": rows, "whys": list(whys), "csv": _csv_columns(csv, intervals)}


def _packed(cell: Cell, whys: dict[str, int]) -> Any:
    if cell.text is None:
        return whys.setdefault(cell.why, len(whys))
    if cell.raw == cell.text:
        return cell.text
    if cell.low:
        return [cell.text, cell.raw, cell.low, cell.high, *map(_exact, cell.ends)]
    return [cell.text, cell.raw]


def _exact(value: float | None) -> str:
    return "" if value is None else repr(value)


def _csv_columns(csv: Mapping[str, str], intervals: Collection[str]) -> list[tuple[str, list[str]]]:
    """Return each field of the CSV and its columns."""
    return [
        (name, [column, *((f"{column}_low", f"{column}_high") if name in intervals else ())])
        for name, column in csv.items()
    ]


def _tokens(job: NamedRow) -> Cell:
    trained, generated = job["n_trained"], job["n_generated"]
    if job["workload"] == "mixed":
        parts = [f"{whole(generated).text or '–'} out", f"{whole(trained).text or '–'} trained"]
        return Cell(", ".join(parts))  # no raw value: two counts cannot be sorted as one number
    return compact(
        trained if job["workload"] == "training" else generated,
        "No counter of generated or trained tokens was seen for the job.",
    )


def _j(energy_nj: Any) -> float | None:
    return None if energy_nj is None else float(energy_nj) / 1e9


def _text(text: str | None, why: str = "") -> Cell:
    return Cell(clean(text), raw=clean(text)) if text else Cell(None, why=why)


def _end(job: NamedRow) -> Cell:
    """Return when a job ended, without the day if it is that of its start."""
    if job["end_us"] is None:
        running = "running" in codes_of(job)
        return Cell("running") if running else Cell(None, why="The job has no allocation.")
    text = _stamp(job["end_us"]).removeprefix(f"{day(job['start_us'])} ")
    return Cell(text, raw=iso(job["end_us"]))


def _stamp(ts_us: int) -> str:
    return f"{day(ts_us)} {clock(ts_us)}"
