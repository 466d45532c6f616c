"""A failure is told: in the log, at a webhook, and never at the price of a second failure."""

from __future__ import annotations

import json
import socket
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from tests.support.sinks import Webhook, serving
from tokenergy_collectors.base.errors import UserError
from tokenergy_sql.scheduled.alerts import Alert, alert_of, reason_of, tell

RUN = SimpleNamespace(run_id="scheduled__8", logical_date=datetime(2026, 1, 15, 8, 10, tzinfo=UTC))
DAG = SimpleNamespace(dag_id="tokenergy_hourly")
ALERT = Alert("tokenergy_hourly", "run-1", "check", "2026-01-15T08:10:00+00:00", "no", None)


def context(**more: Any) -> dict[str, Any]:
    instance = SimpleNamespace(task_id="check", map_index=-1, log_url="http://localhost/log")
    return {"dag": DAG, "dag_run": RUN, "run_id": RUN.run_id, "ti": instance, **more}


def said(alert: Alert, url: str | None) -> list[str]:
    lines: list[str] = []
    tell(alert, {} if url is None else {"TOKENERGY_ALERT_WEBHOOK": url}, lines.append)
    assert lines.pop() == f"ALERT {alert.line()}"  # the last line of the log is the reason
    return lines


def test_a_task_that_raised_is_told_with_its_reason() -> None:
    alert = alert_of(context(exception=ValueError("the books\ndo not close")))
    assert alert == Alert(
        dag="tokenergy_hourly",
        run="scheduled__8",
        task="check",
        hour="2026-01-15T08:10:00+00:00",
        reason="ValueError: the books do not close",
        log="http://localhost/log",
    )
    assert alert.line() == (
        "tokenergy_hourly.check failed (2026-01-15T08:10:00+00:00): "
        "ValueError: the books do not close"
    )


def test_one_of_several_tasks_is_named_with_its_number() -> None:
    alert = alert_of(context(ti=SimpleNamespace(task_id="aggregate", map_index=3)))
    assert alert.task == "aggregate[3]"
    assert alert.reason.startswith("its process was killed or its worker is lost")


@pytest.mark.parametrize(
    ("reason", "told"),
    [("timed_out", "longer than TOKENERGY_RUN_TIMEOUT allows"), ("task_failure", "a task failed")],
)
def test_a_run_is_told_in_words(reason: str, told: str) -> None:
    alert = alert_of(context(reason=reason))
    assert alert.task is None
    assert told in alert.reason
    assert alert.title == "tokenergy_hourly: the run failed (2026-01-15T08:10:00+00:00)"


def test_a_run_without_date_and_task_is_told_too() -> None:
    alert = alert_of({"dag": DAG, "run_id": "manual", "reason": "task_failure"})
    assert (alert.run, alert.hour, alert.task) == ("manual", None, None)
    assert "(manual)" in alert.title


def test_a_reason_is_one_line_without_credentials() -> None:
    text = reason_of(OSError("cannot reach\n s3://key:secret@store/lake and " + "x" * 5_000))
    assert text.startswith("OSError: cannot reach s3://***@store/lake and xxx")
    assert len(text) == 1_000
    assert reason_of(ValueError()) == "ValueError"
    assert reason_of(UserError("lake x: no such directory")) == "lake x: no such directory"


def test_names_with_markup_are_shown_not_run() -> None:
    alert = alert_of(context(exception=ValueError("job <script>{{ 7 * 7 }}</script>\r\nBcc: x")))
    assert "&lt;script&gt;{{ 7 * 7 }}&lt;/script&gt; Bcc: x" in alert.page()
    assert "\n" not in alert.title + alert.line()


def test_the_webhook_gets_json() -> None:
    hook = Webhook()
    with serving(hook):
        url = f"http://127.0.0.1:{hook.port}/services/T0/key?x=1"
        assert said(ALERT, url) == ["told the webhook at 127.0.0.1"]
        path, body = hook.next()
    assert path == "/services/T0/key?x=1"
    assert body == {
        "text": ALERT.line(),
        "dag": "tokenergy_hourly",
        "run": "run-1",
        "task": "check",
        "hour": "2026-01-15T08:10:00+00:00",
        "reason": "no",
        "log": None,
        "state": "failed",
    }
    assert json.loads(ALERT.body()) == body


def test_without_a_webhook_it_is_only_logged() -> None:
    assert said(ALERT, None) == []
    assert said(ALERT, "") == []


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd",
        "ftp://127.0.0.1/secret",
        "https:///secret",
        "hooks.example.org/secret",
        "http://[secret",
        "http://127.0.0.1:99999/secret",
        "http://127.0.0.1:1/se cret",
    ],
)
def test_an_address_that_cannot_be_used_fails_nothing_and_is_not_shown(url: str) -> None:
    (line,) = said(ALERT, url)
    assert line.startswith("the webhook at ")
    assert " was not told: " in line
    assert "secret" not in line
    assert "cret" not in line


def test_an_answer_that_is_no_success_is_told_and_not_followed() -> None:
    elsewhere = Webhook()
    moved = Webhook(302, {"Location": f"http://127.0.0.1:{elsewhere.port}/"})
    with serving(elsewhere, moved):
        lines = said(ALERT, f"http://127.0.0.1:{moved.port}/secret")
    assert lines == [
        "the webhook at 127.0.0.1 was not told: it answered 302, not a success",
    ]
    assert elsewhere.all() == []
    assert len(moved.all()) == 1


def test_a_webhook_that_never_answers_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tokenergy_sql.scheduled.alerts._TIMEOUT_S", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        (line,) = said(ALERT, f"http://127.0.0.1:{silent.getsockname()[1]}/secret")
    assert line == "the webhook at 127.0.0.1 was not told: TimeoutError"
