"""catalog.duckdb: what is in it, what is said of it, and that it stands whatever the lake does."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.support.cluster import small_cluster
from tests.support.lakes import HOUR_US, T0, LakeBuilder, S
from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.lake import Lake
from tokenergy_collectors.lake.allocations import allocations
from tokenergy_collectors.lake.contract import TABLES
from tokenergy_collectors.lake.paths import partition
from tokenergy_sql.catalog import connecting as catalog
from tokenergy_sql.catalog import file, views
from tokenergy_sql.catalog.file import NAME, write_catalog

MACROS = {
    "tokenergy_by": "'rack'",
    "fleet_power": "60",
    "power_at": f"{T0 + HOUR_US}",
    "compare": "'chat', 'small'",
}


def opened(lake: Lake) -> duckdb.DuckDBPyConnection:
    return duckdb.connect(str(lake.root / NAME), read_only=True)


def rows(con: duckdb.DuckDBPyConnection, sql: str) -> list[tuple[Any, ...]]:
    return con.execute(sql).fetchall()


@pytest.fixture
def lake(cluster: Lake, tmp_path: Path) -> Lake:
    """A copy, for those who change it, under a name with signs that patterns know."""
    root = tmp_path / "it's [a] lake?*"
    shutil.copytree(cluster.root, root)
    copied = Lake(root)
    write_catalog(copied)
    return copied


def test_the_same_is_there_as_in_memory(cluster: Lake) -> None:
    with catalog.connect(cluster, adhoc=True) as memory, opened(cluster) as file:
        names = {row[0] for row in rows(memory, "SHOW TABLES")}
        assert names == {row[0] for row in rows(file, "SHOW TABLES")}
        assert names >= {*TABLES, "allocation", "quarantined", "device_now", "job_device", "place"}
        for name in names:
            described = f"FROM (DESCRIBE {name}) SELECT column_name, column_type"
            assert rows(memory, described) == rows(file, described)
            assert sorted(rows(memory, f"FROM {name}"), key=repr) == sorted(
                rows(file, f"FROM {name}"), key=repr
            )
        for name, words in MACROS.items():
            found = rows(file, f"FROM {name}({words})")
            assert found
            assert found == rows(memory, f"FROM {name}({words})")
        assert rows(file, "SELECT utc(0)::VARCHAR") == [("1970-01-01 00:00:00",)]


def test_every_view_column_and_macro_is_described(cluster: Lake) -> None:
    with opened(cluster) as con:
        columns = rows(
            con,
            "SELECT table_name, column_name, comment FROM duckdb_columns() "
            "WHERE NOT internal AND schema_name = 'main'",
        )
        assert [row for row in columns if not row[2]] == []
        for table in TABLES.values():
            told = {name: words for of, name, words in columns if of == table.name}
            assert told == {column.name: column.meaning for column in table.columns}
        held = rows(con, "SELECT view_name, comment FROM duckdb_views() WHERE NOT internal")
        held += rows(con, "SELECT table_name, comment FROM duckdb_tables()")
        macros = rows(
            con,
            "SELECT function_name, comment FROM duckdb_functions() "
            "WHERE NOT internal AND function_type IN ('macro', 'table_macro')",
        )
        assert [row for row in held + macros if not row[1]] == []
        made = {"VIEW": held, "MACRO": macros}
        for name in (*views.BASIC, *views.ADHOC):
            kind = views.definition(name).kind.split()[0]
            assert name in {row[0] for row in made[kind]}


def test_what_macros_return_is_described(cluster: Lake) -> None:
    with opened(cluster) as con:
        for name, words in MACROS.items():
            returned = {row[0] for row in rows(con, f"DESCRIBE FROM {name}({words})")}
            known = views.meanings(name)
            assert returned <= set(known)
            assert set(views.definition(name).columns) <= returned


def test_an_open_catalog_sees_one_revision_and_the_next_one_another(lake: Lake) -> None:
    count = "SELECT count(*), sum(n_tokens) FROM tokenergy_by('job')"
    with opened(lake) as con:
        before = rows(con, count)
        first, _ = lake.files("job_index")
        table = pq.read_table(first, partitioning=None)
        lake.replace("job_index", table.slice(0, 1), T0, "job_index")
        lake.remove("job_index", T0 + HOUR_US, "job_index")
        assert rows(con, count) == before
        write_catalog(lake)
        assert rows(con, count) == before
    with opened(lake) as con:
        assert rows(con, count)[0][0] == 1
        first.unlink()
        assert rows(con, count)[0][0] == 1
    with opened(lake) as con:
        lake.files("job_index")[0].unlink()
        with pytest.raises(duckdb.IOException, match="job_index-"):
            rows(con, count)


def test_a_table_without_any_file_is_empty_and_typed(tmp_path: Path) -> None:
    (tmp_path / "lake").mkdir()
    lake = Lake(tmp_path / "lake")
    write_catalog(lake)
    with opened(lake) as con, catalog.connect(lake) as memory:
        for name, table in TABLES.items():
            assert rows(con, f"FROM {name}") == []
            described = f"FROM (DESCRIBE {name}) SELECT column_name, column_type"
            assert rows(con, described) == rows(memory, described)
            assert [row[0] for row in rows(con, described)] == table.column_names
        for name in ("tokenergy_by('rack')", "fleet_power(60)", "power_at(0)", "job_device"):
            assert rows(con, f"FROM {name}") == []
        # the first file of a table shows at once
        LakeBuilder(lake.root).device("A")
        assert rows(con, "SELECT device_id FROM device_now") == [("A",)]


def test_foreign_and_quarantined_files_do_no_harm(lake: Lake) -> None:
    with opened(lake) as con:
        count = "SELECT count(*) FROM power"
        before = rows(con, count)
        hour = lake.root / "power" / partition(T0)
        foreign = pa.table({"colour": ["red"], "watts": [7]})
        pq.write_table(foreign, hour / "foreign-1-x.parquet")
        (hour / "notes.txt").write_text("mine")
        (hour / ".half.parquet").write_bytes(b"PAR1")
        backup = lake.root / "old_power" / partition(T0)
        shutil.copytree(hour, backup)
        assert rows(con, count) == before
        # a broken one is moved away by the next command that reads the table
        (hour / "n1-1-broken.parquet").write_bytes(b"no parquet at all")
        lake.valid_files("power")
        assert rows(con, count) == before
    write_catalog(lake)
    with opened(lake) as con:
        assert len(rows(con, "FROM quarantined")) == 2


def test_files_of_an_earlier_version_lack_columns(tmp_path: Path) -> None:
    builder = LakeBuilder(tmp_path / "lake")
    builder.device("A", smoothing="{}")
    (file,) = builder.lake.files("device")
    old = pq.read_table(file, partitioning=None).drop_columns(["smoothing", "counter_us"])
    pq.write_table(old, file.with_name("n1-1-old.parquet"))
    write_catalog(builder.lake)
    with opened(builder.lake) as con:
        found = rows(con, "SELECT smoothing FROM device ORDER BY smoothing")
        assert found == [("{}",), (None,)]


def test_it_is_written_aside_and_renamed_under_readers(lake: Lake) -> None:
    with opened(lake) as reader:
        before = (lake.root / NAME).stat().st_ino
        held = "SELECT count(*) FROM allocation"
        count = rows(reader, held)
        LakeBuilder(lake.root).job("late", "A", T0 + HOUR_US + 500 * S, None)
        write_catalog(lake)
        assert (lake.root / NAME).stat().st_ino != before
        assert rows(reader, held) == count
        with opened_copy(lake) as later:
            assert rows(later, held) == [(count[0][0] + 1,)]
    assert [p.name for p in lake.root.iterdir() if p.name.endswith(".tmp")] == []


def opened_copy(lake: Lake) -> duckdb.DuckDBPyConnection:
    """This process has the former file of that name open; a link is another name."""
    other = lake.root / "other.duckdb"
    os.link(lake.root / NAME, other)
    return duckdb.connect(str(other), read_only=True)


def test_one_that_says_the_same_is_left_untouched(lake: Lake) -> None:
    before = (lake.root / NAME).stat()
    write_catalog(lake)
    after = (lake.root / NAME).stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


@pytest.mark.parametrize(
    "fault", ["nothing", "touched", "gone", "another", "an empty file is gone", "a bad note"]
)
def test_it_is_made_again_where_it_must_be(
    lake: Lake, fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_catalog(lake)
    made: list[str] = []
    makes = {"_make": file._make, "_renew": file._renew}
    for name, make in makes.items():

        def making(*some: Any, name: str = name, make: Any = make) -> None:
            made.append(name)
            make(*some)

        monkeypatch.setattr(file, name, making)
    if fault == "touched":
        os.utime(path)
    elif fault == "gone":
        path.unlink()
    elif fault == "another":
        held = allocations(lake)
        assert len(held) > 0
        write_catalog(lake, held.slice(1))
        del made[:]
    elif fault == "an empty file is gone":
        shutil.rmtree(lake.root / ".empty-power")
    elif fault == "a bad note":
        (lake.root / "cache/catalog.json").write_text("{")
    write_catalog(lake)
    renewed = fault in ("another", "an empty file is gone")
    assert made == ([] if fault == "nothing" else ["_renew"] if renewed else ["_make"])
    del made[:]
    write_catalog(lake)
    assert not made
    with duckdb.connect(str(path), read_only=True) as con:
        found = con.sql("SELECT count(*) FROM allocation").fetchall()
        assert found == [(len(allocations(lake)),)]
        assert con.sql("SELECT count(*) FROM ledger").fetchall() != [(0,)]


def test_what_a_writer_left_behind_does_not_stop_the_next(lake: Lake) -> None:
    LakeBuilder(lake.root).job("late", "A", T0 + HOUR_US + 500 * S, None)
    (lake.root / f"{NAME}.wal").write_bytes(b"of another file")
    write_catalog(lake)
    with opened(lake) as con:
        assert rows(con, "SELECT count(*) FROM job_index") != [(0,)]


def test_a_moved_lake_is_written_anew(lake: Lake, tmp_path: Path) -> None:
    moved = Lake(lake.root.rename(tmp_path / "moved"))
    with opened(moved) as con, pytest.raises(duckdb.IOException, match="No files found"):
        rows(con, "FROM job_index")
    write_catalog(moved)
    with opened(moved) as con:
        assert rows(con, "FROM job_index")


def test_a_lake_that_cannot_be_written(lake: Lake) -> None:
    (lake.root / NAME).unlink()
    (lake.root / NAME).mkdir()
    with pytest.raises(UserError, match=f"{NAME}: cannot be written"):
        write_catalog(lake)
    assert [p.name for p in lake.root.iterdir() if p.name.endswith(".tmp")] == []


def test_power_at_an_instant(cluster: Lake) -> None:
    with opened(cluster) as con:
        at = "2026-01-15 09:00:10.25"
        of = "SELECT device_id, mean_w, jobs, coverage"
        found = rows(con, f"FROM power_at('{at}') {of}")
        assert found == [
            ("A", 601.0, "chat", 1.0),
            ("C", 503.0, "chat", 1.0),
            ("B", 350.0, "both", 1.0),
            ("D", 287.0, "train", 1.0),
        ]
        con.execute("SET TimeZone = 'Asia/Tokyo'")
        for other in (
            f"TIMESTAMP '{at}'",
            f"TIMESTAMPTZ '{at}+00'",
            "'2026-01-15T10:00:10.25+01:00'",
            "'2026-01-15T09:00:10.25Z'",
            "1768467610250000",
        ):
            assert rows(con, f"FROM power_at({other}) {of}") == found
        assert rows(con, "SELECT device_id FROM power_at('2026-01-15T05')") == []
        unseen = rows(
            con, f"FROM power_at({T0 + HOUR_US - 90 * S}) SELECT mean_w WHERE device_id = 'C'"
        )
        assert unseen == [(None,)]


@pytest.mark.parametrize(
    "window", ["3600", "INTERVAL 1 HOUR", "60", "'7 seconds'", "0.75", "86400"]
)
def test_power_of_the_fleet_adds_up_to_the_ledger(cluster: Lake, window: str) -> None:
    with opened(cluster) as con:
        (whole,) = rows(con, "SELECT sum(energy_nj), sum(device_us) FROM ledger")
        (found,) = rows(
            con,
            f"FROM fleet_power({window}) "
            f"SELECT sum(energy_nj), sum(devices) * span_us({window}), "
            f"sum(mean_w) * span_us({window}) * 1e3, min(low_w <= mean_w AND mean_w <= high_w)",
        )
        assert found[0] == whole[0]
        assert found[1] == pytest.approx(float(whole[1]))
        assert found[2] == pytest.approx(float(whole[0]))
        assert found[3] is True


def test_power_of_the_fleet_between_two_instants(cluster: Lake) -> None:
    with opened(cluster) as con:
        between = "since := '2026-01-15T08:59:00', till := TIMESTAMP '2026-01-15 09:01:00'"
        found = rows(
            con, f"FROM fleet_power(60, {between}) SELECT start_utc::VARCHAR, mean_w, devices"
        )
        watts = 601.0 + 503.0 + 350.0 + 287.0
        assert found == [
            ("2026-01-15 08:59:00", pytest.approx(watts), 4.0),
            ("2026-01-15 09:00:00", pytest.approx(watts), 4.0),
        ]


@pytest.mark.parametrize(
    ("sql", "says"),
    [
        ("FROM fleet_power(0)", "fleet_power: expected"),
        ("FROM fleet_power(0.0001)", "fleet_power: expected"),
        ("FROM fleet_power(NULL)", "fleet_power: expected"),
        ("FROM fleet_power(60, since := 'soon')", "fleet_power: expected"),
        ("FROM power_at('soon')", "power_at: expected"),
        ("FROM power_at(NULL)", "power_at: expected"),
        ("FROM compare('chat', 'nobody')", "job nobody is not in job_index"),
        ("FROM compare(NULL, 'chat')", "job NULL is not in job_index"),
        ("FROM tokenergy_by('colour')", "dimension colour: expected"),
        ("FROM tokenergy_by(NULL)", "dimension NULL: expected"),
    ],
)
def test_what_cannot_be_answered_is_said(cluster: Lake, sql: str, says: str) -> None:
    with opened(cluster) as con, pytest.raises(duckdb.InvalidInputException, match=says):
        rows(con, sql)


def test_two_jobs_beside_each_other(cluster: Lake) -> None:
    with opened(cluster) as con:
        found = {row[0]: row[1:] for row in rows(con, "FROM compare('chat', 'small')")}
        tokens = found["tokens"]
        assert (tokens[0], tokens[3]) == (97 * 400, 31 * 150)
        assert tokens[6] == pytest.approx(31 * 150 / (97 * 400))
        assert found["GPU energy, kWh"][3] == pytest.approx(350 * 153 / 3.6e6)
        assert found["GPU energy, kWh"][7] is True
        # no token in common
        mixed = {row[0]: row[1:] for row in rows(con, "FROM compare('chat', 'train')")}
        assert (mixed["tokens"][6], mixed["tokens"][7]) == (None, None)
        assert mixed["device time, h"][6] == pytest.approx(360 / 743)
        itself = {row[0]: row[1:] for row in rows(con, "FROM compare('chat', 'chat')")}
        assert {row[6] for row in itself.values()} == {1.0}
        assert not any(row[7] for row in itself.values())


def test_a_cluster_that_is_only_collected_has_a_catalog_too(tmp_path: Path) -> None:
    builder = small_cluster(tmp_path / "lake")
    write_catalog(builder.lake)
    with opened(builder.lake) as con:
        assert rows(con, "SELECT count(*) FROM place") == [(4,)]
        assert rows(con, "FROM tokenergy_by('rack')") == []
