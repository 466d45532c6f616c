"""What TokEnergy's DAGs share: the schedule, who is told of failures, what is tried again, assets.

In: the environment. Out: arguments for DAGs and tasks. No DAG; `.airflowignore` names this file.
"""

from __future__ import annotations

import os
from typing import Any

from airflow.sdk import Asset, Param, RetryDecision, RetryPolicy, Variable
from airflow.sdk.definitions.callback import AsyncCallback
from airflow.sdk.definitions.deadline import DeadlineAlert, DeadlineReference

from tokenergy_sql.scheduled.settings import FIRST_WAIT, LONGEST_WAIT, RETRIES, schedule_of

SCHEDULE = schedule_of(os.environ)
ROWS_SHOWN = 20

ASSETS = [
    Asset(f"tokenergy_{table}", uri=f"tokenergy://lake/{table}", group="tokenergy")
    for table in (
        *("segment", "ledger", "ledger_hour", "node_hour", "token_usage"),
        *("job_hour_index", "job_efficiency", "phase_block", "phase_role", "job_index"),
    )
]

LAKE = Param(
    None,
    type=["null", "string"],
    description="Lake folder. If empty: the Variable tokenergy_lake, then $TOKENERGY_LAKE.",
)
WINDOW = Param("1s", type="string", description="Window length: 1ms to 1h; must divide an hour.")
DEVICE = Param("auto", type="string", enum=["auto", "cpu", "cuda"])
SITE = Param(
    None, type=["null", "string"], description="Site file. If empty: site.toml in the lake."
)


def place_of(params: Any) -> str | None:
    """Return the lake that a run is to use: see the parameter `lake`."""
    place = params["lake"] or Variable.get("tokenergy_lake", default=None)
    return place or os.environ.get("TOKENERGY_LAKE")


class ByKindOfFault(RetryPolicy):
    """Tries again what passes by itself, after longer and longer times, and nothing else.

    Args:
        never: kinds of fault that pass, but that the task is not tried again for.
    """

    def __init__(self, *never: Any) -> None:
        self.never = never

    def evaluate(
        self, exception: BaseException, try_number: int, max_tries: int, context: Any = None
    ) -> RetryDecision:
        """Decide what becomes of a task that raised."""
        from tokenergy_sql.scheduled.faults import judge, try_since_clear

        judged = judge(exception, try_since_clear(try_number, max_tries), self.never)
        if judged.again:
            return RetryDecision.retry(judged.wait, judged.reason)
        return RetryDecision.fail(judged.reason)


def alert(context: Any) -> None:
    """Tell in the log, and at the webhook if there is one, that a task or the run failed."""
    from tokenergy_sql.scheduled.alerts import tell
    from tokenergy_sql.scheduled.faults import alert_of_failure

    tell(alert_of_failure(context), os.environ)


def mail(context: Any) -> None:
    """Send the same by mail, through Airflow's connection `smtp_default`."""
    from airflow.providers.smtp.notifications.smtp import SmtpNotifier

    from tokenergy_sql.scheduled.faults import alert_of_failure

    # The texts go in as values: a template with a job's name in it would run what it says.
    send = SmtpNotifier(
        to=SCHEDULE.mail_to,
        from_email=SCHEDULE.mail_from,
        subject="{{ alert.title }}",
        html_content="{{ alert.page() }}",
    )
    send({**context, "alert": alert_of_failure(context)})


def retried(context: Any) -> None:
    """Say at the end of the log why a task is tried again, and when."""
    from tokenergy_sql.scheduled.faults import retry_line

    print(retry_line(context))


# `alert` last, so that the reason is the last line of the log.
TELL: list[Any] = [mail, alert] if SCHEDULE.mail_to else [alert]

# Airflow calls these by name in its triggerer, which imports no file of this folder.
TELL_LATE = [AsyncCallback("tokenergy_sql.scheduled.late.tell_late")] if SCHEDULE.deadline else []
if SCHEDULE.deadline and SCHEDULE.mail_to:
    TELL_LATE.append(
        AsyncCallback(
            "airflow.providers.smtp.notifications.smtp.SmtpNotifier",
            kwargs={
                "to": SCHEDULE.mail_to,
                "from_email": SCHEDULE.mail_from,
                "subject": "{{ dag_run.dag_id }}: the run is late ({{ dag_run.logical_date }})",
                "html_content": "The run {{ dag_run.dag_run_id | e }} has not ended by its "
                "deadline (TOKENERGY_DEADLINE). It is {{ dag_run.state }}.",
            },
        )
    )

LATE = [
    DeadlineAlert(DeadlineReference.DAGRUN_QUEUED_AT, SCHEDULE.deadline, callback)
    for callback in TELL_LATE
    if SCHEDULE.deadline
]
"""Alerts of a run that has not ended by its deadline."""

# For tasks that take a second: if one hangs until its limit, people should know it at once.
QUICK = ByKindOfFault("slow")

# The delays are for tasks that could not say why they failed, since their process was killed. The
# others are tried again as the policy says, but no more than `retries` times.
TASKS: dict[str, Any] = {
    "owner": "tokenergy",
    "retries": RETRIES,
    "retry_policy": ByKindOfFault(),
    "retry_delay": FIRST_WAIT,
    "retry_exponential_backoff": 2.0,
    "max_retry_delay": LONGEST_WAIT,
    "execution_timeout": SCHEDULE.task_limit,
    "on_failure_callback": TELL,
    "on_retry_callback": [retried],
}
"""Arguments of all tasks."""

# A task that does not even notice its own time limit (stopped, or stuck in a system call) ends at
# that of its run: Airflow kills it, and the next run begins.
RUNS: dict[str, Any] = {
    "catchup": False,
    "max_active_runs": 1,
    "dagrun_timeout": SCHEDULE.run_limit,
    "on_failure_callback": TELL,
    "default_args": TASKS,
    "tags": ["tokenergy"],
}
"""Arguments of all DAGs."""
