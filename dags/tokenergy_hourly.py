"""Airflow DAG: processes each hour from readings to indices once its files are complete.

In: the raw tables of a lake and, as settings, the run's parameters, an Airflow Variable and the
environment. Out: the derived tables of that hour, the jobs' index, the report page and, once the
checks have passed, one event for each table's asset. The hour is the one that contains the run's
logical date. Running it again on the same raw files writes the same bytes.

The tasks only call the project's packages; everything heavy is imported inside them, because
Airflow parses this file every few seconds. How to deploy it: docs/airflow.md.
"""

from __future__ import annotations

import itertools
from datetime import UTC, datetime
from typing import Any

from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG, AssetAlias, CronDataIntervalTimetable, Param, task
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException
from tokenergy_shared import (
    ASSETS,
    DEVICE,
    LAKE,
    LATE,
    QUICK,
    ROWS_SHOWN,
    RUNS,
    SCHEDULE,
    SITE,
    WINDOW,
    place_of,
)

from tokenergy_sql.scheduled.anywhere import anywhere
from tokenergy_sql.scheduled.settings import hour_of_run, settle

HEALED = AssetAlias("tokenergy_healed", group="tokenergy")
"""Gets the events of hours that were derived again, for the same assets."""

PARAMS = {
    "lake": LAKE,
    "window": WINDOW,
    "device": DEVICE,
    "site": SITE,
    "report": Param(
        None,
        type=["null", "string"],
        description="Report file. If empty: LAKE-report/index.html, beside the lake.",
    ),
    "report_hours": Param(
        24, type="integer", minimum=1, description="How many hours the report covers, the latest."
    ),
    "heal_days": Param(
        3,
        type="integer",
        minimum=0,
        maximum=366,
        description="Late, missed and damaged hours of so many days before are derived again.",
    ),
}


@task(retry_policy=QUICK)
def settings(**context: Any) -> dict[str, Any]:
    """Work out the settings of the run once and hand them to the other tasks."""
    run = context["dag_run"]
    hour = hour_of_run(run.logical_date, run.run_after, datetime.now(UTC), SCHEDULE.delay)
    settled = settle(context["params"], place_of(context["params"]), hour)
    print(" ".join(f"{name}={value}" for name, value in settled.items()))
    return settled


# The main line goes on if this fails: an hour that cannot be healed must not stop those after it.
@task(
    execution_timeout=SCHEDULE.run_limit,
    max_active_tis_per_dag=1,
    outlets=[HEALED],
    pool=SCHEDULE.cuda_pool,
)
@anywhere
def heal(settled: dict[str, Any], outlet_events: Any = None) -> list[int]:
    """Derive late, missed and damaged hours of the last days again, and check them."""
    from pathlib import Path

    from tokenergy_transforms.arrowmemory import take_from_system

    take_from_system()
    from tokenergy_collectors.lake import Lake
    from tokenergy_sql.index.site import load_site
    from tokenergy_sql.scheduled.healing import heal_and_check

    lake = Lake(settled["lake"])
    site = load_site(Path(settled["site"]) if settled["site"] else None, lake.root)
    done = heal_and_check(
        *(lake, site, settled["heal_from_us"], settled["hour_us"]),
        *(settled["window_us"], settled["device"], ROWS_SHOWN),
    )
    if done.failed:
        raise AirflowFailException(f"healed hours fail their checks: {', '.join(done.failed)}")
    for hour, asset in itertools.product(done.names, ASSETS):
        outlet_events[HEALED].add(asset, extra={"lake": settled["place"], "hour": hour})
    return done.hours


# It waits for `heal`, however that ends, but not for settings that failed.
@task(trigger_rule="all_done_min_one_success")
@anywhere
def batches(settled: dict[str, Any]) -> list[list[str]]:
    """Put the nodes that have readings of the hour into a few batches of about equal bytes."""
    from tokenergy_collectors.lake import Lake
    from tokenergy_transforms.batching import batches_of

    found = batches_of(Lake(settled["lake"]), settled["hour_us"])
    print(f"hour {settled['hour']}: {sum(map(len, found)):,} nodes in {len(found)} batches")
    return found


@task(
    map_index_template="from {{ task.op_kwargs['nodes'] | first }}",
    doc_md="Integrate the readings of a batch of nodes into energy segments of the hour.",
    pool=SCHEDULE.cuda_pool,
)
@anywhere
def aggregate(settled: dict[str, Any], nodes: list[str]) -> None:
    """Integrate the readings of a batch of nodes into energy segments of the hour."""
    from tokenergy_transforms.arrowmemory import take_from_system

    # Before anything imports pyarrow: the allocator is chosen at its first use.
    take_from_system()
    from tokenergy_collectors.lake import Lake
    from tokenergy_transforms.batching import aggregate_nodes

    done = aggregate_nodes(
        *(Lake(settled["lake"]), settled["hour_us"], nodes),
        *(settled["window_us"], settled["device"]),
    )
    print(done.line())


# At the same time as `aggregate`: small fleets do not wait for it.
@task(retry_policy=QUICK)
def shards(listed: list[list[str]]) -> list[dict[str, int]]:
    """Divide the booking of a large hour; a small one is left to `index` alone."""
    from tokenergy_sql.scheduled.booking import shards_of

    return shards_of(listed)


# Tried again once: what it leaves the index books itself.
@task(
    retries=1,
    map_index_template="{{ task.op_kwargs['shard']['number'] }}",
    doc_md="Book a shard of a large hour beside the books, for `index` to put together.",
)
@anywhere
def book(settled: dict[str, Any], shard: dict[str, int]) -> None:
    """Book a shard of a large hour beside the books, for `index` to put together."""
    from pathlib import Path

    from tokenergy_collectors.lake import Lake
    from tokenergy_sql.index.site import load_site
    from tokenergy_sql.scheduled.booking import book_shard

    lake = Lake(settled["lake"])
    site = load_site(Path(settled["site"]) if settled["site"] else None, lake.root)
    book_shard(lake, site, settled["hour_us"], shard)


# In parallel with the books, which do not need it. `none_failed`: it runs for an hour without data
# too, to remove what an earlier run wrote for that hour.
@task(trigger_rule="none_failed", pool=SCHEDULE.cuda_pool)
@anywhere
def load_profile(settled: dict[str, Any]) -> None:
    """Write the load profiles and spectra of the hour's jobs, nodes, racks and sites."""
    from tokenergy_collectors.lake import Lake
    from tokenergy_transforms.loadprofile.groups import KINDS
    from tokenergy_transforms.loadprofile.profile import profile_hour

    lake, hour_us = Lake(settled["lake"]), settled["hour_us"]
    done = profile_hour(lake, hour_us, KINDS, device=settled["device"])
    print(f"{done.groups} groups, {done.cells:,} cells ({done.backend})")


# An hour without data has no aggregate task, and a small one no `book`. It is indexed all the same,
# to remove what an earlier run wrote for it. One at a time, because each run rebuilds the jobs'
# index over all hours, and the DAG's `max_active_runs` does not limit the runs of a backfill.
@task(trigger_rule="none_failed", max_active_tis_per_dag=1)
@anywhere
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


@task(outlets=ASSETS)
@anywhere
def check(settled: dict[str, Any], ti: Any = None, outlet_events: Any = None) -> None:
    """Check the books of the hour and its jobs; send asset events only if all checks pass.

    Jobs of hours that were healed before are checked too. A failed check is final and not
    retried, unless another run is active: that one may have written its segments but not yet its
    ledger.
    """
    from tokenergy_collectors.lake import Lake
    from tokenergy_sql.scheduled.checking import check_run
    from tokenergy_sql.scheduled.faults import BusyError

    failed = []
    # None if `heal` failed.
    healed = ti.xcom_pull(task_ids="heal") or []
    for finding in check_run(Lake(settled["lake"]), settled["hour_us"], healed):
        print("\n".join(finding.lines(ROWS_SHOWN)))
        if finding.breach:
            failed.append(f"{finding.name} ({len(finding.rows)} rows)")
    if failed:
        why = f"the books do not close: {', '.join(failed)}; see the rows above"
        if ti.get_dr_count(ti.dag_id, states=["running"]) > 1:
            raise BusyError(f"{why}; another run is active, so this one will check again")
        raise AirflowFailException(why)
    for asset in ASSETS:
        outlet_events[asset].extra = {"lake": settled["place"], "hour": settled["hour"]}


@task
@anywhere
def report(settled: dict[str, Any]) -> str:
    """Write the report of the latest hours and return its path."""

    from tokenergy_collectors.lake import Lake
    from tokenergy_sql.report import build_report, last_hours

    lake = Lake(settled["lake"])
    if not lake.hours("ledger"):
        raise AirflowSkipException("nothing to report: the lake has no ledger yet")
    out = lake.root.joinpath(settled["report"])
    out.parent.mkdir(parents=True, exist_ok=True)
    hours, checked = last_hours(lake, settled["report_hours"]), [settled["hour_us"]]
    build_report(lake, out, hours=hours, check_hours=checked)
    return str(settled["report"])


with DAG(
    "tokenergy_hourly",
    description="Energy per token, job by job, for each hour once its files are complete.",
    doc_md=__doc__,
    schedule=CronDataIntervalTimetable(SCHEDULE.cron, timezone="UTC"),
    params=PARAMS,
    deadline=LATE,
    **RUNS,
) as dag:
    settled: Any = settings()  # at parse time not yet the dict, but a reference to it
    healed: Any = heal(settled)
    listed: Any = batches(settled)
    aggregated = aggregate.partial(settled=settled).expand(nodes=listed)
    reported, profiled = report(settled), load_profile(settled)
    healed >> listed
    booked = book.partial(settled=settled).expand(shard=shards(listed))
    # What a shard did not book the index books itself: it waits for the shards, however they end.
    shared = EmptyOperator(task_id="shared", trigger_rule="all_done")
    indexed = index(settled)
    aggregated >> booked >> shared >> indexed
    aggregated >> indexed >> check(settled) >> reported
    aggregated >> profiled
    # Only the last tasks decide what becomes of a run: this one, since `heal` is not among them.
    [healed, reported, profiled] >> EmptyOperator(task_id="done", trigger_rule="none_failed")
