"""Airflow DAG: processes each hour from readings to indices once its files are complete.

In: the raw tables of a lake and, as settings, the run's parameters, an Airflow Variable and the
environment. Out: the derived tables of that hour, the jobs' index, the report page and, once the
checks have passed, one event for each table's asset. The hour is the one that contains the run's
logical date. Running it again on the same raw files writes the same bytes.

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
    """Return how many minutes after its end an hour is processed.

    It must exceed the collectors' `roll_s` (5 minutes by default): the last window of an hour
    needs the first reading of the next, which is in the lake once its file is closed.

    Raises:
        ValueError: the text is not a whole number from 1 to 59.
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
        *("segment", "ledger", "ledger_hour", "node_hour", "token_usage"),
        *("job_hour_index", "job_efficiency", "phase_block", "phase_role", "job_index"),
    )
]

PARAMS = {
    "lake": Param(
        None,
        type=["null", "string"],
        description="Lake folder. If empty: the Variable tokenergy_lake, then $TOKENERGY_LAKE.",
    ),
    "window": Param(
        "1s", type="string", description="Window length: 1ms to 1h; must divide an hour."
    ),
    "device": Param("auto", type="string", enum=["auto", "cpu", "cuda"]),
    "site": Param(
        None, type=["null", "string"], description="Site file. If empty: site.toml in the lake."
    ),
    "report": Param(
        None,
        type=["null", "string"],
        description="Report file. If empty: LAKE-report/index.html, beside the lake.",
    ),
    "report_hours": Param(
        24, type="integer", minimum=1, description="How many hours the report covers, the latest."
    ),
}


def hour_of_run(logical_date: datetime | None, run_after: datetime, now: datetime) -> datetime:
    """Return the start of the hour that a run processes.

    It is the hour that contains the logical date; for a run without one, the last hour that was
    complete when the run was triggered.

    Raises:
        AirflowFailException: the hour may not be complete yet.
    """
    moment = run_after - DELAY - HOUR if logical_date is None else logical_date
    hour = moment.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    complete = hour + HOUR + DELAY
    if now < complete:
        raise AirflowFailException(
            f"hour {hour:%Y-%m-%dT%H}: may be incomplete until {complete:%Y-%m-%dT%H:%M} UTC; "
            "trigger with a logical date in an earlier hour, "
            "or without one for the last complete hour"
        )
    return hour


@task(retries=0)
def settings(**context: Any) -> dict[str, Any]:
    """Work out the settings of the run once and hand them to the other tasks."""
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
            "or the environment variable TOKENERGY_LAKE"
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
        "report_hours": params["report_hours"],
    }
    print(" ".join(f"{name}={value}" for name, value in settled.items()))
    return settled


@task
def nodes(settled: dict[str, Any]) -> list[str]:
    """List the nodes that have readings of the hour."""
    from tokenergy_collectors.lake import Lake
    from tokenergy_transforms.aggregate import worklist

    found = [node for _, node in worklist(Lake(settled["lake"]), [settled["hour_us"]])]
    print(f"hour {settled['hour']}: {len(found)} nodes")
    return found


@task(map_index_template="{{ task.op_kwargs['node'] }}")
def aggregate(settled: dict[str, Any], node: str) -> None:
    """Integrate one node's readings of the hour into energy segments."""
    from tokenergy_transforms.arrowmemory import take_from_system

    # Before anything imports pyarrow: the allocator is chosen at its first use.
    take_from_system()
    from tokenergy_collectors.lake import Lake
    from tokenergy_transforms import aggregate as transform

    done = transform.aggregate(
        Lake(settled["lake"]), settled["hour_us"], node, settled["window_us"], settled["device"]
    )
    print(f"{node}: {done.readings:,} readings -> {done.segments:,} segments ({done.backend})")


# In parallel with the books, which do not need it. `none_failed`: it runs for an hour without data
# too, to remove what an earlier run wrote for that hour.
@task(trigger_rule="none_failed")
def load_profile(settled: dict[str, Any]) -> None:
    """Write the load profiles and spectra of the hour's jobs, nodes, racks and sites."""
    from tokenergy_collectors.lake import Lake
    from tokenergy_transforms.loadprofile.groups import KINDS
    from tokenergy_transforms.loadprofile.profile import profile_hour

    lake, hour_us = Lake(settled["lake"]), settled["hour_us"]
    done = profile_hour(lake, hour_us, KINDS, device=settled["device"])
    print(f"{done.groups} groups, {done.cells:,} cells ({done.backend})")


# An hour without data has no aggregate task. It is indexed all the same, to remove what an earlier
# run wrote for it. One at a time, because each run rebuilds the jobs' index over all hours, and the
# DAG's `max_active_runs` does not limit the runs of a backfill.
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
    print(f"{done.jobs} jobs; revision {done.revision or 'unchanged'}", *done.remarks, sep="\n")


@task(retries=3, outlets=ASSETS)
def check(settled: dict[str, Any], ti: Any = None, outlet_events: Any = None) -> None:
    """Check the books of the hour and of all jobs; send asset events only if all checks pass.

    A failed check is final and not retried, unless another run is active: that one may have
    written its segments but not yet its ledger.
    """
    from tokenergy_collectors.lake import Lake
    from tokenergy_sql.checks.checking import run_checks

    failed = []
    for finding in run_checks(Lake(settled["lake"]), [settled["hour_us"]]):
        print("\n".join(finding.lines(ROWS_SHOWN)))
        if finding.breach:
            failed.append(f"{finding.name} ({len(finding.rows)} rows)")
    if failed:
        why = f"the books do not close: {', '.join(failed)}; see the rows above"
        if ti.get_dr_count(ti.dag_id, states=["running"]) > 1:
            raise RuntimeError(f"{why}; another run is active, so this one will check again")
        raise AirflowFailException(why)
    for asset in ASSETS:
        outlet_events[asset].extra = {"lake": settled["lake"], "hour": settled["hour"]}


@task
def report(settled: dict[str, Any]) -> str:
    """Write the report of the latest hours and return its path."""
    from pathlib import Path

    from tokenergy_collectors.lake import Lake
    from tokenergy_sql.report import build_report, last_hours

    lake = Lake(settled["lake"])
    if not lake.hours("ledger"):
        raise AirflowSkipException("nothing to report: the lake has no ledger yet")
    out = Path(settled["report"])
    out.parent.mkdir(parents=True, exist_ok=True)
    hours, checked = last_hours(lake, settled["report_hours"]), [settled["hour_us"]]
    return str(build_report(lake, out, hours=hours, check_hours=checked))


with DAG(
    "tokenergy_hourly",
    description="Energy per token, job by job, for each hour once its files are complete.",
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
