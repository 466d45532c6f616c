"""Footers that were read before: what is remembered is what a footer says, also after changes."""

import json
import os

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.collectors.lake.test_lake import T0, clocks, job
from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.lake import Lake, footers
from tokenergy_collectors.lake.contract import CLOCK, HOUR_US


@pytest.fixture
def opened(monkeypatch):
    """The files of which a footer is read from now on."""
    paths = []
    read = footers.columns_of

    def reading(path, table):
        paths.append(path)
        return read(path, table)

    monkeypatch.setattr(footers, "columns_of", reading)
    return paths


def filled(root):
    lake = Lake(root, create=True)
    lake.append("clock", clocks(T0, T0 + HOUR_US), "n")
    lake.append("clock", clocks(T0 + 1, node="m"), "m")
    return lake


def test_a_footer_is_read_once_also_by_another_process(tmp_path, opened):
    expected = filled(tmp_path).valid_files("clock")
    assert len(opened) == len(expected) == 3
    assert {names for _, names in expected} == {frozenset(CLOCK.column_names)}
    del opened[:]
    assert Lake(tmp_path).valid_files("clock") == expected
    Lake(tmp_path).append("clock", clocks(T0 + 2), "n")
    assert len(Lake(tmp_path).valid_files("clock")) == 4
    assert len(opened) == 1


def test_a_file_that_changes_is_looked_at_again(tmp_path, opened):
    lake = filled(tmp_path)
    (path, *_), _ = zip(*lake.valid_files("clock"), strict=True)
    rows = pq.read_table(path)
    pq.write_table(rows.append_column("more", pa.nulls(len(rows), pa.int8())), path)
    del opened[:]
    assert len(Lake(tmp_path).valid_files("clock")) == 3
    assert opened == [path]
    stamp = path.stat().st_mtime_ns
    path.write_bytes(b"x" * path.stat().st_size)
    os.utime(path, ns=(stamp + 1, stamp + 1))
    assert len(Lake(tmp_path).valid_files("clock")) == 2
    assert not path.exists(), "a damaged file is moved to quarantine"


def test_a_derived_file_that_is_replaced_by_a_broken_one(tmp_path):
    lake = Lake(tmp_path, create=True)
    path = lake.replace("ledger", spec_rows("ledger"), T0, "ledger")
    assert lake.valid_files("ledger")
    path.write_bytes(b"no Parquet")
    with pytest.raises(UserError, match="is damaged"):
        lake.valid_files("ledger")


def spec_rows(table):
    from tokenergy_collectors.lake.contract import TABLES

    return TABLES[table].schema().empty_table()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        '{"sets": 3}',
        '{"contract": "?", "sets": [], "files": {"hour=08/x": [1, 2, 0]}}',
        '{"contract": "of another version", "sets": [["a"]], "files": {}}',
    ],
)
def test_a_cache_that_is_damaged_or_of_another_version_is_made_again(tmp_path, opened, text):
    expected = filled(tmp_path).valid_files("clock")
    (cache,) = (tmp_path / footers.FOLDER / "clock").iterdir()
    version = json.loads(cache.read_text())["contract"]
    cache.write_text(text.replace("?", version))
    del opened[:]
    assert Lake(tmp_path).valid_files("clock") == expected
    assert len(opened) == 3
    del opened[:]
    assert Lake(tmp_path).valid_files("clock") == expected
    assert not opened


def test_a_cache_that_cannot_be_written_is_none(tmp_path):
    lake = filled(tmp_path)
    lake.append("jobs", job(), "n")
    (tmp_path / "cache").write_text("in the way")
    assert len(lake.valid_files("clock")) == 3
    assert len(lake.valid_files("jobs")) == 1
