"""A whole Airflow, set as it comes, processes an hour of 2,000 nodes as the commands do.

Airflow refuses more than 1,024 mapped tasks (`max_map_length`); the DAG has at most 16 batches.
Run by `make e2e-airflow-fleet`.
"""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.kills.week import run
from tests.support.airflow_server import AirflowServer, wait_for
from tests.support.lakes import LakeBuilder, S
from tests.support.late import DERIVED, RAW
from tests.support.three_hours import DELAY
from tokenergy_collectors.lake import Lake
from tokenergy_collectors.lake.paths import show_hour

pytestmark = pytest.mark.e2e

NODES = 2_000
NODES_OF_JOB = 8
SECONDS = 60
DEFAULTS = {"parallelism": 32, "max_map_length": 1024, "max_active_tasks_per_dag": 16}
"""What Airflow 3.3 does by default; read from it below."""


def raw_files(root: Path, hour_us: int) -> Lake:
    """A minute of each of 2,000 nodes, and jobs of eight nodes each that count tokens."""
    builder, begin_us = LakeBuilder(root), hour_us + 1800 * S
    end_us = begin_us + SECONDS * S
    for number in range(NODES):
        node, board = f"gpu-{number:04d}", f"GPU-{number}"
        builder.device(board, node=node, ts_us=begin_us)
        watts = 200_000 + 10 * number
        builder.power(board, [(ts, watts) for ts in range(begin_us, end_us + 1, S)], node=node)
    jobs = [
        {
            **{"job_id": f"job-{number // NODES_OF_JOB}", "node": f"gpu-{number:04d}"},
            **{"device_id": f"GPU-{number}", "start_us": begin_us, "end_us": end_us},
            **{"share_ppm": 1_000_000, "method": "declared", "recorded_us": begin_us},
        }
        for number in range(NODES)
    ]
    tokens = []
    for number in range(NODES // NODES_OF_JOB):
        place = {"node": f"gpu-{number * NODES_OF_JOB:04d}", "job_id": f"job-{number}"}
        named = {"model": "m", "engine": "", "kind": "generated", "epoch": 0}
        values = ((begin_us + 10 * S * step, 100 * number * step) for step in range(7))
        tokens += [
            {**place, **named, "source_id": f"s{number}", "ts_us": ts, "value": value}
            for ts, value in values
        ]
    builder.add("jobs", jobs, "scheduler")
    builder.add("tokens", tokens, "scheduler")
    return builder.lake


@pytest.fixture(scope="module")
def hour_us() -> int:
    """The last complete hour: the one that the schedule processes."""
    last = (datetime.now(UTC) - DELAY).replace(minute=0, second=0, microsecond=0)
    return int((last - timedelta(hours=1)).timestamp()) * 1_000_000


@pytest.fixture(scope="module")
def lake(hour_us: int, tmp_path_factory: pytest.TempPathFactory) -> Lake:
    return raw_files(tmp_path_factory.mktemp("fleet") / "lake", hour_us)


@pytest.fixture(scope="module")
def by_commands(lake: Lake, hour_us: int, tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """What the commands make of a copy of the raw files."""
    copy = Lake(tmp_path_factory.mktemp("commands") / "lake", create=True)
    for table in RAW:
        if (lake.root / table).exists():
            shutil.copytree(lake.root / table, copy.root / table)
    for command in ("aggregate", "index", "load-profile"):
        run(copy, command, "--hour", show_hour(hour_us))
    return copy


@pytest.fixture(scope="module")
def airflow(lake: Lake, tmp_path_factory: pytest.TempPathFactory) -> Iterator[AirflowServer]:
    home = tmp_path_factory.mktemp("home")
    default = {"AIRFLOW__CORE__PARALLELISM": str(DEFAULTS["parallelism"])}
    server = AirflowServer(home, {"TOKENERGY_LAKE": str(lake.root), **default})
    try:
        server.start()
        yield server
    finally:
        server.stop()


def seconds(of: dict[str, Any]) -> float:
    begin, end = (datetime.fromisoformat(of[key]) for key in ("start_date", "end_date"))
    return (end - begin).total_seconds()


def test_an_hour_of_2000_nodes(
    airflow: AirflowServer, lake: Lake, by_commands: Lake, hour_us: int
) -> None:
    for name, value in DEFAULTS.items():
        said = airflow.command("config", "get-value", "core", name)
        assert said.split()[-1] == str(value)
    airflow.unpause()
    (name,) = wait_for("scheduled run", lambda: [*airflow.runs()])
    states = airflow.finished(name)
    tasks = airflow.tasks(name)
    assert {*states.values()} == {"success"}, states
    kinds = Counter(one["task_id"] for one in tasks.values())
    took_s = seconds(airflow.runs()[name])
    busy_s = sum(seconds(one) for one in tasks.values())
    print(f"{NODES:,} nodes: {len(tasks)} task instances, {json.dumps(kinds)}")
    print(f"run {took_s:.0f} s; tasks together {busy_s:.0f} s")
    for task in ("aggregate", "book", "index", "check", "report"):
        lengths = sorted(seconds(one) for one in tasks.values() if one["task_id"] == task)
        print(f"  {task}: {', '.join(f'{one:.0f}' for one in lengths)} s")
    assert 1 < kinds["aggregate"] <= 16
    assert kinds["book"] == kinds["aggregate"]
    assert len(tasks) < 50
    log = airflow.log(name, "batches")
    assert f"{NODES:,} nodes in {kinds['aggregate']} batches" in log
    for table in DERIVED:
        assert lake.read(table).equals(by_commands.read(table)), table
    found = lake.read("job_index")
    assert found.num_rows == NODES // NODES_OF_JOB
    print(
        f"equal to those of the commands, row for row: job_index {found.num_rows}, ledger "
        f"{lake.read('ledger').num_rows:,}, segment {lake.read('segment').num_rows:,}"
    )
