"""The hourly DAG gives a lake in an object store the books of one in a folder."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.dags.running import script
from tests.dags.test_tokenergy_hourly import built_by_hand, raw_lake
from tests.support.airflow import Airflow
from tests.support.s3 import ENVIRONMENT, Server
from tests.support.stored import StoredLake

RUN = """
import os
from datetime import UTC, datetime
from tokenergy_hourly import dag
made = dag.test(logical_date=datetime(2026, 1, 15, 8, tzinfo=UTC))
tell({t.task_id: t.state for t in made.get_task_instances()} | {"run": made.state})
"""


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    try:
        yield server.start()
    finally:
        server.kill()


@pytest.mark.e2e
def test_an_hour_of_a_lake_in_a_store(airflow: Airflow, server: Server, tmp_path: Path) -> None:
    lake = raw_lake(tmp_path / "lake")
    stored = StoredLake(server, "fleet/north")
    stored.put(lake.root)
    env = {
        **ENVIRONMENT,
        "AWS_ENDPOINT_URL": server.url,
        "TOKENERGY_WORK": str(tmp_path / "work"),
        "TOKENERGY_LAKE": stored.url,
    }
    states, printed = script(airflow, RUN, **env)
    # One batch: nothing for shards to do.
    assert states.pop("book") == "skipped", printed
    assert {*states.values()} == {"success"}, printed
    built_by_hand(lake)
    assert stored.derived() == {
        path.relative_to(lake.root).as_posix(): path.read_bytes()
        for folder in ("books", "segment", "load_profile", "load_spectrum", "load_swing")
        for path in (lake.root / folder).rglob("*.parquet")
    }
    assert b"</html>" in stored.read("report/index.html")
    assert ENVIRONMENT["AWS_SECRET_ACCESS_KEY"] not in printed.replace("tests/", "")
