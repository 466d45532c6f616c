"""Allocations that are kept up to date file by file are those that are worked out from all files.

Random histories: job lists with corrections, withdrawals and ids, late files, nodes with several
names, boards that move, get other names or are replaced, MIG instances.
"""

import os
import random
import resource
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.lakes import HOUR_US, T0, LakeBuilder, S
from tests.support.long import pairs
from tokenergy_collectors.lake import Lake, keptallocations
from tokenergy_collectors.lake import allocations as module
from tokenergy_collectors.lake.allocations import allocations
from tokenergy_collectors.lake.compaction import compact
from tokenergy_collectors.lake.paths import partition

PLAIN = ["n1", "n2", "n3.a.org", "n4"]
ODD = [
    *("n1.a.org", "N1", "n3", "n3.b.org", "n2.a.org", "n2.b.org"),
    *("10.0.0.1", "10.0.0.2", "10.1.0.1", "10"),
]
BOARDS = [f"GPU-{one}{one}{one}{one}" for one in "abcdef"]
ODD_BOARDS = ["GPU-AAAA", "aaaa", "n1/0", "0", "GPU-aaab"]
INSTANCES = ["MIG-1", "MIG-2", "MIG-3"]
TEXTS = ["0", "1", "2", "aaaa", "nvidia0", "/dev/nvidia1", "00:01.0", "0001:00:01.0", "GPU-none"]


def device(rng, odd):
    nodes, boards = (PLAIN + ODD, BOARDS + ODD_BOARDS) if odd else (PLAIN, BOARDS)
    number = rng.randrange(len(boards))
    steady = rng.random() < (0.4 if odd else 0.8)
    row = {
        "device_id": boards[number],
        "node": nodes[number % len(PLAIN)] if steady else rng.choice(nodes),
        "ts_us": T0 + rng.randrange(72) * HOUR_US + rng.choice([0, 0, S, 8 * S, 20 * S]),
        "index": number // len(PLAIN) if steady else rng.choice([None, 0, 1, 2]),
        "pci": None if steady else rng.choice([None, "0000:00:01.0", "0001:00:01.0"]),
        "minor": None if steady else rng.choice([None, 0, 1]),
    }
    if rng.random() < (0.3 if odd else 0.05):
        row |= {
            "device_id": rng.choice(INSTANCES),
            "mig_parent": rng.choice(boards),
            "mig_ppm": rng.choice([None, 250_000, 500_000]),
        }
    return row


def job(rng, odd):
    start_us = T0 + rng.randrange(72) * HOUR_US + rng.randrange(3) * S
    return {
        "job_id": rng.choice(["17", "18", "c/17", "x", "y", "z"]),
        "node": rng.choice(PLAIN + ODD if odd else PLAIN),
        "device_id": rng.choice([*TEXTS, *BOARDS, *INSTANCES, *(ODD_BOARDS if odd else ())]),
        "start_us": start_us,
        "end_us": rng.choice([None, start_us, start_us + S, start_us + 9 * HOUR_US, T0]),
        "recorded_us": T0 + rng.randrange(9),
        "cluster": rng.choice([None, None, "c", ""]),
        "allocation_id": rng.choice([None, None, None, "1", "2"]),
        "share_ppm": rng.choice([1_000_000, 500_000]),
        "name": rng.choice("AB"),
        "method": "declared",
    }


def write(builder, file):
    table, node, rows = file
    builder.add(table, rows, node)


def history(rng, odd):
    """Files of a lake, in the order in which they come."""
    made = (("device", device), ("jobs", job))
    files = []
    for _ in range(24):
        table, row = rng.choice(made)
        rows = [row(rng, odd) for _ in range(rng.choice([1, 1, 2, 5]))]
        if table == "device":
            rows = [{"name": "board", "emulated": True, **row} for row in rows]
        files.append((table, rng.choice(PLAIN), rows))
    return files


@pytest.fixture
def worked_out(monkeypatch):
    """Says how often allocations were worked out from all files."""
    calls = []
    whole = module._worked_out
    monkeypatch.setattr(keptallocations, "_MANY", 1)
    monkeypatch.setattr(module, "_worked_out", lambda lake: (calls.append(lake), whole(lake))[1])
    return calls, whole


@pytest.mark.parametrize(("seed", "odd"), pairs(range(5), [False, True], always=2))
def test_whatever_is_added_the_result_is_that_of_all_files(tmp_path, worked_out, seed, odd):
    calls, whole = worked_out
    rng = random.Random(f"{seed} {odd}")
    builder = LakeBuilder(tmp_path)
    steps = history(rng, odd)
    for number, file in enumerate(steps):
        write(builder, file)
        found = allocations(Lake(tmp_path))
        wanted = whole(Lake(tmp_path))
        assert found.to_pylist() == wanted.to_pylist(), (number, file)
        assert found.schema.equals(wanted.schema)
        if rng.random() < 0.3:  # nothing new: what is kept
            assert allocations(Lake(tmp_path)).equals(found)
    assert len(calls) < len(steps) / 2 or odd


@pytest.fixture
def builder(tmp_path, worked_out):
    """A lake of two nodes with a job on each; all rows are kept."""
    builder = LakeBuilder(tmp_path)
    for node in ("n1", "n2"):
        builder.device(f"GPU-{node}", node=node)
        builder.job(f"first on {node}", "0", T0, None, node=node)
    allocations(builder.lake)
    worked_out[0].clear()
    return builder


def more(builder, name, node="n1", end_us=T0 + 2 * HOUR_US, **columns):
    builder.job(name, "0", T0 + HOUR_US, end_us, node=node, **columns)


def is_whole(builder, worked_out):
    return allocations(Lake(builder.lake.root)).equals(worked_out[1](Lake(builder.lake.root)))


def kept(builder, suffix):
    """The files that are kept, the latest one first."""
    folder = builder.lake.root / keptallocations.FOLDER
    return sorted(folder.glob(f"*{suffix}"), key=lambda one: one.stat().st_mtime_ns, reverse=True)


def test_only_the_records_that_belong_together_are_read_again(builder, worked_out, monkeypatch):
    calls, _ = worked_out
    more(builder, "second", cluster="c", allocation_id="7")
    assert is_whole(builder, worked_out)
    read = []
    whole = module._spans
    monkeypatch.setattr(
        module, "_spans", lambda who, rows: (read.extend(rows), whole(who, rows))[1]
    )
    builder.job("other", "0", T0 + 9 * HOUR_US, None, cluster="c", allocation_id="7", node="n2")
    allocations(Lake(builder.lake.root))
    assert [row["job_id"] for row in read] == ["second", "other"]
    assert calls == []


def test_a_daemon_that_starts_again_changes_no_allocation(builder, worked_out, monkeypatch):
    read = []
    whole = module._spans
    monkeypatch.setattr(
        module, "_spans", lambda who, rows: (read.extend(rows), whole(who, rows))[1]
    )
    builder.device("GPU-n1", ts_us=T0 + 24 * HOUR_US)
    assert len(allocations(Lake(builder.lake.root))) == 2
    assert (read, worked_out[0]) == ([], [])
    builder.device("GPU-new", ts_us=T0 + 25 * HOUR_US)  # with the same index
    assert is_whole(builder, worked_out)
    assert "first on n1" in [row["job_id"] for row in read]


@pytest.mark.parametrize("what", ["device", "jobs"])
def test_a_file_that_went_is_not_there_any_more(builder, worked_out, what):
    more(builder, "second")
    assert is_whole(builder, worked_out)
    builder.lake.files(what)[0].unlink()
    assert is_whole(builder, worked_out)
    assert len(worked_out[0]) == 1


def test_records_in_the_folder_of_another_hour(builder, worked_out):
    """Whoever moved a file there: its records are not lost when others come."""
    more(builder, "second", cluster="a")
    path = builder.lake.files("jobs")[-1]
    folder = builder.lake.root / "jobs" / partition(T0 + 7 * HOUR_US)
    folder.mkdir(parents=True)
    path.rename(folder / path.name)
    assert is_whole(builder, worked_out)
    for step, start_us in enumerate((T0 + HOUR_US, T0 + 7 * HOUR_US, T0 + 8 * HOUR_US)):
        later = {"cluster": "a", "recorded_us": T0 + step + 1}
        builder.job("second", "0", start_us, start_us + HOUR_US, **later)
        assert is_whole(builder, worked_out)
    assert len(worked_out[0]) == 3


def test_a_device_called_as_those_that_were_never_seen(builder, worked_out):
    builder.job("lost", "5", T0, None)
    assert is_whole(builder, worked_out)
    builder.device("n1/5", node="n2", index=3, ts_us=T0 + S)
    assert is_whole(builder, worked_out)


def test_a_board_that_is_found_elsewhere_takes_its_instances_along(builder, worked_out):
    builder.device("MIG-1", index=None, mig_parent="GPU-b", mig_ppm=500_000)
    builder.job("part", "MIG-1", T0 + HOUR_US, None)
    assert is_whole(builder, worked_out)
    builder.device("GPU-b", node="n2", index=7, ts_us=T0 + S)
    assert is_whole(builder, worked_out)
    found = {row["job_id"]: row["node"] for row in allocations(builder.lake).to_pylist()}
    assert found["part"] == "n2"


def test_what_other_code_kept_is_not_gone_on_from(builder, worked_out, monkeypatch):
    monkeypatch.setattr(keptallocations, "_version", lambda: "another")
    more(builder, "second")
    assert is_whole(builder, worked_out)
    assert len(worked_out[0]) == 1


@pytest.mark.parametrize("grace_us", [2**62, 0])
def test_compaction_changes_nothing(builder, worked_out, grace_us):
    for number in range(4):
        more(builder, "second", end_us=T0 + (2 + number) * HOUR_US, recorded_us=T0 + number)
    assert is_whole(builder, worked_out)
    for _ in range(2):  # the second call lets the sources give way
        compact(Lake(builder.lake.root), 2**62, grace_us)
        assert is_whole(builder, worked_out)
    more(builder, "second", end_us=T0 + 9 * HOUR_US, recorded_us=T0 + 9)
    assert is_whole(builder, worked_out)
    assert worked_out[0] == []


@pytest.mark.parametrize(
    ("suffix", "how"), pairs([".json", ".parquet"], ["gone", "cut", "garbage", "flipped"])
)
def test_a_kept_file_that_is_damaged_or_was_never_written(builder, worked_out, suffix, how):
    """As after a kill between the two files of a result."""
    (path,) = kept(builder, suffix)
    content = path.read_bytes()
    if how == "gone":
        path.unlink()
    else:
        half, place = len(content) // 2, content.index(b"n1")
        flipped = content[:place] + b"N" + content[place + 1 :]
        path.write_bytes({"cut": content[:half], "garbage": b"x", "flipped": flipped}[how])
    more(builder, "second")
    assert is_whole(builder, worked_out)
    more(builder, "third")
    assert is_whole(builder, worked_out)
    assert len(worked_out[0]) == 1


def test_an_earlier_result_serves_as_well(builder, worked_out):
    for name in ("second", "third"):
        more(builder, name)
        allocations(Lake(builder.lake.root))
    kept(builder, ".json")[0].write_text("{")
    kept(builder, ".parquet")[1].write_bytes(b"x")
    more(builder, "fourth")
    assert is_whole(builder, worked_out)
    assert worked_out[0] == []


def test_no_more_is_kept_than_is_needed(builder):
    for number in range(6):
        more(builder, f"job {number}")
        allocations(Lake(builder.lake.root))
    assert len(kept(builder, ".json")) == 3
    for path in kept(builder, ".parquet"):
        os.utime(path, (0, 0))
    more(builder, "last")
    allocations(Lake(builder.lake.root))
    assert len(kept(builder, ".parquet")) == 1
    assert {path.suffix for path in kept(builder, "")} == {".json", ".parquet"}


PROGRAM = """
import sys
from tokenergy_collectors.lake import Lake, keptallocations
from tokenergy_collectors.lake.allocations import allocations
keptallocations._MANY = 1
for line in sys.stdin:
    print(len(allocations(Lake(sys.argv[1]))), flush=True)
"""


def reader(root, **more):
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, root],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        **more,
    )


def test_a_full_disk_is_no_error(builder, worked_out):
    """`ulimit -f` refuses to make a file longer, much as a full disk does."""

    def small():
        resource.setrlimit(resource.RLIMIT_FSIZE, (64, 64))

    more(builder, "second")
    with reader(builder.lake.root, preexec_fn=small) as child:
        assert child.communicate("\n", timeout=200)[0] == "3\n"
    assert child.returncode == 0
    assert (len(kept(builder, ".json")), len(kept(builder, ".parquet"))) == (1, 1)
    assert not [*builder.lake.root.glob("cache/**/.*.tmp")]
    assert is_whole(builder, worked_out)


def test_two_processes_at_once(builder, worked_out):
    with reader(builder.lake.root) as one, reader(builder.lake.root) as other:
        for number in range(8):
            more(builder, f"job {number}", node=f"n{number % 2 + 1}")
            for child in (one, other):
                child.stdin.write("\n")
                child.stdin.flush()
            assert {int(child.stdout.readline()) for child in (one, other)} == {3 + number}
        one.stdin.close()
        other.stdin.close()
    assert is_whole(builder, worked_out)
    assert worked_out[0] == []


def test_a_lake_that_cannot_be_written(builder, worked_out):
    shutil.rmtree(builder.lake.root / "cache")
    (builder.lake.root / "cache").write_text("in the way")
    more(builder, "second")
    assert is_whole(builder, worked_out)
    assert Path(builder.lake.root / "cache").read_text() == "in the way"
