"""What has to be worked out again of a lake's allocations after files were added.

In: what they were worked out from before, and the lake as it is now. Out: the jobs to work out
again with all their records, or nothing, if all have to be.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tokenergy_collectors.lake.allocationlinks import Links, counted, links_of
from tokenergy_collectors.lake.allocationsources import (
    TABLES,
    Days,
    Sources,
    earliest,
    files_of,
    hours_between,
    listed,
    rows_of_new,
    states,
)
from tokenergy_collectors.lake.contract import HOUR_US, JOBS
from tokenergy_collectors.lake.devicehistory import DeviceHistory
from tokenergy_collectors.lake.devicenames import uuid_key
from tokenergy_collectors.lake.identity import Identity
from tokenergy_collectors.lake.jobkey import job_key
from tokenergy_collectors.lake.nodenames import short_name
from tokenergy_collectors.lake.paths import hour_of_folder
from tokenergy_collectors.lake.seendevices import COLUMNS as OF_DEVICES
from tokenergy_collectors.lake.seendevices import SeenDevices

if TYPE_CHECKING:
    import pyarrow as pa

    from tokenergy_collectors.lake.lake import Lake

_MANY_HOURS = 500
"""Records that are in more hours are found faster by reading all."""

_OF_NODES = ("node", "device_id", "job_id", "cluster", "allocation_id")


@dataclass(frozen=True, slots=True)
class Changes:
    """What has to be worked out again.

    Attributes:
        jobs: the keys of the jobs.
        rows: all their records, in the order in which they are read.
        identity: of the nodes and devices that these mean.
        sources: what the allocations follow from now.
    """

    jobs: frozenset[str]
    rows: list[dict[str, Any]]
    identity: Identity
    sources: Sources


def changes(lake: Lake, before: Sources, days: Days) -> Changes | None:
    """Return what has to be worked out again; None if all has to be.

    Args:
        lake: the lake.
        before: what was known.
        days: of its tables as they are now.
    """
    files = {
        table: files_of(lake.root, table, days[table], before.files.get(table, {}))
        for table in TABLES
    }
    changed = hours_between(before.files.get("jobs", {}), files["jobs"])
    if changed is None or hours_between(before.files.get("device", {}), files["device"]) is None:
        return None
    fresh = _fresh(lake, before.links, changed)
    if fresh is None:
        return None
    hours, rows = fresh
    seen = SeenDevices(lake.read("device", columns=OF_DEVICES))
    started = earliest(before.started, rows)
    nodes = listed(lake, started, seen)
    sources = Sources(
        files,
        before.links.with_hours(hours, counted(rows)),
        started,
        states(seen, nodes),
    )
    seeds = {link for row in rows.to_pylist() for link in links_of(row)}
    dirty = {name for name, state in sources.nodes.items() if before.nodes.get(name) != state}
    if dirty:
        more = _links_on(lake, dirty, seen)
        if more is None:
            return None
        seeds |= more
    records = _records(lake, sources.links, seeds)
    if records is None:
        return None
    return Changes(
        frozenset(job_key(row["cluster"], row["job_id"]) for row in records),
        records,
        _identity(seen, nodes, records),
        sources,
    )


def _fresh(
    lake: Lake, links: Links, changed: Mapping[str, frozenset[str]]
) -> tuple[list[int], pa.Table] | None:
    """Return the hours whose folders have got files, with all records in them.

    None if a folder has records of another hour, or is of none. Nobody should have put them there;
    they are found by their start, and would be missed.

    Args:
        lake: the lake.
        links: of the records that were known.
        changed: the folders and their new files: see `hours_between`.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    hours, parts = [], [JOBS.schema().empty_table()]
    for folder, names in sorted(changed.items()):
        hour_us, new = hour_of_folder(Path(folder)), rows_of_new(lake, "jobs", folder, names)
        if hour_us is None or new is None:
            return None
        rows = lake.read("jobs", [hour_us])
        within = pc.min_max(rows["start_us"]).as_py()
        if len(rows) and not hour_us <= within["min"] <= within["max"] < hour_us + HOUR_US:
            return None
        if len(rows) != links.rows_in(hour_us) + new:  # known ones are in another folder
            return None
        hours.append(hour_us)
        parts.append(rows)
    return hours, pa.concat_tables(parts)


def _links_on(lake: Lake, dirty: Collection[str], seen: SeenDevices) -> set[int] | None:
    """Return the links of all records whose device may be another one now; None if any may be.

    Args:
        lake: the lake.
        dirty: short names of nodes of which something else is known now.
        seen: all devices.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    devices = seen.family(one for name in dirty for one in seen.on_nodes.get(name, ()))
    if any("/" in one for one in devices):  # as devices are called that were never seen
        return None
    keys = {*map(uuid_key, devices)}
    rows = lake.read("jobs", columns=_OF_NODES)
    nodes = [one for one in rows["node"].unique().to_pylist() if short_name(one) in dirty]
    texts = [one for one in rows["device_id"].unique().to_pylist() if uuid_key(one) in keys]
    chosen = pc.or_(
        pc.is_in(rows["node"], value_set=pa.array(nodes, pa.string())),
        pc.is_in(rows["device_id"], value_set=pa.array(texts, pa.string())),
    )
    found = rows.filter(chosen).group_by([*_OF_NODES[2:]]).aggregate([])
    return {link for row in found.to_pylist() for link in links_of(row)}


def _records(lake: Lake, links: Links, seeds: set[int]) -> list[dict[str, Any]] | None:
    """Return all records that belong together with some, in the order in which they are read.

    None if records are missing: they are in folders of other hours than they should be.
    """
    found: list[dict[str, Any]] = []
    wanted, reached = seeds, set[int]()
    while wanted - reached:
        reached = {*wanted}
        hours = links.hours_of(wanted)
        every = len(hours) > _MANY_HOURS
        rows = lake.read("jobs", None if every else sorted(hours))
        found = [row for row in _with_jobs(rows, wanted) if wanted.intersection(links_of(row))]
        wanted = wanted.union(*map(links_of, found))
    count: dict[int, int] = {}
    for row in found:
        for link in links_of(row):
            count[link] = count.get(link, 0) + 1
    return found if count == links.count_of(reached) else None


def _with_jobs(rows: pa.Table, links: Collection[int]) -> list[dict[str, Any]]:
    """Return the rows of a table with any of some links, and perhaps more."""
    import pyarrow as pa

    keys, wanted = ["job_id", "cluster", "allocation_id"], {*links}
    groups = rows.select(keys).append_column("place", pa.array(range(len(rows)), pa.int64()))
    of_groups = groups.group_by(keys).aggregate([("place", "list")]).to_pylist()
    places = [
        place
        for row in of_groups
        if not wanted.isdisjoint(links_of(row))
        for place in row["place_list"]
    ]
    taken: list[dict[str, Any]] = rows.take(pa.array(sorted(places), pa.int64())).to_pylist()
    return taken


def _identity(
    seen: SeenDevices, nodes: Mapping[str, int], rows: Iterable[Mapping[str, Any]]
) -> Identity:
    """Return the identity of the nodes and devices that some records mean."""
    texts = {uuid_key(row["device_id"]) for row in rows}
    named = {device_id for device_id in seen.of_device if uuid_key(device_id) in texts}
    some = seen.around({short_name(row["node"]) for row in rows}, named)
    return Identity(DeviceHistory(some), nodes)
