"""Airflow DAG: every hour, the hour that has just been sealed goes from readings to indices.

In: the raw tables of a lake and, as settings, the run's parameters, an Airflow Variable and the
environment. Out: the derived tables of that hour, the jobs' index, the report page and, once the
checks have passed, one event for each table's asset. The hour is the one in which the run's
logical date lies. Running it again on the same raw files writes the same bytes.

The tasks only call the project's packages; everything heavy is imported inside them, because
Airflow parses this file every few seconds. How to deploy it: docs/airflow.md.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.sdk import DAG, Asset, CronDataIntervalTimetable, Param, Variable, task
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException


def delay_minutes(text: str) -> int:
    """Return how long after its end an hour is taken up, in minutes.

    It must exceed the collectors' `roll_s` (5 minutes by default): the last window of an hour
    needs the first reading of the next, which is in the lake once its file is sealed.
    """
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= 59:
        raise ValueError(f"TOKENERGY_DELAY_MINUTES={text!r}: expected a whole number from 1 to 59")
    return int(text)


DELAY = timedelta(minutes=delay_minutes(os.environ.get("TOKENERGY_DELAY_MINUTES", "10")))
HOUR = timedelta(hours=1)
ROWS_SHOWN = 20

ASSETS = [
    Asset(f"tokenergy_{table}", uri=f"tokenergy://lake/{table}", group="tokenergy")
    for table in (
        *("segment", "ledger", "ledger_hour", "token_usage"),
        *("job_hour_index", "job_efficiency", "job_index"),
    )
]

PARAMS = {
    "lake": Param(
        None,
        type=["null", "string"],
        description="Path of the lake; if empty the Variable tokenergy_lake, then $TOKENERGY_LAKE.",
    ),
    "window": Param("1s", type="string", description="Window: 1ms to 1h, divides an hour."),
    "device": Param("auto", type="string", enum=["auto", "cpu", "cuda"]),
    "site": Param(
        None, type=["null", "string"], description="Site file; if empty site.toml in the lake."
    ),
    "report": Param(
        None,
        type=["null", "string"],
        description="Report page; if empty LAKE-report/index.html, beside the lake.",
    ),
}


def hour_of_run(logical_date: datetime | None, run_after: datetime, now: datetime) -> datetime:
    """Return the start of the hour that a run is for.

    It is the hour in which the logical date lies; for a run without one, the last hour that was
    sealed when the run was asked for.

    Raises:
        AirflowFailException: the hour may not be sealed yet.
    """
    moment = run_after - DELAY - HOUR if logical_date is None else logical_date
    hour = moment.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    sealed = hour + HOUR + DELAY
    if now < sealed:
        raise AirflowFailException(
            f"hour {hour:%Y-%m-%dT%H}: may be incomplete until {sealed:%Y-%m-%dT%H:%M} UTC; "
            "trigger with a logical date in an earlier hour, or with none for the last sealed hour"
        )
    return hour


@task(retries=0)
def settings(**context: Any) -> dict[str, Any]:
    """Settle once what the run works on; the other tasks are told."""
    from pathlib import Path

    from tokenergy_collectors.base.errors import UserError
    from tokenergy_collectors.lake import Lake
    from tokenergy_sql.index.site import load_site
    from tokenergy_transforms.cuts import parse_window

    params, run = context["params"], context["dag_run"]
    hour = hour_of_run(run.logical_date, run.run_after, datetime.now(UTC))
    place = params["lake"] or Variable.get("tokenergy_lake", default=None)
    place = place or os.environ.get("TOKENERGY_LAKE")
    if not place:
        raise UserError(
            "no lake: expected its path in the parameter lake, the Variable tokenergy_lake "
            "or the environment's TOKENERGY_LAKE"
        )
    root = Lake(place).root.resolve()
    load_site(Path(params["site"]) if params["site"] else None, root)
    settled = {
        "lake": str(root),
        "hour": f"{hour:%Y-%m-%dT%H}",
        "hour_us": int(hour.timestamp()) * 1_000_000,
        "window_us": parse_window(params["window"]),
        "device": params["device"],
        "site": params["site"],
        "report": params["report"] or f"{root}-report/index.html",
    }
    print(" ".join(f"{name}={value}" for name, value in settled.items()))
    return settled


@task
def nodes(settled: dict[str, Any]) -> list[str]:
    """List the nodes that have something to aggregate in the hour."""
    from tokenergy_collectors.lake import Lake
    from tokenergy_transforms.aggregate import worklist

    found = [node for _, node in worklist(Lake(settled["lake"]), [settled["hour_us"]])]
    print(f"hour {settled['hour']}: {len(found)} nodes")
    return found


@task(map_index_template="{{ task.op_kwargs['node'] }}")
def aggregate(settled: dict[str, Any], node: str) -> None:
    """Integrate one node's readings into its segments of the hour."""
    from tokenergy_transforms.arrowmemory import take_from_system

    take_from_system()
    from tokenergy_collectors.lake import Lake
    from tokenergy_transforms import aggregate as transform

    done = transform.aggregate(
        Lake(settled["lake"]), settled["hour_us"], node, settled["window_us"], settled["device"]
    )
    print(f"{node}: {done.readings:,} readings -> {done.segments:,} segments ({done.backend})")


# Beside the books, which do not need it; what an earlier run left of an hour without data goes.
@task(trigger_rule="none_failed")
def load_profile(settled: dict[str, Any]) -> None:
    """Write the load profiles and spectra of the hour's jobs, nodes, racks and sites."""
    from tokenergy_collectors.lake import Lake
    from tokenergy_transforms.loadprofile.groups import KINDS
    from tokenergy_transforms.loadprofile.profile import profile_hour

    lake, hour_us = Lake(settled["lake"]), settled["hour_us"]
    done = profile_hour(lake, hour_us, KINDS, device=settled["device"])
    print(f"{done.groups} groups, {done.cells:,} cells ({done.backend})")


# An hour without data maps to no aggregate task at all; it is indexed all the same, so that what
# an earlier run left of it goes. One at a time: each rebuilds the jobs' index over all hours, and a
# backfill's run is not held back by the DAG's `max_active_runs`.
@task(trigger_rule="none_failed", max_active_tis_per_dag=1)
def index(settled: dict[str, Any]) -> None:
    """Book the hour's energy, count its tokens and rebuild the jobs' index."""
    from pathlib import Path

    from tokenergy_collectors.lake import Lake
    from tokenergy_sql.index import pipeline
    from tokenergy_sql.index.site import load_site

    lake = Lake(settled["lake"])
    site = load_site(Path(settled["site"]) if settled["site"] else None, lake.root)
    done = pipeline.index(lake, site, [settled["hour_us"]])
    print(f"{done.jobs} jobs; revision {done.revision or 'unchanged'}")


@task(retries=3, outlets=ASSETS)
def check(settled: dict[str, Any], ti: Any = None, outlet_events: Any = None) -> None:
    """Check the books of the hour and of all jobs; only what closes is announced to consumers.

    A breach is final, and not retried, unless another run is at work: it may be between its
    segments and its ledger.
    """
    from tokenergy_collectors.lake import Lake
    from tokenergy_sql.checks.checking import run_checks

    breached = []
    for finding in run_checks(Lake(settled["lake"]), [settled["hour_us"]]):
        print("\n".join(finding.lines(ROWS_SHOWN)))
        if finding.breach:
            breached.append(f"{finding.name} ({len(finding.rows)} rows)")
    if breached:
        why = f"the books do not close: {', '.join(breached)}; rows above"
        if ti.get_dr_count(ti.dag_id, states=["running"]) > 1:
            raise RuntimeError(f"{why}; another run is at work, so this one will look again")
        raise AirflowFailException(why)
    for asset in ASSETS:
        outlet_events[asset].extra = {"lake": settled["lake"], "hour": settled["hour"]}


@task
def report(settled: dict[str, Any]) -> str:
    """Write the report page of the whole lake and return its path."""
    from pathlib import Path

    from tokenergy_collectors.lake import Lake
    from tokenergy_sql.report import build_report

    lake = Lake(settled["lake"])
    if not lake.hours("ledger"):
        raise AirflowSkipException("nothing to report: the lake has no ledger yet")
    out = Path(settled["report"])
    out.parent.mkdir(parents=True, exist_ok=True)
    return str(build_report(lake, out))


with DAG(
    "tokenergy_hourly",
    description="Energy per token, job by job, of the hour that has just been sealed.",
    doc_md=__doc__,
    schedule=CronDataIntervalTimetable(f"{DELAY.seconds // 60} * * * *", timezone="UTC"),
    catchup=False,
    max_active_runs=1,
    default_args={
        "retries": 2,
        "retry_delay": timedelta(minutes=1),
        "retry_exponential_backoff": True,
        "max_retry_delay": timedelta(minutes=10),
    },
    params=PARAMS,
    tags=["tokenergy"],
) as dag:
    settled: Any = settings()  # at parse time not yet the dict, but a reference to it
    aggregated = aggregate.partial(settled=settled).expand(node=nodes(settled))
    aggregated >> index(settled) >> check(settled) >> report(settled)
    aggregated >> load_profile(settled)
