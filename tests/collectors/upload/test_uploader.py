"""The uploader against a real S3-speaking server, and against a folder."""

import os
import time

import pytest

from tests.support.s3 import BUCKET, Server
from tests.support.uploading import Uploading, files, fill, make_old
from tokenergy_collectors.upload.uploader import UploadCounters

TO = f"s3://{BUCKET}/fleet/north"


@pytest.fixture
def lake(tmp_path):
    return fill(tmp_path / "lake")


def s3(lake, server, **upload):
    return Uploading(lake, TO, endpoint_url=server.url, **upload)


def downloaded(server, folder):
    server.download(folder, "fleet/north")
    return files(folder)


def test_every_file_arrives_oldest_first_and_nothing_here_changes(lake, server, tmp_path):
    before = files(lake.root)
    uploading = s3(lake, server)
    put, real = [], uploading.store.put
    uploading.store.put = lambda relative, content: (put.append(relative), real(relative, content))
    assert uploading.run() == []
    assert downloaded(server, tmp_path / "got") == before == files(lake.root)
    assert [name.split("hour=")[1][:2] for name in put] == ["08"] * 3 + ["09"] * 3
    counters, size = uploading.counters, sum(p.stat().st_size for p in lake.root.rglob("*.parquet"))
    assert counters == UploadCounters(files=6, bytes=size)
    assert uploading.events == []


def test_only_raw_files_of_the_node_are_taken(lake, server):
    fill(lake.root, 1, node="n1-b")
    fill(lake.root, 1, node="a b/ü%")
    derived = lake.root / "segment/date=2026-01-15/hour=08/n1.parquet"
    derived.parent.mkdir(parents=True)
    derived.write_bytes(b"derived")
    s3(lake, server).run()
    assert len(server.names()) == 6
    odd = Uploading(lake, TO, node="a b/ü%", endpoint_url=server.url)
    assert odd.run() == []
    mine = {name for name in files(lake.root) if "/a%20b%2F" in name}
    assert len(mine) == 3
    assert mine < set(server.names("fleet/north"))


@pytest.mark.parametrize("state", ["kept", "lost", "cut"])
def test_a_new_process_uploads_nothing_twice(lake, server, state):
    first = s3(lake, server)
    first.run()
    if state == "lost":
        first.verified.path.unlink()
    elif state == "cut":
        first.verified.path.write_bytes(first.verified.path.read_bytes()[:-7])
    again, put, looked = s3(lake, server), [], []
    compare = again.store.compare
    again.store.put = lambda *what: put.append(what)
    again.store.compare = lambda *what: (looked.append(what), compare(*what))[1]
    assert again.run() == []
    assert put == []
    assert len(looked) == {"kept": 0, "lost": 6, "cut": 1}[state]
    assert again.counters.backlog_files == 0
    assert len(s3(lake, server).verified.path.read_text().splitlines()) == 6


def test_what_reads_differently_is_put_again_and_stays_here(lake, server, tmp_path, capsys):
    s3(lake, server).run()
    make_old(lake.root)
    before, fs = files(lake.root), server.fs()
    name = min(name for name in before if name.startswith("power"))
    path = lake.root / name
    wrong = bytes(path.stat().st_size)
    fs.pipe_file(f"{BUCKET}/fleet/north/{name}", wrong)
    uploading = s3(lake, server, keep_local_s=0.0)
    kept = []
    real = uploading.store.put
    uploading.store.put = lambda *what: (kept.append(path.exists()), real(*what))
    assert uploading.run() == []
    assert kept == [True]
    assert "upload_differs" in capsys.readouterr().err
    assert downloaded(server, tmp_path / "got") == before


def test_a_store_that_alters_what_it_is_given_is_a_failure(lake, server):
    uploading = s3(lake, server, keep_local_s=0.0)
    make_old(lake.root)
    before, fs, real = files(lake.root), server.fs(), uploading.store.put

    def put(relative, content):
        real(relative, content)
        fs.pipe_file(f"{BUCKET}/fleet/north/{relative}", content.data[:-1] + b"x")

    uploading.store.put = put
    problems = uploading.run()
    assert "reads back differently" in problems[0]
    assert files(lake.root) == before
    assert uploading.counters.backlog_files == 6
    uploading.store.put = real
    assert uploading.run() == []
    assert files(lake.root) == {}


def test_an_etag_that_is_no_md5_is_read_back(lake, server, monkeypatch):
    uploading = s3(lake, server)
    monkeypatch.setattr(type(uploading.store), "_is_proven", lambda *_: False)
    assert uploading.run() == []
    name = server.names("fleet/north")[0]
    assert uploading.counters.files == 6
    server.fs().pipe_file(f"{BUCKET}/fleet/north/{name}", bytes((lake.root / name).stat().st_size))
    uploading.verified.path.unlink()
    again = s3(lake, server)
    put, real = [], again.store.put
    again.store.put = lambda *what: (put.append(what[0]), real(*what))
    assert again.run() == []
    assert put == [name]


def test_local_copies_go_when_their_hour_is_over_and_the_store_has_them(lake, server, tmp_path):
    before = files(lake.root)
    make_old(lake.root, 1000)
    kept = s3(lake, server, keep_local_s=2000.0)
    kept.run()
    assert files(lake.root) == before
    fresh = fill(lake.root, 3)  # a third hour, sealed now
    gone = s3(lake, server, keep_local_s=500.0)
    gone.run()
    assert {name.split("hour=")[1][:2] for name in files(fresh.root)} == {"10"}
    assert gone.counters.released_files == 6
    assert not (lake.root / "power/date=2026-01-15/hour=08").exists()
    got = downloaded(server, tmp_path / "got")
    assert before.items() <= got.items()
    assert len(got) == 9


def test_a_file_that_was_just_sealed_stays_for_its_time(lake, server):
    s3(lake, server, keep_local_s=100.0).run()
    assert len(files(lake.root)) == 6


def test_job_lists_and_the_hour_under_way_stay(lake, server):
    now_us = time.time_ns() // 1000
    from tests.support.lakes import LakeBuilder

    LakeBuilder(lake.root).power("GPU-a", [(now_us, 5)])
    job = {"job_id": "j", "node": "n1", "device_id": "GPU-a", "start_us": 0, "share_ppm": 1}
    LakeBuilder(lake.root).add("jobs", [{**job, "method": "declared", "recorded_us": 1}])
    make_old(lake.root)
    uploading = s3(lake, server, keep_local_s=0.0)
    uploading.run()
    assert sorted(name.split("/")[0] for name in files(lake.root)) == ["jobs", "power"]
    assert len(server.names()) == 8


def test_a_store_that_lost_everything_gets_it_again_before_anything_goes(lake, tmp_path, server):
    """A server that is killed and comes back empty: what is here is put again."""
    own = Server().start()
    make_old(lake.root)
    try:
        s3(lake, own).run()
        own.kill()
        uploading = s3(lake, own, keep_local_s=0.0)
        before = files(lake.root)
        # Known to be there, so nothing is put; and nothing goes while nobody answers.
        assert "onnect" in uploading.run()[0]
        assert files(lake.root) == before
        own.start(bucket=False)
        assert uploading.run() != []
        assert files(lake.root) == before
        own.fs().call_s3("create_bucket", Bucket=BUCKET)
        assert uploading.run() == []
        assert downloaded(own, tmp_path / "got") == before
        assert files(lake.root) == {}
        assert uploading.kinds == ["upload_failed", "upload_lost", "upload_works"]
    finally:
        own.kill()


def test_a_cut_wire_is_told_once_and_costs_nothing(lake, wire, server, tmp_path):
    uploading = s3(lake, wire)
    wire.cut()
    for _ in range(3):
        assert len(uploading.run()) == 2  # it does not try every file of a long list
    assert uploading.kinds == ["upload_failed"]
    assert "6 files wait" in uploading.events[0][1]
    assert uploading.counters.failures == 6
    assert uploading.counters.backlog_files == 6
    assert uploading.counters.oldest_waiting_s > 0
    wire.mend()
    assert uploading.run() == []
    assert uploading.events[1:] == [("upload_works", "6 files uploaded after 3 failed tries")]
    assert downloaded(server, tmp_path / "got") == files(lake.root)
    assert uploading.counters.backlog_bytes == 0


def test_a_silent_store_counts_as_away(lake, wire):
    uploading = s3(lake, wire, timeout_s=1.5)  # a busy machine takes a while, too
    wire.hang()
    assert len(uploading.run()) == 2
    assert wire.connections >= 2
    wire.mend()
    assert uploading.run() == []


def test_tries_come_ever_more_rarely_on_the_monotonic_clock(lake, wire, monkeypatch):
    now_s = [100.0]
    module = "tokenergy_collectors.upload.uploader"
    monkeypatch.setattr(f"{module}.time.monotonic", lambda: now_s[0])
    uploading = s3(lake, wire, retry_s=1.0, retry_limit_s=6.0, every_s=30.0)
    wire.cut()
    waits = []
    for _ in range(6):
        assert uploading.uploader.due()
        uploading.run()
        began_s = now_s[0]
        while not uploading.uploader.due():
            now_s[0] += 0.01
        waits.append(now_s[0] - began_s)
    for wait, full in zip(waits, (1, 2, 4, 6, 6, 6), strict=True):
        assert full / 2 <= wait <= full + 0.02
    wire.mend()
    uploading.run()
    now_s[0] += 29.9
    assert not uploading.uploader.due()
    now_s[0] += 0.2
    assert uploading.uploader.due()


def test_one_file_that_cannot_be_read_holds_up_no_other(lake, server):
    bad = min(lake.root.rglob("power/**/*.parquet"))
    target = bad.with_suffix(".moved")
    bad.rename(target)
    bad.mkdir()  # a name that stands for no file
    uploading = s3(lake, server)
    problems = uploading.run()
    assert len(problems) == 1
    assert "Is a directory" in problems[0]
    assert len(server.names()) == 5
    bad.rmdir()
    target.rename(bad)
    assert uploading.run() == []
    assert len(server.names()) == 6


def test_a_file_that_is_gone_meanwhile_is_no_failure(lake, server):
    uploading = s3(lake, server)
    real, victims = uploading.store.put, sorted(lake.root.rglob("state/**/*.parquet"))

    def put(*what):
        for victim in victims:
            victim.unlink(missing_ok=True)
        real(*what)

    uploading.store.put = put
    assert uploading.run() == []
    assert len(server.names()) == 4


def test_an_end_comes_after_the_file_under_way(lake, server):
    uploading = s3(lake, server)
    real = uploading.store.put
    uploading.store.put = lambda *what: (real(*what), uploading.uploader.end())
    assert uploading.run() == []
    assert len(server.names()) == 1
    assert uploading.counters.backlog_files == 5


def test_a_new_file_in_a_folder_that_was_done_is_found(lake, server):
    uploading = s3(lake, server)
    for folder in lake.root.rglob("hour=*"):
        os.utime(folder, (time.time() - 100,) * 2)
    uploading.run()
    uploading.run()
    assert len(uploading.uploader._complete_folders) == 6
    fill(lake.root, 1, readings=7)
    assert uploading.run() == []
    assert len(server.names()) == 8


def test_a_folder_as_a_store(lake, tmp_path):
    share = tmp_path / "share"
    uploading = Uploading(lake, str(share), keep_local_s=0.0)
    make_old(lake.root)
    before = files(lake.root)
    assert "is the share mounted?" in uploading.run()[0]
    assert not share.exists()
    share.mkdir()
    assert uploading.run() == []
    assert files(share) == before
    assert files(lake.root) == {}
    assert not list(share.rglob("*.tmp"))


def test_a_damaged_copy_in_a_folder_is_put_again(lake, tmp_path):
    share = tmp_path / "share"
    share.mkdir()
    Uploading(lake, f"file://{share}").run()
    damaged = min(share.rglob("*.parquet"))
    damaged.write_bytes(bytes(damaged.stat().st_size))
    make_old(lake.root)
    before = files(lake.root)
    Uploading(lake, f"file://{share}", keep_local_s=0.0).run()
    assert files(share) == before
