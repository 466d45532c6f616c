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

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any

from tokenergy_collectors.lake.contract import WHOLE_PPM
from tokenergy_collectors.lake.corrections import NEW_US, Records
from tokenergy_collectors.lake.devicehistory import (
    TOGETHER_US,
    DeviceHistory,
    Remark,
    Sighting,
)
from tokenergy_collectors.lake.devicenames import parse_device
from tokenergy_collectors.lake.jobkey import job_key
from tokenergy_collectors.lake.keptallocations import ALLOCATION, kept
from tokenergy_collectors.lake.nodenames import NodeNames, NodeNamesOverTime

if TYPE_CHECKING:
    import pyarrow as pa

    from tokenergy_collectors.lake.lake import Lake

Row = dict[str, Any]
"""A row of `jobs` by column name."""


class Identity:
    """Who is who: the node and the device that a job list means.

    Args:
        history: all sightings of devices.
        listed: the nodes that job lists name, each with the first start there (us UTC).
    """

    def __init__(self, history: DeviceHistory, listed: Mapping[str, int]) -> None:
        self.history = history
        self._nodes = NodeNamesOverTime(history.since_us(), listed, TOGETHER_US)

    def nodes(self, row: Mapping[str, Any]) -> NodeNames:
        """Return the names that the node of a row of `jobs` had when its allocation started."""
        return self._nodes.at(row["node"], row["start_us"])

    def resolved(self, row: Mapping[str, Any]) -> Row:
        """Return a row of `jobs` with its node and device as they were recorded."""
        return self.explained(row)[0]

    def explained(self, row: Mapping[str, Any]) -> tuple[Row, Remark | None]:
        """Return a row of `jobs` as `resolved` does, and what has to be said about its device.

        Nothing is said of a device on a node of which no device was ever recorded.
        """
        at_us, text = row["start_us"], row["device_id"]
        nodes = self.nodes(row)
        here = nodes.recorded(row["node"])
        device_id, remark = self.history.find(here, text, at_us)
        seen = None if device_id is None else self.history.as_of(device_id, at_us)
        if seen is None:
            node = nodes.usual(row["node"])
            return {**row, "node": node, "device_id": _unseen(node, text)}, remark if here else None
        node = self.history.node_of(seen, at_us)
        if here and node not in here:
            remark = Remark("elsewhere", f"was on node {node} at that time")
        return {**row, "node": node, "device_id": seen.device_id}, remark


def read_identity(lake: Lake, jobs: Iterable[Mapping[str, Any]]) -> Identity:
    """Return the identity of the devices of a lake; `jobs` are the rows of all job lists."""
    history = DeviceHistory(sightings(lake))
    return Identity(history, first_starts(jobs, history.nodes))


def first_starts(jobs: Iterable[Mapping[str, Any]], recorded: Iterable[str] = ()) -> dict[str, int]:
    """Return the nodes that rows of `jobs` name, each with the first start there (us UTC).

    Only records that count are evidence of a name: neither what was withdrawn nor what a later
    record of the same allocation, or of the same job on the device as it was listed, has replaced.
    A row that is not recorded yet, and so has no `recorded_us`, is later than any record.

    Args:
        jobs: rows of `jobs`.
        recorded: names under which devices were recorded.
    """
    jobs = list(jobs)
    names = {row["node"] for row in jobs}
    forms = Counter(name.lower().split(".")[0] for name in names | {*recorded})
    # Fewer than three forms of a name are never ambiguous, so it does not matter which count.
    doubtful = {name for name in names if forms[name.lower().split(".")[0]] > 2}
    listed = (
        {"recorded_us": NEW_US, **row, "device_id": f"{row['node']}/{row['device_id']}"}
        for row in jobs
        if row["node"] in doubtful
    )
    plain = (row for row in jobs if row["node"] not in doubtful)
    found: dict[str, int] = {}
    for row in chain(plain, Records(listed).current()):
        start_us = row["start_us"]
        found[row["node"]] = min(found.get(row["node"], start_us), start_us)
    return found


def sightings(lake: Lake, node: str | None = None) -> Iterator[Sighting]:
    """Yield what the `device` rows of a lake, or of one of its nodes, say of names."""
    rows = lake.read("device", node=node, columns=list(Sighting.__slots__))
    # As columns: as dicts, the devices of a large lake might not fit in memory.
    return map(Sighting, *(column.to_pylist() for column in rows.columns))


def allocations(lake: Lake, columns: Sequence[str] | None = None) -> pa.Table:
    """Return the current allocations of boards, sorted by device and start.

    The columns are those of `jobs`, where `job_id` is the job's key; `mig_id`, the MIG instance
    that the job held, NULL if it held (a share of) the board itself; and `share_estimated`. An
    instance that no `device` row describes stays a device of its own, which has no readings.

    Args:
        lake: the lake.
        columns: only these columns; all if None.
    """
    return kept(lake, _worked_out, columns)


def _worked_out(lake: Lake) -> pa.Table:
    import pyarrow as pa

    jobs = lake.read("jobs").to_pylist()
    identity = read_identity(lake, jobs)
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


def _unseen(node: str, text: str, *, gone: bool = False) -> str:
    """Return the id of a device that was never seen: only its node makes an index one device.

    Neither was one that was seen before, and on another node at the time.
    """
    if gone:
        return f"{node}/{text}"
    name = parse_device(text)
    if name.kind == "uuid":
        return text
    return f"{node}/{name.number if name.kind == 'index' else text}"


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
                gone = _unseen(row["node"], row["device_id"], gone=True)
                yield {**row, "device_id": gone, "start_us": seen.ts_us, "end_us": end_us}
            break
        yield {**row, "start_us": start_us, "end_us": seen.ts_us}
        start_us = row["start_us"] = seen.ts_us
        row["node"] = seen.node
    yield row
