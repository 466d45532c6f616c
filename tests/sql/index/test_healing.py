"""Readings that came late or were missed: the books become those of a lake that was never late."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.support.books import run
from tests.support.lakes import HOUR_US, T0, LakeBuilder, S, level
from tests.support.late import HOURS, NODES, books, derived, fleet, identities, readings
from tokenergy_collectors.lake import Lake
from tokenergy_sql.checks.checking import run_checks
from tokenergy_sql.index.healing import Healed, heal
from tokenergy_sql.index.site import Site

SITE = Site(None, None, {})
LATE = ("n2", HOURS[1])
END_US = HOURS[-1] + HOUR_US


@pytest.fixture(scope="module")
def punctual(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The derived files of a lake of which nothing was late."""
    lake = fleet(tmp_path_factory.mktemp("punctual") / "lake").lake
    books(lake)
    return derived(lake)


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A lake with books, but without the readings of one node and hour."""
    lake = fleet(tmp_path_factory.mktemp("late") / "lake", [LATE]).lake
    books(lake)
    return lake.root


@pytest.fixture
def builder(sound: Path, tmp_path: Path) -> LakeBuilder:
    return LakeBuilder(shutil.copytree(sound, tmp_path / "lake"))


def healed(lake: Lake, since_us: int = T0, until_us: int = END_US) -> Healed:
    return heal(lake, SITE, since_us, until_us)


def books_of(files: dict[str, bytes]) -> dict[str, bytes]:
    """Leave out load profiles: each run writes those of its hour, late readings or not."""
    return {name: data for name, data in files.items() if not name.startswith("load_")}


def unbooked(lake: Lake) -> list[tuple[object, ...]]:
    (finding,) = run_checks(lake, only=["readings_are_booked"])
    return finding.rows


def listed(lake: Lake, *arguments: str) -> tuple[int, list[dict[str, object]]]:
    code, lines = run(lake.root, "stale", "--format", "json", *arguments)
    return code, json.loads("\n".join(lines))


def test_a_day_late(builder: LakeBuilder, punctual: dict[str, bytes]) -> None:
    lake = builder.lake
    assert unbooked(lake) == []
    assert listed(lake) == (0, [])
    readings(builder, *LATE)
    assert [row[:2] for row in unbooked(lake)] == [("n2 A", "2026-01-15T09:00Z")]
    code, due = listed(lake)
    assert code == 1
    assert {
        "hour": "2026-01-15T09",
        "state": "missed",
        "what": ["segments of n2"],
        "heals": True,
    } in due
    before = identities(lake)
    done = healed(lake)
    assert LATE[::-1] in done.aggregated
    assert HOURS[1] in done.causes
    assert HOURS[3] not in done.causes, "no reading of it, or beside it, has changed"
    assert books_of(derived(lake)) == books_of(punctual)
    assert unbooked(lake) == []
    assert listed(lake) == (0, [])
    after = identities(lake)
    assert [name for name in before if "hour=11" in name and after[name] != before[name]] == []


def test_a_second_call_does_nothing(builder: LakeBuilder) -> None:
    readings(builder, *LATE)
    healed(builder.lake)
    before = identities(builder.lake)
    done = healed(builder.lake)
    assert not done.changed
    assert done.lines() == ["4 hours: nothing to do"]
    assert identities(builder.lake) == before


def test_hours_beyond_the_span_are_left(builder: LakeBuilder) -> None:
    readings(builder, *LATE)
    before = identities(builder.lake)
    assert not healed(builder.lake, since_us=HOURS[3]).changed
    assert identities(builder.lake) == before
    assert unbooked(builder.lake)


def test_paused_for_three_hours(tmp_path: Path, punctual: dict[str, bytes]) -> None:
    missed = [(node, hour_us) for node in NODES for hour_us in HOURS[1:]]
    builder = fleet(tmp_path / "lake", missed)
    books(builder.lake, HOURS[:1])
    for node, hour_us in missed:
        readings(builder, node, hour_us)
    code, due = listed(builder.lake)
    assert code == 1
    assert [(one["hour"], one["what"]) for one in due if one["state"] == "missed"] == [
        (f"2026-01-15T{hour:02}", ["books", "segments of n1", "segments of n2"])
        for hour in (9, 10, 11)
    ]
    done = healed(builder.lake)
    assert {*HOURS[1:]} <= {*done.causes}
    assert books_of(derived(builder.lake)) == books_of(punctual)
    assert not healed(builder.lake).changed


def test_a_corrected_job_list(builder: LakeBuilder) -> None:
    """The job of one node turns out to have ended in the second hour."""
    end_us = HOURS[1] + 50 * S
    builder.job("job n1", "n1 A", T0 + 10 * S, end_us, node="n1", recorded_us=T0 + 1)
    code, due = listed(builder.lake, "--since", "2026-01-15T09")
    assert code == 1
    assert {one["state"] for one in due} == {"stale"}
    assert [one["hour"] for one in due] == ["2026-01-15T09", "2026-01-15T10", "2026-01-15T11"]
    assert "job edges of n1" in str(due[0]["what"])
    done = healed(builder.lake)
    assert T0 not in done.causes
    assert listed(builder.lake) == (0, [])


def test_segments_that_are_newer_than_the_books(builder: LakeBuilder) -> None:
    readings(builder, *LATE)
    assert run(builder.lake.root, "aggregate", "--device", "cpu")[0] == 0
    _, due = listed(builder.lake, "--hour", "2026-01-15T09")
    assert [(one["state"], one["what"]) for one in due] == [
        ("torn", ["segments are newer than the books"])
    ]


def test_readings_that_come_after_earlier_ones_were_removed(builder: LakeBuilder) -> None:
    lake = builder.lake
    for path in lake.files("power", [HOURS[2]], "n1"):
        path.unlink()
    builder.power("n1 A", level(100_000, HOURS[2] + 300 * S, HOURS[2] + 310 * S, S), node="n1")
    before = derived(lake)
    code, due = listed(lake, "--hour", "2026-01-15T10")
    assert code == 1
    assert due == [
        {"hour": "2026-01-15T10", "state": "waiting", "what": ["readings of n1"], "heals": False}
    ]
    done = healed(lake)
    assert done.waiting == ((HOURS[2], "n1"),)
    assert "Bring the earlier power files back" in "\n".join(done.lines())
    of_hour = {name for name in before if "hour=10" in name}
    assert {n: before[n] for n in of_hour} == {
        n: d for n, d in derived(lake).items() if n in of_hour
    }


def test_a_lone_reading_on_an_edge_is_not_missed(builder: LakeBuilder) -> None:
    """It has no time of its own: nothing is made from it, and nothing is ever due."""
    builder.power("n1 A", [(END_US, 100_000)], node="n1")
    healed(builder.lake, until_us=END_US + HOUR_US)
    assert listed(builder.lake) == (0, [])


def test_the_table_says_what_the_states_mean(builder: LakeBuilder) -> None:
    readings(builder, *LATE)
    code, lines = run(builder.lake.root, "stale")
    text = "\n".join(lines)
    assert code == 1
    assert "2026-01-15T09" in text
    assert "missed: it has readings that no segments or no books are made from" in text
    assert lines[-1].endswith("can be brought up to date: run `tokenergy heal`")
    code, lines = run(builder.lake.root, "heal", "--device", "cpu")
    assert code == 0
    assert any(line.startswith("heal: aggregated: ") for line in lines)
    assert run(builder.lake.root, "stale") == (0, ["4 hours: nothing is stale, missed or torn"])


def test_bad_options_are_one_line(builder: LakeBuilder) -> None:
    for arguments in (["stale", "--hour", "2026-01-17T08"], ["stale", "--format", "xml"]):
        code, lines = run(builder.lake.root, *arguments)
        assert (code, len(lines)) == (2, 1)
