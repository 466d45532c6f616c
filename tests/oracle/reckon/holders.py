"""Who holds which board when, and how much of it: from the rows of job lists.

Rules: docs/ledger.md ("Shared devices"), docs/contract.md (`jobs`).
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import Any

WHOLE = 1_000_000


@dataclass(frozen=True)
class Allocation:
    """A job's claim on a board; `end_us` None while it runs."""

    job: str
    node: str
    device: str
    start_us: int
    end_us: int | None
    share_ppm: int
    mig: str | None = None


@dataclass(frozen=True)
class Claim:
    """The part of a device between two running sums of shares; `job` None: what nobody holds."""

    job: str | None
    lower: int
    upper: int
    whole: int
    shared: bool

    def of(self, amount: int) -> int:
        """Return this claim's part of an amount; the parts of all claims add up to it."""
        return amount * self.upper // self.whole - amount * self.lower // self.whole


NOBODY = Claim(None, 0, 1, 1, shared=False)


def job_key(row: dict[str, Any]) -> str:
    """Return the key of a job: CLUSTER/ID where a cluster is named, else ID."""
    cluster = row.get("cluster")
    return f"{cluster}/{row['job_id']}" if cluster else str(row["job_id"])


def allocations(rows: list[dict[str, Any]]) -> list[Allocation]:
    """Return the allocations that the rows of all lists leave."""
    latest: dict[tuple[Any, ...], dict[str, Any]] = {}
    for row in rows:
        key = (job_key(row), row["device_id"], row["start_us"])
        rank = (row["recorded_us"], row["end_us"] is not None, row["end_us"] or 0)
        if key not in latest or rank > latest[key]["rank"]:
            latest[key] = {**row, "rank": rank}
    return [
        Allocation(
            job_key(r), r["node"], r["device_id"], r["start_us"], r["end_us"], r["share_ppm"]
        )
        for r in latest.values()
    ]


def claims(held: list[Allocation], start: int, end: int) -> list[Claim]:
    """Return who holds a device throughout [start, end); the rest, if any, is nobody's."""
    largest: dict[tuple[str, str | None], int] = defaultdict(int)
    for a in held:
        if a.start_us <= start and (a.end_us is None or a.end_us >= end):
            key = (a.job, a.mig)
            largest[key] = max(largest[key], a.share_ppm)
    shares: dict[str, int] = defaultdict(int)
    for (job, _), share in largest.items():
        shares[job] += share
    if not shares:
        return [NOBODY]
    declared = sum(shares.values())
    whole = max(WHOLE, declared)
    shared = len(shares) > 1 or declared < WHOLE
    found, lower = [], 0
    for job in sorted(shares):
        found.append(Claim(job, lower, lower + shares[job], whole, shared))
        lower += shares[job]
    if lower < whole:
        found.append(Claim(None, lower, whole, whole, shared))
    return found
