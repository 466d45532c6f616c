"""Derived files that were cut off or whose bits flipped are set aside and derived again."""

from __future__ import annotations

import json
import shutil
from itertools import cycle
from pathlib import Path

import duckdb
import pytest

from tests.support.books import run
from tests.support.lakes import HOUR_US, T0, LakeBuilder, S
from tests.support.late import (
    ASKED,
    DERIVED,
    HOURS,
    Damage,
    books,
    cut,
    derived,
    fleet,
    flip,
    readings,
)
from tokenergy_collectors.lake import Lake
from tokenergy_collectors.lake.newsignals import SignalName, append_new
from tokenergy_collectors.lake.quarantine import DamagedError, quarantined
from tokenergy_sql import steps
from tokenergy_sql.checks.checking import run_checks
from tokenergy_sql.index.healing import Healed, heal
from tokenergy_sql.index.mending import mending
from tokenergy_sql.index.site import load_site
from tokenergy_sql.revisions import revisions

METERED = """
[[meter]]
id = "grid"
quantity = "energy"
unit = "Wh"
role = "utility"
accuracy_percent = 1

[[hall]]
name = "a"

[[rack]]
name = "r1"
hall = "a"

[[placed]]
nodes = ["n1", "n2", "n3"]
rack = "r1"

[[loss]]
name = "transformer"
points = [[0, 0], [100, 2]]
between = ["grid"]

[[signal]]
price = "flat"
"""
NEXT = HOURS[-1]
"""The hour that is not indexed yet."""


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A lake with books of all hours but the last, whose readings are there."""
    builder = fleet(tmp_path_factory.mktemp("sound") / "lake")
    for hour_us in HOURS:
        stamps = range(hour_us, hour_us + HOUR_US, 600 * S)
        of_meter = {"meter_id": "grid", "node": "n1", "source": "modbus"}
        builder.add("meter", [{**of_meter, "ts_us": ts, "value_n": ts} for ts in stamps])
    lake = builder.lake
    prices = [(hour_us, hour_us + HOUR_US, 120_000, None) for hour_us in HOURS]
    flat = SignalName("flat", "price", currency="EUR")
    append_new(lake, flat, prices, "n1", "csv", T0, {})
    (lake.root / "site.toml").write_text(METERED, "utf-8")
    books(lake, HOURS[:-1])
    return lake.root


@pytest.fixture
def lake(sound: Path, tmp_path: Path) -> Lake:
    return Lake(shutil.copytree(sound, tmp_path / "lake"))


@pytest.fixture(scope="module")
def whole(sound: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The derived files after the last hour was indexed in the sound lake."""
    lake = Lake(shutil.copytree(sound, tmp_path_factory.mktemp("whole") / "lake"))
    steps.index_hours(lake.root, [NEXT], None)
    return derived(lake)


def file_of(lake: Lake, table: str) -> Path:
    """Return a table's file of the first hour."""
    return lake.files(table, [T0])[0]


def healed(lake: Lake, *, rows: bool = False) -> Healed:
    return heal(lake, load_site(None, lake.root), T0, NEXT, rows=rows)


def test_the_lake_has_every_derived_table(sound: Path) -> None:
    lake = Lake(sound)
    assert [table for table in DERIVED if not lake.files(table, [T0])] == []


@pytest.mark.parametrize(
    ("tables", "damage"),
    [
        # Every table, and of what one step writes rarely two at once: each must be noticed.
        *((DERIVED[first::4], cut) for first in range(4)),
        (["segment"], cut),
        (["segment", "load_profile"], flip),
    ],
)
def test_healed_to_the_byte(lake: Lake, tables: list[str], damage: Damage) -> None:
    before, notes = derived(lake), revisions.manifests(lake)
    paths = [file_of(lake, table) for table in tables]
    for path in paths:
        damage(path)
    done = healed(lake, rows=damage is flip)
    names = [path.relative_to(lake.root).as_posix() for path in paths]
    assert sorted(done.set_aside) == sorted(names)
    assert all((lake.root / "quarantine" / name).exists() for name in names)
    assert derived(lake) == before
    assert revisions.manifests(lake) == notes, "what is as before is no revision"
    assert list(quarantined(lake.root)) == [], "nothing is missing"
    assert not healed(lake).changed


def test_a_new_hour_is_indexed_beside_damage_of_every_table(
    lake: Lake, whole: dict[str, bytes]
) -> None:
    for table, damage in zip(revisions.REVISED_TABLES, cycle([cut, flip]), strict=False):
        damage(file_of(lake, table))
    code, lines = run(lake.root, "index", "--hour", "2026-01-15T11")
    assert code == 0, lines
    healed(lake, rows=True)
    assert derived(lake) == whole
    assert run(lake.root, "check")[0] == 0


@pytest.mark.parametrize(("table", "damage"), [("job_hour_index", cut), ("ledger_hour", flip)])
def test_the_index_heals_what_it_meets(
    lake: Lake, table: str, damage: Damage, whole: dict[str, bytes]
) -> None:
    damage(file_of(lake, table))
    done = steps.index_hours(lake.root, [NEXT], None)
    assert done.set_aside == (file_of(lake, table).relative_to(lake.root).as_posix(),)
    assert done.causes == {T0: ["gone"], NEXT: ["new"]}
    assert derived(lake) == whole
    manifest = revisions.manifests(lake)[-1]
    assert not [name for name in manifest.added if "hour=08" in name]


def test_damaged_segments_of_a_stale_hour(lake: Lake) -> None:
    """The index meets them while it reads rows: they are integrated again, with their window."""
    steps.aggregate_hours(lake.root, None, None, "5s", "cpu")
    steps.index_hours(lake.root, None, None)
    before = derived(lake)
    flip(file_of(lake, "segment"))
    done = steps.index_hours(lake.root, [T0], None, rebuild_all=True)
    assert len(done.set_aside) == 1
    assert derived(lake) == before
    cut(file_of(lake, "segment"))
    assert healed(lake).aggregated == ((T0, "n1"),)
    assert derived(lake) == before


@pytest.mark.parametrize("damage", [cut, flip])
def test_damaged_caches(lake: Lake, damage: Damage, whole: dict[str, bytes]) -> None:
    for path in (lake.root / "cache" / "tokens").glob("date=*/hour=*/*.parquet"):
        damage(path)
    cut(lake.root / "catalog.duckdb")
    cut(next((lake.root / ".empty-power").rglob("*.parquet")))
    assert run(lake.root, "index", "--hour", "2026-01-15T11")[0] == 0
    assert derived(lake) == whole
    with duckdb.connect(str(lake.root / "catalog.duckdb"), read_only=True) as con:
        assert con.execute("SELECT count(*) > 0 FROM ledger").fetchall() == [(True,)]


@pytest.mark.parametrize(
    ("command", "damage"),
    [
        (["check", "--only", "ledger_hour_adds_up"], flip),
        (["query", "SELECT max(COLUMNS(*)) FROM ledger"], flip),
        (["query", "SELECT max(COLUMNS(*)) FROM ledger"], cut),
    ],
)
def test_readers_leave_it_and_say_what_to_do(
    lake: Lake, command: list[str], damage: Damage
) -> None:
    path = file_of(lake, "ledger")
    damage(path)
    code, lines = run(lake.root, *command)
    assert (code, len(lines)) == (2, 1)
    assert f"{path}: is damaged: " in lines[0]
    assert "run `tokenergy heal --hour 2026-01-15T08`" in lines[0]
    assert path.exists()
    assert run(lake.root, "heal", "--hour", "2026-01-15T08", "--device", "cpu")[0] == 0
    assert run(lake.root, *command)[0] == 0


def test_a_damaged_study_is_set_aside_and_stops_nothing(lake: Lake) -> None:
    """Only who asked for it can ask again: its span and its limits are in no other file."""
    span = ("--from", "2026-01-15T08:00:00Z", "--until", "2026-01-15T08:01:30Z")
    assert run(lake.root, "load-profile", "--by", "node", *span)[0] == 0
    code, lines = run(lake.root, "storage", "--by", "node", "--ramp-kw-per-s", "1", *span)
    assert code in (0, 1), lines
    files = [path for table in ASKED for path in lake.files(table)]
    assert {path.name.split(".")[0] for path in files} != set()
    before = derived(lake)
    for path in files:
        cut(path)
    done = healed(lake)
    assert set(done.set_aside) == {path.relative_to(lake.root).as_posix() for path in files}
    assert derived(lake) == before
    assert run(lake.root, "query", "SELECT count(*) FROM load_span")[0] == 0
    assert run(lake.root, "query", "SELECT count(*) FROM storage_study")[0] == 0


def test_stale_lists_it(lake: Lake) -> None:
    healed(lake)
    cut(file_of(lake, "ledger"))
    cut(file_of(lake, "segment"))
    file_of(lake, "node_hour").unlink()
    code, lines = run(lake.root, "stale", "--hour", "2026-01-15T08")
    assert code == 1
    text = "\n".join(lines)
    for what in ("torn", "ledger is damaged", "segment n1 is damaged", "node_hour is missing"):
        assert what in text
    assert file_of(lake, "ledger").exists()
    assert not (lake.root / "quarantine").exists(), "it only looks"


def test_a_damaged_file_is_no_past_to_compare_with(lake: Lake) -> None:
    cut(file_of(lake, "job_hour_index"))
    more = {"node": "n1", "recorded_us": T0 + 1}
    LakeBuilder(lake.root).job("job n1", "n1 A", T0 + 10 * S, T0 + 50 * S, **more)
    steps.index_hours(lake.root, None, None)
    assert run(lake.root, "diff")[0] == 0


def remove_readings(lake: Lake, hour_us: int) -> list[Path]:
    """Remove the power files of an hour, as the disk limit does; return where they are aside."""
    return [path.rename(path.with_name(f".{path.name}")) for path in lake.files("power", [hour_us])]


def test_books_are_derived_again_without_readings(lake: Lake) -> None:
    before = derived(lake)
    remove_readings(lake, T0)
    for table in revisions.REVISED_TABLES:
        cut(file_of(lake, table))
    done = healed(lake)
    assert (done.lost, done.causes) == ({}, {T0: ["gone"]})
    assert derived(lake) == before


def test_segments_without_readings_are_lost_and_nothing_else(lake: Lake) -> None:
    before = derived(lake)
    path = file_of(lake, "segment")
    name = path.relative_to(lake.root).as_posix()
    aside = remove_readings(lake, T0)
    cut(path)
    done = healed(lake)
    assert done.lost == {T0: ["n1"]}
    assert "segments of n1 were damaged and cannot be derived again" in "\n".join(done.lines())
    rest = {other: data for other, data in before.items() if other != name}
    assert derived(lake) == rest, "the books of the hour stay"
    code, lines = run(lake.root, "stale", "--hour", "2026-01-15T08", "--format", "json")
    assert code == 1
    what = {"state": "lost", "what": ["segments of n1"], "heals": False}
    assert json.loads("\n".join(lines)) == [{"hour": "2026-01-15T08", **what}]
    assert not healed(lake).changed
    steps.index_hours(lake.root, HOURS[:-1], None, rebuild_all=True)
    assert derived(lake) == rest
    for file in aside:
        file.rename(file.with_name(file.name[1:]))
    assert healed(lake).lost == {}
    assert derived(lake) == before


def test_giving_lost_segments_up(lake: Lake) -> None:
    """Whoever removes them from the quarantine gets the hour without them."""
    path = file_of(lake, "segment")
    remove_readings(lake, T0)
    cut(path)
    healed(lake)
    shutil.rmtree(lake.root / "quarantine")
    assert healed(lake).causes[T0] == ["segments"]
    (row,) = [r for r in lake.read("ledger_hour", [T0]).to_pylist() if r["device_id"] == "n2 A"][:1]
    assert row["energy_nj"] > 0


def test_late_readings_of_an_hour_with_damage(lake: Lake, whole: dict[str, bytes]) -> None:
    """Both at once: damage is healed, and the late readings are booked."""
    for path in lake.files("power", [NEXT], "n2"):
        path.unlink()
    steps.index_hours(lake.root, [NEXT], None)
    cut(file_of(lake, "job_hour_index"))
    readings(LakeBuilder(lake.root), "n2", NEXT)
    heal(lake, load_site(None, lake.root), T0, NEXT + HOUR_US)
    found = {n: d for n, d in derived(lake).items() if not n.startswith("load_")}
    assert found == {n: d for n, d in whole.items() if not n.startswith("load_")}
    assert [finding.name for finding in run_checks(lake) if finding.breach] == []


def test_a_disk_that_fails_again_ends_the_run(lake: Lake) -> None:
    path = file_of(lake, "ledger")
    data = path.read_bytes()

    def write_damage(_: object) -> None:
        path.write_bytes(data[:-20])
        raise DamagedError(path, "cut off")

    with pytest.raises(DamagedError, match="cut off"):
        mending(lake, [T0], write_damage, [])
