"""Tells whether a lake knows a job, and which ones are called nearly so.

In: a lake and a job_id as given. Out: nothing, or one line that names near matches.
"""

from __future__ import annotations

import difflib

from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.lake import Lake
from tokenergy_sql.catalog import connecting as catalog

_NEAR = 3


def require_job(lake: Lake, job_id: str) -> None:
    """Do nothing if a job was ever allocated, counted or indexed.

    Raises:
        UserError: the lake does not know it; near matches are named.
    """
    known: set[str] = set()
    # Counters are many rows: they are asked last.
    for tables in (("job_index", "allocation"), ("tokens",)):
        with catalog.connect(lake, named=frozenset(tables)) as con:
            for table in tables:
                found = con.sql(f"SELECT DISTINCT job_id FROM {table}")  # noqa: S608 - from above
                known |= {name for (name,) in found.fetchall()}
        if job_id in known:
            return
    if not known:
        raise UserError(f"job {job_id!r}: the lake {lake.root} knows no jobs")
    lowered = {name.lower(): name for name in sorted(known)}
    near = [lowered[n] for n in difflib.get_close_matches(job_id.lower(), lowered, _NEAR)]
    near += [name for name in sorted(known) if job_id and job_id.lower() in name.lower()]
    near = list(dict.fromkeys(near))[:_NEAR]
    hint = f"did you mean {', '.join(near)}?" if near else f"{len(known)} others are known"
    raise UserError(f"job {job_id!r}: not in the lake {lake.root}; {hint}")
