"""A study as rows of the contract.

In: the question, the load, the study. Out: columns of `storage_study`, and the rows of
`storage_course`. Energies are whole nanojoules: sizes are rounded up, sums are exact.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from tokenergy_transforms.loadprofile.course import LoadCourse
from tokenergy_transforms.storage import causal
from tokenergy_transforms.storage.balance import ppm
from tokenergy_transforms.storage.gathering import Span
from tokenergy_transforms.storage.optimum import SPARE
from tokenergy_transforms.storage.program import F64
from tokenergy_transforms.storage.runs import Run
from tokenergy_transforms.storage.study import Plan, Study
from tokenergy_transforms.storage.wanted import Limits, Store

VERSION = "1"
"""Raised when the same load and question would give other sizes."""

MOST_POINTS = 600
_DAY_S = 86_400
_FULL = 0.98

Row = dict[str, Any]


def nanojoules(energy_j: float) -> int:
    """Return an energy in whole nanojoules, rounded up."""
    return math.ceil(energy_j * 1e9)


def codes(text: str, more: str) -> str:
    """Return reason codes with one more, sorted."""
    return ",".join(sorted({*filter(None, text.split(",")), more}))


def asked_row(course: LoadCourse, span: Span, limits: Limits, store: Store, name: str) -> Row:
    """Return the columns that say what was asked."""
    ramp, peak = limits.ramp_w_s, limits.peak_w
    return {
        "from_us": span.from_us,
        "study_id": name,
        "kind": course.kind,
        "group_id": course.group_id,
        "until_us": span.until_us,
        "step_us": course.step_us,
        "split_by": span.split if course.kind == span.kind else None,
        "ramp_mw_s": None if ramp is None else ramp * 1e3,
        "peak_mw": None if peak is None else peak * 1e3,
        "charge_ppm": ppm(store.charge),
        "discharge_ppm": ppm(store.discharge),
        "c_rate": store.c_rate,
        "reserve_nj": nanojoules(store.reserve_j),
        "start_share": store.start_share,
        "version": VERSION,
    }


def load_row(course: LoadCourse, runs: Sequence[Run]) -> Row:
    """Return the columns on the load and on what is known of it."""
    cells = sum(len(run.load_w) for run in runs)
    joined = np.concatenate([run.load_w for run in runs]) if runs else None
    steps = [float(np.abs(np.diff(run.load_w)).max()) for run in runs]
    return {
        "load_max_mw": None if joined is None else float(joined.max()) * 1e3,
        "load_mean_mw": None if joined is None else float(joined.mean()) * 1e3,
        "load_ramp_mw_s": max(steps) * 1e9 / course.step_us if steps else None,
        "runs": len(runs),
        "coverage": cells / max(len(course.known), 1),
        "period_us": course.period_us,
        "limit_hz": course.limit_hz,
        "devices": course.devices,
        "metered": course.metered,
        "boundary": course.boundary,
        "emulated": course.emulated,
        "as_of_us": course.as_of_us,
    }


def found_row(study: Study | None, runs: Sequence[Run], store: Store) -> Row:
    """Return the columns on what was found; NULL if nothing was."""
    if study is None:
        return dict.fromkeys(("optimal_energy_nj", "optimal_power_mw", "causal_energy_nj"))
    days = sum(len(run.load_w) for run in runs) * study.rule.rule.step_s / _DAY_S
    need, books, worn = study.rule, study.books, study.wear
    needs_one = study.energy_j > 0
    return {
        "optimal_energy_nj": nanojoules(study.energy_j),
        "optimal_power_mw": study.power_w * 1e3,
        "gap": study.gap,
        "causal_energy_nj": nanojoules(_rated(need, store)) if needs_one else 0,
        "causal_power_mw": need.power_w * 1e3 if needs_one else 0.0,
        "causal_settle_s": need.rule.settle_s if needs_one else None,
        "causal_from_mean": need.rule.from_mean if needs_one else None,
        "start_found": _start(study) if needs_one else None,
        "cycles_per_day": worn.cycles / days,
        "full_cycles_per_day": worn.full / days,
        "mean_depth": worn.mean_depth,
        "most_depth": worn.most_depth,
        "taken_nj": books.taken_nj,
        "given_nj": books.given_nj,
        "loss_nj": books.loss_nj,
        "change_nj": books.change_nj,
        "grid_nj": books.grid_nj,
        "load_nj": books.load_nj,
    }


def _rated(need: causal.Causal, store: Store) -> float:
    """Return the usable energy that the rule needs, at least what the C-rate asks for its power."""
    if store.c_rate is None:
        return need.energy_j
    return max(need.energy_j, need.power_w * 3600 / store.c_rate - store.reserve_j)


def _start(study: Study) -> float:
    """Return the charge at the start of the run that works the store hardest, as a share."""
    return float(_hardest(study).charge_j[0] / (study.energy_j * SPARE))


def _hardest(study: Study) -> Plan:
    return max(study.plans, key=lambda plan: float(np.ptp(plan.charge_j)))


def course_rows(row: Row, study: Study | None, step_us: int) -> list[Row]:
    """Return the stretch that works the store hardest, in at most `MOST_POINTS` points."""
    if study is None or study.energy_j <= 0:
        return []
    plan, need = _hardest(study), study.rule
    first, last = _stretch(plan.charge_j)
    width = -(-(last - first) // MOST_POINTS)
    count = (last - first) // width
    cells = slice(first, first + count * width)
    size = (need.energy_j, need.power_w)
    by_rule = causal.grid_w(plan.run.load_w, need.rule, size, need.start_share)

    def means(values: F64) -> list[float]:
        found: list[float] = values[cells].reshape(count, width).mean(axis=1).tolist()
        return found

    charge = plan.charge_j[first + width : first + count * width + 1 : width]
    share = np.clip(charge / (study.energy_j * SPARE), 0, 1).tolist()
    courses = zip(means(plan.run.load_w), means(plan.grid_w), means(by_rule), share, strict=True)
    return [
        {
            "from_us": row["from_us"],
            "study_id": row["study_id"],
            "ts_us": plan.run.start_us + (first + i * width) * step_us,
            "length_us": width * step_us,
            "load_mw": load * 1e3,
            "grid_mw": grid * 1e3,
            "causal_mw": ruled * 1e3,
            "charge_share": left,
        }
        for i, (load, grid, ruled, left) in enumerate(courses)
    ]


def _stretch(charge_j: F64) -> tuple[int, int]:
    """Return the cells around the deepest swing of the charge."""
    cells = len(charge_j) - 1
    low = int(charge_j.argmin())
    full = np.flatnonzero(charge_j - charge_j.min() >= _FULL * np.ptp(charge_j))
    high = int(full[np.abs(full - low).argmin()])
    middle, reach = (low + high) // 2, max(2 * abs(high - low), 60)
    return max(middle - reach, 0), min(middle + reach, cells)
