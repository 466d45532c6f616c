"""The hourly DAG: it parses lightly, gives what the packages give, and fails where it should."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from tests.dags.running import script
from tests.support.airflow import Airflow
from tests.support.lakes import HOUR_US, T0, LakeBuilder, S, level
from tokenergy_collectors.lake import Lake
from tokenergy_sql.index.pipeline import index
from tokenergy_sql.index.site import Site
from tokenergy_transforms.aggregate import aggregate, worklist
from tokenergy_transforms.loadprofile.groups import KINDS
from tokenergy_transforms.loadprofile.profile import profile_hour

PHASES = ("phase_block", "phase_role")
TABLES = (
    *("segment", "ledger", "ledger_hour", "node_hour", "token_usage"),
    *("job_hour_index", "job_efficiency", *PHASES, "job_index"),
)
PROFILES = ("load_profile", "load_spectrum")
HOSTILE = "{{ 7 * 7 }}/../'; DROP TABLE x; --"


def raw_lake(root: Path) -> Lake:
    """A minute of three nodes, one job on the first, and the first reading of the next hour."""
    builder = LakeBuilder(root)
    for node, device in (("n1", "GPU-1"), ("n2", "GPU-2"), (HOSTILE, "GPU-3")):
        builder.device(device, node=node)
        end = T0 + HOUR_US
        readings = level(300_000, end - 60 * S, end)
        counters = {t: 1_000_000 + 300 * ((t - T0) // S) for t, _ in readings if t % S == 0}
        builder.power(device, readings, counters=counters, node=node)
    builder.job("job-1", "GPU-1", T0 + HOUR_US - 50 * S, T0 + HOUR_US - 10 * S)
    builder.tokens("job-1", [(T0 + HOUR_US - 50 * S, 0), (T0 + HOUR_US - 10 * S, 4_000)])
    return builder.lake


def built_by_hand(lake: Lake) -> Lake:
    for hour, node in worklist(lake, [T0]):
        aggregate(lake, hour, node, S, "cpu")
    index(lake, Site(None, None, {}), [T0], progress=lambda _: None)
    profile_hour(lake, T0, KINDS)
    return lake


def contents(lake: Lake) -> dict[str, tuple[bytes, int]]:
    """Bytes and inode of every derived file: a file that was written anew has another inode."""
    return {
        str(path.relative_to(lake.root)): (path.read_bytes(), path.stat().st_ino)
        for table in (*TABLES, *PROFILES)
        for path in lake.files(table)
    }


PARSED = """
import os, sys, time
from airflow.dag_processing.dagbag import DagBag
before = set(sys.modules)
started = time.perf_counter()
bag = DagBag(os.environ["AIRFLOW__CORE__DAGS_FOLDER"])
took_s = time.perf_counter() - started
heavy = ("duckdb", "pyarrow", "numba", "cupy", "numpy")
ours = ("tokenergy_sql", "tokenergy_transforms", "tokenergy_collectors")
dag = bag.dags["tokenergy_hourly"]
tell({
    "took_s": took_s,
    "errors": bag.import_errors,
    "dags": list(bag.dags),
    "heavy": [m for m in set(sys.modules) - before if m in heavy],
    "ours": sorted(m for m in sys.modules if m.startswith(ours)),
    "after": {t.task_id: sorted(t.upstream_task_ids) for t in dag.tasks},
    "retries": {t.task_id: t.retries for t in dag.tasks},
    "policies": sorted({type(t.retry_policy).__name__ for t in dag.tasks}),
    "pools": {t.task_id: t.pool for t in dag.tasks},
    "limits_s": {t.task_id: t.execution_timeout.total_seconds() for t in dag.tasks},
    "told_by": {t.task_id: [one.__name__ for one in t.on_failure_callback] for t in dag.tasks},
    "owners": sorted({t.owner for t in dag.tasks}),
    "documented": sorted(t.task_id for t in dag.tasks if t.doc_md),
    "outlets": {t.task_id: [a.name for a in t.outlets] for t in dag.tasks if t.outlets},
    "uris": [a.uri for a in dag.get_task("check").outlets],
    "dag": {
        "cron": dag.timetable.expression,
        "catchup": dag.catchup,
        "runs": dag.max_active_runs,
        "limit_s": dag.dagrun_timeout.total_seconds(),
        "told_by": [one.__name__ for one in dag.on_failure_callback],
        "late": [
            [one.interval.total_seconds(), one.callback.path, sorted(one.callback.kwargs)]
            for one in dag.deadline or ()
        ],
        "tags": sorted(dag.tags),
        "doc": dag.doc_md.split("\\n")[0],
    },
})
"""


@pytest.fixture(scope="module")
def parsed(airflow: Airflow) -> dict[str, Any]:
    """What the DAG is, without a run: Airflow takes seconds to start."""
    return dict(script(airflow, PARSED)[0])


@pytest.fixture(scope="module")
def parsed_otherwise(airflow: Airflow) -> dict[str, Any]:
    """What the DAG is with all settings of the environment."""
    env = {
        "TOKENERGY_DELAY_MINUTES": "20",
        "TOKENERGY_TASK_TIMEOUT": "10m",
        "TOKENERGY_RUN_TIMEOUT": "50m",
        "TOKENERGY_DEADLINE": "55m",
        "TOKENERGY_ALERT_TO": "ops@example.org",
        "TOKENERGY_CUDA_POOL": "cards",
    }
    return dict(script(airflow, PARSED, **env)[0])


TASKS = (
    *("settings", "heal", "batches", "aggregate", "load_profile"),
    *("shards", "book", "shared", "index", "check", "report", "done"),
)


LATE = "tokenergy_sql.scheduled.late.tell_late"
MAILED = "airflow.providers.smtp.notifications.smtp.SmtpNotifier"

CUDA = ("heal", "aggregate", "load_profile")
"""The tasks that pass the run's device on."""


def test_declares_the_pipeline(parsed: dict[str, Any]) -> None:
    assert parsed["errors"] == {}
    assert "tokenergy_hourly" in parsed["dags"]
    assert parsed["after"] == {
        "settings": [],
        "heal": ["settings"],
        "batches": ["heal", "settings"],
        "aggregate": ["batches", "settings"],
        "shards": ["batches"],
        "book": ["aggregate", "settings", "shards"],
        "shared": ["book"],
        "index": ["aggregate", "settings", "shared"],
        "check": ["index", "settings"],
        "report": ["check", "settings"],
        "load_profile": ["aggregate", "settings"],
        "done": ["heal", "load_profile", "report"],
    }
    assert parsed["retries"] == dict.fromkeys(TASKS, 4) | {"book": 1}
    assert parsed["policies"] == ["ByKindOfFault"]
    assert parsed["pools"] == dict.fromkeys(TASKS, "default_pool")
    assert parsed["outlets"] == {
        "heal": ["tokenergy_healed"],
        "check": [f"tokenergy_{table}" for table in TABLES],
    }
    assert parsed["uris"] == [f"tokenergy://lake/{table}" for table in TABLES]
    assert parsed["owners"] == ["tokenergy"]
    assert parsed["documented"] == sorted({*TASKS} - {"done", "shared"})


def test_every_task_has_a_limit_and_tells_of_its_failure(parsed: dict[str, Any]) -> None:
    assert parsed["limits_s"] == dict.fromkeys(TASKS, 1_800) | {"heal": 7_200}
    assert parsed["told_by"] == {task: ["alert"] for task in TASKS}
    assert parsed["dag"] == {
        "cron": "10 * * * *",
        "catchup": False,
        "runs": 1,
        "limit_s": 7_200,
        "told_by": ["alert"],
        "late": [],
        "tags": ["tokenergy"],
        "doc": "Airflow DAG: processes each hour from readings to indices once its files are "
        "complete.",
    }


def test_the_environment_sets_delay_limits_and_mail(parsed_otherwise: dict[str, Any]) -> None:
    assert parsed_otherwise["limits_s"] == dict.fromkeys(TASKS, 600) | {"heal": 3_000}
    assert parsed_otherwise["told_by"] == {task: ["mail", "alert"] for task in TASKS}
    assert parsed_otherwise["dag"]["told_by"] == ["mail", "alert"]
    assert parsed_otherwise["dag"]["late"] == [
        [3_300, LATE, []],
        [3_300, MAILED, ["from_email", "html_content", "subject", "to"]],
    ]
    assert parsed_otherwise["dag"]["cron"] == "20 * * * *"
    assert parsed_otherwise["dag"]["limit_s"] == 3_000


def test_tasks_that_may_use_cuda_are_in_the_pool(parsed_otherwise: dict[str, Any]) -> None:
    pools = dict.fromkeys(TASKS, "default_pool")
    assert parsed_otherwise["pools"] == pools | dict.fromkeys(CUDA, "cards")


def test_is_parsed_without_heavy_imports(parsed: dict[str, Any]) -> None:
    print(f"parsed in {parsed['took_s'] * 1000:.0f} ms")
    assert parsed["heavy"] == []
    assert parsed["ours"] == [
        "tokenergy_collectors",
        "tokenergy_collectors.base",
        "tokenergy_collectors.base.durations",
        "tokenergy_collectors.base.errors",
        "tokenergy_sql",
        "tokenergy_sql.scheduled",
        "tokenergy_sql.scheduled.anywhere",
        "tokenergy_sql.scheduled.quality",
        "tokenergy_sql.scheduled.quality.limits",
        "tokenergy_sql.scheduled.settings",
    ]
    assert parsed["took_s"] < 5  # Airflow gives up after 30


@pytest.fixture(scope="module")
def ran(airflow: Airflow, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Run the DAG with the command line; then, in one process, three times more."""
    root = tmp_path_factory.mktemp("lakes")
    lake = raw_lake(root / "lake")
    shutil.copytree(lake.root, root / "raw")
    command = ["-m", "airflow", "dags", "test", "tokenergy_hourly", "2026-01-15T08:00:00+00:00"]
    done = airflow.run(command, {"TOKENERGY_LAKE": str(lake.root)})
    first = contents(lake)
    states, printed = script(
        airflow,
        """
        import os
        from datetime import UTC, datetime
        from tokenergy_hourly import dag
        def run(hour, **given):
            made = dag.test(logical_date=datetime(2026, 1, 15, hour, tzinfo=UTC), run_conf=given)
            return {t.task_id: t.state for t in made.get_task_instances()} | {"run": made.state}
        lake = os.environ["LAKE"]
        os.environ["TOKENERGY_LAKE"] = "/nowhere/environment"
        os.environ["AIRFLOW_VAR_TOKENERGY_LAKE"] = "/nowhere/variable"
        # `dag.test` keeps a run's parameters in the process: the run without any goes first.
        os.environ["AIRFLOW_VAR_TOKENERGY_LAKE"] = lake + "/raw"
        empty = run(5)
        os.environ["AIRFLOW_VAR_TOKENERGY_LAKE"] = "/nowhere/variable"
        again = run(8, lake=lake + "/lake")
        missing = run(6, lake="/nowhere/param")
        tell({"again": again, "empty": empty, "missing": missing})
        """,
        LAKE=str(root),
    )
    return {"root": root, "done": done, "first": first, "states": states, "printed": printed}


@pytest.mark.e2e
def test_gives_what_the_packages_give(ran: dict[str, Any], tmp_path: Path) -> None:
    done, lake = ran["done"], Lake(ran["root"] / "lake")
    assert done.returncode == 0, done.stdout
    assert re.search(r"^hour 2026-01-15T08: 3 nodes in 1 batches$", done.stdout, re.MULTILINE)
    assert re.search(r"^n1: .* -> 60 segments \(cpu\)$", done.stdout, re.MULTILINE)
    assert re.search(
        r"^3 nodes, 1,800 readings -> 180 segments in \d+\.\d s \(cpu\)$",
        done.stdout,
        re.MULTILINE,
    )

    shutil.copytree(ran["root"] / "raw", tmp_path / "raw")
    expected = built_by_hand(Lake(tmp_path / "raw"))
    assert lake.read("job_index").num_rows == 1
    for table in (*TABLES, *PROFILES):
        assert lake.read(table).equals(expected.read(table)), table
    assert (ran["root"] / "lake-report" / "index.html").stat().st_size > 1000


@pytest.mark.e2e
def test_again_it_writes_the_same_bytes(ran: dict[str, Any]) -> None:
    states = ran["states"]["again"]
    assert states.pop("book") == "skipped"  # one batch of nodes: no shards
    assert set(states.values()) == {"success"}
    # Segments are of three nodes; servers without prompt counters have no phases.
    assert len(ran["first"]) == len(TABLES) + len(PROFILES) + 2 - len(PHASES)
    assert contents(Lake(ran["root"] / "lake")) == ran["first"]


@pytest.mark.e2e
def test_an_empty_hour_succeeds(ran: dict[str, Any]) -> None:
    assert ran["states"]["empty"] == {
        "settings": "success",
        "heal": "success",
        "batches": "success",
        "aggregate": "skipped",
        "shards": "success",
        "book": "skipped",
        "shared": "success",
        "index": "success",
        "check": "success",
        "report": "skipped",
        "load_profile": "success",
        "done": "success",
        "run": "success",
    }


@pytest.mark.e2e
def test_a_missing_lake_fails_with_one_line(ran: dict[str, Any]) -> None:
    rest = {*TASKS} - {"settings", "shared"}
    failed = {"settings": "failed", "run": "failed"} | dict.fromkeys(rest, "upstream_failed")
    failed["shared"] = "success"  # it waits for shards, and judges nothing
    assert ran["states"]["missing"] == failed
    assert "UserError: lake /nowhere/param: no such directory\n" in ran["printed"]


@pytest.mark.e2e
def test_shards_are_booked_by_tasks_and_a_failed_one_by_the_index(
    airflow: Airflow, tmp_path: Path
) -> None:
    """Three nodes as three batches and groups; the second time shard 1 cannot be booked."""
    raw = raw_lake(tmp_path / "raw")
    lakes = [Lake(shutil.copytree(raw.root, tmp_path / name)) for name in ("tasks", "failed")]
    expected = contents(built_by_hand(raw))
    states, printed = script(
        airflow,
        """
        import os
        from datetime import UTC, datetime
        from tokenergy_hourly import dag
        from tokenergy_collectors.base.errors import UserError
        from tokenergy_sql.index import groups
        from tokenergy_sql.scheduled import booking
        from tokenergy_transforms import batching
        batching.split_nodes.__defaults__ = (16, 1)
        groups.GROUP_ROWS = 1
        by_itself = booking.book_shard
        def failing(lake, site, hour_us, shard):
            if shard["number"] == 1 and lake.root.name == "failed":
                raise UserError("this shard fails")
            return by_itself(lake, site, hour_us, shard)
        booking.book_shard = failing
        def run(name):
            conf = {"lake": os.environ["LAKES"] + "/" + name}
            day = datetime(2026, 1, 15, 8, ("tasks", "failed").index(name), tzinfo=UTC)
            made = dag.test(logical_date=day, run_conf=conf)
            return {f"{t.task_id} {t.map_index}": t.state for t in made.get_task_instances()}
        tell([run("tasks"), run("failed")])
        """,
        LAKES=str(tmp_path),
    )
    booked = [[one[f"book {number}"] for number in range(3)] for one in states]
    assert booked == [["success"] * 3, ["success", "failed", "success"]]
    assert all(one["index -1"] == one["check -1"] == "success" for one in states)
    assert printed.count(": 1 files of segments") == 5
    for lake in lakes:
        found = {path: data for path, (data, _) in contents(lake).items()}
        assert found == {path: data for path, (data, _) in expected.items()}
        assert not (lake.root / "books" / ".shards").exists()


@pytest.mark.e2e
def test_a_breach_fails_the_check_and_names_the_rows(airflow: Airflow, tmp_path: Path) -> None:
    lake = built_by_hand(raw_lake(tmp_path / "lake"))
    rows = lake.read("ledger")
    first = pa.array([i == 0 for i in range(rows.num_rows)])
    more = pc.if_else(first, pc.add(rows["energy_nj"], 1), rows["energy_nj"])
    place = rows.column_names.index("energy_nj")
    lake.replace("ledger", rows.set_column(place, "energy_nj", more), T0, "ledger")

    told, printed = script(
        airflow,
        f"""
        from tokenergy_hourly import check
        class Instance:
            dag_id = "tokenergy_hourly"
            def __init__(self, running): self.running = running
            def get_dr_count(self, dag_id, states): return self.running
            def xcom_pull(self, task_ids): return None
        def raised(running):
            try:
                settled = {{"lake": {str(lake.root)!r}, "hour_us": {T0}, "heal_from_us": {T0}}}
                check.function(settled, ti=Instance(running))
            except Exception as error:
                return [type(error).__name__, str(error)]
        tell([raised(1), raised(2)])
        """,
    )
    (alone, why), (beside, why_retried) = told
    assert alone == "AirflowFailException"  # which Airflow does not try again
    assert why.startswith("the books do not close: ")
    assert "law (1 rows)" in why
    assert "\n" not in why
    assert beside == "BusyError"
    assert why_retried == f"{why}; another run is active, so this one will check again"
    assert "FAIL law: " in printed
    assert "device_id=GPU-1 hour=2026-01-15T08:00Z " in printed
    assert "difference_nj=1\n" in printed
