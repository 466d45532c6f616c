"""Nodes in batches: every node once, few batches, none much larger than its share."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.lakes import HOUR_US, T0, LakeBuilder, S, level
from tokenergy_transforms.aggregate import Aggregator
from tokenergy_transforms.batching import (
    LEAST_BYTES,
    MOST_BATCHES,
    NODE_BYTES,
    aggregate_nodes,
    batches_of,
    split_nodes,
)

MIB = 1 << 20
SIZES = st.dictionaries(st.text(max_size=6), st.integers(0, 4 << 30), max_size=80)


@given(SIZES, st.integers(1, 20), st.integers(1, 1 << 31))
def test_every_node_once_in_few_batches_of_bounded_bytes(
    sizes: dict[str, int], most: int, least: int
) -> None:
    batches = split_nodes(sizes, most, least)
    assert [node for batch in batches for node in batch] == sorted(sizes)
    assert all(batches)
    assert len(batches) <= most
    weights = {node: max(size, NODE_BYTES) for node, size in sizes.items()}
    share = max(least, sum(weights.values()) / most)
    for batch in batches:
        assert sum(weights[node] for node in batch[:-1]) < share + 1


@given(SIZES, st.randoms())
def test_the_order_of_the_nodes_does_not_matter(sizes: dict[str, int], random: object) -> None:
    mixed = list(sizes.items())
    random.shuffle(mixed)
    assert split_nodes(dict(mixed)) == split_nodes(sizes)


@pytest.mark.parametrize(
    ("nodes", "mib_each", "batches"),
    [
        (0, 1, 0),
        (1, 9_000, 1),
        (4, 1, 1),  # a small fleet: one task
        (64, 3, 1),
        (125, 30, 15),
        (2_000, 1, 8),
        (2_000, 0, 8),  # to open the files of many nodes takes time, however small they are
        (2_000, 30, 16),  # far below the 1,024 tasks that Airflow maps at most
        (10_000, 30, 16),
    ],
)
def test_fleets(nodes: int, mib_each: int, batches: int) -> None:
    found = split_nodes({f"n{i:05}": mib_each * MIB for i in range(nodes)})
    assert len(found) == batches
    assert len(found) <= MOST_BATCHES
    if len(found) > 1:
        assert min(len(batch) for batch in found[:-1]) * max(mib_each, 1) * MIB >= LEAST_BYTES * 0.9


def test_batches_of_a_lake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    builder = LakeBuilder(tmp_path / "lake")
    for node in ("n2", "n1", "{{ 7 * 7 }}/../'; DROP TABLE x", "idle"):
        builder.device(f"GPU-{node}", node=node)
    readings = level(300_000, T0, T0 + 60 * S)
    for node in ("n2", "n1", "{{ 7 * 7 }}/../'; DROP TABLE x"):
        builder.power(f"GPU-{node}", readings, node=node)
    builder.job("job", "GPU-idle", T0, T0 + 10 * S, node="idle")  # claims, but no readings
    nodes = sorted(["idle", "n1", "n2", "{{ 7 * 7 }}/../'; DROP TABLE x"])
    assert batches_of(builder.lake, T0) == [nodes]
    assert batches_of(builder.lake, T0 + 5 * HOUR_US) == []
    monkeypatch.setattr("tokenergy_transforms.batching.split_nodes", lambda sizes: sizes)
    sizes = batches_of(builder.lake, T0)
    (path,) = builder.lake.files("power", [T0], "n1")
    assert sizes["n1"] == path.stat().st_size
    assert sizes["idle"] == 0


def test_a_batch_writes_what_its_nodes_alone_give(tmp_path: Path) -> None:
    builder = LakeBuilder(tmp_path / "lake")
    for node in ("n1", "n2", "n3"):
        builder.device(f"GPU-{node}", node=node)
        builder.power(f"GPU-{node}", level(300_000, T0, T0 + 60 * S), node=node)
    lake = builder.lake
    one_by_one = {}
    for node in ("n1", "n2", "n3"):
        list(Aggregator(lake, S, "cpu").run([(T0, node)]))
        one_by_one[node] = lake.derived("segment", T0, node).read_bytes()
        lake.remove("segment", T0, node)
    said: list[str] = []
    done = aggregate_nodes(lake, T0, ["n1", "n3"], S, "cpu", said.append)
    assert lake.nodes("segment", T0) == ["n1", "n3"]
    for node in ("n1", "n3"):
        assert lake.derived("segment", T0, node).read_bytes() == one_by_one[node]
    assert said == [f"{node}: 600 readings -> 60 segments (cpu)" for node in ("n1", "n3")]
    assert done.line().startswith("2 nodes, 1,200 readings -> 120 segments in ")
    assert done.line().endswith(" s (cpu)")
