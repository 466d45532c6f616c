"""Airflow DAG: looks at whether data still come in as they should, and goes red where they do not.

In: the tables of a lake and, as settings, the run's parameters, an Airflow Variable and the
environment. Out: nothing but the colour of each task; the last line of its log says why it is red.

Each look is a task of its own, so that one finding hides no other. The same as a command:
`tokenergy quality`. The limits are explained in docs/airflow.md.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime
from typing import Any

from airflow.sdk import DAG, CronTriggerTimetable, Param, task
from airflow.sdk.exceptions import AirflowFailException
from tokenergy_shared import LAKE, QUICK, ROWS_SHOWN, RUNS, SCHEDULE, place_of

from tokenergy_sql.scheduled.anywhere import anywhere
from tokenergy_sql.scheduled.quality.limits import texts_of

LOOKS = {
    "freshness": "Nodes that sent no readings for too long; books that do not follow the readings.",
    "coverage": "Nodes of whose device time too little has known power.",
    "law": "Hours whose books do not add up to the meters.",
    "columns": "New files that differ from the contract, or are in quarantine.",
    "clocks": "Hosts whose stamps are off, or whose clock was set.",
}
LIMITS = texts_of(os.environ)

_LENGTH = "^[0-9]+([.][0-9]+)?[smh]$"

PARAMS = {
    "lake": LAKE,
    "hours": Param(
        6, type="integer", minimum=1, maximum=8784, description="Look at so many latest hours."
    ),
    "silent": Param(
        LIMITS["silent"],
        type="string",
        pattern=_LENGTH,
        description="A node without readings for longer is silent.",
    ),
    "forget": Param(
        LIMITS["forget"],
        type="string",
        pattern=_LENGTH,
        description="A node without readings for longer is taken for gone.",
    ),
    "coverage": Param(
        float(LIMITS["coverage"]),
        type="number",
        minimum=0,
        maximum=1,
        description="Least share of a node's device time that has known power.",
    ),
    "clock": Param(
        LIMITS["clock"],
        type="string",
        pattern=_LENGTH,
        description="Most that a clock may be off or set by.",
    ),
}


@task(retry_policy=QUICK)
def settings(**context: Any) -> dict[str, Any]:
    """Work out the settings of the run once and hand them to the other tasks."""
    from tokenergy_sql.scheduled.quality.limits import limits_of
    from tokenergy_sql.scheduled.settings import root_of

    params = {name: context["params"][name] for name in (*LIMITS, "hours")}
    limits_of({name: params[name] for name in LIMITS})
    settled = {"lake": root_of(place_of(context["params"]), None), **params}
    print(" ".join(f"{name}={value}" for name, value in settled.items()))
    return settled


@task
@anywhere
def look(settled: dict[str, Any], name: str) -> None:
    """Take one of the looks; fail with the first findings as the reason."""
    from tokenergy_collectors.lake import Lake
    from tokenergy_sql.scheduled.quality import looking
    from tokenergy_sql.scheduled.quality.limits import limits_of
    from tokenergy_sql.scheduled.settings import us_of

    limits = limits_of({name: settled[name] for name in LIMITS})
    now_us = us_of(datetime.now(UTC))
    scope = looking.scope_of(Lake(settled["lake"]), settled["hours"], limits, now_us)
    found = looking.look(name, scope)
    for finding in found:
        print("\n".join(finding.lines(ROWS_SHOWN)))
    if why := looking.reason_of_findings(found):
        raise AirflowFailException(why)


with DAG(
    "tokenergy_quality",
    description="Do readings, books, columns and clocks come in as they should?",
    doc_md=__doc__,
    schedule=CronTriggerTimetable(SCHEDULE.quality, timezone="UTC") if SCHEDULE.quality else None,
    params=PARAMS,
    **RUNS,
) as dag:
    settled: Any = settings()  # at parse time not yet the dict, but a reference to it
    for name, about in LOOKS.items():
        look.override(task_id=name, doc_md=about)(settled, name)
