"""The DAG that keeps a lake small: it compacts, expires what a file says, and reports the days."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.dags.running import script
from tests.support.airflow import Airflow
from tests.support.late import books, derived, fleet
from tokenergy_collectors.lake import Lake

pytestmark = pytest.mark.e2e

_RUN = """
import os
from datetime import UTC, datetime
from tokenergy_collectors.lake import Lake
from tokenergy_collectors.lake.compaction import locked
from tokenergy_daily import dag
place = os.environ["LAKE"]
def run(day, **given):
    conf = {"lake": place, "grace": "0s", **given}
    made = dag.test(logical_date=datetime(2026, 2, day, tzinfo=UTC), run_conf=conf)
    return {t.task_id: t.state for t in made.get_task_instances()} | {"run": made.state}
usual = run(1)
with open(f"{place}/retention.toml", "w") as file:
    file.write('power = "30d"\\n')
old = run(2, keep_revisions=1)
with open(f"{place}/retention.toml", "w") as file:
    file.write('jobs = "30d"\\n')
tell({"usual": usual, "old": old, "bad": run(3)})
"""


@pytest.fixture(scope="module")
def ran(airflow: Airflow, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    root: Path = tmp_path_factory.mktemp("lakes") / "lake"
    lake = fleet(root).lake
    books(lake)
    before = derived(lake)
    told, printed = script(airflow, _RUN, LAKE=str(root))
    return {**told, "printed": printed, "lake": lake, "before": before}


def test_without_a_retention_file_nothing_expires(ran: dict[str, Any]) -> None:
    done = dict.fromkeys(("settings", "compact", "report", "run"), "success")
    left = dict.fromkeys(("expire", "revisions"), "skipped")
    assert ran["usual"] == {**done, **left}, ran["printed"]
    assert "nothing expires: there is no retention file" in ran["printed"]


def test_with_one_what_it_names_expires_and_the_books_stay(ran: dict[str, Any]) -> None:
    lake: Lake = ran["lake"]
    assert set(ran["old"].values()) == {"success"}, ran["printed"]
    assert lake.hours("power") == []
    assert derived(lake) == ran["before"]
    assert (lake.root.parent / f"{lake.root.name}-report" / "days.html").exists()


def test_a_table_that_does_not_expire_is_refused_before_anything_is_done(
    ran: dict[str, Any],
) -> None:
    assert (ran["bad"]["settings"], ran["bad"]["compact"]) == ("failed", "upstream_failed")
    assert "table 'jobs' does not expire" in ran["printed"]
