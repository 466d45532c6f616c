"""In a real Airflow: a fault that passes is tried again, a wrong value is not; the log says why."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.dags.running import script
from tests.support.airflow import Airflow

_DAG = """
import errno, os
import time
from datetime import timedelta
from pathlib import Path
from airflow.sdk import DAG, task
from tokenergy_shared import QUICK, RUNS
from tokenergy_collectors.base.errors import UserError
from tokenergy_sql.scheduled import faults

faults.FIRST_WAIT = timedelta(seconds=1)  # else the test takes minutes
notes = Path(os.environ["NOTES"])

def note(name):
    with (notes / name).open("a") as file:
        file.write("x")
    return len((notes / name).read_text())

with DAG("faulty", schedule=None, **RUNS) as dag:
    @task
    def passes():
        if note("passes") < 3:
            raise OSError(errno.ESTALE, os.strerror(errno.ESTALE), "/lake/x.parquet")

    @task
    def wrong():
        note("wrong")
        raise UserError("window 7s: does not divide an hour")

    @task(execution_timeout=timedelta(seconds=1))
    def slow():
        if note("slow") < 2:
            time.sleep(600)

    @task(execution_timeout=timedelta(seconds=1), retry_policy=QUICK)
    def hangs():
        note("hangs")
        time.sleep(600)

    passes(), wrong(), slow(), hangs()
"""

_RUN = """
import os, sys
from datetime import UTC, datetime
from pathlib import Path
sys.path.insert(0, os.environ["AIRFLOW__CORE__DAGS_FOLDER"])
from faulty import dag, notes

made = dag.test(logical_date=datetime(2026, 1, 15, 8, tzinfo=UTC))
states = {t.task_id: t.state for t in made.get_task_instances()}
tell({"states": states, "tries": {p.name: len(p.read_text()) for p in notes.iterdir()}})
"""


@pytest.mark.e2e
def test_airflow_does_as_the_policy_says(airflow: Airflow, tmp_path: Path) -> None:
    folder, notes = tmp_path / "dags", tmp_path / "notes"
    folder.mkdir()
    notes.mkdir()
    (folder / "faulty.py").write_text(_DAG)
    env = {"AIRFLOW__CORE__DAGS_FOLDER": str(folder), "NOTES": str(notes)}
    told, printed = script(airflow, _RUN, **env)
    assert told["tries"] == {"passes": 3, "wrong": 1, "slow": 2, "hangs": 1}
    good = dict.fromkeys(("passes", "slow"), "success")
    assert told["states"] == {**good, **dict.fromkeys(("wrong", "hangs"), "failed")}
    retries = [line for line in printed.splitlines() if "RETRY faulty.passes failed" in line]
    assert len(retries) == 2
    assert "Stale file handle" in retries[0]
    assert "storage or network failed; tried again in 0 min" in retries[0]
    (alert,) = [line for line in printed.splitlines() if "ALERT faulty.wrong failed" in line]
    (hung,) = [line for line in printed.splitlines() if "ALERT faulty.hangs failed" in line]
    assert "AirflowTaskTimeout: " in hung
    assert hung.endswith("(it took longer than its time limit; not tried again)")
    assert "window 7s: does not divide an hour (a setting or a file that it names" in alert
