"""Airflow DAG: keeps a lake small: compacts past hours, removes old ones, reports the last days.

In: the raw tables and the books of a lake, the file that says how long tables are kept and, as
settings, the run's parameters, an Airflow Variable and the environment. Out: fewer files with the
same rows, fewer old hours, fewer earlier revisions, a report of the last days. No figure changes.

Without a retention file nothing expires; without `keep_revisions` all of them stay. The same as
commands: `tokenergy compact`, `expire`, `revisions --keep`, `report`. See docs/retention.md.
"""

from __future__ import annotations

from typing import Any

from airflow.sdk import DAG, CronTriggerTimetable, Param, task
from airflow.sdk.exceptions import AirflowSkipException
from tokenergy_shared import LAKE, QUICK, RUNS, SCHEDULE, SITE, place_of

from tokenergy_sql.scheduled.anywhere import anywhere

_LENGTH = "^[0-9]+([.][0-9]+)?[smhd]$"

PARAMS = {
    "lake": LAKE,
    "site": SITE,
    "older_than": Param(
        "24h",
        type="string",
        pattern=_LENGTH,
        description="Hours that ended so long ago are compacted.",
    ),
    "grace": Param(
        "6h",
        type="string",
        pattern=_LENGTH,
        description="Replaced files stay so long, for readers that have just listed them.",
    ),
    "retention": Param(
        None,
        type=["null", "string"],
        description="Retention file. If empty: retention.toml in the lake. Without one nothing "
        "expires.",
    ),
    "keep_revisions": Param(
        None,
        type=["null", "integer"],
        minimum=1,
        description="Keep so many earlier revisions of the books. If empty: all.",
    ),
    "report": Param(
        None,
        type=["null", "string"],
        description="Report file. If empty: LAKE-report/days.html, beside the lake.",
    ),
    "report_days": Param(
        7, type="integer", minimum=1, maximum=366, description="How many days the report covers."
    ),
}


@task(retry_policy=QUICK)
def settings(**context: Any) -> dict[str, Any]:
    """Work out the settings of the run once and hand them to the other tasks."""
    from tokenergy_sql.scheduled.daily import settle_daily

    settled = settle_daily(context["params"], place_of(context["params"]))
    print(" ".join(f"{name}={value}" for name, value in settled.items()))
    return settled


# The first run on an old lake has much to do; each may use all the time of its run.
@task(execution_timeout=SCHEDULE.run_limit, max_active_tis_per_dag=1)
def compact(settled: dict[str, Any]) -> None:
    """Merge the small raw files of past hours; remove those that were replaced long enough ago."""
    from tokenergy_transforms.arrowmemory import take_from_system

    take_from_system()
    from tokenergy_collectors.lake import Lake
    from tokenergy_sql.scheduled.daily import compact_past

    if settled["in_store"]:
        raise AirflowSkipException("objects of a store are not compacted")

    print("\n".join(compact_past(Lake(settled["lake"]), settled, print).lines()))


# They remove files of the same folders, so one after the other.
@task(execution_timeout=SCHEDULE.run_limit, max_active_tis_per_dag=1)
def expire(settled: dict[str, Any]) -> None:
    """Remove hours that are older than their table is kept, if they are booked."""
    from tokenergy_collectors.lake import Lake
    from tokenergy_sql.scheduled.daily import expire_old

    if settled["in_store"]:
        raise AirflowSkipException("objects of a store do not expire")
    if not settled["keep_us"]:
        raise AirflowSkipException("nothing expires: there is no retention file")
    print("\n".join(expire_old(Lake(settled["lake"]), settled, print).lines()))


@task(max_active_tis_per_dag=1)
@anywhere
def revisions(settled: dict[str, Any]) -> None:
    """Remove the files that earlier revisions of the books replaced."""
    from tokenergy_collectors.lake import Lake
    from tokenergy_sql.revisions.revisions import drop_before

    if not settled["keep_revisions"]:
        raise AirflowSkipException("all revisions stay: keep_revisions is empty")
    freed = drop_before(Lake(settled["lake"]), settled["keep_revisions"])
    print(f"all but the last {settled['keep_revisions']} revisions: {freed:,} bytes removed")


@task
@anywhere
def report(settled: dict[str, Any]) -> str:
    """Write the report of the last days and return its path."""
    from tokenergy_collectors.lake import Lake
    from tokenergy_sql.scheduled.daily import report_days

    path = report_days(Lake(settled["lake"]), settled)
    if path is None:
        raise AirflowSkipException("nothing to report: the lake has no books yet")
    return str(settled["report"])


with DAG(
    "tokenergy_daily",
    description="Compact past hours, remove what is old, report the last days.",
    doc_md=__doc__,
    schedule=CronTriggerTimetable(SCHEDULE.daily, timezone="UTC") if SCHEDULE.daily else None,
    params=PARAMS,
    **RUNS,
) as dag:
    settled: Any = settings()  # at parse time not yet the dict, but a reference to it
    compact(settled) >> expire(settled)
    revisions(settled)
    report(settled)
