"""What a lake of many small files is asked of its folders, and files that come and go meanwhile."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.support.lakes import HOUR_US, T0, LakeBuilder, S, level
from tokenergy_collectors.lake import Lake
from tokenergy_collectors.lake.compaction import compact
from tokenergy_transforms import nodehour, powerfiles, readings
from tokenergy_transforms.aggregate import Aggregator, worklist
from tokenergy_transforms.inventory import read_inventory
from tokenergy_transforms.powerfiles import PowerFiles
from tokenergy_transforms.provenance import outdated

HOURS = 3
PARTS = 4
EVER = 2**62


def fill(root: Path, nodes: int) -> LakeBuilder:
    """Make a lake with some small files of each node and hour."""
    builder = LakeBuilder(root)
    for number in range(nodes):
        node = f"n{number}"
        builder.device(f"{node}-A", node=node)
        for part in range(HOURS * PARTS):
            begin_us = T0 + part * HOUR_US // PARTS
            rows = level(100_000, begin_us, begin_us + HOUR_US // PARTS - S, 60 * S)
            builder.power(f"{node}-A", rows, node=node)
    return builder


def run(lake: Lake) -> None:
    for _ in Aggregator(lake, S, "cpu").run(worklist(lake)):
        pass


def segments(lake: Lake) -> dict[Path, bytes]:
    return {path.relative_to(lake.root): path.read_bytes() for path in lake.files("segment")}


@pytest.mark.parametrize("nodes", [2, 7])
def test_a_folder_is_listed_once_for_all_its_nodes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, nodes: int
) -> None:
    lake = fill(tmp_path, nodes).lake
    aggregator, work = Aggregator(lake, S, "cpu"), worklist(lake)
    asked, files = Counter[int](), lake.files

    def counting(table: str, hours: Any = None, node: str | None = None) -> list[Path]:
        if table == "power":
            assert node is None
            asked.update(hours)
        return files(table, hours, node)

    monkeypatch.setattr(lake, "files", counting)
    assert len([*aggregator.run(work)]) == nodes * HOURS
    # Once for the names that segments are made from, and once for the files that are read.
    assert asked == {T0 + hour * HOUR_US: 2 for hour in range(-1, HOURS + 1)}


@pytest.mark.parametrize("nodes", [2, 7])
def test_what_is_over_is_forgotten_once_an_hour(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, nodes: int
) -> None:
    lake = fill(tmp_path, nodes).lake
    looked = 0

    def counting(found: Any) -> bool:
        nonlocal looked
        looked += 1
        return any(found)

    monkeypatch.setattr(powerfiles, "any", counting, raising=False)
    run(lake)
    assert 0 < looked <= HOURS * HOURS * PARTS * nodes


def test_what_is_forgotten_is_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lake = fill(tmp_path, 1).lake
    files, read = PowerFiles(lake), Counter[str]()
    row_groups_of = powerfiles._row_groups_of

    def counting(path: Path) -> Any:
        read[path.name] += 1
        return row_groups_of(path)

    monkeypatch.setattr(powerfiles, "_row_groups_of", counting)
    for _ in range(2):
        assert len(files.of_hour("n0", T0)) == PARTS
    assert {*read.values()} == {1}
    files.forget_before(T0 + HOUR_US)
    assert len(files.of_hour("n0", T0)) == PARTS
    assert {*read.values()} == {2}
    files.forget_before(T0)  # an earlier hour: nothing of it is over
    files.forget_before(T0 + HOUR_US)
    assert len(files.of_hour("n0", T0)) == PARTS
    assert {*read.values()} == {3}


def test_a_file_that_comes_after_the_plan_makes_the_hour_outdated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    builder = fill(tmp_path / "lake", 2)
    lake, late = builder.lake, level(300_000, T0 + 30 * S, T0 + 45 * S, S)
    row_counts = readings.row_counts

    def arriving(files: PowerFiles, node: str, *rest: Any) -> dict[str, int]:
        if node == "n1":
            builder.power("n1-A", late, node="n1")
        return row_counts(files, node, *rest)

    monkeypatch.setattr(nodehour.readings, "row_counts", arriving)
    aggregator = Aggregator(lake, S, "cpu")
    for _ in aggregator.run([(T0, "n0"), (T0, "n1")]):
        pass
    monkeypatch.undo()
    pairs = [(T0, "n0"), (T0, "n1")]
    assert outdated(lake, read_inventory(lake), pairs) == [(T0, "n1", S)]
    run(lake)
    whole = fill(tmp_path / "whole", 2)
    whole.power("n1-A", late, node="n1")
    run(whole.lake)
    assert segments(lake) == segments(whole.lake)
    assert outdated(lake, read_inventory(lake), pairs) == []


@pytest.mark.parametrize(
    ("step", "known"), [("row_counts", "names"), ("row_counts", "footers"), ("decode", "footers")]
)
def test_files_that_are_compacted_while_they_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str, known: str
) -> None:
    whole = fill(tmp_path / "whole", 3).lake
    run(whole)
    lake = fill(tmp_path / "lake", 3).lake
    as_it_is, done = getattr(readings, step), False

    def compacting(files: PowerFiles, *rest: Any) -> Any:
        nonlocal done
        look = files.folders.files if known == "names" else files.of_hour
        if not done and look("n0", T0):
            done = True
            for _ in range(3):  # files of which the names are known are gone after these
                compact(lake, EVER, 0, ["power"])
        return as_it_is(files, *rest)

    monkeypatch.setattr(readings, step, compacting)
    aggregator = Aggregator(lake, S, "cpu")
    for pair in worklist(lake):  # one after the other: none reads the footers of another's files
        assert len([*aggregator.run([pair])]) == 1
    assert done
    assert segments(lake) == segments(whole)
