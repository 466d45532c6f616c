"""Which job held which device when, worked out from the `jobs` rows.

In: the raw `jobs` and `device` tables. Out: one row for each allocation that counts
(`corrections`), its device named by its `device_id` as of its start (`devicehistory`), its node by
the name under which that device was recorded (`nodenames`), its job by its key (`jobkey`). The
integration (which cuts at job edges), the load profile and the ledger use the same allocations.

A device that was never seen keeps its allocation: an index, a PCI address or a device file as
`NODE/TEXT`, anything else as it was listed. It has no readings, but the job claimed it. So it is
with the rest of an allocation whose board was found on another node: `NODE/BOARD`.

Power is metered by board. So an allocation of a MIG instance counts on its board, with the
instance's share of the board times the allocated share of the instance.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tokenergy_collectors.lake.contract import WHOLE_PPM
from tokenergy_collectors.lake.corrections import Records
from tokenergy_collectors.lake.devicehistory import DeviceHistory
from tokenergy_collectors.lake.identity import Identity, Row, read_identity, unseen
from tokenergy_collectors.lake.jobkey import job_key
from tokenergy_collectors.lake.keptallocations import ALLOCATION, kept

if TYPE_CHECKING:
    import pyarrow as pa

    from tokenergy_collectors.lake.lake import Lake


def allocations(lake: Lake, columns: Sequence[str] | None = None) -> pa.Table:
    """Return the current allocations of boards, sorted by device and start.

    The columns are those of `jobs`, where `job_id` is the job's key; `mig_id`, the MIG instance
    that the job held, NULL if it held (a share of) the board itself; and `share_estimated`. An
    instance that no `device` row describes stays a device of its own, which has no readings.

    Args:
        lake: the lake.
        columns: only these columns; all if None.
    """
    return kept(lake, _worked_out, _spans, columns)


def _worked_out(lake: Lake) -> pa.Table:
    jobs = lake.read("jobs").to_pylist()
    return _spans(read_identity(lake, jobs), jobs)


def _spans(identity: Identity, jobs: Iterable[Mapping[str, Any]]) -> pa.Table:
    """Return the allocations that records make, if all records of the same jobs are among them."""
    import pyarrow as pa

    recorded = Records(map(identity.resolved, jobs))
    rows = [
        span
        for row in recorded.current()
        for span in _on_one_node(identity, _on_board(identity.history, row))
    ]
    order = ("device_id", "start_us", "job_id")
    rows.sort(key=lambda row: (*(row[name] for name in order), row["mig_id"] or ""))
    return pa.Table.from_pylist(rows, schema=allocation_schema())


def allocation_schema() -> pa.Schema:
    """Return the schema of the table that `allocations` returns."""
    return ALLOCATION.schema()


def _on_board(history: DeviceHistory, row: Mapping[str, Any]) -> Row:
    """Return an allocation of a MIG instance as one of its board, by the partition of its start."""
    seen = history.as_of(row["device_id"], row["start_us"])
    found = {**row, "job_id": job_key(row["cluster"], row["job_id"])}
    if seen is None or seen.mig_parent is None:
        found |= {"mig_id": None, "share_estimated": False}
        return found
    # Without a recorded share, the instances that the board had then count as equal parts.
    part_ppm = seen.mig_ppm or WHOLE_PPM // history.siblings(seen)
    found |= {
        "device_id": seen.mig_parent,
        # A share of 0 would break the contract: a small part of a small instance counts as 1 ppm.
        "share_ppm": max(1, row["share_ppm"] * part_ppm // WHOLE_PPM),
        "mig_id": seen.device_id,
        "share_estimated": seen.mig_ppm is None,
    }
    return found


def _on_one_node(identity: Identity, row: Row) -> Iterator[Row]:
    """Yield an allocation up to the time at which its device was found on another node.

    Where the same node goes on under another of its names, so does the allocation. The rest of an
    allocation with an end is still claimed, of a device that nobody saw: what the job held then is
    not known. One without an end is over: nobody listed when.
    """
    names = identity.nodes(row).recorded(row["node"])
    start_us, end_us = row["start_us"], row["end_us"]
    for seen in identity.history.of(row["device_id"]) if names else ():
        if seen.ts_us <= start_us or seen.node == row["node"]:
            continue
        if end_us is not None and end_us <= seen.ts_us:
            break
        if seen.node not in names:
            row["end_us"] = seen.ts_us
            if end_us is not None:
                gone = unseen(row["node"], row["device_id"], gone=True)
                yield {**row, "device_id": gone, "start_us": seen.ts_us, "end_us": end_us}
            break
        yield {**row, "start_us": start_us, "end_us": seen.ts_us}
        start_us = row["start_us"] = seen.ts_us
        row["node"] = seen.node
    yield row
