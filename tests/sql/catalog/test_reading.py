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

from tokenergy_collectors.lake import Lake
from tokenergy_collectors.lake.contract import HOUR_US, JOBS
from tokenergy_sql.catalog.connecting import select_listed
from tokenergy_sql.catalog.file import select_pattern, write_catalog
from tokenergy_sql.catalog.reading import read

START = 1_768_464_000_000_000


def lake_with(root: Path, job: str, jobs: int) -> Lake:
    """A lake of one file: so many jobs, one after the other."""
    rows = [
        {
            "job_id": f"{job}{number}", "node": "n1", "device_id": "A", "share_ppm": 1_000_000,
            "start_us": START + number, "end_us": START + number + 1,
            "method": "declared", "recorded_us": START,
        }
        for number in range(jobs)
    ]  # fmt: skip
    lake = Lake(root, create=True)
    lake.append("jobs", pa.Table.from_pylist(rows, schema=JOBS.schema()), "n1")
    return lake


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
    "catalog.duckdb": lambda lake, path: select_pattern(str(lake.root), JOBS),
    "tokenergy": lambda lake, path: select_listed(JOBS, [str(path)]),
}


@pytest.mark.parametrize("form", FORMS)
def test_a_file_that_is_replaced_under_a_statement_is_read_again(tmp_path: Path, form: str) -> None:
    """Two versions of one file: each answer is of one of the two, and none is an error."""
    lake = lake_with(tmp_path / "lake", "a", 3)
    other = lake_with(tmp_path / "other", "b" * 400, 900)
    write_catalog(lake)
    (path,), (second,) = lake.files("jobs"), other.files("jobs")
    versions = path.read_bytes(), second.read_bytes()
    source = FORMS[form](lake, path)
    text = f"SELECT count(*), min(len(job_id)), max(len(job_id)) FROM ({source})"  # noqa: S608 - ours
    attempts = answers = 0

    def task() -> tuple[int, ...]:
        nonlocal attempts
        attempts += 1
        found: tuple[int, ...] = duckdb.sql(text).fetchall()[0]
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
