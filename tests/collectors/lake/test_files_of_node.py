"""The files of one node are those whose names say so, however their writer encoded the name."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.lakes import T0, LakeBuilder
from tokenergy_collectors.lake import Lake
from tokenergy_collectors.lake.paths import escape_node, node_of, partition, raw_name

NODES = ("a", "ab", "a-1", "a b", "ä", "a%b", ".a", "n1")
FOREIGN = ("a", "a-b", "%61-5-tag", "a%20b", "ab-x-tag", "%2Ea-7-tag", "a b-7-tag")


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    builder = LakeBuilder(tmp_path / "lake")
    builder.power("A", [(T0, 1)])
    (whole,) = builder.lake.files("power")
    names = [raw_name(node, number, "tag") for number, node in enumerate(NODES)]
    for name in (*names, *(f"{stem}.parquet" for stem in FOREIGN)):
        (builder.lake.root / "power" / partition(T0) / name).write_bytes(whole.read_bytes())
    return builder.lake


def test_they_are_found_by_their_names(lake: Lake) -> None:
    every = lake.files("power", [T0])
    assert len(every) == 1 + len(NODES) + len(FOREIGN)
    found = {node: lake.files("power", [T0], node) for node in {*map(node_of, every)}}
    assert found == {node: [path for path in every if node_of(path) == node] for node in found}
    assert {path.name for path in found["a"]} == {
        "a-0-tag.parquet",
        "a.parquet",
        "%61-5-tag.parquet",
    }
    assert len(found["a b"]) == 3
    assert escape_node("a b") == "a%20b"
