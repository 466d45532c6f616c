"""A lake in an object store answers as the same lake on disk does; what goes wrong is one line."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.lakes import T0, LakeBuilder, S
from tests.support.s3 import BUCKET, Server, free_port, set_environment
from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.lake import Lake
from tokenergy_collectors.lake.compaction import compact
from tokenergy_collectors.lake.published import list_path
from tokenergy_sql.catalog.asking import ask, lake_at
from tokenergy_sql.terminal.dimensions import dimension_table
from tokenergy_sql.terminal.export import export
from tokenergy_sql.terminal.output import Output
from tokenergy_sql.terminal.query import run_query

URL = f"s3://{BUCKET}/some/lake"


@pytest.fixture(scope="module")
def server(cluster: Lake) -> Iterator[Server]:
    server = Server()
    try:
        server.start()
        fs = server.fs()
        for path in sorted([*cluster.root.rglob("*.parquet"), list_path(cluster.root)]):
            name = path.relative_to(cluster.root).as_posix()
            if not name.startswith("."):
                fs.pipe_file(f"{BUCKET}/some/lake/{name}", path.read_bytes())
        fs.pipe_file(f"{BUCKET}/some/lake/power/date=2026-01-15/notes.txt", b"mine")
        yield server
    finally:
        server.kill()


@pytest.fixture(autouse=True)
def environment(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    set_environment(monkeypatch)
    monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)


def test_every_view_and_macro_gives_the_same(cluster: Lake) -> None:
    remote = lake_at(URL)
    names = ask(cluster, "test", lambda con: [r[0] for r in con.execute("SHOW TABLES").fetchall()])
    sources = [*names, "tokenergy_by('rack')", "fleet_power(60)", "compare('chat', 'small')"]
    here, there = (
        ask(
            lake,
            "test",
            lambda con: [sorted(con.execute(f"FROM {s}").fetchall(), key=repr) for s in sources],
        )
        for lake in (cluster, remote)
    )
    assert here == there
    assert sum(map(len, there)) > 1000


def test_the_commands(cluster: Lake, tmp_path: Path) -> None:
    for where in (str(cluster.root), URL):
        out = io.StringIO()
        run_query(lake_at(where), "SELECT count(*) AS n FROM segment", Output("csv"), out)
        assert int(out.getvalue().split()[1]) > 1000
    table = dimension_table(lake_at(URL), "model")
    assert len(table.rows) == 5
    assert export(lake_at(URL), "job_index", "csv", tmp_path / "jobs.csv") == 6


def test_errors_of_sql_are_the_same(cluster: Lake) -> None:
    for where in (str(cluster.root), URL):
        with pytest.raises(UserError, match="query: Catalog Error: Table with name nothing"):
            run_query(lake_at(where), "FROM nothing", Output("csv"), io.StringIO())


def test_a_copy_that_kept_what_was_compacted_meanwhile(server: Server, tmp_path: Path) -> None:
    builder = LakeBuilder(tmp_path / "lake")
    for part in range(3):
        builder.power("A", [(T0 + part * 300 * S + s * S, 1) for s in range(4)])
    fs = server.fs()
    for _ in range(2):
        for path in builder.lake.root.rglob("*.parquet"):
            name = path.relative_to(builder.lake.root).as_posix()
            fs.pipe_file(f"{BUCKET}/copy/{name}", path.read_bytes())
        compact(builder.lake, 2**62, 0)
    assert len(fs.find(f"{BUCKET}/copy/power")) == 4
    out = io.StringIO()
    run_query(lake_at(f"s3://{BUCKET}/copy"), "SELECT count(*) AS n FROM power", Output("csv"), out)
    assert out.getvalue().split() == ["n", "12"]


def test_a_prefix_without_a_lake() -> None:
    for url in (f"s3://{BUCKET}/other", "s3://no-such-bucket/lake"):
        with pytest.raises(UserError, match=f"lake {url}: no such bucket or prefix"):
            run_query(lake_at(url), "FROM power", Output("csv"), io.StringIO())


def test_a_store_that_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{free_port()}")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    with pytest.raises(UserError, match=f"lake {URL}: .*onnect") as error:
        run_query(lake_at(URL), "FROM power", Output("csv"), io.StringIO())
    assert "\n" not in str(error.value)


def test_without_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "s3fs", None)
    with pytest.raises(UserError, match=r"s3fs is not installed; pip install 'tokenergy\[s3\]'"):
        lake_at(URL)
    with pytest.raises(UserError, match="no such protocol"):
        lake_at("nowhere://bucket/lake")
