"""The key of a job: `CLUSTER/ID` where its list or configuration names a cluster, else `ID`.

In: columns of `jobs` or `tokens`. Out: the `job_id` of every derived table. Two schedulers number
their jobs from 1, so an id alone is one job only inside its cluster. Raw rows keep both apart; the
SQL macro `job_key` (`catalog/views/units.sql`) is the same rule.
"""

from __future__ import annotations

SEPARATOR = "/"


def job_key(cluster: str | None, job_id: str) -> str:
    """Return the key of a job; `cluster` is None or empty where none is named."""
    return f"{cluster}{SEPARATOR}{job_id}" if cluster else job_id


def checked_cluster(cluster: str | None) -> str | None:
    """Return the name of a cluster, None if it is empty.

    Raises:
        ValueError: it has a `/`, which separates it from the job's id.
    """
    name = (cluster or "").strip()
    if SEPARATOR in name:
        raise ValueError(f"cluster {name!r}: expected a name without {SEPARATOR!r}")
    return name or None
