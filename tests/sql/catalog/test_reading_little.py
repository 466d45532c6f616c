"""A question looks at the files of the tables it names, and at no others."""

from __future__ import annotations

import io
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.support.lakes import HOUR_US, T0, LakeBuilder, S, level
from tokenergy_collectors.lake import Lake
from tokenergy_collectors.lake.contract import TABLES, Table
from tokenergy_collectors.lake.footers import Footers
from tokenergy_sql.catalog import connecting as catalog
from tokenergy_sql.catalog import views
from tokenergy_sql.checks.checking import run_checks
from tokenergy_sql.terminal.output import Output
from tokenergy_sql.terminal.query import run_query

RAW = [name for name, table in TABLES.items() if table.layer == "raw"]


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two hours with a job, indexed."""
    builder = LakeBuilder(tmp_path_factory.mktemp("template"))
    builder.device("A")
    for start_us in (T0, T0 + HOUR_US):
        builder.power("A", level(100_000, start_us, start_us + 3 * S))
    builder.job("j", "A", T0, T0 + 2 * S)
    builder.tokens("j", [(T0, 0), (T0 + 2 * S, 10)])
    return builder.build().root


@pytest.fixture
def lake(template: Path, tmp_path: Path) -> Lake:
    """A copy of it, in a folder that has every sign that a pattern knows."""
    return Lake(shutil.copytree(template, tmp_path / "it's [a] *lake?"))


@pytest.fixture
def looked_at(monkeypatch: pytest.MonkeyPatch) -> Callable[[], list[str]]:
    """Names of the raw tables whose files were looked at since the last call."""
    seen: set[str] = set()
    look = Footers.columns

    def noted(self: Footers, path: Path, table: Table) -> frozenset[str]:
        seen.add(table.name)
        return look(self, path, table)

    monkeypatch.setattr(Footers, "columns", noted)

    def told() -> list[str]:
        found = sorted(seen & set(RAW))
        seen.clear()
        return found

    return told


def answer(lake: Lake, sql: str) -> list[dict[str, Any]]:
    out = io.StringIO()
    run_query(Lake(lake.root), sql, Output("json"), out)  # which knows nothing of its files yet
    found: list[dict[str, Any]] = json.loads(out.getvalue())
    return found


@pytest.mark.parametrize(
    ("sql", "tables", "rows"),
    [
        ("SELECT 1 AS one", [], [{"one": 1}]),
        ("SELECT job_id FROM job_index", [], [{"job_id": "j"}]),
        ("SELECT count(*) AS n FROM ledger", [], None),
        ("SELECT count(*) AS n FROM Power", ["power"], [{"n": 62}]),
        ('SELECT max("value") AS n FROM "tokens"', ["tokens"], [{"n": 10}]),
        ("SELECT job_id FROM allocation", [], [{"job_id": "j"}]),  # read whole, see below
        ("SELECT value FROM tokenergy_by('model')", ["device"], None),
        ("SELECT device_id FROM place", ["device"], [{"device_id": "A"}]),
        ("SELECT node FROM device_now", ["device"], None),
        ("SELECT start_us FROM fleet_power(60)", [], None),
        ("SELECT count(*) AS n FROM quarantined", ["device", "jobs", "power", "tokens"], None),
    ],
)
def test_a_question_looks_at_what_it_names(
    lake: Lake,
    looked_at: Callable[[], list[str]],
    sql: str,
    tables: list[str],
    rows: list[dict[str, Any]] | None,
) -> None:
    found = answer(lake, sql)
    assert looked_at() == tables
    if rows is not None:
        assert found == rows


def test_allocations_are_worked_out_when_they_are_read_and_once(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[Lake] = []
    work = catalog.allocations

    def noted(of: Lake) -> pa.Table:
        calls.append(of)
        return work(of)

    monkeypatch.setattr(catalog, "allocations", noted)
    assert answer(lake, "SELECT job_id FROM job_index") == [{"job_id": "j"}]
    assert calls == []
    twice = "SELECT a.job_id FROM allocation AS a JOIN allocation AS b USING (start_us)"
    assert answer(lake, f"SELECT 1; {twice}") == [{"job_id": "j"}]
    assert len(calls) == 1


def test_a_name_that_is_hidden_is_found_all_the_same(
    lake: Lake, looked_at: Callable[[], list[str]]
) -> None:
    assert answer(lake, "SELECT count(*) AS n FROM query_table('po' || 'wer')") == [{"n": 62}]
    assert "power" in looked_at(), "all tables, since nobody knows which"


def test_a_table_without_files_is_empty_whether_it_is_named_or_not(lake: Lake) -> None:
    assert not lake.has("host")
    assert lake.has("power")
    assert answer(lake, "SELECT count(*) AS n FROM host") == [{"n": 0}]
    assert answer(lake, "SELECT count(*) AS n FROM query_table('ho' || 'st')") == [{"n": 0}]


def test_what_breaks_the_contract_goes_to_quarantine_when_its_table_is_named(lake: Lake) -> None:
    (path, _) = lake.files("power")
    foreign = path.with_name("n1-1-ff.parquet")
    pq.write_table(pa.table({"ts_us": [T0], "watts": [1.5]}), foreign)
    assert answer(lake, "SELECT job_id FROM job_index") == [{"job_id": "j"}]
    assert foreign.exists()
    assert answer(lake, "SELECT count(*) AS n FROM power") == [{"n": 62}]
    assert not foreign.exists()
    assert answer(lake, 'SELECT "table" FROM quarantined') == [{"table": "power"}]


def test_checks_of_an_hour_look_at_what_they_name(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What no hourly check names is looked at for the whole lake, and not for each hour."""
    files: list[tuple[str, list[int] | None]] = []
    look = Lake.valid_files

    def noted(self: Lake, table: str, hours: Any = None, *rest: Any) -> Any:
        files.append((table, hours))
        return look(self, table, hours, *rest)

    monkeypatch.setattr(Lake, "valid_files", noted)
    assert [f.name for f in run_checks(lake) if f.breach] == []
    times = {table: sum(name == table for name, _ in files) for table in RAW}
    assert times["power"] > 2  # of the whole lake, and of each hour
    assert times["host"] == 3  # of the whole lake, and of each hour by itself
    assert times["clock"] == 1
    assert times["event"] == 2  # for the whole lake, and once for all hours: see stray_spell.sql


def test_tables_are_named_by_views_and_macros_too() -> None:
    assert views.tables_named("SELECT 1") == frozenset()
    assert views.tables_named("select * from LEDGER, x") == {"ledger"}
    assert views.tables_named("FROM place") == {"device"}
    assert views.tables_named("FROM clock_doubt") == {"clock"}
    assert {"job_index", "device"} <= views.tables_named("FROM tokenergy_by('rack')")
    assert views.tables_named("FROM job_device") == {"job_index", "ledger_hour", "device"}


@pytest.mark.parametrize("name", [*views.OWN, *views.BASIC, *views.ADHOC])
def test_a_view_says_in_its_header_what_it_reads(name: str) -> None:
    found = views.definition(name)
    every = (*views.OWN, *views.BASIC, *views.ADHOC)
    known = {*TABLES, *views.PYTHON_TABLES, *every} - {name}
    read = set(re.findall(r"(?:FROM|JOIN)\s+(\w+)", found.sql)) & known
    assert read <= set(found.sources)
    # ... and nothing that is defined after it: `views.tables_named` relies on that.
    order = [*TABLES, *views.PYTHON_TABLES, *every]
    assert all(order.index(source) < order.index(name) for source in read)
