"""Airflow DAG: restates past hours whose inputs came late or were corrected, and no others.

In: the raw tables and the books of a lake, a span of hours and, as settings, the run's parameters,
an Airflow Variable and the environment. Out: the derived tables of the hours that were not up to
date and, once their checks have passed, one event for each of these hours and each table's asset.

The hourly DAG does the same for the last days. This one is for what came later: by hand with a
span and a reason, or on a schedule. Its tasks only call the project's packages: docs/airflow.md.
"""

from __future__ import annotations

import itertools
from datetime import UTC, datetime
from typing import Any

from airflow.sdk import DAG, AssetAlias, CronTriggerTimetable, Param, task
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException
from tokenergy_shared import (
    ASSETS,
    DEVICE,
    LAKE,
    QUICK,
    ROWS_SHOWN,
    RUNS,
    SCHEDULE,
    SITE,
    WINDOW,
    place_of,
)

from tokenergy_sql.scheduled.anywhere import anywhere

RESTATED = AssetAlias("tokenergy_restated", group="tokenergy")
"""Gets the events of hours that were restated, for the assets of the hourly DAG."""

_HOUR = "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}(:00)?Z?$"

PARAMS = {
    "lake": LAKE,
    "from": Param(
        None,
        type=["null", "string"],
        pattern=_HOUR,
        description="First UTC hour, e.g. 2026-01-15T08. If empty: `days` before the end.",
    ),
    "to": Param(
        None,
        type=["null", "string"],
        pattern=_HOUR,
        description="End when this UTC hour begins. If empty: after the last complete hour.",
    ),
    "days": Param(
        31,
        type="integer",
        minimum=1,
        maximum=3660,
        description="So many days, without from.",
    ),
    "reason": Param(
        None,
        type=["null", "string"],
        maxLength=500,
        description="Why: kept in the log and in the events. A run by hand needs one.",
    ),
    "window": WINDOW,
    "device": DEVICE,
    "site": SITE,
}


@task(retry_policy=QUICK)
def settings(**context: Any) -> dict[str, Any]:
    """Work out the settings of the run once and hand them to the other tasks."""
    from tokenergy_sql.scheduled.restating import settle_span

    by_hand = context["dag_run"].run_type == "manual"
    place = place_of(context["params"])
    settled = settle_span(
        context["params"], place, datetime.now(UTC), SCHEDULE.delay, by_hand=by_hand
    )
    print(" ".join(f"{name}={value}" for name, value in settled.items()))
    return settled


@task
@anywhere
def find(settled: dict[str, Any]) -> list[int]:
    """Find the hours of the span that are not up to date; end the run if there are none."""
    from pathlib import Path

    from tokenergy_collectors.lake import Lake
    from tokenergy_sql.index.site import load_site
    from tokenergy_sql.scheduled.restating import due_hours

    lake = Lake(settled["lake"])
    site = load_site(Path(settled["site"]) if settled["site"] else None, lake.root)
    found = due_hours(lake, site, settled["from_us"], settled["to_us"])
    if not found:
        raise AirflowSkipException("nothing to restate")
    return found


# The books have a lock: of several runs, also of the hourly DAG, one changes them at a time.
@task(execution_timeout=SCHEDULE.run_limit, max_active_tis_per_dag=1, pool=SCHEDULE.cuda_pool)
@anywhere
def derive(settled: dict[str, Any], found: list[int]) -> list[int]:
    """Derive these hours again; return those to check, with neighbours that depend on them."""
    from pathlib import Path

    from tokenergy_transforms.arrowmemory import take_from_system

    take_from_system()
    from tokenergy_collectors.lake import Lake
    from tokenergy_sql.index.site import load_site
    from tokenergy_sql.scheduled.restating import restate

    lake = Lake(settled["lake"])
    site = load_site(Path(settled["site"]) if settled["site"] else None, lake.root)
    return restate(
        *(lake, site, settled["from_us"], settled["to_us"], found),
        *(settled["window_us"], settled["device"]),
    )


@task(outlets=[RESTATED])
@anywhere
def check(settled: dict[str, Any], hours: list[int], outlet_events: Any = None) -> None:
    """Check the hours that were derived; send asset events of these alone, if all checks pass."""
    from tokenergy_collectors.lake import Lake
    from tokenergy_collectors.lake.paths import show_hour
    from tokenergy_sql.scheduled.healing import checked

    failed = checked(Lake(settled["lake"]), hours, ROWS_SHOWN, print)
    if failed:
        raise AirflowFailException(f"restated hours fail their checks: {', '.join(failed)}")
    for hour, asset in itertools.product(map(show_hour, hours), ASSETS):
        extra = {"lake": settled["place"], "hour": hour, "reason": settled["reason"]}
        outlet_events[RESTATED].add(asset, extra=extra)


with DAG(
    "tokenergy_restate",
    description="Derive again what came late or was corrected after the hourly runs.",
    doc_md=__doc__,
    schedule=CronTriggerTimetable(SCHEDULE.restate, timezone="UTC") if SCHEDULE.restate else None,
    params=PARAMS,
    **RUNS,
) as dag:
    settled: Any = settings()  # at parse time not yet the dict, but a reference to it
    check(settled, derive(settled, find(settled)))
