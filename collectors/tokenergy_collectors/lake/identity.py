"""Who is who: the nodes and the devices that job lists mean.

In: the `device` rows of a lake, the nodes that its job lists name. Out: for a row of `jobs`, its
node and its device by the names under which they were recorded, and what has to be said about them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from typing import TYPE_CHECKING, Any

from tokenergy_collectors.lake.corrections import NEW_US, Records
from tokenergy_collectors.lake.devicehistory import (
    TOGETHER_US,
    DeviceHistory,
    Remark,
    Sighting,
)
from tokenergy_collectors.lake.devicenames import parse_device
from tokenergy_collectors.lake.nodenames import NodeNames, NodeNamesOverTime

if TYPE_CHECKING:
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
            return {**row, "node": node, "device_id": unseen(node, text)}, remark if here else None
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


def unseen(node: str, text: str, *, gone: bool = False) -> str:
    """Return the id of a device that was never seen: only its node makes an index one device.

    Neither was one that was seen before, and on another node at the time.
    """
    if gone:
        return f"{node}/{text}"
    name = parse_device(text)
    if name.kind == "uuid":
        return text
    return f"{node}/{name.number if name.kind == 'index' else text}"
