"""What a scheduler's environment says, and what one of its runs is to do.

In: environment variables; the parameters and dates of a run. Out: delay, time limits, addresses;
the hour and the settings of the run. A DAG file imports this each time it is parsed, so nothing
heavy is imported before it is needed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from tokenergy_collectors.base.durations import parse_duration
from tokenergy_collectors.base.errors import UserError

HOUR = timedelta(hours=1)

RETRIES = 4
"""Further tries of a task whose fault passes by itself."""

FIRST_WAIT = timedelta(minutes=1)
"""Before the first of them; before each of the others twice as long."""

LONGEST_WAIT = timedelta(minutes=10)

DEFAULT_POOL = "default_pool"
"""The pool that every Airflow has, and that tasks are in if nothing else is said."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """When runs start and how long they may take.

    Attributes:
        delay: how long after its end an hour is processed.
        cron: that, as minutes of every hour.
        task_limit: how long a task may run before it fails.
        run_limit: how long a run may take before it fails; healing may use all of it.
        deadline: how long after a run was due people are told that it has not ended; None: never.
        mail_to: addresses that are told of failures.
        mail_from: the sender; None: what Airflow's connection `smtp_default` says.
        cuda_pool: Airflow's pool for tasks that may use CUDA.
        restate: when hours of long ago are restated, as cron; None: by hand alone.
        quality: when the quality of the data is looked at, the same way.
        daily: when past hours are compacted and old ones removed, the same way.
    """

    delay: timedelta
    cron: str
    task_limit: timedelta
    run_limit: timedelta
    deadline: timedelta | None
    mail_to: list[str]
    mail_from: str | None
    cuda_pool: str
    restate: str | None
    quality: str | None
    daily: str | None


def schedule_of(environ: Mapping[str, str]) -> Schedule:
    """Return the schedule that the environment asks for.

    Raises:
        ValueError: a variable has a bad value; the message names it and what is expected.
    """
    minutes = delay_minutes(environ.get("TOKENERGY_DELAY_MINUTES", "10"))
    addresses = environ.get("TOKENERGY_ALERT_TO", "").split(",")
    return Schedule(
        delay=timedelta(minutes=minutes),
        cron=f"{minutes} * * * *",
        task_limit=_limit(environ, "TOKENERGY_TASK_TIMEOUT", "30m"),
        run_limit=_limit(environ, "TOKENERGY_RUN_TIMEOUT", "2h"),
        deadline=_deadline(environ),
        mail_to=[address.strip() for address in addresses if address.strip()],
        mail_from=environ.get("TOKENERGY_ALERT_FROM") or None,
        cuda_pool=environ.get("TOKENERGY_CUDA_POOL", "").strip() or DEFAULT_POOL,
        restate=_cron(environ, "TOKENERGY_RESTATE_SCHEDULE", "off"),
        quality=_cron(environ, "TOKENERGY_QUALITY_SCHEDULE", "45 * * * *"),
        daily=_cron(environ, "TOKENERGY_DAILY_SCHEDULE", "30 2 * * *"),
    )


def delay_minutes(text: str) -> int:
    """Return how many minutes after its end an hour is processed.

    It must exceed the collectors' `roll_s` (5 minutes by default): the last window of an hour
    needs the first reading of the next, which is in the lake once its file is closed.

    Raises:
        ValueError: the text is not a whole number from 1 to 59.
    """
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= 59:
        raise ValueError(f"TOKENERGY_DELAY_MINUTES={text!r}: expected a whole number from 1 to 59")
    return int(text)


_PRESETS = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
}
_CRON = re.compile(r"[0-9a-zA-Z*,/?#-]+(?: +[0-9a-zA-Z*,/?#-]+){4}")


def _cron(environ: Mapping[str, str], name: str, default: str) -> str | None:
    """Return a schedule as a cron expression of five fields; None if it is `off` or empty."""
    text = environ.get(name, default).strip()
    if text in ("", "off"):
        return None
    if text in _PRESETS:
        return _PRESETS[text]
    if not _CRON.fullmatch(text):
        expected = f"off, {', '.join(_PRESETS)}, or the five fields of cron such as '30 4 * * *'"
        raise ValueError(f"{name}={text!r}: expected {expected}")
    return text


def _limit(environ: Mapping[str, str], name: str, default: str) -> timedelta:
    text = environ.get(name, default)
    try:
        return timedelta(microseconds=parse_duration(text))
    except UserError as error:
        raise ValueError(f"{name}={text!r}: expected a time such as 90s, 30m or 2h") from error


def _deadline(environ: Mapping[str, str]) -> timedelta | None:
    # Off by default: `airflow dags test` of Airflow 3.3 fails for a DAG that has a deadline.
    if environ.get("TOKENERGY_DEADLINE", "off").strip() == "off":
        return None
    return _limit(environ, "TOKENERGY_DEADLINE", "off")


def hour_of_run(
    logical_date: datetime | None, run_after: datetime, now: datetime, delay: timedelta
) -> datetime:
    """Return the start of the hour that a run processes.

    It is the hour that contains the logical date; for a run without one, the last hour that was
    complete when the run was triggered.

    Args:
        logical_date: of the run.
        run_after: when it was to start at the earliest.
        now: the time.
        delay: how long after its end an hour is complete.

    Raises:
        UserError: the hour may not be complete yet.
    """
    moment = run_after - delay - HOUR if logical_date is None else logical_date
    hour = moment.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    complete = hour + HOUR + delay
    if now < complete:
        raise UserError(
            f"hour {hour:%Y-%m-%dT%H}: may be incomplete until {complete:%Y-%m-%dT%H:%M} UTC; "
            "trigger with a logical date in an earlier hour, "
            "or without one for the last complete hour"
        )
    return hour


def settle(params: Mapping[str, Any], place: str | None, hour: datetime) -> dict[str, Any]:
    """Return the settings of a run, checked, as values that JSON can hold.

    Args:
        params: parameters of the run.
        place: path of the lake.
        hour: start of the hour.

    Raises:
        UserError: a value cannot be used, or there is no such lake.
    """
    from pathlib import Path

    from tokenergy_collectors.lake.expired import read_expired
    from tokenergy_transforms.cuts import parse_window

    root = root_of(place, params["site"])
    read_expired(Path(root)).refuse([us_of(hour)], ("power",))
    heal_from = hour - timedelta(days=params["heal_days"])
    return {
        "lake": root,
        "hour": f"{hour:%Y-%m-%dT%H}",
        "hour_us": us_of(hour),
        "heal_from_us": us_of(heal_from),
        "window_us": parse_window(params["window"]),
        "device": params["device"],
        "site": params["site"],
        "report": params["report"] or report_of(root, "index.html"),
        "report_hours": params["report_hours"],
    }


def root_of(place: str | None, site: str | None) -> str:
    """Return the absolute path or the URL of a lake, and see that it and the site file can be used.

    Args:
        place: path or URL of the lake.
        site: path of the site file; the lake's own if None.

    Raises:
        UserError: one cannot be used, or there is no such lake.
    """
    from pathlib import Path

    from tokenergy_collectors.lake import Lake
    from tokenergy_sql.index.site import load_site
    from tokenergy_sql.workcopy.working import on_lake, url_in

    if not place:
        raise UserError(
            "no lake: expected its path or URL in the parameter lake, the Variable tokenergy_lake "
            "or the environment variable TOKENERGY_LAKE"
        )

    def look(folder: Path) -> Path:
        load_site(Path(site) if site else None, folder)
        return Lake(folder).root.resolve()

    root = on_lake(place, look, ())
    return url_in(place) or str(root)


def report_of(root: str, name: str) -> str:
    """Return where a report goes by default: beside a lake's folder, or into its store.

    Args:
        root: absolute path or URL of the lake.
        name: of the page.
    """
    from tokenergy_sql.workcopy.copy import REPORT
    from tokenergy_sql.workcopy.working import url_in

    return f"{REPORT}/{name}" if url_in(root) else f"{root}-report/{name}"


def complete_until(now: datetime, delay: timedelta) -> datetime:
    """Return the end of the last hour that is complete.

    Args:
        now: the time.
        delay: how long after its end an hour is complete.
    """
    return (now - delay).astimezone(UTC).replace(minute=0, second=0, microsecond=0)


def us_of(moment: datetime) -> int:
    """Return a moment of whole seconds in microseconds since 1970."""
    return int(moment.timestamp()) * 1_000_000
