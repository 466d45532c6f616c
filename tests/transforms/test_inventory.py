"""The inventory of a lake: update periods as recorded, and the allocations of each node."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.lakes import HOUR_US, T0, LakeBuilder, S, level
from tokenergy_transforms.cuts import Allocation
from tokenergy_transforms.inventory import read_inventory


@pytest.fixture
def builder(tmp_path: Path) -> LakeBuilder:
    return LakeBuilder(tmp_path / "lake")


def test_an_empty_lake_knows_nothing(builder: LakeBuilder) -> None:
    builder.lake.root.mkdir()
    found = read_inventory(builder.lake)
    assert found.devices_of("n1") == set()
    assert found.update_us(["A"], T0) == {}
    assert found.allocations_of("n1", T0) == {}
    assert found.last_hours == {}


def test_a_period_learned_later_does_not_change_an_earlier_hour(builder: LakeBuilder) -> None:
    for hours, update_us in ((2, 20_000), (1, None), (0, 100_000)):
        builder.device("A", ts_us=T0 + hours * HOUR_US, update_us=update_us)
    builder.device("B", ts_us=T0 + HOUR_US, update_us=25_000, node="n2")
    builder.device("C", update_us=None)
    found = read_inventory(builder.lake)
    assert found.update_us(["A", "B", "C"], T0) == {"A": 100_000, "B": 25_000}
    assert found.update_us(["A", "C"], T0 + 2 * HOUR_US) == {"A": 20_000}
    assert found.update_us([], T0) == {}


def test_a_node_holds_only_devices_it_has(builder: LakeBuilder) -> None:
    builder.device("A")
    builder.device("B", node="n2")
    builder.job("long", "A", T0 + S, None)
    builder.job("long", "A", T0 - 2 * HOUR_US, T0 - HOUR_US)  # over before
    builder.job("other", "B", T0, T0 + 5 * S, node="n2")
    builder.job("ghost", "never seen", T0, T0 + 5 * S)
    builder.power("A", level(300_000, T0, T0 + 3 * S))
    assert read_inventory(builder.lake).allocations_of("n1", T0) == {
        "A": [Allocation(T0 + S, None)]
    }
    assert read_inventory(builder.lake).allocations_of("n2", T0) == {
        "B": [Allocation(T0, T0 + 5 * S)]
    }
    # The node has readings an hour later: the job held its device all through.
    builder.power("A", level(300_000, T0 + HOUR_US, T0 + HOUR_US + 3 * S))
    assert read_inventory(builder.lake).allocations_of("n1", T0) == {
        "A": [Allocation(T0 + S, T0 + HOUR_US)]
    }
    assert read_inventory(builder.lake).allocations_of("n1", T0 + HOUR_US) == {
        "A": [Allocation(T0 + S, None)]
    }
