"""Tells people that a run of a DAG has not ended by its deadline.

In: what Airflow knows of the run. Out: as `alerts`. Airflow's triggerer runs it, which a task that
hangs does not stop.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from typing import Any

from tokenergy_sql.scheduled.alerts import Alert, tell


async def tell_late(context: Mapping[str, Any]) -> None:
    """Tell that a run is late, as `alerts.tell`.

    Args:
        context: `dag_run`, as Airflow's API returns it, and `deadline`.
    """
    await asyncio.to_thread(tell, alert_of_late(context), os.environ)


def alert_of_late(context: Mapping[str, Any]) -> Alert:
    """Return the alert of a run that missed its deadline."""
    run = context["dag_run"]
    return Alert(
        dag=run["dag_id"],
        run=run["dag_run_id"],
        task=None,
        hour=run["logical_date"],
        reason=f"it is {run['state']} past its deadline (TOKENERGY_DEADLINE), since "
        f"{run['queued_at']}: look for a task that hangs, or for runs that wait for others",
        log=None,
        state="late",
    )
