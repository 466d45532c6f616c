"""The DAG that looks at the quality of data: each finding makes its own task red, and says why."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from tests.dags.running import script
from tests.support.airflow import Airflow
from tests.support.lakes import HOUR_US, LakeBuilder, S, level

pytestmark = pytest.mark.e2e

_RUN = """
import os
from datetime import UTC, datetime
from tokenergy_quality import dag
def run(day, **given):
    conf = {"lake": os.environ["LAKE"], **given}
    made = dag.test(logical_date=datetime(2026, 2, day, tzinfo=UTC), run_conf=conf)
    return {t.task_id: t.state for t in made.get_task_instances()} | {"run": made.state}
tell({
    "usual": run(1),
    "wide": run(2, silent="5h", forget="6h", coverage=0.1),
    "bad": run(3, silent="5h", forget="5h", coverage=0.1),
})
"""


@pytest.fixture(scope="module")
def ran(airflow: Airflow, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Look at a lake whose node is silent for three hours, with little coverage before."""
    root: Path = tmp_path_factory.mktemp("lakes") / "lake"
    hour_us = (time.time_ns() // 1000 - 4 * HOUR_US) // HOUR_US * HOUR_US
    builder = LakeBuilder(root)
    builder.device("GPU-1", ts_us=hour_us)
    for begin_us in (hour_us, hour_us + HOUR_US - 600 * S):
        builder.power("GPU-1", level(100_000, begin_us, begin_us + 599 * S, S))
    builder.build()
    told, printed = script(airflow, _RUN, LAKE=str(root))
    return {**told, "printed": printed}


def test_each_finding_is_a_red_task_of_its_own(ran: dict[str, Any]) -> None:
    well = dict.fromkeys(("settings", "law", "columns", "clocks"), "success")
    found = dict.fromkeys(("freshness", "coverage", "run"), "failed")
    assert ran["usual"] == {**well, **found}, ran["printed"]


def test_the_log_ends_with_the_reason(ran: dict[str, Any]) -> None:
    lines = ran["printed"].splitlines()
    alerts = [line for line in lines if "ALERT tokenergy_quality." in line]
    assert any(
        "freshness: No node is without readings for longer than 2.0 h. node=n1 " in line
        for line in alerts
    )
    assert any("coverage: At least 90% of each node's device time" in line for line in alerts)
    assert not [line for line in lines if "RETRY tokenergy_quality." in line]


def test_limits_are_parameters(ran: dict[str, Any]) -> None:
    assert set(ran["wide"].values()) == {"success"}


def test_limits_that_contradict_each_other_fail_before_any_look(ran: dict[str, Any]) -> None:
    looks = dict.fromkeys(("freshness", "coverage", "law", "columns", "clocks"), "upstream_failed")
    assert ran["bad"] == {"settings": "failed", "run": "failed", **looks}
    assert "forget 5h: expected more than silent, 5h" in ran["printed"]
