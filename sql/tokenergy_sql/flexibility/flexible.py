"""Which jobs may move, and how far: from labels of the jobs, or from a list.

In: labels (JSON objects) of a lake's jobs, or a file. Out: hours by job. A job is flexible only if
somebody said so.
"""

from __future__ import annotations

import json
import math
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

from tokenergy_collectors.base.csvfile import BadValueError, CsvFile
from tokenergy_collectors.base.errors import UserError

if TYPE_CHECKING:
    import duckdb

LABEL = "flexible_hours"
"""The label, the column of a CSV list and the key of a TOML list."""

MOST_HOURS = 24 * 31.0

Flexible = dict[str, float | None]
"""Hours by job; None: the job's label is no number of hours."""

_LABELS = "SELECT DISTINCT job_id, labels FROM allocation WHERE labels IS NOT NULL"


def labelled(con: duckdb.DuckDBPyConnection, label: str = LABEL) -> Flexible:
    """Return the jobs with a label; of several allocations the smallest number counts.

    Args:
        con: a lake, with `allocation`.
        label: the key in `jobs.labels`.
    """
    found: Flexible = {}
    for job, text in con.execute(_LABELS).fetchall():
        try:
            labels = json.loads(text)
        except ValueError:
            continue
        if not isinstance(labels, dict) or label not in labels:
            continue
        hours = _hours(labels[label])
        if job in found:
            before = found[job]
            found[job] = None if hours is None or before is None else min(hours, before)
        else:
            found[job] = hours
    return found


def listed(path: Path) -> Flexible:
    """Return the jobs of a list: CSV with job_id and flexible_hours, or TOML with [jobs].

    Raises:
        UserError: the file cannot be used; the message names the line or the key.
    """
    if path.suffix == ".toml":
        return _toml(path)
    found: Flexible = {}
    with CsvFile(path) as file:
        for name in ("job_id", LABEL):
            if name not in file.header:
                raise BadValueError(f"has no column {name!r}: expected job_id and {LABEL}")
        job_at, hours_at = file.header.index("job_id"), file.header.index(LABEL)
        for row in file.all_rows():
            file.check_width(row)
            hours = _hours(row[hours_at])
            if hours is None:
                raise BadValueError(f"{LABEL} {row[hours_at]!r}: {_EXPECTED}")
            if row[job_at] in found:
                raise BadValueError(f"job {row[job_at]!r} is listed twice")
            found[row[job_at]] = hours
    return found


def _toml(path: Path) -> Flexible:
    try:
        data = tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: not a TOML file: {error}") from None
    jobs = data.pop("jobs", None)
    if data or not isinstance(jobs, dict):
        raise UserError(f'{path}: expected one table [jobs] with lines such as "train-1" = 6')
    found: Flexible = {}
    for job, value in jobs.items():
        hours = _hours(value)
        if hours is None:
            raise UserError(f"{path}: jobs.{job} = {value!r}: {_EXPECTED}")
        found[job] = hours
    return found


_EXPECTED = f"expected hours, from 0 to {MOST_HOURS:g}"


def _hours(value: object) -> float | None:
    """Return a number of hours, or None if it is none."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        hours = float(value)
    except ValueError:
        return None
    return hours if math.isfinite(hours) and 0 <= hours <= MOST_HOURS else None
