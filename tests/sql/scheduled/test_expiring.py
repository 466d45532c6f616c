"""What is old expires once it is booked; its books stay, and nobody derives them to nothing."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.support.lakes import HOUR_US, T0, LakeBuilder, S, level
from tests.support.late import derived
from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.lake import Lake
from tokenergy_collectors.lake.compaction import BusyError, compact, locked
from tokenergy_collectors.lake.expired import NAME, read_expired
from tokenergy_collectors.lake.paths import show_hour
from tokenergy_sql import steps
from tokenergy_sql.checks.checking import run_checks
from tokenergy_sql.index.due import due
from tokenergy_sql.index.healing import heal, hours_between
from tokenergy_sql.index.pipeline import index
from tokenergy_sql.index.site import Site
from tokenergy_sql.scheduled import expiring
from tokenergy_sql.scheduled.expiring import Expiry, expire
from tokenergy_sql.scheduled.retention import Retention

EVER = 2**62
HOURS = 8
NOW = T0 + HOURS * HOUR_US
SITE = Site(None, None, {})
ALL = Retention(dict.fromkeys(("power", "state", "segment"), 3 * HOUR_US))
POWER = Retention({"power": 3 * HOUR_US})


def state(builder: LakeBuilder, board: str, node: str, from_us: int, to_us: int) -> None:
    rows = [
        {"ts_us": ts, "device_id": board, "util_ppm": 900_000, "sm_mhz": 1500}
        for ts in range(from_us, to_us, 60 * S)
    ]
    builder.add("state", rows, node)


@pytest.fixture(scope="module")
def booked(tmp_path_factory: pytest.TempPathFactory) -> LakeBuilder:
    """Eight hours of two nodes, each with a job over all of them; booked."""
    builder = LakeBuilder(tmp_path_factory.mktemp("booked") / "lake")
    for node in ("n1", "n2"):
        board = f"{node} A"
        builder.device(board, node=node)
        builder.power(board, level(200_000, T0, NOW - S, 10 * S), node=node)
        state(builder, board, node, T0, NOW)
        builder.job(f"job {node}", board, T0 + 60 * S, NOW - 60 * S, node=node)
        values = [(ts, place * 70) for place, ts in enumerate(range(T0, NOW, 300 * S))]
        builder.tokens(f"job {node}", values, source_id=node, node=node)
    builder.build()
    return builder


@pytest.fixture
def builder(booked: LakeBuilder, tmp_path: Path) -> LakeBuilder:
    return LakeBuilder(shutil.copytree(booked.lake.root, tmp_path / "lake"))


def run(lake: Lake, retention: Retention = ALL, now_us: int = NOW, **more: Any) -> Expiry:
    return expire(Lake(lake.root), SITE, retention, now_us, **more)


def hours_of(lake: Lake, table: str) -> list[int]:
    return [(hour - T0) // HOUR_US for hour in lake.hours(table)]


def kept_books(lake: Lake) -> dict[str, bytes]:
    return {name: data for name, data in derived(lake).items() if not name.startswith("segment")}


def nothing_is_wrong(lake: Lake) -> None:
    now = Lake(lake.root)
    assert due(now, SITE, hours_between(now, 0, EVER)) == []
    assert index(now, SITE, progress=print, catalog=False).causes == {}
    assert not heal(now, SITE, 0, EVER).changed
    assert [one.name for one in run_checks(now) if one.breach] == []


def test_the_books_of_expired_hours_stay(builder: LakeBuilder) -> None:
    lake = builder.lake
    before = kept_books(lake)
    done = run(lake)
    # The last hour that expired stays: the first one that has not depends on its readings.
    assert {name: one.hours for name, one in done.tables.items()} == {
        "power": 4, "state": 4, "segment": 4,
    }  # fmt: skip
    assert [hours_of(lake, name) for name in ("power", "segment")] == [[4, 5, 6, 7]] * 2
    assert not (lake.root / "power" / "date=2026-01-15" / "hour=08").exists()
    nothing_is_wrong(lake)
    assert kept_books(lake) == before
    assert run(lake).lines() == ["nothing to do"]


def test_hours_that_have_not_expired_are_derived_as_before(builder: LakeBuilder) -> None:
    lake = builder.lake
    before = kept_books(lake)
    run(lake)
    done = index(Lake(lake.root), SITE, progress=print, rebuild_all=True, catalog=False)
    assert sorted((hour - T0) // HOUR_US for hour in done.causes) == [5, 6, 7]
    assert done.remarks == [
        "5 hours have expired and cannot be derived again; their books stay as they are"
    ]
    assert kept_books(lake) == before


def test_an_expired_hour_is_refused_by_name(builder: LakeBuilder) -> None:
    root = builder.lake.root
    run(builder.lake)
    text = f"hour {show_hour(T0)}: state, segment expired.*The first hour that can is 2026-01-15T13"
    with pytest.raises(UserError, match=text):
        steps.index_hours(root, [T0], None, rebuild_all=True)
    with pytest.raises(UserError, match="power expired"):
        steps.aggregate_hours(root, [T0], None, "1s", "cpu")
    with pytest.raises(UserError, match="power expired"):
        steps.profile_hours(root, [T0], "job", "auto", "cpu")


def test_segments_stay_if_only_power_expired(builder: LakeBuilder) -> None:
    lake = builder.lake
    before = derived(lake)
    run(lake, POWER)
    assert hours_of(lake, "power") == [4, 5, 6, 7]
    nothing_is_wrong(lake)
    steps.aggregate_hours(lake.root, None, None, "1s", "cpu")
    assert derived(lake) == before
    # What they were made from is gone, but the hours can still be restated.
    restated = index(Lake(lake.root), Site(1_500_000, None, {}), rebuild_all=True, catalog=False)
    assert len(restated.causes) == HOURS


def test_what_is_not_booked_stays_and_so_do_its_neighbours(builder: LakeBuilder) -> None:
    lake = builder.lake
    late = T0 + 2 * HOUR_US + 1800 * S
    state(builder, "n1 A", "n1", late + S, late + 60 * S)
    done = run(lake)
    # State of the hour and its neighbours is among the inputs of the hours 1 to 3.
    assert {(hour - T0) // HOUR_US for hour in done.kept} == {1, 2, 3}
    assert any("2026-01-15T10 (stale: state)" in line for line in done.lines())
    assert hours_of(lake, "power") == hours_of(lake, "state") == [0, 1, 2, 3, 4, 5, 6, 7]
    heal(Lake(lake.root), SITE, 0, EVER)
    nothing_is_wrong(lake)
    done = run(lake)
    assert done.kept == {}
    assert hours_of(lake, "power") == [4, 5, 6, 7]


def test_a_file_that_comes_while_the_books_are_looked_at_stays(
    builder: LakeBuilder, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake, look = builder.lake, expiring.due

    def late(*given: Any) -> Any:
        found = look(*given)
        builder.power("n1 A", [(T0 + 1805 * S, 1)], node="n1")
        return found

    monkeypatch.setattr(expiring, "due", late)
    run(lake, POWER)
    (path,) = (lake.root / "power").glob("date=2026-01-15/hour=08/*.parquet")
    before = derived(lake)
    nothing_is_wrong(lake)
    steps.aggregate_hours(lake.root, None, None, "1s", "cpu")
    assert derived(lake) == before
    monkeypatch.setattr(expiring, "due", look)
    assert run(lake, POWER).late == 1
    assert path.exists()


def test_it_is_written_before_anything_is_removed(
    builder: LakeBuilder, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake, real = builder.lake, Path.unlink
    killed = []

    def unlink(path: Path, *given: Any, **more: Any) -> None:
        if "date=" in str(path):
            killed.append(path)
            if len(killed) == 5:
                raise KeyboardInterrupt
        real(path, *given, **more)

    before = kept_books(lake)
    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", unlink)
        with pytest.raises(KeyboardInterrupt):
            run(lake)
    assert read_expired(lake.root).is_frozen(T0)
    nothing_is_wrong(lake)
    assert kept_books(lake) == before
    run(lake)
    assert hours_of(lake, "power") == hours_of(lake, "segment") == [4, 5, 6, 7]


def test_readers_see_all_of_an_hour_or_nothing(
    builder: LakeBuilder, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake, real = builder.lake, Path.unlink
    seen = Counter[tuple[tuple[int, int], ...]]()

    def rows() -> tuple[tuple[int, int], ...]:
        stamps = Lake(lake.root).read("state", columns=["ts_us"])["ts_us"].to_pylist()
        return tuple(sorted(Counter((ts - T0) // HOUR_US for ts in stamps).items()))

    def unlink(path: Path, *given: Any, **more: Any) -> None:
        seen[rows()] += 1
        real(path, *given, **more)

    before = rows()
    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", unlink)
        run(lake)
    assert set(seen) <= {before, before[4:]}
    assert seen[before[4:]] > 10


def test_a_dry_run_removes_nothing_and_says_how_much(builder: LakeBuilder) -> None:
    lake = builder.lake
    before = sorted(lake.root.rglob("*"))
    lines = run(lake, dry_run=True).lines(dry_run=True)
    assert lines[0].startswith("power before 2026-01-15T13: 4 hours, 8 files, ")
    assert lines[0].endswith("MiB would be removed")
    assert {*lake.root.rglob("*")} - {*before} <= {*(lake.root / "cache").rglob("*")}
    assert not (lake.root / NAME).exists()


def test_a_longer_time_does_not_bring_hours_back(builder: LakeBuilder) -> None:
    run(builder.lake)
    run(builder.lake, Retention(dict.fromkeys(ALL.keep_us, 6 * HOUR_US)))
    content = json.loads((builder.lake.root / NAME).read_text())
    assert {span["before"] for span in content["tables"].values()} == {"2026-01-15T13"}


def test_what_stayed_on_purpose_goes_the_next_time_and_what_came_late_does_not(
    builder: LakeBuilder,
) -> None:
    lake = builder.lake
    run(lake)
    compact(lake, EVER, 0)
    builder.power("n1 A", [(T0 + 2 * HOUR_US + 7 * S, 1)], node="n1")
    done = run(lake, now_us=NOW + HOUR_US)
    assert (done.kept, done.late) == ({}, 1)
    assert hours_of(lake, "power") == hours_of(lake, "state") == [5, 6, 7]
    assert [*(lake.root / "power").glob("date=2026-01-15/hour=10/*.parquet")]
    nothing_is_wrong(lake)


def test_compacted_hours_expire_too(builder: LakeBuilder) -> None:
    lake = builder.lake
    state(builder, "n1 A", "n1", T0 + 90 * S, T0 + 95 * S)
    heal(Lake(lake.root), SITE, 0, EVER)
    before = kept_books(lake)
    assert compact(lake, EVER, tables=["state"]).made == 1
    run(lake)
    assert hours_of(lake, "state") == [4, 5, 6, 7]
    assert not [*(lake.root / "compacted").rglob("hour=08/*")]
    nothing_is_wrong(lake)
    assert kept_books(lake) == before


def test_not_beside_a_compaction(builder: LakeBuilder) -> None:
    with locked(builder.lake), pytest.raises(BusyError):
        run(builder.lake)


def test_a_damaged_list_is_an_error_and_no_empty_list(builder: LakeBuilder) -> None:
    run(builder.lake)
    (builder.lake.root / NAME).write_text("{")
    with pytest.raises(UserError, match=r"removed on purpose\. Bring it back from a copy"):
        index(Lake(builder.lake.root), SITE, catalog=False)
