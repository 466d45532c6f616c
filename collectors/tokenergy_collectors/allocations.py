"""Who held which device when: the `jobs` rows, resolved.

In: the raw `jobs` and `device` tables. Out: one row an allocation, with the device named by its
`device_id` (a job list may name it by its index on the node) and only the latest record of each
allocation. Both the integration (job edges are cuts) and the ledger use this one answer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tokenergy_collectors.contract import JOBS

if TYPE_CHECKING:
    import pyarrow as pa

    from tokenergy_collectors.lake import Lake


def allocations(lake: Lake) -> pa.Table:
    """Return the current allocations, in the schema of `jobs`, sorted by device and start."""
    import pyarrow as pa

    return pa.Table.from_pylist(allocation_rows(lake), schema=JOBS.schema())


def allocation_rows(lake: Lake, node: str | None = None) -> list[dict[str, Any]]:
    """Return the current allocations as rows, sorted; those that one node recorded where given.

    Of several records of the same (job, device, start) the latest recorded one counts; where two
    were recorded in the same microsecond, the one that has ended.
    """
    index = device_index(lake, node)
    latest: dict[tuple[str, str, int], dict[str, Any]] = {}
    for row in lake.read("jobs", node=node).to_pylist():
        row["device_id"] = resolve(index, row["node"], row["device_id"])
        key = (row["job_id"], row["device_id"], row["start_us"])
        if key not in latest or _rank(row) > _rank(latest[key]):
            latest[key] = row
    return sorted(latest.values(), key=lambda r: (r["device_id"], r["start_us"], r["job_id"]))


def device_index(lake: Lake, node: str | None = None) -> dict[tuple[str, str], str]:
    """Return the device_id of each (node, index as text), as last seen."""
    found: dict[tuple[str, str], str] = {}
    columns = ["ts_us", "node", "index", "device_id"]
    rows = lake.read("device", node=node, columns=columns).to_pylist()
    for row in sorted(rows, key=lambda r: (r["ts_us"], r["device_id"])):
        if row["index"] is not None:
            found[row["node"], str(row["index"])] = row["device_id"]
    return found


def resolve(index: dict[tuple[str, str], str], node: str, device: str) -> str:
    """Return the device_id that a job list means by `device` on `node`.

    A number is an index on the node; if no such device was ever seen, it is named NODE/INDEX.
    """
    if device.isascii() and device.isdigit():
        return index.get((node, str(int(device))), f"{node}/{int(device)}")
    return device


def _rank(row: dict[str, Any]) -> tuple[int, bool, int]:
    return (row["recorded_us"], row["end_us"] is not None, row["end_us"] or 0)
