"""The days of a table: the same as a listing of all folders, whatever was remembered of them."""

import json
import os
import time
from pathlib import Path
from stat import S_ISDIR
from types import SimpleNamespace

import pytest

from tests.collectors.lake.test_packed import T0, add
from tokenergy_collectors.lake import Lake, folders
from tokenergy_collectors.lake.contract import HOUR_US


@pytest.fixture
def lake(tmp_path, monkeypatch):
    """A lake whose folders are remembered at once."""
    monkeypatch.setattr(folders, "_SETTLED_NS", -(10**18))
    return Lake(tmp_path, create=True)


def listed(lake):
    return {day.name: (day.files, day.digest) for day in folders.days(lake.root, "jobs")}


def remembered(lake):
    return json.loads((lake.root / folders.FOLDER / "jobs.json").read_text())


def moved(path):
    """Make a change at another time than the one before: stamps of a file system are coarse."""
    before = path.stat().st_ctime_ns
    probe = path / ".probe"
    while path.stat().st_ctime_ns == before:
        time.sleep(0.001)
        probe.touch()
        probe.unlink()


def test_days_are_those_that_have_files(lake):
    assert listed(lake) == {}
    add(lake, 0, 0)
    add(lake, 0, 200)
    (other,) = add(lake, 3, 1)
    assert [*listed(lake)] == ["date=2026-01-15", "date=2026-01-18"]
    assert listed(lake)["date=2026-01-15"][0] == 2
    every = [file for day in listed(lake) for file in folders.files(lake.root, "jobs", day)]
    assert every == lake.files("jobs")
    moved(other.parent)
    other.unlink()
    assert [*listed(lake)] == ["date=2026-01-15"]


def test_a_folder_is_not_listed_again_until_it_changes(lake, monkeypatch):
    add(lake, 0, 0)
    (path,) = add(lake, 0, 200)
    first = listed(lake)
    list_sources = folders.sources
    asked = []

    def noting(root, table, day):
        asked.append(day)
        return list_sources(root, table, day)

    monkeypatch.setattr(folders, "sources", noting)
    assert listed(lake) == first
    assert asked == []
    moved(path.parent)
    path.rename(path.with_name(path.name.replace("n", "m", 1)))
    assert listed(lake)["date=2026-01-15"][1] != first["date=2026-01-15"][1]
    assert asked == ["date=2026-01-15"]


def test_a_set_stamp_hides_nothing(lake):
    (path,) = add(lake, 0, 0)
    first, stat = listed(lake), path.parent.stat()
    moved(path.parent)
    add(lake, 0, 1)
    os.utime(path.parent, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert listed(lake) != first


def test_what_changed_just_now_is_not_remembered(tmp_path):
    lake = Lake(tmp_path, create=True)
    add(lake, 0, 0)
    listed(lake)
    assert not (tmp_path / folders.FOLDER / "jobs.json").exists()


@pytest.mark.parametrize("text", ["", "[]", '{"date=2026-01-15": 1}', '{"date=2026-01-15": [1,2]}'])
def test_a_damaged_memory_is_made_again(lake, text):
    add(lake, 0, 0)
    first = listed(lake)
    (lake.root / folders.FOLDER / "jobs.json").write_text(text)
    assert listed(lake) == first
    assert [*remembered(lake)] == [*first]


def test_a_lake_that_cannot_be_written_is_listed_each_time(lake):
    (lake.root / "cache").write_text("in the way")
    add(lake, 0, 0)
    assert [*listed(lake)] == ["date=2026-01-15"]
    add(lake, 1, 0)
    assert [*listed(lake)] == ["date=2026-01-15", "date=2026-01-16"]


def test_other_names_are_no_days(lake):
    (path,) = add(lake, 0, 0)
    for name in ("date=1999-01-01/hour=00", "date=2026-1-1/hour=00", "x/hour=00"):
        folder = lake.root / "jobs" / name
        folder.mkdir(parents=True)
        (folder / path.name).write_bytes(path.read_bytes())
    assert [*listed(lake)] == ["date=2026-01-15"]
    assert lake.hours("jobs") == [T0 - T0 % HOUR_US]


def test_a_file_system_that_does_not_note_changes_is_listed_each_time(lake, monkeypatch):
    (path,) = add(lake, 0, 0)
    first = listed(lake)
    real = Path.stat

    def still(path, **more):
        found = real(path, **more)
        folder = SimpleNamespace(st_mode=found.st_mode, st_ctime_ns=0)
        return folder if S_ISDIR(found.st_mode) else found

    monkeypatch.setattr(folders, "_changed", lambda day: {path.parent.name: 0})
    monkeypatch.setattr(Path, "stat", still)
    assert listed(lake) == first
    add(lake, 0, 1)
    assert listed(lake) != first
