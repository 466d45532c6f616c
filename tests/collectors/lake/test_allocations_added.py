"""Allocations that are kept up to date file by file are those that are worked out from all files.

Random histories: job lists with corrections, withdrawals and ids, late files, nodes with several
names, boards that move, get other names or are replaced, MIG instances.
"""

import random

import pytest

from tests.support.lakes import HOUR_US, T0, LakeBuilder, S
from tokenergy_collectors.lake import Lake, keptallocations
from tokenergy_collectors.lake import allocations as module
from tokenergy_collectors.lake.allocations import allocations

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


@pytest.mark.parametrize("odd", [False, True])
@pytest.mark.parametrize("seed", range(8))
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
