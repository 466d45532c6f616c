"""Places as of their time: a board that was moved keeps its past where it was."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.support.lakes import HOUR_US, T0, LakeBuilder, S, level
from tests.support.ledger import J, assert_checks_pass
from tokenergy_collectors.lake import Lake
from tokenergy_sql.catalog import connecting as catalog

LATER = T0 + 20 * 24 * HOUR_US


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """A board in rack r1 of site A, later in r9 of site B; a job before, one after, one across."""
    builder = LakeBuilder(tmp_path_factory.mktemp("places") / "lake")
    for moment, place in ((T0, ("A", "r1")), (LATER, ("B", "r9"))):
        builder.device("GPU-a", ts_us=moment, site=place[0], rack=place[1])
    for moment in (T0, LATER):
        builder.power("GPU-a", level(100_000, moment, moment + 90 * S, S))
    builder.job("before", "GPU-a", T0, T0 + 60 * S)
    builder.job("after", "GPU-a", LATER, LATER + 30 * S)
    for moment in (T0, LATER):
        builder.job("across", "GPU-a", moment + 60 * S, moment + 70 * S)
    return builder.build()


def asked(lake: Lake, sql: str, *values: object) -> list[tuple[Any, ...]]:
    with catalog.connect(lake, adhoc=True) as con:
        return con.execute(sql, values).fetchall()


def test_by_place(lake: Lake) -> None:
    for dimension, before, after in (("rack", "A/r1", "B/r9"), ("site", "A", "B")):
        sql = "SELECT value, e_gpu_nj, jobs FROM tokenergy_by($1) ORDER BY value"
        assert asked(lake, sql, dimension) == [(before, 7_000 * J, 2), (after, 4_000 * J, 2)]
    assert_checks_pass(lake)


def test_a_job_before_and_after_a_move(lake: Lake) -> None:
    rows = asked(
        lake,
        "SELECT rack, e_gpu_nj, device_us, spread FROM job_device WHERE job_id = 'across' "
        "ORDER BY rack",
    )
    assert rows == [("A/r1", 1_000 * J, 10 * S, True), ("B/r9", 1_000 * J, 10 * S, True)]


def test_power_at_an_instant(lake: Lake) -> None:
    for moment, rack in ((T0, "A/r1"), (LATER, "B/r9")):
        found = asked(lake, "SELECT rack, mean_w FROM power_at($1)", moment + 30 * S)
        assert found == [(rack, 100.0)]


def test_devices_over_time(lake: Lake) -> None:
    assert asked(lake, "SELECT from_us, to_us, rack FROM place_at ORDER BY from_us") == [
        (0, LATER, "A/r1"),
        (LATER, 9_000_000_000_000_000, "B/r9"),
    ]
    assert asked(lake, "SELECT rack FROM place") == [("B/r9",)]
    assert asked(lake, "SELECT rack FROM device_at WHERE to_us > 8e15") == [("r9",)]


def test_two_nodes_that_record_a_device_at_one_stamp(tmp_path: Path) -> None:
    builder = LakeBuilder(tmp_path / "lake")
    for node in ("n2", "n1"):
        builder.device("GPU-a", ts_us=T0, node=node)
    builder.device("GPU-a", ts_us=T0 + S, node="n3")
    found = asked(builder.lake, "SELECT node, from_us, to_us FROM device_at ORDER BY from_us")
    assert found == [("n1", 0, T0 + S), ("n3", T0 + S, 9_000_000_000_000_000)]
