"""Paths of the lake: what is written is read back, and nothing else is taken for it."""

from pathlib import Path

import pytest

from tests.support.lakes import T0
from tokenergy_collectors.base.instants import END_US, FIRST_US
from tokenergy_collectors.lake.contract import HOUR_US
from tokenergy_collectors.lake.paths import (
    RawName,
    hour_of_folder,
    hour_of_path,
    is_table_file,
    node_of,
    parse_raw_name,
    partition,
    raw_name,
)


@pytest.mark.parametrize("hour_us", [FIRST_US, T0, T0 + 16 * HOUR_US])
def test_the_folder_of_an_hour_is_read_back(hour_us):
    folder = Path("lake/power") / partition(hour_us)
    assert hour_of_folder(folder) == hour_us
    assert hour_of_path(folder / "n1.parquet") == hour_us
    assert is_table_file(f"{partition(hour_us)}/n1.parquet")


@pytest.mark.parametrize("hour_us", [0, FIRST_US - HOUR_US, END_US])
def test_the_lake_has_no_hours_of_other_years(hour_us):
    assert hour_of_folder(Path("lake/power") / partition(hour_us)) == hour_us
    assert not is_table_file(f"{partition(hour_us)}/n1.parquet")


@pytest.mark.parametrize(
    "folder", ["date=none/hour=none", "2026-01-15/08", "date=2026-01-15/hour=24", "power"]
)
def test_other_folders_hold_no_hour(folder):
    assert hour_of_folder(Path(folder)) is None
    with pytest.raises(ValueError, match="expected a file in a folder date=YYYY-MM-DD/hour=HH"):
        hour_of_path(Path(folder) / "n1.parquet")


def test_the_name_of_a_raw_file_is_read_back():
    name = raw_name("rack-1/ü", T0, "0123abcd")
    assert parse_raw_name(name) == RawName("rack-1%2F%C3%BC", T0, "0123abcd")
    assert node_of(Path("power/d/h") / name) == "rack-1/ü"


@pytest.mark.parametrize(
    "name", ["n1.parquet", f"n1-{T0}.parquet", "n1-x-0123.parquet", f"n1-{T0}-.parquet",
             f"n1-{T0}-0123.txt", f"n1-{T0}-0123.parquet.2"],
)  # fmt: skip
def test_other_names_are_not_those_of_raw_files(name):
    assert parse_raw_name(name) is None
    assert node_of(Path("power/d/h") / name) == Path(name).stem
