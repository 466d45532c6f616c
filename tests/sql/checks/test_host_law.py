"""Checks of hosts: each passes on books as made, and is seen to fire on books made wrong."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from tests.sql.hosting.planted import (
    SITE,
    Node,
    add_meter,
    add_processors,
    build,
    lake_of,
    meter,
    processors,
)
from tests.support.lakes import T0
from tests.support.once import once
from tokenergy_collectors.lake import Lake
from tokenergy_sql.checks.checking import run_checks

NAMES = ("host_law", "hosts_of_all_boards", "processors_are_counted", "hosts_are_plausible")
MODEL = """
[site]
pue = 1.25
host_w = 700
[[host_model]]
nodes = ["n2"]
base_w = 300
per_cpu = 1.1
per_gpu = 0.03
below_w = 10
above_w = 12
cpu_w = [50, 500]
gpu_w = [100, 1000]
"""
Row = dict[str, Any]


def _make(folder: Path) -> None:
    builder = lake_of(folder, "", *(Node(f"n{k}", boards=3) for k in (1, 2, 3)))
    add_meter(builder, Node(boards=3))
    for name in ("n1", "n2"):
        add_processors(builder, processors(name))
    build(builder, MODEL + SITE + meter("node:n1"))


@pytest.fixture
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """One measured, one modelled and one declared node. Each test gets it as it was made."""
    return Lake(once(tmp_path_factory, "host law", _make) / "lake")


def fired(lake: Lake, change: dict[str, Callable[[Row], None]]) -> set[str]:
    """The checks that fire while tables are changed."""
    before = {table: lake.read(table, [T0]) for table in change}
    for table, alter in change.items():
        rows = before[table].to_pylist()
        for row in rows:
            alter(row)
        _replace(lake, table, [row for row in rows if row])
    try:
        return {finding.name for finding in run_checks(lake, only=NAMES) if finding.rows}
    finally:
        for table, rows in before.items():
            _replace(lake, table, rows.to_pylist())


def _replace(lake: Lake, table: str, rows: list[Row]) -> None:
    schema = lake.read(table, [T0]).schema
    lake.replace(table, pa.Table.from_pylist(rows, schema=schema), T0, table)


def more(node: str | None, *columns: str, by: int = 1) -> Callable[[Row], None]:
    """Add to columns of a node's rows, or of all."""

    def alter(row: Row) -> None:
        if node in (None, row.get("node")):
            for column in columns:
                row[column] += Decimal(by) if isinstance(row[column], Decimal) else by

    return alter


def other(node: str, **values: Any) -> Callable[[Row], None]:
    return lambda row: row.update(values) if row["node"] == node else None


def test_nothing_fires_on_books_as_they_are_made(lake: Lake) -> None:
    assert fired(lake, {}) == set()


@pytest.mark.parametrize(
    ("node", "columns"),
    [
        ("n1", ["host_nj"]),
        ("n1", ["input_nj"]),
        ("n1", ["input_low_nj"]),
        ("n1", ["input_high_nj"]),
        ("n1", ["input_boards_nj"]),
        ("n1", ["input_nj", "input_boards_nj"]),
        ("n1", ["host_low_nj"]),
        ("n1", ["host_high_nj"]),
        ("n2", ["host_nj"]),
        ("n2", ["boards_nj"]),
        ("n3", ["host_nj", "host_low_nj", "host_high_nj"]),
        ("n3", ["declared_mw"]),
    ],
)
def test_a_host_that_does_not_follow(lake: Lake, node: str, columns: list[str]) -> None:
    assert "host_law" in fired(lake, {"host_hour": more(node, *columns)})


@pytest.mark.parametrize(
    "values",
    [
        {"host_low_nj": Decimal(10**18)},
        {"host_high_nj": Decimal(1)},
        {"host_high_nj": None},
        {"method": "none"},
        {"input_us": -1},
        {"model": '{"base_mw": 1, "cpu_ppm": 0, "gpu_ppm": 0}'},
    ],
)
def test_a_modelled_host_that_contradicts_itself(lake: Lake, values: Row) -> None:
    assert "host_law" in fired(lake, {"host_hour": other("n2", **values)})


def test_a_host_below_its_processors(lake: Lake) -> None:
    drawn = Decimal(10**18)
    assert "host_law" in fired(lake, {"host_hour": other("n1", cpu_low_nj=drawn)})
    # The platform may hold boards.
    platform = other("n1", cpu_low_nj=drawn, domains="psys-0")
    found = fired(lake, {"host_hour": platform})
    assert "host_law" not in found


def test_a_node_without_a_host(lake: Lake) -> None:
    def left_out(row: Row) -> None:
        if row["node"] == "n2":
            row.clear()

    assert "host_law" in fired(lake, {"host_hour": left_out})


@pytest.mark.parametrize("column", ["e_host_nj", "e_host_low_nj", "e_host_high_nj"])
def test_a_job_that_bears_another_part(lake: Lake, column: str) -> None:
    assert "host_law" in fired(lake, {"job_hour_index": more(None, column)})


def test_a_node_hour_that_has_another_host(lake: Lake) -> None:
    both = {"host_law", "hosts_of_all_boards"}
    assert fired(lake, {"node_hour": more("n1", "e_host_nj")}) >= both
    assert "host_law" in fired(lake, {"node_hour": other("n1", host_method="declared")})


def test_a_host_of_another_time(lake: Lake) -> None:
    assert "hosts_of_all_boards" in fired(lake, {"host_hour": more("n1", "watched_us", by=-1)})


def test_processors_that_were_counted_otherwise(lake: Lake) -> None:
    assert fired(lake, {"host_hour": more("n1", "cpu_nj")}) == {"processors_are_counted"}


def test_hours_of_earlier_versions_have_nothing_to_check(lake: Lake) -> None:
    """Only the declared node follows from its declaration then."""

    def declared(row: Row) -> None:
        row.update(e_host_nj=row["host_mw"] * row["watched_us"], host_method=None)

    found = fired(lake, {"host_hour": lambda row: row.clear(), "node_hour": declared})
    assert "host_law" not in found
