"""Processes that no job explains: the check says which, when, and how much the board drew."""

import pytest

from tests.support.lakes import T0, LakeBuilder, S, level
from tokenergy_sql.checks.checking import run_checks

WORDS = "process 7 (python3) of eve, docker web, cgroup /docker/ab: no job holds the board"
NAME = "processes_have_jobs"


def events(*more):
    """A process on board A from 10 s to 40 s."""
    rows = [(10, "stray", "A", WORDS), (40, "stray_over", "A", WORDS), *more]
    return [
        {"ts_us": T0 + at * S, "node": "n1", "kind": kind, "device_id": device, "detail": detail}
        for at, kind, device, detail in rows
    ]


def lake_of(root, rows=None, jobs=(), device="A", **more):
    """Board A draws 100 W for a minute; NVML lists a process from 10 s to 40 s."""
    builder = LakeBuilder(root)
    builder.device("A", index=0)
    builder.power("A", level(100_000, T0, T0 + 60 * S, S))
    builder.add(
        "state",
        [
            {"ts_us": T0 + at * S, "device_id": "A", "pids": [7] if 10 <= at < 40 else []}
            for at in range(60)
        ],
    )
    if device != "A":
        builder.device(device, index=0, mig_parent="A")
    for job, start, end in jobs:
        builder.job(job, "A", T0 + start * S, T0 + end * S)
    builder.add("event", rows or events())
    return builder.build()


def found(lake):
    [finding] = run_checks(lake, only=[NAME])
    assert not finding.breach
    return [dict(zip(finding.columns, row, strict=True)) for row in finding.rows]


def test_a_process_without_a_job_is_named_with_the_energy_of_its_time(tmp_path):
    [row] = found(lake_of(tmp_path))
    assert (row["node"], row["device_id"], row["process"]) == ("n1", "A", WORDS)
    assert row["from"].endswith(":10Z")
    assert row["to"].endswith(":40Z")
    assert row["unattributed_j"] == pytest.approx(3_000, abs=100)


def test_what_a_later_list_explains_is_not_named(tmp_path):
    assert found(lake_of(tmp_path / "all", jobs=[("late", 5, 50)])) == []
    [row] = found(lake_of(tmp_path / "half", jobs=[("late", 5, 25)]))
    assert row["unattributed_j"] == pytest.approx(1_500, abs=100)


def test_without_an_end_the_next_start_of_the_collector_is_one(tmp_path):
    rows = [events()[0], *events((30, "start", None, "1 boards"))[2:]]
    [row] = found(lake_of(tmp_path / "start", rows))
    assert row["to"].endswith(":30Z")
    assert row["unattributed_j"] == pytest.approx(2_000, abs=100)
    [row] = found(lake_of(tmp_path / "open", [events()[0]]))
    assert row["to"] == "now"
    assert row["unattributed_j"] == pytest.approx(3_000, abs=100)


def test_of_an_instance_the_board_has_the_energy(tmp_path):
    rows = [{**row, "device_id": "MIG-1"} for row in events()]
    [row] = found(lake_of(tmp_path, rows, device="MIG-1"))
    assert (row["device_id"], row["unattributed_j"]) == ("A", pytest.approx(3_000, abs=100))


def test_a_lake_without_strays_passes(tmp_path):
    assert found(lake_of(tmp_path, events((50, "start", None, "x"))[2:])) == []
