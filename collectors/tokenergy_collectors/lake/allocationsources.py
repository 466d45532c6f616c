"""What kept allocations were worked out from, as far as the next ones depend on it.

In: a lake. Out: `Sources`, and the same as a text that says whether it is whole.

From what was known before and what is there now follows which jobs have to be worked out again:
`allocationchanges.py`.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tokenergy_collectors.lake import compacted, folders
from tokenergy_collectors.lake.allocationlinks import COLUMNS, Links, counted
from tokenergy_collectors.lake.contract import JOBS
from tokenergy_collectors.lake.devicehistory import Sighting
from tokenergy_collectors.lake.folders import Day
from tokenergy_collectors.lake.identity import first_starts
from tokenergy_collectors.lake.nodenames import short_name
from tokenergy_collectors.lake.reading import BrokenFileError, rows_of
from tokenergy_collectors.lake.seendevices import COLUMNS as OF_DEVICES
from tokenergy_collectors.lake.seendevices import SeenDevices

if TYPE_CHECKING:
    import pyarrow as pa

    from tokenergy_collectors.lake.lake import Lake

TABLES = ("jobs", "device")
"""The tables that allocations are worked out from."""

Days = Mapping[str, Sequence[Day]]
"""The days of each of `TABLES`."""

_DIGITS = 16


@dataclass(slots=True)
class DayFiles:
    """The raw files that the rows of a day came in.

    Attributes:
        digest: see `folders.Day`.
        hours: by folder of an hour, a hash of each name, ascending and joined: a large fleet has
            millions of files a year.
    """

    digest: str
    hours: dict[str, str]


@dataclass(slots=True)
class Sources:
    """What allocations were worked out from.

    Attributes:
        files: by table and day.
        links: of all records.
        started: the first start in any record of each node that job lists name, us UTC.
        nodes: by short name, a digest of all that decides what job lists of these nodes mean.
    """

    files: dict[str, dict[str, DayFiles]]
    links: Links
    started: dict[str, int]
    nodes: dict[str, str]

    def text(self) -> str:
        """Return them as a text."""
        content = json.dumps(
            {
                "files": {
                    table: {day: [one.digest, one.hours] for day, one in of_table.items()}
                    for table, of_table in self.files.items()
                },
                "links": self.links.dump(),
                "started": self.started,
                "nodes": self.nodes,
            },
            sort_keys=True,
        )
        return f"{_digest(content)}\n{content}\n"

    @classmethod
    def parse(cls, text: str) -> Sources:
        """Return what a text says.

        Raises:
            ValueError: it is damaged.
        """
        told, _, content = text.partition("\n")
        content = content.removesuffix("\n")
        if told != _digest(content):
            raise ValueError("damaged")
        found = json.loads(content)
        files = {
            table: {day: DayFiles(digest, hours) for day, (digest, hours) in of_table.items()}
            for table, of_table in found["files"].items()
        }
        return cls(files, Links.load(found["links"]), found["started"], found["nodes"])


def days_of(lake: Lake) -> Days:
    """Return the days of the tables that allocations are worked out from, as they are now."""
    return {table: lake.days(table, again=True) for table in TABLES}


def read_sources(lake: Lake, days: Days) -> Sources:
    """Return what the allocations of a lake are worked out from.

    Args:
        lake: the lake.
        days: as they are now.
    """
    rows = lake.read("jobs", columns=[*COLUMNS, "node"])
    started = _first(rows)
    seen = SeenDevices(lake.read("device", columns=OF_DEVICES))
    return Sources(
        {table: files_of(lake.root, table, days[table], {}) for table in TABLES},
        Links.of(counted(rows)),
        started,
        states(seen, listed(lake, started, seen)),
    )


def files_of(
    root: Path, table: str, days: Sequence[Day], before: Mapping[str, DayFiles]
) -> dict[str, DayFiles]:
    """Return the files of the days of a table; days that have not changed are not listed."""
    found = {}
    for day in days:
        was = before.get(day.name)
        if was is None or was.digest != day.digest:
            hours: dict[str, set[str]] = {}
            for name in folders.sources(root, table, day.name):
                hour, _, file = name.partition("/")
                hours.setdefault(hour, set()).add(_digest(file))
            joined = {hour: "".join(sorted(names)) for hour, names in hours.items()}
            was = DayFiles(day.digest, joined)
        found[day.name] = was
    return found


def earliest(started: Mapping[str, int], rows: pa.Table) -> dict[str, int]:
    """Return `Sources.started` with further records."""
    found = {**started}
    for node, start_us in _first(rows).items():
        found[node] = min(found.get(node, start_us), start_us)
    return found


def _first(rows: pa.Table) -> dict[str, int]:
    found = rows.group_by("node").aggregate([("start_us", "min")])
    return dict(zip(found["node"].to_pylist(), found["start_us_min"].to_pylist(), strict=True))


def listed(lake: Lake, started: Mapping[str, int], seen: SeenDevices) -> dict[str, int]:
    """Return the nodes that job lists name, as `identity.first_starts` of all records does.

    Args:
        lake: the lake.
        started: see `Sources`.
        seen: all devices.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    recorded = seen.since_us.keys()
    forms = Counter(_form(name) for name in {*started, *recorded})
    doubtful = sorted(name for name in started if forms[_form(name)] > 2)
    if not doubtful:
        return {**started}
    rows = lake.read("jobs", columns=JOBS.column_names)
    chosen = pc.is_in(rows["node"], value_set=pa.array(doubtful, pa.string()))
    plain = {name: start_us for name, start_us in started.items() if name not in {*doubtful}}
    return {**plain, **first_starts(rows.filter(chosen).to_pylist(), recorded)}


def _form(name: str) -> str:
    """Return the form of a name by which `identity.first_starts` finds doubtful ones."""
    return name.lower().split(".")[0]


def states(seen: SeenDevices, nodes: Mapping[str, int]) -> dict[str, str]:
    """Return `Sources.nodes`.

    Args:
        seen: all devices.
        nodes: that job lists name: see `listed`.
    """
    names: dict[str, list[tuple[str, bool, int]]] = {}
    for since_us, is_recorded in ((seen.since_us, True), (nodes, False)):
        for name, at_us in since_us.items():
            names.setdefault(short_name(name), []).append((name, is_recorded, at_us))
    found = {}
    for short, of_node in names.items():
        # Fewer names cannot be ambiguous, so it does not matter when they came.
        known = sorted(one if len(of_node) > 2 else one[:2] for one in of_node)
        devices = sorted(seen.family(seen.on_nodes.get(short, ())))
        told = [sorted(map(_facts, seen.of_device.get(one, ()))) for one in devices]
        found[short] = _digest(repr((known, devices, told)))
    return found


def _facts(one: Sighting) -> list[str]:
    return [repr(getattr(one, name)) for name in OF_DEVICES]


def _digest(text: str) -> str:
    return hashlib.blake2b(text.encode(), digest_size=_DIGITS // 2).hexdigest()


def _names(joined: str) -> frozenset[str]:
    return frozenset(joined[at : at + _DIGITS] for at in range(0, len(joined), _DIGITS))


def hours_between(
    before: Mapping[str, DayFiles], now: Mapping[str, DayFiles]
) -> dict[str, frozenset[str]] | None:
    """Return the folders (`DAY/HOUR`) that have got further files, with hashes of their names.

    None if a file went.
    """
    if before.keys() - now.keys():
        return None
    found = {}
    for day, is_ in now.items():
        was = before.get(day)
        if was is is_:
            continue
        had = was.hours if was else {}
        for hour in {*had, *is_.hours}:
            then, names = (_names(one.get(hour, "")) for one in (had, is_.hours))
            if then - names:
                return None
            if names - then:
                found[f"{day}/{hour}"] = names - then
    return found


def rows_of_new(lake: Lake, table: str, folder: str, names: frozenset[str]) -> int | None:
    """Return how many rows the new files in a folder have.

    None if one of them is not there as it came, or cannot be read.

    Args:
        lake: the lake.
        table: name of the table.
        folder: `DAY/HOUR`.
        names: hashes of the names of the new files.
    """
    found = {}
    for name in compacted.names_in(lake.root / table / folder):
        if (key := _digest(name)) in names:
            with suppress(BrokenFileError, FileNotFoundError):
                found[key] = rows_of(lake.root / table / folder / name)
    return sum(found.values()) if len(found) == len(names) else None
