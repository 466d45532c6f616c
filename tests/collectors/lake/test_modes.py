"""Files and folders of a lake are closed to others, and what exists keeps its mode."""

import os
from contextlib import contextmanager

import pytest

from tests.support.lakes import T0
from tokenergy_collectors.lake import Lake
from tokenergy_collectors.lake.contract import CLOCK
from tokenergy_collectors.lake.sealed import sealed_files
from tokenergy_collectors.spool.spool import Spool
from tokenergy_collectors.upload.verified import Verified


@contextmanager
def umask(mask):
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)


def fill(root):
    """Write what a collector writes: files, logs, quarantined files, a list of uploads."""
    lake = Lake(root, create=True)
    row = CLOCK.make_row(ts_us=T0, node="n", monotonic_us=1, boottime_us=1, realtime_us=T0)
    Spool(lake, "n", lambda *_: None).close()
    (root / ".wal" / "n" / "1-1-clock.arrows").write_bytes(b"not a log")
    spool = Spool(lake, "n", lambda *_: None)
    assert spool.recover().unreadable
    spool.add("clock", [row])
    spool.seal()
    lake.replace("segment", lake.read("segment"), T0, "n")
    [sealed] = sealed_files(root, "n")
    Verified(root, "n", "s3://bucket").add(sealed)
    lake.quarantine(sealed.path, CLOCK, "damaged")
    (root / "quarantine" / "n-1-1-clock.arrows").unlink()  # this test made it
    spool.add("clock", [row])
    spool.flush()
    return spool


def modes(root):
    """The modes of the files and of the folders below a lake."""
    below = list(root.rglob("*"))
    files = {path.stat().st_mode & 0o777 for path in below if path.is_file()}
    return files, {path.stat().st_mode & 0o777 for path in below if path.is_dir()}


@pytest.mark.parametrize(
    ("mask", "file", "folder"),
    [
        (0o022, 0o640, 0o750),
        (0o027, 0o640, 0o750),
        (0o077, 0o600, 0o700),
        (0o002, 0o640, 0o770),
        (0o007, 0o640, 0o770),
    ],
)
def test_what_a_collector_writes_is_closed_to_others(tmp_path, mask, file, folder):
    root = tmp_path / "lake"
    with umask(mask):
        spool = fill(root)
    found = {path.suffix for path in root.rglob("*") if path.is_file()}
    assert found == {".parquet", ".reason", ".txt", ".arrows", ""}
    assert modes(root) == ({file}, {folder})
    spool.close()


def test_folders_that_exist_keep_their_mode(tmp_path):
    root = tmp_path / "lake"
    for path in (root, root / "clock", root / ".wal"):
        path.mkdir()
        path.chmod(0o775)
    with umask(0o022):
        fill(root).close()
    for path in (root, root / "clock", root / ".wal"):
        assert path.stat().st_mode & 0o777 == 0o775
    assert (root / "segment").stat().st_mode & 0o777 == 0o750


def test_a_lake_that_is_made_gets_the_mode_that_the_umask_asks_for(tmp_path):
    with umask(0o022):
        fill(tmp_path / "above" / "lake").close()
    assert (tmp_path / "above").stat().st_mode & 0o777 == 0o755
    assert (tmp_path / "above" / "lake").stat().st_mode & 0o777 == 0o755
