"""A run that has not ended by its deadline is told, like a failure."""

from __future__ import annotations

import asyncio

import pytest

from tests.support.sinks import Webhook, serving
from tokenergy_sql.scheduled.late import alert_of_late, tell_late

CONTEXT = {
    "dag_run": {
        "dag_id": "tokenergy_hourly",
        "dag_run_id": "scheduled__8",
        "logical_date": "2026-01-15T08:10:00Z",
        "queued_at": "2026-01-15T09:10:00Z",
        "state": "running",
    },
    "deadline": {"id": "1", "deadline_time": "2026-01-15T10:10:00Z"},
}


def test_a_late_run_is_told_in_words() -> None:
    alert = alert_of_late(CONTEXT)
    assert alert.title == "tokenergy_hourly: the run is late (2026-01-15T08:10:00Z)"
    assert alert.reason.startswith("it is running past its deadline (TOKENERGY_DEADLINE), since ")
    assert alert.task is None


def test_the_webhook_gets_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    hook = Webhook()
    with serving(hook):
        monkeypatch.setenv("TOKENERGY_ALERT_WEBHOOK", f"http://127.0.0.1:{hook.port}/key")
        asyncio.run(tell_late(CONTEXT))
        _, body = hook.next()
    assert (body["run"], body["state"]) == ("scheduled__8", "late")
    assert body["text"] == f"{alert_of_late(CONTEXT).line()}"
    last = capsys.readouterr().out.splitlines()[-1]
    assert last == f"ALERT {body['text']}"
    assert "key" not in last
