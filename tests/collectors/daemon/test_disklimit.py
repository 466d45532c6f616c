"""Limits on the local disk: what is stored elsewhere goes first, what is lost is an event."""

import os
import re
import time

import pytest

from tests.support.daemon import Run, S
from tests.support.lakes import LakeBuilder
from tests.support.uploading import Uploading, files, fill
from tokenergy_collectors.base.logs import Log
from tokenergy_collectors.daemon.disklimit import DiskLimit
from tokenergy_collectors.lake.sealed import sealed_files
from tokenergy_collectors.settings.config import Disk

KB = 1 << 10


@pytest.fixture
def lake(tmp_path):
    return fill(tmp_path / "lake", 4)


class Limiting:
    def __init__(self, lake, stored=(), node="n1", **disk):
        self.dropped = []
        self.limit = DiskLimit(Disk(**disk), lake, node, stored, self._told, Log("text"))
        self._lake = lake

    def _told(self, detail):
        self.dropped.append((detail, len(files(self._lake.root))))

    def run(self):
        self.limit.run()
        return [detail for detail, _ in self.dropped]


@pytest.fixture(autouse=True)
def bytes_for_megabytes(monkeypatch):
    """Limits in these tests are bytes."""
    real = DiskLimit._by_size

    class Bytes(int):
        def __lshift__(self, _):
            return int(self)

    monkeypatch.setattr(
        DiskLimit, "_by_size", lambda self, files, limit: real(self, files, Bytes(limit))
    )


def names(lake):
    found = [name.split("/") for name in files(lake.root)]
    return sorted((table, hour[5:]) for table, _, hour, _ in found)


def total(lake, *tables):
    return sum(f.size for f in sealed_files(lake.root, "n1") if not tables or f.table in tables)


def test_without_limits_nothing_goes(lake):
    before = files(lake.root)
    assert Limiting(lake).run() == []
    assert Limiting(lake, limit_mib=total(lake)).run() == []
    assert files(lake.root) == before


def test_gauges_go_before_readings_and_each_file_is_told_before_it_goes(lake):
    power = [f for f in sealed_files(lake.root, "n1") if f.table == "power"]
    limiting = Limiting(lake, limit_mib=total(lake) - total(lake, "state") - power[0].size)
    details = limiting.run()
    assert [left for _, left in limiting.dropped] == [12, 11, 10, 9, 8]
    assert [d.split(",")[0] for d in details] == [*["50 rows of state"] * 4, "50 rows of power"]
    assert re.fullmatch(
        rf"50 rows of power, {power[0].size} bytes, 49\.000 s from 2026-01-15T08:00:00Z: "
        r"files exceed disk\.limit_mib = \d+",
        details[-1],
    )
    assert [hour for _, hour in names(lake) if _ == "power"] == ["09", "10", "11"]
    counters = limiting.limit.counters
    assert (counters.dropped_files, counters.dropped_rows, counters.freed_files) == (5, 250, 0)
    assert counters.held_bytes == total(lake)
    assert limiting.run() == details  # once is enough


def test_what_must_stay_stays_whatever_the_limit(lake):
    fill(lake.root, 1, node="n2")
    derived = lake.root / "segment/date=2026-01-15/hour=08/n1.parquet"
    derived.parent.mkdir(parents=True)
    derived.write_bytes(b"derived")
    builder = LakeBuilder(lake.root)
    builder.device("GPU-a")
    job = {"job_id": "j", "node": "n1", "device_id": "GPU-a", "start_us": 0, "share_ppm": 1}
    builder.add("jobs", [{**job, "method": "declared", "recorded_us": 1}])
    Limiting(lake, limit_mib=1, keep_days=1e-9).run()
    left = names_with_node(lake)
    assert ("power", "n1") not in left
    assert ("state", "n1") not in left
    assert left == {
        ("power", "n2"), ("state", "n2"), ("event", "n2"),
        ("event", "n1"), ("device", "n1"), ("jobs", "n1"), ("segment", "n1.parquet"),
    }  # fmt: skip


def names_with_node(lake):
    return {(name.split("/")[0], name.split("/")[-1].split("-")[0]) for name in files(lake.root)}


def test_what_a_store_holds_goes_first_and_is_no_loss(lake, tmp_path):
    share = tmp_path / "share"
    share.mkdir()
    uploading = Uploading(lake, str(share))
    uploading.run()
    everything = files(lake.root)
    fill(lake.root, 5)  # one more hour, not uploaded
    fresh = set(files(lake.root)) - set(everything)
    kept = sum((lake.root / name).stat().st_size for name in fresh)
    limiting = Limiting(lake, uploading.verified, limit_mib=kept + 1)
    assert limiting.run() == []
    assert set(files(lake.root)) == fresh
    assert files(share) == everything
    assert limiting.limit.counters.freed_files == 12
    oldest = Limiting(lake, uploading.verified, limit_mib=1).run()
    assert [d.split(",")[0] for d in oldest] == ["50 rows of state", "50 rows of power"]


def test_the_oldest_of_what_is_stored_goes_first(lake, tmp_path):
    share = tmp_path / "share"
    share.mkdir()
    uploading = Uploading(lake, str(share))
    uploading.run()
    Limiting(lake, uploading.verified, limit_mib=total(lake) - 1).run()
    assert len(files(lake.root)) == 11
    assert len([hour for _, hour in names(lake) if hour == "08"]) == 2


def test_age_is_counted_from_the_sealing(lake):
    for path in lake.root.rglob("hour=08/*.parquet"):
        os.utime(path, (time.time() - 3 * 86_400,) * 2)
    details = Limiting(lake, keep_days=2.0).run()
    assert sorted(d.split(",")[0] for d in details) == ["50 rows of power", "50 rows of state"]
    assert all("older than disk.keep_days = 2" in d for d in details)
    assert ("event", "08") in names(lake)
    assert ("power", "08") not in names(lake)
    assert ("power", "09") in names(lake)


def test_logs_count_and_are_not_touched(lake):
    log = lake.root / ".wal/n1/1-0-power.arrows"
    log.parent.mkdir(parents=True)
    log.write_bytes(bytes(50 * KB))
    limiting = Limiting(lake, limit_mib=50 * KB + total(lake) - 1)
    assert len(limiting.run()) == 1
    assert log.stat().st_size == 50 * KB
    assert limiting.limit.counters.held_bytes == 50 * KB + total(lake)


def test_a_file_that_cannot_be_read_is_given_up_all_the_same(lake):
    bad = min(lake.root.rglob("state/**/*.parquet"))
    bad.write_bytes(b"rubbish")
    [detail] = Limiting(lake, limit_mib=total(lake) - 1).run()
    assert detail.startswith("0 rows of state, 7 bytes, from 2026-01-15T08:00:00Z, unreadable: ")


def test_the_daemon_holds_the_limit_and_tells_every_row(tmp_path):
    """All gauges and readings that were taken are in the lake, or in an event that says so."""
    whole = Run(tmp_path / "whole", roll_s=5)
    whole.run(60 * S, sources=False)
    limit = 4 * max(f.size for f in sealed_files(whole.lake.root, "n1"))
    run = Run(tmp_path / "bounded", roll_s=5, disk=Disk(limit_mib=limit))
    run.run(60 * S, sources=False)
    dropped = {"power": 0, "state": 0}
    for event in run.rows("event", kind="drop"):
        rows, table = re.match(r"(\d+) rows of (\w+)", event["detail"]).groups()
        dropped[table] += int(rows)
    assert dropped["state"]
    assert dropped["power"]
    for table, rows in dropped.items():
        assert len(run.rows(table)) + rows == len(whole.rows(table))
    for table in ("device", "jobs", "clock"):
        assert sorted(map(repr, run.rows(table))) == sorted(map(repr, whole.rows(table)))


def test_a_job_list_stays_even_where_it_is_stored(lake):
    job = {"job_id": "j", "node": "n1", "device_id": "GPU-a", "start_us": 0, "share_ppm": 1}
    LakeBuilder(lake.root).add("jobs", [{**job, "method": "declared", "recorded_us": 1}])
    Limiting(lake, sealed_files(lake.root, "n1"), limit_mib=1, keep_days=1e-9).run()
    assert [table for table, _ in names(lake)] == ["jobs"]
