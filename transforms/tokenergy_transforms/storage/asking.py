"""Runs studies of a lake and writes them: `storage_study`, `storage_sweep`, `storage_course`.

In: what is asked. Out: rows of the contract, one file a study in the hour in which its span begins;
the same question replaces its file. A study whose limits no store can keep is a row too: its sizes
are NULL, and the reason says why.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from tokenergy_collectors.lake import Lake
from tokenergy_collectors.lake.contract import TABLES
from tokenergy_collectors.lake.paths import hour_of
from tokenergy_transforms.loadprofile.course import LoadCourse
from tokenergy_transforms.loadprofile.rows import TOLERANCE
from tokenergy_transforms.storage import placing, rows
from tokenergy_transforms.storage.gathering import Gathered, Span, gather
from tokenergy_transforms.storage.interior import WIDE
from tokenergy_transforms.storage.optimum import ImpossibleError
from tokenergy_transforms.storage.runs import coarsened, known_runs
from tokenergy_transforms.storage.study import Study, study
from tokenergy_transforms.storage.sweeping import sweep_rows
from tokenergy_transforms.storage.wanted import Limits, Store

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Asked:
    """What is asked: of which loads, which limits, which store, and whether to sweep sizes."""

    span: Span
    limits: Limits
    store: Store
    sweep: bool = False


@dataclass(frozen=True, slots=True)
class Answered:
    """The rows of one load: its study, the studies of its parts, its sweep; and why it failed."""

    study: Row
    parts: list[Row]
    sweep: list[Row]
    remark: str


def answer(
    lake: Lake, asked: Asked, report: Callable[[str], None] = lambda _: None
) -> list[Answered]:
    """Study the loads and write the rows; return them, by name of the load.

    Raises:
        UserError: there is no such group, or nothing was read.
    """
    found = []
    for gathered in gather(lake, asked.span, report):
        report(f"{gathered.course.kind} {gathered.course.group_id}")
        found.append(_answered(lake, asked, gathered))
    return found


def _answered(lake: Lake, asked: Asked, gathered: Gathered) -> Answered:
    """Study one load and its parts, and write them."""
    course = _grid(gathered.course, asked)
    name = _study_id(asked, course)
    row, study, remark = _studied(asked, course, asked.limits, name)
    parts, sweep = [], []
    if asked.span.split and gathered.parts:
        courses = [_grid(part, asked) for part in gathered.parts]
        for part, limits in zip(courses, placing.shares(courses, asked.limits), strict=True):
            one, of_part, _ = _studied(asked, part, limits, _study_id(asked, part, name))
            parts.append(one | {"part_of": name})
            _write(lake, parts[-1], [], rows.course_rows(parts[-1], of_part, part.step_us))
        row |= placing.pooled(row, parts)
        if not gathered.whole:
            row["reason_codes"] = rows.codes(row["reason_codes"], "parts_incomplete")
    if asked.sweep and study is not None:
        sweep = sweep_rows(row, study, asked.limits)
    _write(lake, row, sweep, rows.course_rows(row, study, course.step_us))
    return Answered(row, parts, sweep, remark)


def _grid(course: LoadCourse, asked: Asked) -> LoadCourse:
    return coarsened(course) if asked.span.step_us is None else course


def _studied(
    asked: Asked, course: LoadCourse, limits: Limits, name: str
) -> tuple[Row, Study | None, str]:
    """Return the row of one load, its study if there is one, and why there is none."""
    runs = known_runs(course)
    head = rows.asked_row(course, asked.span, limits, asked.store, name)
    reasons = set(course.reasons)
    short = course.step_us < (course.period_us or 0) * (1 - TOLERANCE)
    found, remark = None, ""
    if not runs:
        reasons.add("no_run")
        remark = "no two cells in a row are known"
    elif short and limits.ramp_w_s is not None:
        reasons.add("ramp_below_period")
        remark = "the sensors do not show ramps over so short a step"
    else:
        try:
            found = study([*runs], course.step_us / 1e6, limits, asked.store)
        except ImpossibleError as error:
            reasons.add(error.reason)
            remark = str(error)
    if found is not None and found.gap > WIDE:
        reasons.add("wide_gap")
    if short:
        reasons.add("step_below_period")
    if len(runs) > 1:
        reasons.add("gaps")
    row = head | rows.load_row(course, runs) | rows.found_row(found, runs, asked.store)
    row["reason_codes"] = ",".join(sorted(reasons))
    return row, found, remark


def _study_id(asked: Asked, course: LoadCourse, part_of: str = "") -> str:
    """Return a short name of a question: the same question has the same name."""
    said = {
        "load": [course.kind, course.group_id, asked.span.from_us, asked.span.until_us],
        "step": asked.span.step_us,
        "split": asked.span.split,
        "part_of": part_of,
        **asdict(asked.limits),
        **asdict(asked.store),
    }
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()[:12]


def _write(lake: Lake, row: Row, sweep: Sequence[Row], course: Sequence[Row]) -> None:
    import pyarrow as pa

    hour_us = hour_of(row["from_us"])
    tables = {"storage_study": [row], "storage_sweep": sweep, "storage_course": course}
    for table, found in tables.items():
        if found:
            made = pa.Table.from_pylist(list(found), schema=TABLES[table].schema())
            lake.replace(table, made, hour_us, row["study_id"])
        elif table != "storage_sweep" or lake.files(table, [hour_us]):
            lake.remove(table, hour_us, row["study_id"])
