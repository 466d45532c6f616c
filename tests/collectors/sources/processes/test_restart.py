"""A collector that starts again goes on with what it recorded."""

import pyarrow as pa

from tests.collectors.sources.processes.rig import T0_US, VLLM, HandMadeProc, Rig, S
from tokenergy_collectors.lake import Lake
from tokenergy_collectors.lake.arrays import to_batch
from tokenergy_collectors.lake.contract import CLOCK, JOBS

UNIT = "n1/systemd/vllm.service"


def recorded(rig, root):
    """A lake with what a rig recorded, and with a note of the clocks at its end."""
    lake = Lake(root, create=True)
    lake.append("jobs", table(JOBS, rig.rows), "n1")
    now_us = rig.host.now_us()
    clocks = {"monotonic_us": 1, "boottime_us": 1, "realtime_us": now_us}
    lake.append("clock", table(CLOCK, [{"ts_us": now_us, "node": "n1", "run": 1} | clocks]), "n1")
    return lake


def table(spec, rows):
    return pa.Table.from_batches([to_batch([spec.make_row(**row) for row in rows], spec.schema())])


def first_run(tmp_path):
    proc = HandMadeProc(tmp_path / "proc")
    proc.run(100, VLLM)
    with Rig(tmp_path, proc=proc) as rig:
        rig.put(0, 100)
        rig.run(10)
        return proc, recorded(rig, tmp_path / "lake"), rig.rows


def test_a_restart_goes_on_with_what_runs(tmp_path):
    proc, lake, [before] = first_run(tmp_path)
    with Rig(tmp_path, proc=proc, lake=lake, at_us=T0_US + 60 * S) as again:
        again.put(0, 100)
        proc.end(100)
        proc.run(100, VLLM, age_s=70)
        assert again.run(5) == []
        assert [row["job_id"] for row in again.live] == [UNIT]
        proc.end(100)
        [row] = again.run(2)
        assert row["allocation_id"] == before["allocation_id"]
        assert again.spans([row]) == [(UNIT, 0, 0, 66)]


def test_what_began_anew_meanwhile_is_another_allocation(tmp_path):
    proc, lake, _ = first_run(tmp_path)
    proc.end(100)
    proc.run(100, VLLM, age_s=20)
    with Rig(tmp_path, proc=proc, lake=lake, at_us=T0_US + 60 * S) as again:
        again.put(0, 100)
        again.run(5)
        assert again.spans() == [(UNIT, 0, 0, 10), (UNIT, 0, 60, None)]
        ended, new = again.rows
        assert 50 * S <= ended["edge_doubt_us"] < 51 * S
        assert 20 * S <= new["edge_doubt_us"] < 21 * S


def test_nothing_is_looked_at_before_the_logs_of_a_killed_run_are_in_the_lake(tmp_path):
    proc, lake, _ = first_run(tmp_path)
    with Rig(tmp_path, proc=proc, lake=lake, at_us=T0_US + 60 * S) as again:
        again.host.recovered.clear()
        assert again.run(3) == []
        again.host.recovered.set()
        again.run(2)
        assert again.spans() == [(UNIT, 0, 0, 10)]
