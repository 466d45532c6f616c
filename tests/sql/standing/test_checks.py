"""The checks of places find what is wrong in the books, and nothing in sound ones."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest

from tests.sql.standing.fleets import RACKS, curve, indexed, placed
from tests.support.lakes import T0
from tokenergy_collectors.lake import Lake
from tokenergy_collectors.lake.contract import PLACE_HOUR
from tokenergy_sql.checks.checking import run_checks

NAMES = ("place_power_is_ordered", "places_add_up")

Row = dict[str, Any]


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> tuple[Lake, list[Row]]:
    site = "[site]\nhost_w = 70\n" + RACKS
    site += placed("n1", "r1") + placed("n2", "r2") + placed("n3", "r3")
    curves = {f"n{number}": curve(number) for number in (1, 2, 3, 4)}
    lake = indexed(tmp_path_factory.mktemp("checked"), site, curves)
    return lake, lake.read("place_hour", [T0]).to_pylist()


def found(lake: Lake, rows: list[Row]) -> dict[str, list[str]]:
    """The places that the checks name, with these rows in the books."""
    table = pa.Table.from_pylist(rows, schema=PLACE_HOUR.schema())
    order = [(name, "ascending") for name in PLACE_HOUR.sort]
    lake.replace("place_hour", table.sort_by(order), T0, "place_hour")
    return {
        one.name: [row[1] for row in one.rows] for one in run_checks(lake, only=NAMES) if one.breach
    }


def test_sound_books_have_no_findings(rows: tuple[Lake, list[Row]]) -> None:
    lake, sound = rows
    assert any(row["place"] == "unplaced" for row in sound)
    assert found(lake, sound) == {}


def changed(name: str, new: Callable[[Row], Any]) -> Callable[[Row], Row]:
    return lambda row: row | {name: new(row)}


WRONG: list[tuple[str, str, Callable[[Row], Row], dict[str, list[str]]]] = [
    ("node:n1", "boards", changed("energy_nj", lambda r: r["energy_nj"] + 1),
     {"places_add_up": ["hall:a", "module:a1", "node:n1", "rack:r1", "site"]}),
    ("rack:r2", "boards", changed("energy_nj", lambda r: r["energy_nj"] - 1),
     {"places_add_up": ["rack:r2"]}),
    ("unplaced", "boards", changed("energy_nj", lambda r: Decimal(0)),
     {"places_add_up": ["unplaced"]}),
    ("site", "boards", changed("device_us", lambda r: r["device_us"] - 1),
     {"places_add_up": ["site"]}),
    ("node:n3", "boards", changed("rack", lambda r: "r2"),
     {"places_add_up": ["rack:r2", "rack:r3", "rack:r2"],
      "place_power_is_ordered": ["rack:r3"]}),
    ("hall:a", "boards", changed("p99_mw", lambda r: r["peak_mw"] + 1),
     {"place_power_is_ordered": ["hall:a"]}),
    ("hall:a", "boards+host", changed("p50_mw", lambda r: r["p99_mw"] + 1),
     {"place_power_is_ordered": ["hall:a"]}),
    ("rack:r1", "boards", changed("counts", lambda r: [*r["counts"][:-1], r["counts"][-1] + 1]),
     {"place_power_is_ordered": ["rack:r1"]}),
    ("rack:r1", "boards", changed("bins", lambda r: [*r["bins"][:-1], r["bins"][-1] + 1]),
     {"place_power_is_ordered": ["rack:r1"]}),
    ("rack:r1", "boards", changed("peak_in_module_mw", lambda r: 1),
     {"place_power_is_ordered": ["module:a1"]}),
    ("site", "boards+host", changed("peak_high_mw", lambda r: r["peak_mw"] - 1),
     {"place_power_is_ordered": ["site"]}),
    ("site", "boards", changed("present_us", lambda r: 10_000_000),
     {"place_power_is_ordered": ["site"]}),
    ("site", "boards+host", changed("mean_mw", lambda r: r["peak_mw"] + 2),
     {"place_power_is_ordered": ["site"]}),
]  # fmt: skip


@pytest.mark.parametrize(("place", "method", "change", "expected"), WRONG)
def test_a_wrong_value_is_found(
    rows: tuple[Lake, list[Row]],
    place: str,
    method: str,
    change: Callable[[Row], Row],
    expected: dict[str, list[str]],
) -> None:
    lake, sound = rows
    wrong = [
        change(row) if (row["place"], row["method"]) == (place, method) else row for row in sound
    ]
    named = {name: sorted({*places}) for name, places in found(lake, wrong).items()}
    assert named == {name: sorted({*places}) for name, places in expected.items()}


def test_a_node_that_is_left_out_is_found(rows: tuple[Lake, list[Row]]) -> None:
    lake, sound = rows
    without = [row for row in sound if row["place"] != "node:n4"]
    assert found(lake, without)["places_add_up"] == ["node:n4", "unplaced"]
