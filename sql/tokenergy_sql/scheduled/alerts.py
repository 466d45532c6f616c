"""Tells people that a task or a run failed, or is late: in the log, and at a webhook if one is set.

In: what a scheduler knows of it. Out: one line of the log, one JSON object by HTTP POST.
To tell never fails: a webhook that is away must not hide why the task failed.
"""

from __future__ import annotations

import html
import http.client
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any
from urllib.parse import urlsplit

WEBHOOK = "TOKENERGY_ALERT_WEBHOOK"
_TIMEOUT_S = 5
_LONGEST = 1_000
"""Characters of a reason: enough for all checks that failed."""

_CREDENTIALS = re.compile(r"(?<=://)[^/@\s]+@")
_SCHEMES = {"http": http.client.HTTPConnection, "https": http.client.HTTPSConnection}


@dataclass(frozen=True, slots=True)
class Alert:
    """A failure of a task, or of a run as a whole; or a run that is late.

    Attributes:
        dag: which DAG.
        run: which of its runs.
        task: which of its tasks; with its number if it is one of several. None: the run.
        hour: the logical date of the run, ISO 8601; None if it has none.
        reason: why, one line.
        log: address of the task's log in Airflow's page.
        state: `failed`, or `late`.
    """

    dag: str
    run: str
    task: str | None
    hour: str | None
    reason: str
    log: str | None
    state: str = "failed"

    @property
    def title(self) -> str:
        """What happened without the reason, short: the subject of a mail."""
        what = f"{self.dag}.{self.task}" if self.task else f"{self.dag}: the run"
        return f"{what} {_HAS[self.state]} ({self.hour or self.run})"

    def line(self) -> str:
        """Return it as a line of text."""
        return f"{self.title}: {self.reason}"

    def page(self) -> str:
        """Return it as the HTML of a mail. What a job or a node is called is shown, not run."""
        parts = [self.line(), *([f"Log: {self.log}"] if self.log else [])]
        return "".join(f"<p>{html.escape(part)}</p>" for part in parts)

    def body(self) -> bytes:
        """Return it as JSON; `text` is what chat programs show of a webhook's message."""
        return json.dumps({"text": self.line(), **asdict(self)}).encode()


_HAS = {"failed": "failed", "late": "is late"}


def alert_of(context: Mapping[str, Any]) -> Alert:
    """Return the alert of a failure from the context that Airflow hands to a callback.

    A task that raised has the exception in it; one whose worker was killed has nothing. A run has
    a reason of one word, and as its instance the last task that had not ended.
    """
    run, instance = context.get("dag_run"), context.get("ti")
    date = getattr(run, "logical_date", None)
    of_run = "reason" in context
    return Alert(
        dag=context["dag"].dag_id,
        run=str(context.get("run_id") or getattr(run, "run_id", "")),
        task=None if of_run else _name_of(instance),
        hour=date.isoformat() if date is not None else None,
        reason=reason_of(context["reason"] if of_run else context.get("exception")),
        log=getattr(instance, "log_url", None),
    )


def _name_of(instance: Any) -> str | None:
    number = getattr(instance, "map_index", -1)
    return f"{instance.task_id}[{number}]" if number >= 0 else getattr(instance, "task_id", None)


_KNOWN = {
    None: "its process was killed or its worker is lost; Airflow knows no more",
    "timed_out": "it took longer than TOKENERGY_RUN_TIMEOUT allows; its tasks were stopped",
    "task_failure": "a task failed for good; its own message says why",
}
"""What Airflow means by its words."""


def reason_of(error: object) -> str:
    """Return why something failed: one line, without user names and passwords of addresses."""
    text = str(error)
    if error is None or text in _KNOWN:
        return _KNOWN[None if error is None else text]
    name = type(error).__name__
    # The text of these is a sentence for people; of others it may be a bare number or key.
    if isinstance(error, BaseException) and name not in ("UserError", "AirflowFailException"):
        text = f"{name}: {text}" if text else name
    text = _CREDENTIALS.sub("***@", " ".join(text.split()))
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."


def tell(alert: Alert, environ: Mapping[str, str], say: Callable[[str], None] = print) -> None:
    """Log an alert and, if `TOKENERGY_ALERT_WEBHOOK` is set, post it there. Raises nothing.

    The log names the webhook's host alone: its path is often the key to it.

    Args:
        alert: what to tell.
        environ: environment variables.
        say: takes the lines for the log.
    """
    url = environ.get(WEBHOOK)
    if url:
        host = "?"
        try:
            host = urlsplit(url).hostname or "?"
            post(url, alert.body())
            say(f"told the webhook at {host}")
        except (OSError, http.client.HTTPException, ValueError) as error:
            say(f"the webhook at {host} was not told: {_why_not(error)}")
    # Last, so that it is the last line of the log that people open.
    say(f"ALERT {alert.line()}")


def _why_not(error: Exception) -> str:
    """Return why a post failed, without the address: an error may quote all of it."""
    if isinstance(error, _RefusedError):
        return str(error)
    return getattr(error, "strerror", None) or type(error).__name__


class _RefusedError(ValueError):
    """A webhook's address cannot be used, or it did not take the message."""


def post(url: str, body: bytes) -> None:
    """Send JSON to a webhook; follow no redirect, so that it goes where the operator said.

    Raises:
        OSError, http.client.HTTPException: it cannot be reached, or is too slow.
        ValueError: it is no http or https address, or the answer is no success.
    """
    parts = urlsplit(url)
    if parts.scheme not in _SCHEMES or not parts.hostname:
        raise _RefusedError(f"{WEBHOOK} is not an address that begins with http:// or https://")
    connection = _SCHEMES[parts.scheme](parts.hostname, parts.port, timeout=_TIMEOUT_S)
    try:
        path = f"{parts.path or '/'}{'?' + parts.query if parts.query else ''}"
        connection.request("POST", path, body, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        if not 200 <= answer.status < 300:
            raise _RefusedError(f"it answered {answer.status}, not a success")
    finally:
        connection.close()
