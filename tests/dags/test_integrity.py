"""Every DAG parses lightly, and says what it does, how long it may take and who is told."""

from __future__ import annotations

from typing import Any

import pytest

from tests.dags.running import script
from tests.support.airflow import DAGS, Airflow

NAMES = ["tokenergy_daily", "tokenergy_hourly", "tokenergy_quality", "tokenergy_restate"]

# Without the folder of the DAGs in PYTHONPATH, as in production: what they share must be found.
_PARSED = """
import os, sys, time
folder = os.environ["AIRFLOW__CORE__DAGS_FOLDER"]
sys.path[:] = [place for place in sys.path if place != folder]
from airflow.dag_processing.bundles.manager import DagBundlesManager
from airflow.dag_processing.dagbag import BundleDagBag, DagBag
from airflow.sdk.exceptions import ParamValidationError
before = set(sys.modules)
(bundle,) = DagBundlesManager().get_all_dag_bundles()
started = time.perf_counter()
bag = BundleDagBag(bundle_path=bundle.path, bundle_name=bundle.name)
took_s = time.perf_counter() - started

def refuses(dag, name, value):
    try:
        dag.params.get_param(name).resolve(value)
    except ParamValidationError:
        return True
    return False

bad = {"from": "yesterday", "to": "2026-01-15", "days": 0, "reason": "x" * 501, "device": "gpu",
       "hours": 0, "silent": "2 hours", "forget": "", "clock": "-1s", "coverage": 1.5,
       "report_hours": 0, "heal_days": 367, "older_than": "1 day", "grace": "-1h",
       "keep_revisions": 0, "report_days": 0}

heavy = {"duckdb", "pyarrow", "numba", "cupy", "numpy", "scipy", "pandas", "tokenergy_transforms"}
tell({
    "took_s": took_s,
    "errors": {path: error for path, error in bag.import_errors.items()},
    "heavy": sorted(heavy.intersection(set(sys.modules) - before)),
    "files": sorted(os.path.basename(stat.file) for stat in bag.dagbag_stats),
    "dags": {
        name: {
            "file": os.path.basename(dag.fileloc),
            "doc": dag.doc_md,
            "description": dag.description,
            "tags": sorted(dag.tags),
            "catchup": dag.catchup,
            "runs": dag.max_active_runs,
            "limit_s": dag.dagrun_timeout.total_seconds(),
            "told_by": [one.__name__ for one in dag.on_failure_callback],
            "schedule": getattr(dag.timetable, "expression", None),
            "params": {key: dag.params.get_param(key).schema for key in dag.params},
            "described": {key: dag.params.get_param(key).description for key in dag.params},
            "refused": {key: refuses(dag, key, bad.get(key, {})) for key in dag.params},
            "default_refused": {key: refuses(dag, key, dag.params[key]) for key in dag.params},
            "tasks": {
                task.task_id: {
                    "owner": task.owner,
                    "doc": task.doc_md,
                    "limit_s": task.execution_timeout.total_seconds(),
                    "retries": task.retries,
                    "policy": type(task.retry_policy).__name__,
                    "failed": [one.__name__ for one in task.on_failure_callback],
                    "retried": [one.__name__ for one in task.on_retry_callback],
                    "pool": task.pool,
                    "kind": task.task_type,
                }
                for task in dag.tasks
            },
        }
        for name, dag in bag.dags.items()
    },
})
"""


@pytest.fixture(scope="module")
def parsed(airflow: Airflow) -> dict[str, Any]:
    """What Airflow sees of all DAG files."""
    return dict(script(airflow, _PARSED)[0])


@pytest.fixture(scope="module")
def parsed_otherwise(airflow: Airflow) -> dict[str, Any]:
    """The same with schedules and a pool of the environment."""
    env = {
        "TOKENERGY_RESTATE_SCHEDULE": "@daily",
        "TOKENERGY_QUALITY_SCHEDULE": "off",
        "TOKENERGY_DAILY_SCHEDULE": "@weekly",
        "TOKENERGY_CUDA_POOL": "cards",
    }
    return dict(script(airflow, _PARSED, **env)[0])


def test_all_files_are_dags_and_none_fails(parsed: dict[str, Any]) -> None:
    assert parsed["errors"] == {}
    assert sorted(parsed["dags"]) == NAMES
    assert {dag["file"]: name for name, dag in parsed["dags"].items()} == {
        f"{name}.py": name for name in NAMES
    }
    # The shared file is no DAG: Airflow leaves it out.
    assert parsed["files"] == [f"{name}.py" for name in NAMES]
    assert sorted(path.name for path in DAGS.glob("*.py")) == sorted(
        ["tokenergy_shared.py", *(f"{name}.py" for name in NAMES)]
    )


def test_nothing_heavy_is_imported(parsed: dict[str, Any]) -> None:
    print(f"parsed in {parsed['took_s'] * 1000:.0f} ms")
    assert parsed["heavy"] == []
    assert parsed["took_s"] < 30  # then Airflow gives up


@pytest.mark.parametrize("name", NAMES)
def test_a_dag_says_what_it_is(name: str, parsed: dict[str, Any]) -> None:
    dag = parsed["dags"][name]
    assert dag["doc"].startswith("Airflow DAG: ")
    assert dag["description"]
    assert dag["tags"] == ["tokenergy"]
    assert (dag["catchup"], dag["runs"]) == (False, 1)
    assert dag["limit_s"] == 7_200
    assert dag["told_by"] == ["alert"]


@pytest.mark.parametrize("name", NAMES)
def test_each_task_has_an_owner_a_limit_and_somebody_who_is_told(
    name: str, parsed: dict[str, Any]
) -> None:
    tasks = parsed["dags"][name]["tasks"]
    assert tasks
    for task_id, task in tasks.items():
        assert task["owner"] == "tokenergy", task_id
        assert 0 < task["limit_s"] <= 7_200, task_id
        assert task["failed"] == ["alert"], task_id
        assert task["retried"] == ["retried"], task_id
        # What a shard leaves the index books itself, at once.
        retries = 1 if task_id == "book" else 4
        assert (task["retries"], task["policy"]) == (retries, "ByKindOfFault"), task_id
        assert task["doc"] or task["kind"] == "EmptyOperator", task_id


@pytest.mark.parametrize("name", NAMES)
def test_each_parameter_is_described_and_validated(name: str, parsed: dict[str, Any]) -> None:
    dag = parsed["dags"][name]
    assert {"lake"} < {*dag["params"]}
    for key, schema in dag["params"].items():
        assert schema.get("type"), key
        assert dag["described"][key] or "enum" in schema, key
    assert dag["refused"] == dict.fromkeys(dag["params"], True)
    assert dag["default_refused"] == dict.fromkeys(dag["params"], False)


def test_schedules_and_pool_are_of_the_environment(
    parsed: dict[str, Any], parsed_otherwise: dict[str, Any]
) -> None:
    usual, other = parsed["dags"], parsed_otherwise["dags"]
    assert [usual[name]["schedule"] for name in NAMES] == [
        *("30 2 * * *", "10 * * * *", "45 * * * *", None)
    ]
    assert [other[name]["schedule"] for name in NAMES] == [
        *("0 0 * * 0", "10 * * * *", None, "0 0 * * *")
    ]
    pools = {
        f"{name}.{task_id}"
        for name, dag in other.items()
        for task_id, task in dag["tasks"].items()
        if task["pool"] == "cards"
    }
    assert pools == {
        *("tokenergy_hourly.heal", "tokenergy_hourly.aggregate"),
        *("tokenergy_hourly.load_profile", "tokenergy_restate.derive"),
    }


def test_a_bad_variable_is_an_import_error_that_names_it(airflow: Airflow) -> None:
    told = script(airflow, _PARSED, TOKENERGY_RESTATE_SCHEDULE="sometimes")[0]
    assert told["dags"] == {}
    assert all("TOKENERGY_RESTATE_SCHEDULE='sometimes'" in text for text in told["errors"].values())
