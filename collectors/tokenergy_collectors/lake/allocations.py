"""Which job held which device when, worked out from the `jobs` rows.

In: the raw `jobs` and `device` tables. Out: one row for each allocation, from its latest record,
with the device named by its `device_id` (a job list may name it by its index on the node). The
integration (which cuts at job edges) and the ledger use the same allocations.

Power is metered by board. So an allocation of a MIG instance counts on its board, with the
instance's share of the board times the allocated share of the instance.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from tokenergy_collectors.lake.arrays import column
from tokenergy_collectors.lake.contract import JOBS, WHOLE_PPM

if TYPE_CHECKING:
    import pyarrow as pa

    from tokenergy_collectors.lake.lake import Lake


_MIG_ID = "mig_id"


def allocations(lake: Lake) -> pa.Table:
    """Return the current allocations of boards, sorted by device and start.

    The columns are those of `jobs` and `mig_id`: the MIG instance that the job held, NULL if it
    held (a share of) the board itself. An instance that no `device` row describes stays a device
    of its own, which has no readings.
    """
    import pyarrow as pa

    parts = _mig_parts(lake)
    rows = []
    for row in records(lake):
        parent, part_ppm = parts.get(row["device_id"], (None, 0))
        if parent is None:
            rows.append({**row, _MIG_ID: None})
            continue
        # A share of 0 would break the contract: a small part of a small instance counts as 1 ppm.
        share_ppm = max(1, row["share_ppm"] * part_ppm // WHOLE_PPM)
        booked = {"device_id": parent, "share_ppm": share_ppm, _MIG_ID: row["device_id"]}
        rows.append({**row, **booked})
    sightings = _sightings(lake, {row["device_id"] for row in rows})
    for row in rows:
        row["end_us"] = _end_us(row, sightings.get(row["device_id"], []))
    order = ("device_id", "start_us", "job_id")
    rows.sort(key=lambda row: (*(row[name] for name in order), row[_MIG_ID] or ""))
    return pa.Table.from_pylist(rows, schema=allocation_schema())


def allocation_schema() -> pa.Schema:
    """Return the schema of the table that `allocations` returns."""
    import pyarrow as pa

    return JOBS.schema().append(pa.field(_MIG_ID, pa.string()))


def _sightings(lake: Lake, devices: Iterable[str]) -> dict[str, list[tuple[int, str]]]:
    """Return when each of some devices was found, and on which node: (us UTC, node), ascending."""
    import pyarrow as pa
    import pyarrow.compute as pc

    seen = lake.read("device", columns=["ts_us", "device_id", "node"])
    named = pc.is_in(seen["device_id"], value_set=column(sorted(devices), pa.string()))
    found: dict[str, list[tuple[int, str]]] = {}
    for ts_us, device_id, node in _tuples(seen.filter(named)):
        found.setdefault(device_id, []).append((ts_us, node))
    return {device: sorted(sightings) for device, sightings in found.items()}


def _tuples(rows: pa.Table) -> Iterable[tuple[Any, ...]]:
    """Return rows as tuples: as dicts, the devices of a large lake might not fit in memory."""
    return zip(*(column.to_pylist() for column in rows.columns), strict=True)


def _end_us(row: dict[str, Any], sightings: list[tuple[int, str]]) -> int | None:
    """Return when an allocation ended: at the latest when its device was found on another node."""
    end_us: int | None = row["end_us"]
    nodes = [node for ts, node in sightings if ts <= row["start_us"]]
    nodes = nodes or [node for _, node in sightings[:1]]
    if nodes[-1:] == [row["node"]]:
        for ts, node in sightings:
            if ts > row["start_us"] and node != row["node"]:
                return ts if end_us is None else min(end_us, ts)
    return end_us


def records(lake: Lake, node: str | None = None) -> list[dict[str, Any]]:
    """Return the current allocations as recorded: rows of `jobs`, sorted.

    Of several records of the same (job, device, start) the one recorded last counts; of two
    recorded in the same microsecond, the one that has an end.

    Args:
        lake: where to look.
        node: only allocations of this node; of all nodes if None.
    """
    index = device_index(lake, node)
    latest: dict[tuple[str, str, int], dict[str, Any]] = {}
    for row in lake.read("jobs", node=node).to_pylist():
        row["device_id"] = resolve(index, row["node"], row["device_id"])
        key = (row["job_id"], row["device_id"], row["start_us"])
        if key not in latest or _rank(row) > _rank(latest[key]):
            latest[key] = row
    return sorted(latest.values(), key=lambda r: (r["device_id"], r["start_us"], r["job_id"]))


def _mig_parts(lake: Lake) -> dict[str, tuple[str, int]]:
    """Return each MIG instance's board and its share of it (ppm), as last recorded.

    An instance without a recorded share counts as an equal part of the instances of its board.
    """
    columns = ["ts_us", "device_id", "mig_parent", "mig_ppm"]
    seen = lake.read("device", columns=columns)
    instances = seen.filter(seen["mig_parent"].is_valid()).to_pylist()
    latest = {
        row["device_id"]: row
        for row in sorted(instances, key=lambda row: (row["ts_us"], row["device_id"]))
    }
    siblings = Counter(row["mig_parent"] for row in latest.values())
    return {
        device_id: (row["mig_parent"], row["mig_ppm"] or WHOLE_PPM // siblings[row["mig_parent"]])
        for device_id, row in latest.items()
    }


def device_index(lake: Lake, node: str | None = None) -> dict[tuple[str, str], str]:
    """Return the device_id of each (node, index as text), as last recorded."""
    columns = ["ts_us", "device_id", "node", "index"]
    rows = lake.read("device", node=node, columns=columns)
    found: dict[tuple[str, str], str] = {}
    for _, device_id, of_node, index in sorted(_tuples(rows.filter(rows["index"].is_valid()))):
        found[of_node, str(index)] = device_id
    return found


def resolve(index: dict[tuple[str, str], str], node: str, device: str) -> str:
    """Return the device_id that a job list means by `device` on `node`.

    A number is an index on the node. If no such device was recorded, its id is NODE/INDEX.
    """
    if device.isascii() and device.isdigit():
        return index.get((node, str(int(device))), f"{node}/{int(device)}")
    return device


def _rank(row: dict[str, Any]) -> tuple[int, bool, int]:
    """Return a sort key that is largest for the record that counts."""
    return (row["recorded_us"], row["end_us"] is not None, row["end_us"] or 0)
