"""Runs the tool on staged histories: writes a lake, aggregates, indexes, reads what it says.

Many histories share a lake, each with nodes, devices and jobs of its own names: that is as hard for
the tool as a lake each, and takes a tenth of the time.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa

from tests.oracle.staged.plan import History, Row
from tokenergy_collectors.lake import Lake
from tokenergy_collectors.lake.contract import TABLES
from tokenergy_sql.catalog.connecting import connect
from tokenergy_sql.index.pipeline import index
from tokenergy_sql.index.site import load_site
from tokenergy_transforms.aggregate import Aggregator, worklist
from tokenergy_transforms.inventory import read_inventory
from tokenergy_transforms.loadprofile import groups, profile

WINDOW_US = 1_000_000


@dataclass
class Printed:
    """What the tool says.

    Attributes:
        jobs, hours: rows of job_index and job_hour_index by key.
        usage: rows of token_usage by (job, hour, model, kind).
        ledger: rows of ledger_hour.
        by: rows of tokenergy_by, by dimension.
        loads: rows of load_profile by (hour, kind, group); empty if it was not asked for.
    """

    jobs: dict[str, Row] = field(default_factory=dict)
    hours: dict[tuple[str, int], Row] = field(default_factory=dict)
    usage: dict[tuple[str, int, str | None, str], Row] = field(default_factory=dict)
    ledger: list[Row] = field(default_factory=list)
    by: dict[str, list[Row]] = field(default_factory=dict)
    loads: dict[tuple[int, str, str], Row] = field(default_factory=dict)


DIMENSIONS = ("model", "user", "node", "rack", "site", "gpu", "hour")


def write(lake: Lake, rows: dict[str, list[Row]]) -> None:
    """Append raw rows to a lake: what a table has no column for is left out."""
    for table, members in rows.items():
        schema = TABLES[table].schema()
        of_node: dict[str, list[Row]] = defaultdict(list)
        for row in members:
            of_node[row["node"]].append({name: row.get(name) for name in schema.names})
        for node, part in of_node.items():
            lake.append(table, pa.Table.from_pylist(part, schema=schema), node)


def run(root: Path, histories: list[History], site_text: str, *, loads: bool = False) -> Printed:
    """Return what the tool says of some histories in one lake.

    Args:
        root: where to make the lake.
        histories: their late rows arrive between two runs.
        site_text: contents of the site file.
        loads: whether to make load profiles too.
    """
    lake = Lake(root, create=True)
    for history in histories:
        write(lake, history.rows)
    (root / "site.toml").write_text(site_text)
    if any(history.late for history in histories):
        derive(lake)
        for history in histories:
            write(lake, history.late)
    derive(lake)
    if loads:
        _profile(lake)
    return read(lake, loads=loads)


def derive(lake: Lake) -> None:
    """Aggregate and index all hours of a lake."""
    inventory = read_inventory(lake)
    aggregator = Aggregator(lake, WINDOW_US, "cpu", inventory)
    for _ in aggregator.run(worklist(lake, inventory=inventory)):
        pass
    index(lake, load_site(None, lake.root), progress=lambda _: None, catalog=False)


def _profile(lake: Lake) -> None:
    inventory, kinds = read_inventory(lake), groups.parse_kinds("job,node,rack,site")
    for hour in profile.worklist(lake, None):
        profile.profile_hour(lake, hour, kinds, WINDOW_US, "cpu", inventory)


def _whole(value: Any) -> Any:
    """Return a DECIMAL of the tool, which is always a whole number, as an int."""
    return int(value) if isinstance(value, Decimal) else value


def read(lake: Lake, *, loads: bool = False) -> Printed:
    """Return what the derived tables of a lake say."""
    said = Printed()
    with connect(lake, adhoc=True) as con:

        def rows(sql: str) -> list[Row]:
            found = con.sql(sql)
            names = found.columns
            return [
                dict(zip(names, map(_whole, values), strict=True)) for values in found.fetchall()
            ]

        said.jobs = {r["job_id"]: r for r in rows("FROM job_index")}
        said.hours = {(r["job_id"], r["hour_us"]): r for r in rows("FROM job_hour_index")}
        said.usage = {
            (r["job_id"], r["hour_us"], r["model"], r["kind"]): r for r in rows("FROM token_usage")
        }
        said.ledger = rows("FROM ledger_hour")
        for dimension in DIMENSIONS:
            said.by[dimension] = rows(f"FROM tokenergy_by('{dimension}')")
        if loads:
            found = rows("FROM load_profile")
            said.loads = {(r["hour_us"], r["kind"], r["group_id"]): r for r in found}
    return said
