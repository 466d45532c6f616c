"""A placement that changes makes the hours stale that it touches, and no others."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.sql.standing.fleets import RACKS, curve, indexed, placed, row_of, rows_of
from tests.support.lakes import HOUR_US, T0
from tokenergy_collectors.lake import Lake
from tokenergy_sql.index.pipeline import index
from tokenergy_sql.index.site import load_site

SECOND = "2026-01-15T09:00:00Z"
BEFORE = RACKS + placed("n1", "r1") + placed("n2", "r2")


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    curves = {"n1": curve(1), "n2": curve(2)}
    return indexed(tmp_path, BEFORE, curves, hours=2)


def again(lake: Lake, site: str) -> dict[int, list[str]]:
    (lake.root / "site.toml").write_text(site, "utf-8")
    site_file = load_site(None, lake.root)
    return index(lake, site_file, progress=lambda _: None, catalog=False).causes


def books(lake: Lake, table: str) -> list[bytes]:
    return [path.read_bytes() for path in lake.files(table)]


def test_only_the_hours_of_a_move_are_stale_and_only_their_places_change(lake: Lake) -> None:
    rest = [books(lake, table) for table in ("ledger", "node_hour", "ledger_hour")]
    assert again(lake, BEFORE) == {}
    moved = RACKS + placed("n1", "r1", until=SECOND) + placed("n1", "r3", since=SECOND)
    moved += placed("n2", "r2")
    hour_us = T0 + HOUR_US
    assert again(lake, moved) == {hour_us: ["places"]}
    assert row_of(lake, "rack:r1")["cells"] == 360
    assert rows_of(lake, "rack:r1", hour_us=hour_us) == []
    assert row_of(lake, "rack:r3", hour_us=hour_us)["cells"] == 360
    # Nothing else follows from where nodes stand.
    assert [books(lake, table) for table in ("ledger", "node_hour", "ledger_hour")] == rest
    assert again(lake, moved) == {}


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("rated_kw = 1.5", "rated_kw = 1.6"),
        pytest.param("rated_kw = 4", "rated_kw = 5", marks=pytest.mark.long),
        ('type = "two"', ""),
        pytest.param(RACKS, "[site]\nrated_kw = 9\n" + RACKS, marks=pytest.mark.long),
    ],
)
def test_ratings_and_types_are_part_of_it(lake: Lake, old: str, new: str) -> None:
    assert again(lake, BEFORE.replace(old, new)) == {key: ["places"] for key in (T0, T0 + HOUR_US)}


def test_what_moves_nothing_leaves_the_hours_alone(lake: Lake) -> None:
    moved = "# a comment\n" + placed("n2", "r2") + placed("n1", "r1")
    later = '[[rack]]\nname = "r9"\nhall = "b"\nfrom = 2026-03-01T00:00:00Z\n'
    # The order of the file is the order of names in a tree: nodes of other racks do not matter.
    assert again(lake, RACKS + moved + later) == {}


def test_places_that_are_taken_away_take_their_rows_away(lake: Lake) -> None:
    assert again(lake, RACKS) == {key: ["places"] for key in (T0, T0 + HOUR_US)}
    assert lake.files("place_hour") == []
