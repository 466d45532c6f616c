"""Counting the rows of a lake in an object store: a few requests, however many files it has."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import duckdb
import pytest
from typer.testing import CliRunner

from tests.support.lakes import HOUR_US, T0, LakeBuilder, S, level
from tests.support.s3 import Server
from tests.support.stored import StoredLake, use
from tokenergy_collectors.lake import Lake
from tokenergy_collectors.lake.compaction import compact
from tokenergy_collectors.lake.contract import TABLES
from tokenergy_collectors.lake.paths import rows_of_name
from tokenergy_collectors.lake.published import list_path
from tokenergy_sql.catalog.asking import ask, lake_at
from tokenergy_sql.catalog.counting import counted_only
from tokenergy_sql.cli import app
from tokenergy_sql.index.pipeline import index
from tokenergy_sql.index.site import Site
from tokenergy_transforms.aggregate import aggregate, worklist

HOURS, NODES = 6, 20
COUNT = "SELECT count(*) FROM {}"
MOST = 10
"""Requests for an answer."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(tmp_path_factory.mktemp("store") / "requests.log")
    try:
        yield server.start()
    finally:
        server.kill()


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """Six hours of twenty nodes: 120 files of readings, and six of each of the books."""
    builder = LakeBuilder(tmp_path_factory.mktemp("lake") / "lake")
    end_us = T0 + HOURS * HOUR_US
    for number in range(NODES):
        node, board = f"gpu-{number:02d}", f"GPU-{number}"
        builder.device(board, node=node)
        builder.power(board, level(200_000, T0, end_us - 1, 600 * S), node=node)
        builder.job(f"job-{number}", board, T0, end_us, node=node)
    lake = builder.lake
    for hour, node in worklist(lake):
        if node in ("gpu-00", "gpu-01"):  # all would take a minute
            aggregate(lake, hour, node, 600 * S, "cpu")
    index(lake, Site(None, None, {}), progress=lambda _: None, catalog=False)
    return lake


@pytest.fixture
def stored(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[Lake], StoredLake]:
    def put(lake: Lake) -> StoredLake:
        use(server, tmp_path / "work", monkeypatch)
        stored = StoredLake(server, tmp_path.name)
        stored.put(lake.root)
        return stored

    return put


def asked(stored: StoredLake, sql: str) -> tuple[list[int], int]:
    """Return the numbers that `tokenergy query` prints, and the requests that it took."""
    before = len(stored.server.requests())
    done = CliRunner().invoke(app, ["query", "--lake", stored.url, "--format", "csv", sql])
    assert done.exit_code == 0, done.output
    requests = stored.server.requests()[before:]
    _, row = csv.reader(io.StringIO(done.stdout))
    return [int(value) for value in row], len(requests)


def count(lake: Lake, table: str) -> int:
    """Return how many rows a table of a lake in a folder has: DuckDB counts them."""
    return value(lake, COUNT.format(table))


def value(lake: Lake, sql: str) -> int:
    (row,) = ask(lake, "test", lambda con: con.execute(sql).fetchall())
    return int(row[0])


def test_hours_of_twenty_nodes(fleet: Lake, stored: Callable[[Lake], StoredLake]) -> None:
    there = stored(fleet)
    assert len(fleet.files("power")) == HOURS * NODES
    for table in ("power", "jobs", "device", "ledger", "ledger_hour", "job_index", "phase_role"):
        found, requests = asked(there, COUNT.format(table))
        print(f"{table}: {requests} requests")
        assert found == [count(fleet, table)]
        assert requests <= MOST
    both = "SELECT (SELECT count(*) FROM power) AS p, (SELECT count(*) FROM ledger) AS l"
    found, requests = asked(there, both)
    assert found == [count(fleet, "power"), count(fleet, "ledger")]
    assert requests <= MOST


def test_what_reads_rows_asks_twice_for_each_file_at_most(
    fleet: Lake, stored: Callable[[Lake], StoredLake]
) -> None:
    there = stored(fleet)
    for table in ("power", "ledger"):
        sql = f"SELECT sum({TABLES[table].time}) FROM {table}"  # noqa: S608 - names of the contract
        found, requests = asked(there, sql)
        assert found == [value(fleet, sql)]
        print(f"{table}: {requests} requests for {len(fleet.files(table))} files")
        assert requests <= 2 * len(fleet.files(table)) + MOST


def test_it_follows_what_comes_and_goes(
    stored: Callable[[Lake], StoredLake], tmp_path: Path
) -> None:
    builder = LakeBuilder(tmp_path / "lake")
    for part in range(3):
        builder.power("A", level(1, T0 + part * 900 * S, T0 + part * 900 * S + 3 * S, S))
    there = stored(builder.build())
    sql = "SELECT count(*) FROM power"
    assert asked(there, sql)[0] == [12]
    (first, *_) = there.names("power")
    there.server.fs().mv(
        f"tokenergy/{there.name}/{first}", f"tokenergy/{there.name}/quarantine/{first}"
    )
    assert asked(there, sql)[0] == [8]
    builder.power("A", level(1, T0 + 2800 * S, T0 + 2801 * S, S))
    compact(builder.lake, 2**62, 0)
    compact(builder.lake, 2**62, 0)
    (merged,) = builder.lake.files("power")
    assert rows_of_name(merged.name) == 14
    there.put(builder.lake.root, "power")  # beside two of its sources
    assert asked(there, sql) == ([14], 3)
    before = count(builder.lake, "ledger")
    builder.build(window_us=60 * S)  # runs of 30 s become segments of a minute
    there.put(builder.lake.root, "books")
    assert count(builder.lake, "ledger") < before
    assert asked(there, "SELECT count(*) FROM ledger")[0] == [count(builder.lake, "ledger")]


def test_files_of_earlier_versions_are_opened(
    stored: Callable[[Lake], StoredLake], tmp_path: Path
) -> None:
    builder = LakeBuilder(tmp_path / "lake")
    builder.power("A", level(1, T0, T0 + 9 * S, S))
    lake = builder.build()
    (path,) = lake.files("power")
    assert rows_of_name(path.name) == 10
    path.rename(path.with_name(f"{path.stem.partition('_')[0]}.parquet"))
    content = json.loads(list_path(lake.root).read_bytes())
    del content["rows"]
    list_path(lake.root).write_text(json.dumps(content))
    there = stored(lake)
    for table in ("power", "ledger"):
        found, requests = asked(there, COUNT.format(table))
        assert (found, requests <= 4) == ([count(lake, table)], True)
    builder.power("A", level(1, T0, T0 + 9 * S, S))
    assert len(lake.files("power")) == 1  # the same rows: the file is there already


def test_an_object_that_is_replaced_meanwhile_is_read_again(
    stored: Callable[[Lake], StoredLake], tmp_path: Path
) -> None:
    builder = LakeBuilder(tmp_path / "lake")
    builder.power("A", level(1, T0, T0 + 9 * S, S))
    there = stored(builder.build())
    (name,) = there.names("segment")
    data, tries = there.read(name), list[object]()

    def total(con: duckdb.DuckDBPyConnection) -> int:
        tries.append(con)
        if len(tries) == 1:
            builder.build(window_us=10 * S)
            there.put(builder.lake.root, "segment")
        return int(con.execute("SELECT count(*) + 0 FROM segment").fetchall()[0][0])

    rows = ask(lake_at(there.url), "test", total, "SELECT count(*) + 0 FROM segment")
    assert there.read(name) != data
    assert len(tries) == 2
    assert rows == count(builder.lake, "segment")


@pytest.mark.parametrize(
    ("sql", "tables"),
    [
        ("SELECT count(*) AS n FROM Power p;", {"power"}),
        ("FROM power SELECT count(), 'rows'", {"power"}),
        ("SELECT count(*) FROM power UNION ALL SELECT count(*) FROM ledger", {"power", "ledger"}),
        ("SELECT (SELECT count(*) FROM power)", {"power"}),
        ("SELECT count(*) FROM power WHERE ts_us > 1", set()),
        ("SELECT count(*), max(ts_us) FROM power", set()),
        ("SELECT count(power_mw) FROM power", set()),
        ("SELECT count(*) FROM power GROUP BY node", set()),
        ("SELECT count(*) FROM power, ledger", set()),
        ("SELECT count(*) FROM (FROM power)", set()),
        ("SELECT count(*) FROM power ORDER BY (SELECT max(ts_us) FROM ledger)", set()),
        ("SELECT count(*) FILTER (ts_us > 1) FROM power", set()),
        ("SELECT count(*) OVER () FROM power", set()),
        ("SELECT count(*) FROM power TABLESAMPLE 10%", set()),
        ("WITH power AS (SELECT 1) SELECT count(*) FROM power", set()),
        ("SELECT count(*) FROM other.power", set()),
        ("SELECT count(*) FROM device_now", set()),
        ("SELECT count(*) FROM power; SELECT 1", set()),
        ("SELECT (SELECT count(*) FROM power), (SELECT sum(energy_nj) FROM ledger)", set()),
        ("CREATE TABLE t AS SELECT count(*) FROM power", set()),
        ("SELECT", set()),
    ],
)  # fmt: skip
def test_which_statements_only_count(sql: str, tables: set[str]) -> None:
    assert counted_only(sql) == tables
