"""What may be wrong with counters that are imported, although each value can be read.

In: rows of `tokens`, and what the lake holds. Out: lines of text. Such rows are kept: two replicas
may well count alike, and a job's list may be imported later.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from tokenergy_collectors.lake.contract import HOUR_US
from tokenergy_collectors.lake.jobkey import job_key

if TYPE_CHECKING:
    from tokenergy_collectors.lake import Lake

_COLUMNS = ("ts_us", "source_id", "node", "job_id", "cluster", "kind", "metric", "series", "value")
_FEWEST = 3
"""So many values of which not all are equal are alike by more than chance."""


def of_cluster(lake: Lake, job_id: str, cluster: str | None) -> Iterator[str]:
    """Yield a line if job lists have the job in other clusters only."""
    rows = lake.read("jobs", columns=["job_id", "cluster"]).to_pylist()
    clusters = {row["cluster"] or None for row in rows if row["job_id"] == job_id}
    if clusters and cluster not in clusters:
        names = " or ".join(sorted(repr(job_key(one, job_id)) for one in clusters))
        yield (
            f"job lists have {names}, and no {job_key(cluster, job_id)!r}: these tokens belong to "
            "no energy; expected the cluster of the job list"
        )


def of_copies(lake: Lake, rows: Sequence[dict[str, Any]]) -> Iterator[str]:
    """Yield a line if the lake has the same values at the same times by another source or node.

    Args:
        lake: the lake, without these rows.
        rows: rows of `tokens` of one node, source and job.
    """
    if not rows:
        return
    import pyarrow.compute as pc

    own = {name: rows[0][name] for name in ("source_id", "node", "job_id", "cluster")}
    mine = {_point(row): row["value"] for row in rows}
    alike: dict[tuple[str, str], list[tuple[int, bool]]] = defaultdict(list)
    hours = sorted({row["ts_us"] // HOUR_US * HOUR_US for row in rows})
    there = lake.read("tokens", hours, columns=list(_COLUMNS))
    for row in there.filter(pc.equal(there["job_id"], own["job_id"])).to_pylist():
        name = (row["source_id"], row["node"])
        value = mine.get(_point(row))
        is_other = row["cluster"] == own["cluster"] and name != (own["source_id"], own["node"])
        if value is not None and is_other:
            alike[name].append((value, value == row["value"]))
    for (source, node), found in sorted(alike.items()):
        same = len(found) >= _FEWEST and all(equal for _, equal in found)
        if same and len({value for value, _ in found}) > 1:
            yield (
                f"the lake has the same values at the same times as source {source!r} of node "
                f"{node}: they count twice, unless these are two servers"
            )


def _point(row: dict[str, Any]) -> tuple[Any, ...]:
    return (row["ts_us"], row["kind"], row["metric"], row["series"])
