"""Who holds which board when, and how much of it: from the rows of job lists.

Rules: docs/ledger.md ("Shared devices"), docs/contract.md (`jobs`).
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace
from typing import Any

from tests.oracle.reckon.devices import Devices
from tests.oracle.reckon.names import resolve, short

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


def allocations(rows: list[dict[str, Any]], devices: Devices) -> list[Allocation]:
    """Return the allocations that the rows of all lists leave.

    Records with one allocation_id are one allocation, and the latest counts. Without an id, so are
    those of one job, device and start; and a later list replaces what it overlaps of an older.
    """
    latest: dict[tuple[Any, ...], dict[str, Any]] = {}
    for row in rows:
        device = resolve(devices, row["node"], row["device_id"], row["start_us"])
        named = {**row, "device_id": device, "job": job_key(row)}
        identity = (row.get("cluster"), row.get("allocation_id"))
        if identity[1] is None:
            identity = (named["job"], short(row["node"]), device, row["start_us"])
        named["rank"] = (row["recorded_us"], row["end_us"] is not None, row["end_us"] or 0)
        if identity not in latest or named["rank"] > latest[identity]["rank"]:
            latest[identity] = named
    kept = list(latest.values())
    kept = [row for row in kept if not any(_replaces(other, row) for other in kept)]
    # What ends where it starts is withdrawn.
    meant = [_allocation(row, devices) for row in kept if row["end_us"] != row["start_us"]]
    return [part for whole in meant for part in _stayed(whole, devices)]


def _stayed(a: Allocation, devices: Devices) -> list[Allocation]:
    """Return an allocation up to when its board was found on another node.

    With an end, the rest is still claimed, of a board that nobody saw.
    """
    rows = sorted(devices.rows.get(a.device, []), key=lambda row: row["ts_us"])
    here = short((devices.row(a.device, a.start_us) or {"node": a.node})["node"])
    left = [r["ts_us"] for r in rows if r["ts_us"] > a.start_us and short(r["node"]) != here]
    if not left or (a.end_us is not None and a.end_us <= left[0]):
        return [a]
    stayed = replace(a, end_us=left[0])
    if a.end_us is None:
        return [stayed]
    return [stayed, replace(a, device=f"{short(a.node)}/{a.device}", start_us=left[0])]


def _replaces(later: dict[str, Any], row: dict[str, Any]) -> bool:
    """Say whether a record of a later list replaces another one, which it overlaps."""
    if later.get("allocation_id") is not None or row.get("allocation_id") is not None:
        return False
    if later["recorded_us"] <= row["recorded_us"] or row["end_us"] == row["start_us"]:
        return False
    same = all(later[name] == row[name] for name in ("job", "device_id"))
    ends = later["end_us"] is None or later["end_us"] > max(row["start_us"], later["start_us"])
    return same and ends and (row["end_us"] is None or later["start_us"] < row["end_us"])


def _allocation(row: dict[str, Any], devices: Devices) -> Allocation:
    """Return an allocation of a board: a MIG instance is a part of one, as of the start."""
    device, share, mig = row["device_id"], row["share_ppm"], None
    known = devices.row(device, row["start_us"]) or {}
    if known.get("mig_parent") is not None:
        mig, device = device, known["mig_parent"]
        share = max(1, share * known["mig_ppm"] // WHOLE)
    return Allocation(row["job"], row["node"], device, row["start_us"], row["end_us"], share, mig)


def claims(held: list[Allocation], start: int, end: int) -> list[Claim]:
    """Return who holds a device throughout [start, end); the rest, if any, is nobody's."""
    largest: dict[tuple[str, str | None], int] = defaultdict(int)
    for a in held:
        if a.start_us <= start and (a.end_us is None or a.end_us >= end):
            key = (a.job, a.mig)
            largest[key] = max(largest[key], a.share_ppm)
    shares: dict[str, int] = defaultdict(int)
    for (job, _), share in largest.items():
        shares[job] = min(WHOLE, shares[job] + share)
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
