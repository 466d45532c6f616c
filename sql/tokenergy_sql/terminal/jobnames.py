"""Checks that a lake has a job, and suggests similar names if it has not.

In: a lake and a job_id as the user gave it. Out: nothing, or an error that names near matches.
"""

from __future__ import annotations

import difflib

from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.lake import Lake
from tokenergy_sql.catalog import connecting as catalog

_MOST_SUGGESTED = 3


def require_job(lake: Lake, job_id: str) -> None:
    """Return if the job has an index, an allocation or tokens in the lake.

    Raises:
        UserError: it has none of them; the message suggests similar names.
    """
    job_ids: set[str] = set()
    # Counters have many rows, so they are read only if the two small tables do not have the job.
    for tables in (("job_index", "allocation"), ("tokens",)):
        with catalog.connect(lake, named=frozenset(tables)) as con:
            for table in tables:
                found = con.sql(f"SELECT DISTINCT job_id FROM {table}")  # noqa: S608 - from above
                job_ids |= {name for (name,) in found.fetchall()}
        if job_id in job_ids:
            return
    if not job_ids:
        raise UserError(f"job {job_id!r}: the lake {lake.root} has no jobs")
    similar = _similar(job_id, job_ids)
    if similar:
        hint = f"did you mean {', '.join(similar)}?"
    else:
        hint = f"no job id there is similar; the lake has {len(job_ids)} other jobs"
    raise UserError(f"job {job_id!r}: not in the lake {lake.root}; {hint}")


def _similar(job_id: str, job_ids: set[str]) -> list[str]:
    """Return the names most like a job_id: first those spelled alike, then those that hold it."""
    by_lower = {name.lower(): name for name in sorted(job_ids)}
    matches = difflib.get_close_matches(job_id.lower(), by_lower, _MOST_SUGGESTED)
    similar = [by_lower[match] for match in matches]
    similar += [name for name in sorted(job_ids) if job_id and job_id.lower() in name.lower()]
    return list(dict.fromkeys(similar))[:_MOST_SUGGESTED]
