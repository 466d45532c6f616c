"""What the scheduler's environment says, and the hour and settings of a run."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

from tests.support.lakes import T0, LakeBuilder
from tokenergy_collectors.base.errors import UserError
from tokenergy_sql.scheduled.settings import delay_minutes, hour_of_run, schedule_of, settle

DELAY = timedelta(minutes=10)
EAST = timezone(timedelta(hours=5, minutes=30))


def at(hour: int, minute: int = 0) -> datetime:
    return datetime(2026, 1, 15, hour, minute, tzinfo=UTC)


@pytest.mark.parametrize(
    ("logical", "after", "now", "hour"),
    [
        (at(8, 10), at(9, 10), at(9, 10), 8),
        (at(8), at(8), at(20), 8),
        (at(8, 59).astimezone(EAST), at(20), at(20), 8),
        (None, at(9, 10), at(9, 11), 8),
        (None, at(9, 9), at(9, 11), 7),
    ],
)
def test_hour_of_a_run(logical: datetime | None, after: datetime, now: datetime, hour: int) -> None:
    assert hour_of_run(logical, after, now, DELAY) == at(hour)


def test_an_hour_that_is_not_complete_says_when_it_is() -> None:
    with pytest.raises(UserError) as refused:
        hour_of_run(at(8), at(9, 9), at(9, 9), DELAY)
    assert str(refused.value) == (
        "hour 2026-01-15T08: may be incomplete until 2026-01-15T09:10 UTC; trigger with a logical "
        "date in an earlier hour, or without one for the last complete hour"
    )


@pytest.mark.parametrize("text", ["0", "60", "-5", "ten", "", "1٣"])
def test_a_bad_delay_is_named(text: str) -> None:
    with pytest.raises(ValueError, match="expected a whole number from 1 to 59") as refused:
        schedule_of({"TOKENERGY_DELAY_MINUTES": text})
    assert str(refused.value).startswith(f"TOKENERGY_DELAY_MINUTES={text!r}: ")
    assert [delay_minutes(good) for good in ("1", "59")] == [1, 59]


@pytest.mark.parametrize(
    "name", ["TOKENERGY_TASK_TIMEOUT", "TOKENERGY_RUN_TIMEOUT", "TOKENERGY_DEADLINE"]
)
@pytest.mark.parametrize("text", ["0s", "10", "soon", "-5m", ""])
def test_a_bad_limit_is_named(name: str, text: str) -> None:
    with pytest.raises(ValueError, match="expected a time such as 90s, 30m or 2h") as refused:
        schedule_of({name: text})
    assert str(refused.value).startswith(f"{name}={text!r}: ")


def test_defaults_and_values() -> None:
    usual = schedule_of({})
    assert (usual.delay, usual.cron) == (DELAY, "10 * * * *")
    assert (usual.task_limit, usual.run_limit) == (timedelta(minutes=30), timedelta(hours=2))
    assert usual.deadline is None
    assert schedule_of({"TOKENERGY_DEADLINE": "off"}).deadline is None
    assert (usual.mail_to, usual.mail_from) == ([], None)
    chosen = schedule_of(
        {
            "TOKENERGY_DELAY_MINUTES": "25",
            "TOKENERGY_TASK_TIMEOUT": "90s",
            "TOKENERGY_RUN_TIMEOUT": "1.5h",
            "TOKENERGY_DEADLINE": "45m",
            "TOKENERGY_ALERT_TO": "a@example.org, b@example.org,",
            "TOKENERGY_ALERT_FROM": "tokenergy@example.org",
        }
    )
    assert chosen.cron == "25 * * * *"
    assert chosen.task_limit == timedelta(seconds=90)
    assert chosen.run_limit == timedelta(minutes=90)
    assert chosen.deadline == timedelta(minutes=45)
    assert chosen.mail_to == ["a@example.org", "b@example.org"]
    assert chosen.mail_from == "tokenergy@example.org"


PARAMS = {
    **{"site": None, "report": None, "report_hours": 12},
    **{"window": "500ms", "device": "cpu", "heal_days": 2},
}


def test_settings_of_a_run(tmp_path: Path) -> None:
    lake = LakeBuilder(tmp_path / "lake").lake
    lake.prepare()
    assert settle(PARAMS, str(lake.root), at(8)) == {
        "lake": str(lake.root),
        "hour": "2026-01-15T08",
        "hour_us": T0,
        "heal_from_us": T0 - 48 * 3_600_000_000,
        "window_us": 500_000,
        "device": "cpu",
        "site": None,
        "report": f"{lake.root}-report/index.html",
        "report_hours": 12,
    }


@pytest.mark.parametrize("place", ["", None])
def test_without_a_lake_it_says_where_it_looked(place: str | None) -> None:
    with pytest.raises(UserError, match="no lake: expected its path or URL in the parameter lake"):
        settle(PARAMS, place, at(8))


def test_a_bad_value_is_refused(tmp_path: Path) -> None:
    built = LakeBuilder(tmp_path / "lake").lake
    built.prepare()
    lake = str(built.root)
    with pytest.raises(UserError, match="no such directory"):
        settle(PARAMS, "/nowhere/lake", at(8))
    with pytest.raises(UserError, match="7s"):
        settle({**PARAMS, "window": "7s"}, lake, at(8))
    with pytest.raises(UserError, match="nowhere"):
        settle({**PARAMS, "site": "/nowhere/site.toml"}, lake, at(8))


@pytest.mark.parametrize(
    ("text", "cron"),
    [
        ("", None),
        ("off", None),
        ("@daily", "0 0 * * *"),
        ("30 4 * * 1-5", "30 4 * * 1-5"),
        ("*/15 0,12 * JAN *", "*/15 0,12 * JAN *"),
    ],
)
def test_a_schedule_is_a_word_or_cron(text: str, cron: str | None) -> None:
    assert schedule_of({"TOKENERGY_RESTATE_SCHEDULE": text}).restate == cron


@pytest.mark.parametrize("text", ["daily", "@yearly", "30 4 * *", "30 4 * * * *", "30 4 * * ;"])
def test_a_bad_schedule_is_named(text: str) -> None:
    with pytest.raises(ValueError, match="or the five fields of cron such as") as refused:
        schedule_of({"TOKENERGY_RESTATE_SCHEDULE": text})
    assert str(refused.value).startswith(f"TOKENERGY_RESTATE_SCHEDULE={text!r}: ")


def test_the_pool_is_airflow_s_own_unless_it_is_named() -> None:
    assert schedule_of({}).cuda_pool == "default_pool"
    assert schedule_of({"TOKENERGY_CUDA_POOL": " "}).cuda_pool == "default_pool"
    assert schedule_of({"TOKENERGY_CUDA_POOL": "cards"}).cuda_pool == "cards"
