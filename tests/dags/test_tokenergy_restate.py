"""The DAG that restates: it derives the late hour alone, and tells of what it touched alone."""

from __future__ import annotations

from typing import Any

import pytest

from tests.dags.running import script
from tests.support.airflow import Airflow
from tests.support.late import HOURS, books, derived, fleet, identities, readings
from tokenergy_collectors.lake import Lake

pytestmark = pytest.mark.e2e

LATE = ("n2", HOURS[1])
TABLES = (
    *("segment", "ledger", "ledger_hour", "node_hour", "token_usage"),
    *("job_hour_index", "job_efficiency", "phase_block", "phase_role", "job_index"),
)

_RUN = """
import os
from datetime import UTC, datetime
from airflow.models.asset import AssetEvent
from airflow.utils.session import create_session
from tokenergy_restate import dag
def run(day, **given):
    conf = {"lake": os.environ["LAKE"], "device": "cpu", **given}
    made = dag.test(logical_date=datetime(2026, 2, day, tzinfo=UTC), run_conf=conf)
    return {t.task_id: t.state for t in made.get_task_instances()} | {"run": made.state}
span = {"from": "2026-01-15T08", "to": "2026-01-15T12"}
# `dag.test` keeps a run's parameters in the process: the run without a reason goes first.
unsaid = run(3, **span)
first = run(1, **span, reason="the log of n2 came a day late")
with create_session() as session:
    events = [[e.asset.name, e.extra] for e in session.query(AssetEvent)
              if e.source_dag_id == "tokenergy_restate"]
again = run(2, **span, reason="to be sure")
tell({"first": first, "again": again, "unsaid": unsaid, "events": events})
"""


@pytest.fixture(scope="module")
def ran(airflow: Airflow, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Restate a lake in which the readings of a node and hour came late; then twice more."""
    root = tmp_path_factory.mktemp("lakes")
    punctual = fleet(root / "punctual").lake
    books(punctual)
    late = fleet(root / "late", [LATE])
    books(late.lake)
    readings(late, *LATE)
    before = identities(late.lake)
    told, printed = script(airflow, _RUN, LAKE=str(late.lake.root))
    return {**told, "root": root, "before": before, "printed": printed}


def test_the_lake_is_as_if_nothing_had_been_late(ran: dict[str, Any]) -> None:
    assert set(ran["first"].values()) == {"success"}, ran["printed"]
    late, punctual = Lake(ran["root"] / "late"), Lake(ran["root"] / "punctual")
    assert derived(late) == derived(punctual)
    after = identities(late)
    kept = [name for name in ran["before"] if "hour=11" in name]
    assert kept
    assert [after[name] for name in kept] == [ran["before"][name] for name in kept]
    assert "reason=the log of n2 came a day late" in ran["printed"]
    assert "2026-01-15T09 missed: segments of n2" in ran["printed"]


def test_events_are_of_the_touched_hours_alone(ran: dict[str, Any]) -> None:
    hours = {extra["hour"] for _, extra in ran["events"]}
    assert "2026-01-15T09" in hours
    assert "2026-01-15T11" not in hours
    assert {name for name, _ in ran["events"]} == {f"tokenergy_{table}" for table in TABLES}
    assert len(ran["events"]) == len(hours) * len(TABLES)
    assert {extra["reason"] for _, extra in ran["events"]} == {"the log of n2 came a day late"}
    assert {extra["lake"] for _, extra in ran["events"]} == {str(ran["root"] / "late")}


def test_a_second_run_finds_nothing_and_is_green(ran: dict[str, Any]) -> None:
    rest = dict.fromkeys(("find", "derive", "check"), "skipped")
    assert ran["again"] == {"settings": "success", "run": "success", **rest}


def test_a_run_by_hand_needs_a_reason(ran: dict[str, Any]) -> None:
    assert ran["unsaid"]["settings"] == "failed"
    assert ran["unsaid"]["run"] == "failed"
    last = [
        line for line in ran["printed"].splitlines() if "ALERT tokenergy_restate.settings" in line
    ]
    assert "no reason: say in the parameter reason why hours are to be restated" in last[0]
