"""Packed days: whoever reads a table whole gets the same rows in their order, from fewer files."""

import os

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.collectors.lake.test_lake import T0, job
from tokenergy_collectors.lake import Lake, packed
from tokenergy_collectors.lake.contract import HOUR_US, JOBS

DAY_US = 24 * HOUR_US


def add(lake, day, number, **more):
    """Add a file of one row to a day."""
    start_us = T0 + day * DAY_US + number * 60_000_000
    row = job(job_id=f"j{number % 7}", start_us=start_us, recorded_us=T0 + number, **more)
    return lake.append("jobs", row, f"n{number % 3}")


def files_of(lake):
    return [path for path, _ in lake.valid_files("jobs")]


def raw_rows(lake):
    """The rows as they are without any packed file."""
    parts = [lake.read("jobs", [hour]) for hour in lake.hours("jobs")]
    return pa.concat_tables(parts)


@settings(max_examples=8, deadline=None)
@given(
    st.lists(
        # Days of two months and more: the first ones are those of the first month.
        st.tuples(st.sampled_from((0, 1, 2, 20, 21, 50)), st.integers(0, 200)),
        min_size=40,
        max_size=120,
        unique=True,
    )
)
def test_the_same_rows_in_the_same_order(tmp_path_factory, files):
    lake = Lake(tmp_path_factory.mktemp("packed"), create=True)
    for number, (day, minute) in enumerate(files):
        add(lake, day, minute)
        if number % 40 == 39:
            assert lake.read("jobs").equals(raw_rows(lake))
    for _ in range(2):
        assert Lake(lake.root).read("jobs").equals(raw_rows(lake))
        assert lake.read("jobs", columns=["node"]).equals(raw_rows(lake).select(["node"]))


def test_a_past_day_is_one_file_until_it_has_another(tmp_path):
    lake = Lake(tmp_path, create=True)
    for number in range(30):
        add(lake, 0, number)
    assert len(files_of(lake)) == 30, "the last day still grows"
    add(lake, 1, 0)
    first = files_of(lake)
    assert len(first) == 2
    assert packed.is_packed(tmp_path, first[0])
    add(lake, 0, 99)
    second = files_of(lake)
    assert len(second) == 2
    assert first[0] != second[0]
    assert first[0].exists(), "another process may be reading it"
    assert len(lake.read("jobs")) == 32
    os.utime(first[0], (0, 0))
    add(lake, 0, 98)
    assert len(files_of(lake)) == 2
    assert not first[0].exists()


def test_a_past_month_is_one_file(tmp_path):
    lake = Lake(tmp_path, create=True)
    for day in range(6):
        for number in range(5):
            add(lake, day, number)
    assert len(files_of(lake)) == 1 + 5, "the last day still grows"
    add(lake, 40, 0)
    (month, last) = files_of(lake)
    assert month.parent.name == "date=2026-01"
    assert packed.is_packed(tmp_path, month)
    assert lake.read("jobs").equals(raw_rows(lake))
    add(lake, 3, 99)
    assert files_of(lake)[0] != month
    assert lake.read("jobs").equals(raw_rows(lake))
    assert files_of(lake)[1] == last


def year(lake):
    """Add five files on each of four days of five months, from January, and one of next year."""
    for month in range(5):
        for day in range(4):
            for number in range(5):
                add(lake, 31 * month + day, number)
    add(lake, 370, 0)


def names(lake):
    return [path.parent.name for path in files_of(lake) if packed.is_packed(lake.root, path)]


def test_past_months_of_a_year_are_one_file(tmp_path):
    lake = Lake(tmp_path, create=True)
    year(lake)
    first = files_of(lake)
    assert names(lake) == ["date=2026"]
    assert len(first) == 2
    assert lake.read("jobs").equals(raw_rows(lake))
    add(lake, 33, 99)  # late, in February
    assert names(lake) == ["date=2026"]
    assert files_of(lake)[0] != first[0]
    assert Lake(tmp_path).read("jobs").equals(raw_rows(lake))
    assert len(lake.read("jobs")) == 102


def test_a_year_that_grows_has_its_last_month_beside_it(tmp_path):
    lake = Lake(tmp_path, create=True)
    year(lake)
    for number in range(5):
        add(lake, 370, number + 1)
    add(lake, 372, 0)
    assert names(lake) == ["date=2026", "date=2027-01-20"]
    assert lake.read("jobs").equals(raw_rows(lake))


def test_a_large_year_stays_in_months(tmp_path, monkeypatch):
    monkeypatch.setattr(packed, "_YEAR_BYTES", 1_000)
    lake = Lake(tmp_path, create=True)
    year(lake)
    assert names(lake) == [f"date=2026-{month:02d}" for month in (1, 2, 3, 4, 5)]
    assert lake.read("jobs").equals(raw_rows(lake))


def test_a_damaged_year_is_made_again(tmp_path):
    lake = Lake(tmp_path, create=True)
    year(lake)
    expected = raw_rows(lake)
    found = files_of(lake)[0]
    found.write_bytes(found.read_bytes()[:-9])
    for _ in range(2):
        assert Lake(tmp_path).read("jobs").equals(expected)
    assert names(lake) == ["date=2026"]
    assert packed.raw_files(tmp_path, found) == [
        path for path in lake.files("jobs") if "date=2026" in str(path)
    ]


@pytest.mark.parametrize("what", ["month", "day"])
def test_what_is_damaged_is_read_from_what_it_was_made_of(tmp_path, what):
    lake = Lake(tmp_path, create=True)
    for day in range(6):
        for number in range(5):
            add(lake, day, number)
    add(lake, 40, 0)
    expected = raw_rows(lake)
    (month, _) = files_of(lake)
    (day, *_) = (tmp_path / packed.FOLDER / "jobs").glob("date=2026-01-*/*")
    if what == "month":
        month.write_bytes(month.read_bytes()[:-9])
    else:
        month.unlink()
        day.write_bytes(day.read_bytes()[:-9])
    for _ in range(3):
        assert Lake(tmp_path).read("jobs").equals(expected)
    assert len(files_of(lake)) == 2


def test_a_packed_file_that_goes_while_it_is_read(tmp_path, monkeypatch):
    lake = Lake(tmp_path, create=True)
    for number in range(30):
        add(lake, 0, number)
    add(lake, 1, 0)
    expected = lake.read("jobs")

    def late(*some):
        found = list_files(*some)
        found[0].unlink()
        return found

    list_files = packed.packed
    monkeypatch.setattr(packed, "packed", late)
    assert lake.read("jobs").equals(expected)


def test_readings_of_one_node_or_hour_come_from_raw_files(tmp_path):
    lake = Lake(tmp_path, create=True)
    for number in range(30):
        add(lake, 0, number)
    add(lake, 1, 0)
    assert len(lake.read("jobs", node="n1")) == 10
    assert len(lake.valid_files("jobs", [T0])) == 30
    assert not (tmp_path / packed.FOLDER).exists()


@pytest.mark.parametrize("how", ["cut", "garbage"])
def test_a_damaged_packed_file_is_made_again(tmp_path, how):
    lake = Lake(tmp_path, create=True)
    for number in range(30):
        add(lake, 0, number)
    add(lake, 1, 0)
    expected = lake.read("jobs")
    path = files_of(lake)[0]
    content = path.read_bytes()
    path.write_bytes(content[:-9] if how == "cut" else b"x" * len(content))
    assert Lake(tmp_path).read("jobs").equals(expected)
    assert not path.exists()
    assert Lake(tmp_path).read("jobs").equals(expected)
    assert path.read_bytes() == content
    path.write_bytes(content[:-9])
    assert Lake(tmp_path).quarantine_damaged(["jobs"]) == 1
    assert not path.exists()


def test_a_damaged_raw_file_is_in_no_packed_one(tmp_path):
    lake = Lake(tmp_path, create=True)
    for number in range(30):
        (path,) = add(lake, 0, number)
    add(lake, 1, 0)
    path.write_bytes(b"broken")
    assert len(lake.read("jobs")) == 30
    assert not path.exists()
    assert len(lake.read("jobs")) == 30
    assert len(files_of(lake)) == 2


def test_a_cache_that_cannot_be_written_is_none(tmp_path):
    lake = Lake(tmp_path, create=True)
    for number in range(30):
        add(lake, 0, number)
    add(lake, 1, 0)
    (tmp_path / "cache").write_text("in the way")
    assert len(lake.read("jobs")) == 31
    assert len(files_of(lake)) == 31


def test_only_tables_that_are_read_whole_are_packed():
    assert JOBS.name in packed.TABLES
    assert set(packed.TABLES) == {"jobs", "device", "signal"}
