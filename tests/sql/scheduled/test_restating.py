"""Hours of long ago are derived again if their inputs changed, no others, and no update is lost."""

from __future__ import annotations

import fcntl
import shutil
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.support.lakes import HOUR_US, T0, LakeBuilder, S
from tests.support.late import HOURS, books, derived, fleet, identities, readings
from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.lake import Lake
from tokenergy_sql.index import pipeline
from tokenergy_sql.index.site import Site
from tokenergy_sql.scheduled.faults import BusyError
from tokenergy_sql.scheduled.healing import checked
from tokenergy_sql.scheduled.restating import due_hours, restate, settle_span
from tokenergy_transforms.aggregate import aggregate

SITE = Site(None, None, {})
LATE = ("n2", HOURS[1])
SPAN = (T0, HOURS[-1] + HOUR_US)
NOW = datetime(2026, 2, 1, 12, 5, tzinfo=UTC)
DELAY = timedelta(minutes=10)
PARAMS = {
    **dict.fromkeys(("lake", "from", "to", "site", "reason")),
    **{"days": 31, "window": "1s", "device": "cpu"},
}


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


def found(lake: Lake) -> tuple[list[int], list[str]]:
    said: list[str] = []
    return due_hours(lake, SITE, *SPAN, said.append), said


def restated(lake: Lake, hours: list[int]) -> list[int]:
    return restate(lake, SITE, *SPAN, hours, S, "cpu", lambda _: None)


def test_nothing_is_due_in_a_lake_that_is_up_to_date(builder: LakeBuilder) -> None:
    hours, said = found(builder.lake)
    assert hours == []
    assert said == ["0 of 4 hours are to be derived again"]


def test_a_late_file_restates_its_hour_and_what_depends_on_it(
    builder: LakeBuilder, punctual: dict[str, bytes]
) -> None:
    readings(builder, *LATE)
    hours, said = found(builder.lake)
    assert HOURS[1] in hours
    assert HOURS[3] not in hours
    assert any(line.startswith("2026-01-15T09 missed: segments of n2") for line in said)
    before = identities(builder.lake)
    touched = restated(builder.lake, hours)
    assert {*hours} <= {*touched}
    assert HOURS[3] not in touched
    assert derived(builder.lake) == punctual
    after = identities(builder.lake)
    assert [name for name in before if "hour=11" in name and after[name] != before[name]] == []
    assert checked(builder.lake, touched, 5, lambda _: None) == []
    assert found(builder.lake)[0] == []


def test_a_second_try_tells_of_the_hours_that_the_first_derived(builder: LakeBuilder) -> None:
    readings(builder, *LATE)
    hours, _ = found(builder.lake)
    first = restated(builder.lake, hours)
    assert {*hours} <= {*restated(builder.lake, hours)} <= {*first}


def test_hours_outside_of_the_span_are_left(builder: LakeBuilder) -> None:
    readings(builder, *LATE)
    assert due_hours(builder.lake, SITE, HOURS[3], SPAN[1], lambda _: None) == []


def test_what_cannot_be_derived_again_is_said(builder: LakeBuilder) -> None:
    for path in builder.lake.files("power", [HOURS[2]], "n1"):
        path.unlink()
    builder.power("n1 A", [(HOURS[2] + 300 * S, 1), (HOURS[2] + 310 * S, 1)], node="n1")
    hours, said = found(builder.lake)
    assert HOURS[2] not in hours
    assert "2026-01-15T10 waiting: readings of n1" in said


def test_a_profile_outlives_its_readings(builder: LakeBuilder) -> None:
    (path,) = builder.lake.files("load_profile", [HOURS[2]])
    kept = path.read_bytes()
    for power in builder.lake.files("power", [HOURS[2]]):
        power.unlink()
    end_us = HOURS[2] + 50 * S
    builder.job("job n1", "n1 A", T0 + 10 * S, end_us, node="n1", recorded_us=T0 + 1)
    hours, _ = found(builder.lake)
    assert HOURS[2] in hours
    assert HOURS[2] in restated(builder.lake, hours)
    assert path.read_bytes() == kept


def waiters(path: Path) -> int:
    """How many processes or threads wait for the lock of a file."""
    inode = f":{path.stat().st_ino} "
    lines = Path("/proc/locks").read_text("utf-8").splitlines()
    return sum("->" in line and inode in line for line in lines)


def test_it_waits_for_a_run_that_changes_the_books_and_loses_nothing(
    builder: LakeBuilder, punctual: dict[str, bytes]
) -> None:
    """An hourly run corrects nothing less than the hour that is restated, at the same time."""
    readings(builder, *LATE)
    root, failed = builder.lake.root, list[BaseException]()

    def hourly() -> None:
        aggregate(Lake(root), LATE[1], LATE[0], S, "cpu")
        pipeline.index(Lake(root), SITE, [LATE[1]], lambda _: None)

    def old() -> None:
        lake = Lake(root)
        restated(lake, found(lake)[0])

    def watched(run: Callable[[], None]) -> Callable[[], None]:
        def inner() -> None:
            try:
                run()
            except BaseException as error:  # noqa: BLE001 - it is looked at below
                failed.append(error)

        return inner

    lock = root / "revisions" / ".lock"
    threads = [threading.Thread(target=watched(run)) for run in (hourly, old)]
    revision = builder.lake.books.latest().revision
    with lock.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        for thread in threads:
            thread.start()
        while waiters(lock) < 2 and not failed:
            time.sleep(0.01)
        assert Lake(root).books.latest().revision == revision
    for thread in threads:
        thread.join()
    assert failed == []
    assert derived(Lake(root)) == punctual
    assert found(Lake(root))[0] == []


def test_segments_that_another_run_wrote_from_what_it_had_read_before_are_seen(
    builder: LakeBuilder, monkeypatch: pytest.MonkeyPatch
) -> None:
    (path,) = builder.lake.files("segment", [HOURS[2]], "n1")
    before = path.read_bytes()
    builder.power("n1 A", [(HOURS[2] + 300 * S, 100_000), (HOURS[2] + 301 * S, 100_000)], node="n1")
    hours, _ = found(builder.lake)
    assert HOURS[2] in hours
    from tokenergy_sql.scheduled import restating

    write_profiles = restating.profile

    def profile_while_another_writes(*given: Any) -> None:
        write_profiles(*given)
        path.write_bytes(before)  # the other one began before the late file came

    monkeypatch.setattr(restating, "profile", profile_while_another_writes)
    with pytest.raises(BusyError, match="2026-01-15T10: still due"):
        restated(builder.lake, hours)
    monkeypatch.undo()
    assert HOURS[2] in restated(builder.lake, hours)
    assert found(builder.lake)[0] == []


def settled(root: Path, by_hand: bool = True, **given: object) -> dict[str, Any]:
    return settle_span({**PARAMS, "reason": "late", **given}, str(root), NOW, DELAY, by_hand)


def test_the_span_is_the_last_days_unless_it_is_given(sound: Path) -> None:
    usual = settled(sound)
    assert (usual["from"], usual["to"]) == ("2026-01-01T11", "2026-02-01T11")
    given = settled(sound, **{"from": "2026-01-15T08", "to": "2026-01-15T09:00Z"})
    assert (given["from_us"], given["to_us"]) == (T0, T0 + HOUR_US)
    assert given["reason"] == "late"
    assert settled(sound, days=1, to="2026-01-15T08")["from"] == "2026-01-14T08"
    assert settled(sound, by_hand=False, reason=None)["reason"] == "on schedule"


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"reason": None}, "no reason: say in the parameter reason"),
        ({"reason": " \n "}, "no reason: "),
        ({"from": "2026-01-15T09", "to": "2026-01-15T09"}, "is not before the end"),
        ({"to": "2026-02-01T12"}, "to 2026-02-01T12: the hours from 2026-02-01T11 on may be"),
        ({"from": "2026-02-30T08"}, "does not exist"),
        ({"window": "7s"}, "7s"),
        ({"site": "/nowhere/site.toml"}, "/nowhere/site.toml"),
    ],
)
def test_a_bad_value_is_named(given: dict[str, object], why: str, sound: Path) -> None:
    with pytest.raises(UserError) as refused:
        settled(sound, **given)
    assert why in str(refused.value)
