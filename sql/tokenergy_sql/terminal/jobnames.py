"""Finds the job that a user names, and suggests similar names if a lake has none.

In: a lake and a job as the user gave it: its key, or its id without the cluster. Out: the key, or
an error that names near matches.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from functools import partial

from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.lake import Lake
from tokenergy_collectors.lake.jobkey import job_key
from tokenergy_sql.catalog import connecting as catalog
from tokenergy_sql.catalog.reading import read

_MOST_SUGGESTED = 3

_KEYS = {
    "job_index": "SELECT DISTINCT cluster, job_id FROM job_index",
    "allocation": "SELECT DISTINCT cluster, job_id FROM allocation",
    "tokens": "SELECT DISTINCT cluster, job_key(cluster, job_id) FROM tokens",
}
"""Statements that return the cluster and the key of each job of a table."""


def find_job(lake: Lake, name: str) -> str:
    """Return the key of a job that has an index, an allocation or tokens in the lake.

    An id without its cluster is enough where only one cluster has it.

    Raises:
        UserError: there is no such job, and the message suggests similar names; or several clusters
            have the id, and the message lists their jobs.
    """
    found: dict[str, str | None] = {}
    # Counters have many rows, so they are read only if the two small tables do not have the job.
    for tables in (("job_index", "allocation"), ("tokens",)):
        found |= read(lake, partial(_clusters, lake, tables))
        if name in found:
            return name
        same = sorted(key for key, cluster in found.items() if key == job_key(cluster, name))
        if len(same) == 1:
            return same[0]
        if same:
            raise UserError(
                f"job {name!r}: several clusters have this id; name one of {', '.join(same)}"
            )
    if not found:
        raise UserError(f"job {name!r}: the lake {lake.root} has no jobs")
    similar = _similar(name, found)
    if similar:
        hint = f"did you mean {', '.join(similar)}?"
    else:
        hint = f"no job id there is similar; the lake has {len(found)} other jobs"
    raise UserError(f"job {name!r}: not in the lake {lake.root}; {hint}")


def _clusters(lake: Lake, tables: Sequence[str]) -> dict[str, str | None]:
    """Return the cluster of each job of some tables, by the job's key."""
    found: dict[str, str | None] = {}
    with catalog.connect(lake, named=frozenset(tables)) as con:
        for table in tables:
            found |= {key: cluster for cluster, key in con.sql(_KEYS[table]).fetchall()}
    return found


def _similar(job_id: str, job_ids: Iterable[str]) -> list[str]:
    """Return the names most like a job_id: first those spelled alike, then those that hold it."""
    by_lower = {name.lower(): name for name in sorted(job_ids)}
    matches = difflib.get_close_matches(job_id.lower(), by_lower, _MOST_SUGGESTED)
    similar = [by_lower[match] for match in matches]
    similar += [name for name in sorted(job_ids) if job_id and job_id.lower() in name.lower()]
    return list(dict.fromkeys(similar))[:_MOST_SUGGESTED]
