"""Reading a lake while files are replaced: our commands try again, and never give wrong rows."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest

from tests.support.long import pairs
from tokenergy_collectors.lake import Lake
from tokenergy_collectors.lake.contract import HOUR_US, JOBS, TOKEN_USAGE
from tokenergy_collectors.lake.writing import write_parquet
from tokenergy_sql.catalog.connecting import select_from, select_listed
from tokenergy_sql.catalog.content import select_pattern
from tokenergy_sql.catalog.file import write_catalog
from tokenergy_sql.catalog.reading import read

START = 1_768_464_000_000_000


def lake_with(root: Path, job: str, jobs: int) -> Lake:
    """A lake of one file: so many jobs, one after the other."""
    lake = Lake(root, create=True)
    lake.append("jobs", lake_rows(job, jobs), "n1")
    return lake


def lake_rows(job: str, jobs: int) -> pa.Table:
    """Return rows of so many jobs."""
    rows = [
        {
            "job_id": f"{job}{number}", "node": "n1", "device_id": "A", "share_ppm": 1_000_000,
            "start_us": START + number, "end_us": START + number + 1,
            "method": "declared", "recorded_us": START,
        }
        for number in range(jobs)
    ]  # fmt: skip
    return pa.Table.from_pylist(rows, schema=JOBS.schema())


@contextmanager
def replacing(path: Path, versions: tuple[bytes, ...]) -> Iterator[None]:
    """Replace a file by one version after the other, as the index does, until the block ends."""
    ends = threading.Event()

    def replace() -> None:
        number = 0
        while not ends.is_set():
            aside = path.with_name(".aside")
            aside.write_bytes(versions[number % len(versions)])
            aside.replace(path)
            number += 1

    thread = threading.Thread(target=replace)
    thread.start()
    try:
        yield
    finally:
        ends.set()
        thread.join()


FORMS = {
    "catalog.duckdb": lambda lake, path: select_pattern(str(lake.root), TOKEN_USAGE),
    "tokenergy": lambda lake, path: select_listed(TOKEN_USAGE, [str(path)]),
}


def usage_file(root: Path, job: str, jobs: int) -> Path:
    """Write a file of a derived table: so many jobs."""
    rows = [
        {
            "job_id": f"{job}{number}", "hour_us": START, "model": None, "kind": "generated",
            "tokens": number, "low": 0, "high": number,
        }
        for number in range(jobs)
    ]  # fmt: skip
    path = Lake(root, create=True).derived("token_usage", START, "token_usage")
    write_parquet(pa.Table.from_pylist(rows, schema=TOKEN_USAGE.schema()), path, TOKEN_USAGE)
    return path


@pytest.mark.parametrize("form", pairs([*FORMS], always=1))
def test_a_file_that_is_replaced_under_a_statement_is_read_again(tmp_path: Path, form: str) -> None:
    """Two versions of one file: each answer is of one of the two, and none is an error."""
    path = usage_file(tmp_path / "lake", "a", 3)
    versions = path.read_bytes(), usage_file(tmp_path / "other", "b" * 400, 900).read_bytes()
    lake = Lake(tmp_path / "lake")
    write_catalog(lake)
    source = FORMS[form](lake, path)
    attempts = answers = 0

    def task() -> tuple[int, ...]:
        nonlocal attempts
        attempts += 1
        lengths = duckdb.sql(source).aggregate("count(*), min(len(job_id)), max(len(job_id))")
        found: tuple[int, ...] = lengths.fetchall()[0]
        return found

    with replacing(path, versions):
        # At least five statements met a replacement; among 500 answers, no mixed one.
        while attempts < answers + 5 or answers < 500:
            assert read(lake, task) in {(3, 2, 2), (900, 401, 403)}
            answers += 1


def test_an_error_without_a_replacement_is_raised_at_once(tmp_path: Path) -> None:
    lake = lake_with(tmp_path / "lake", "a", 1)
    attempts = 0

    def fail() -> None:
        nonlocal attempts
        attempts += 1
        os.utime(lake.files("jobs")[0].parent, (0, 0))  # its files came long ago
        raise duckdb.IOException("no such file")

    with pytest.raises(duckdb.IOException, match="no such file"):
        read(lake, fail)
    assert attempts == 1
    assert lake.files("jobs", [START - START % HOUR_US])


def test_wrong_sql_is_no_reason_to_try_again(tmp_path: Path) -> None:
    lake = lake_with(tmp_path / "lake", "a", 1)
    attempts = 0

    def fail() -> None:
        nonlocal attempts
        attempts += 1
        duckdb.sql("SELECT nonsense")

    with pytest.raises(duckdb.BinderException):
        read(lake, fail)
    assert attempts == 1


def test_new_raw_files_are_no_reason_to_try_again(tmp_path: Path) -> None:
    """A collector writes all the time; damage must be found at the second failure all the same."""
    lake = lake_with(tmp_path / "lake", "a", 1)
    (path,) = lake.files("jobs")
    data = bytearray(path.read_bytes())
    data[8:40] = bytes(32)  # inside of the rows; the footer is sound
    path.write_bytes(data)
    attempts = 0

    def task() -> int:
        nonlocal attempts
        attempts += 1
        lake.append("jobs", lake_rows("later", attempts), "n1")
        source = select_from(JOBS, lake.valid_files("jobs"))
        found: int = duckdb.sql(source).aggregate("count(job_id)").fetchall()[0][0]
        return found

    assert read(lake, task) == 1 + 2  # what both attempts added
    assert attempts == 2
    assert not path.exists()


def test_an_hour_that_is_removed_while_its_folders_are_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake = lake_with(tmp_path / "lake", "a", 1)
    monkeypatch.setattr(Path, "glob", lambda path, _: [path / "removed"])
    attempts = 0

    def task() -> str:
        nonlocal attempts
        attempts += 1
        if attempts == 1:
            raise duckdb.IOException("no such file")
        return "read"

    assert read(lake, task) == "read"
