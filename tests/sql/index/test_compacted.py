"""A compacted lake has the figures that it had: no hour is stale, the books are the same bytes."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.support.late import derived
from tests.support.three_hours import ThreeHours
from tokenergy_collectors.lake import Lake, compacted
from tokenergy_collectors.lake.compaction import compact
from tokenergy_collectors.lake.contract import TABLES
from tokenergy_sql.checks.checking import run_checks
from tokenergy_sql.explain.derivation import derivation
from tokenergy_sql.index.due import due
from tokenergy_sql.index.healing import heal, hours_between
from tokenergy_sql.index.pipeline import index
from tokenergy_sql.index.site import Site
from tokenergy_transforms.aggregate import Aggregator, worklist

EVER = 2**62
SITE = Site(None, None, {})
RAW = [name for name, table in TABLES.items() if table.layer == "raw"]


def books(lake: Lake) -> dict[str, bytes]:
    """Derive what is due, and return all derived files."""
    for _ in Aggregator(lake, 1_000_000, "cpu").run(worklist(lake)):
        pass
    index(lake, SITE, progress=lambda _: None, catalog=False)
    return derived(lake)


def due_now(lake: Lake) -> list[str]:
    found = due(lake, SITE, hours_between(lake, 0, EVER))
    return [f"{one.state} {', '.join(one.what)}" for one in found]


@pytest.fixture(scope="module")
def hours(tmp_path_factory: pytest.TempPathFactory) -> ThreeHours:
    return ThreeHours(tmp_path_factory.mktemp("hours"), datetime.now(UTC))


@pytest.fixture(scope="module")
def booked(hours: ThreeHours, tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """Three hours of two nodes, the files of ten minutes of one not yet there; with its books."""
    lake = Lake(tmp_path_factory.mktemp("lakes") / "lake", create=True)
    hours.arrive(lake)
    books(lake)
    return lake


@pytest.fixture
def lake(booked: Lake, tmp_path: Path) -> Lake:
    return Lake(shutil.copytree(booked.root, tmp_path / "lake"))


def steps(lake: Lake) -> Iterator[Lake]:
    """The lake after each step of a compaction, opened again."""
    for grace_us in (EVER // 1000, 0):
        compact(lake, EVER, grace_us)
        yield Lake(lake.root)


def test_nothing_is_due_and_the_books_stay(lake: Lake) -> None:
    before, checks = derived(lake), {one.name: one.rows for one in run_checks(lake)}
    count = sum(len(lake.files(name)) for name in RAW)
    for now in steps(lake):
        assert due_now(now) == []
        assert index(now, SITE, progress=print, catalog=False).causes == {}
        assert heal(now, SITE, 0, EVER).changed is False
        assert derived(now) == before
        assert {one.name: one.rows for one in run_checks(now)} == checks
    after = sum(len(now.files(name)) for name in RAW)
    print(f"{count} raw files, {after} after the compaction")
    assert after * 5 < count


@pytest.mark.parametrize("step", [0, 1])
def test_the_books_are_the_same_if_all_is_derived_from_compacted_files(
    lake: Lake, step: int
) -> None:
    before = derived(lake)
    for _ in zip(range(step + 1), steps(lake), strict=False):
        pass
    for name in ("segment", "books", "revisions", "cache"):
        shutil.rmtree(lake.root / name)
    assert books(Lake(lake.root)) == before


def test_a_late_file_makes_its_hour_stale_and_gives_what_it_would_have_given(
    lake: Lake, hours: ThreeHours, tmp_path: Path
) -> None:
    in_time = Lake(tmp_path / "in-time", create=True)
    hours.arrive(in_time)
    hours.arrive(in_time, hours.late())
    wanted = books(in_time)
    *_, now = steps(lake)
    assert due_now(now) == []
    hours.arrive(now, hours.late())
    assert "stale readings of n2" in due_now(now)
    heal(now, SITE, 0, EVER)
    assert derived(now) == wanted
    for again in steps(now):
        assert due_now(again) == []
        assert derived(again) == wanted


def test_an_explanation_names_the_files_that_were_compacted(lake: Lake) -> None:
    before = {path.name for path in lake.files("power")}
    for now in steps(lake):
        document = derivation(now, "short")
        json.dumps(document)
        for row in document["power_files"]:
            assert row["file"].startswith("power/date=")
            assert compacted.is_compacted(row["file"])
            assert before.issuperset(row["made_from"])
            assert len(row["made_from"]) > 5
