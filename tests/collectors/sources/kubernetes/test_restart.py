"""A collector that starts again goes on with what it recorded."""

import pytest

from tests.collectors.sources.kubernetes.rig import GPU, T0_US, Rig, S, spans
from tests.support.kubelet import pod
from tokenergy_collectors.lake import Lake
from tokenergy_collectors.lake.arrays import to_batch
from tokenergy_collectors.lake.contract import CLOCK, JOBS


def recorded(rig, root):
    """A lake with what a rig recorded, and with a note of the clocks at its end."""
    lake = Lake(root, create=True)
    lake.append("jobs", table(JOBS, rig.rows), "n1")
    now_us = rig.host.now_us()
    clocks = {"monotonic_us": 1, "boottime_us": 1, "realtime_us": now_us}
    lake.append("clock", table(CLOCK, [{"ts_us": now_us, "node": "n1", "run": 1} | clocks]), "n1")
    return lake


def table(spec, rows):
    import pyarrow as pa

    return pa.Table.from_batches([to_batch([spec.make_row(**row) for row in rows], spec.schema())])


def test_a_restart_of_the_collector_goes_on_with_what_it_recorded(tmp_path, rig):
    rig.pods.run("a", 1)
    rig.pods.run("b", 2)
    rig.kubelet.pods = [pod("a", GPU[0]), pod("b", GPU[1])]
    before = rig.run(10)
    again = Rig(tmp_path, recorded(rig, tmp_path / "lake"), rig.kubelet, rig.pods, T0_US + 60 * S)
    assert again.run(5) == []
    again.pods.end(1)
    [row] = again.run(5)
    assert row["allocation_id"] == before[0]["allocation_id"]
    assert spans([row]) == [("a", 0, 66)]
    again.finish()


def test_what_ended_while_no_collector_ran_ends_with_its_record(tmp_path, rig):
    rig.pods.run("a", 1)
    rig.pods.run("b", 2)
    rig.kubelet.pods = [pod("a", GPU[0]), pod("b", GPU[1])]
    rig.run(10)
    rig.pods.end(1)
    rig.kubelet.pods = [pod("b", GPU[1]), pod("new", GPU[0])]
    again = Rig(tmp_path, recorded(rig, tmp_path / "lake"), rig.kubelet, rig.pods, T0_US + 60 * S)
    ended, new = again.run(5)
    assert spans([ended, new]) == [("a", 0, 10), ("new", 60, None)]
    assert (ended["edge_doubt_us"], new["edge_doubt_us"]) == (50 * S, 50 * S)
    again.finish()


def test_nothing_is_asked_before_the_logs_of_a_killed_run_are_in_the_lake(tmp_path, rig):
    rig.kubelet.pods = [pod("a", GPU[0])]
    again = Rig(tmp_path, Lake(tmp_path / "lake", create=True), rig.kubelet, rig.pods)
    again.host.recovered.clear()
    assert again.run(3) == []
    again.host.recovered.set()
    assert spans(again.run(1)) == [("a", 4, None)]
    again.finish()


def test_what_was_open_under_another_name_of_the_cluster_ends(tmp_path, rig):
    rig.pods.run("a", 1)
    rig.kubelet.pods = [pod("a", GPU[0])]
    [before] = rig.run(10)
    lake = recorded(rig, tmp_path / "lake")
    again = Rig(tmp_path, lake, rig.kubelet, rig.pods, T0_US + 60 * S, cluster="b")
    ended, new = again.run(5)
    assert spans([ended, new]) == [("a", 0, 10), ("a", 60, None)]
    assert (ended["cluster"], new["cluster"]) == (None, "b")
    assert ended["allocation_id"] == before["allocation_id"]
    again.finish()


def test_a_record_of_a_clock_that_was_ahead_is_outranked(tmp_path, rig):
    rig.pods.run("a", 1)
    rig.kubelet.pods = [pod("a", GPU[0])]
    [row] = rig.run(10)
    row["recorded_us"] = ahead_us = T0_US + 3_600 * S
    again = Rig(tmp_path, recorded(rig, tmp_path / "lake"), rig.kubelet, rig.pods, T0_US + 60 * S)
    again.run(1)
    again.pods.end(1)
    [ended] = again.run(2)
    assert ended["recorded_us"] > ahead_us
    again.finish()


def test_what_an_earlier_run_left_open_is_shown_at_once(tmp_path, rig):
    rig.pods.run("a", 1)
    rig.kubelet.pods = [pod("a", GPU[0])]
    rig.run(10)
    again = Rig(tmp_path, recorded(rig, tmp_path / "lake"), rig.kubelet, rig.pods, T0_US + 60 * S)
    shown = []

    class Listener:
        def add(self, table, rows):
            pass

        def allocations(self, rows, spread):
            shown.append([row["job_id"] for row in rows])

    again.host.output.listen(Listener())
    assert again.run(2) == []
    assert shown == [["default/a"]]
    again.finish()


@pytest.mark.parametrize(
    "other", [{"labels": '{"pod": "a"}'}, {"labels": None}, {"labels": "x"}, {"method": "declared"}]
)
def test_rows_of_pods_that_others_recorded_are_left_alone(tmp_path, rig, other):
    rig.pods.run("a", 1)
    rig.kubelet.pods = [pod("a", GPU[0])]
    [row] = rig.run(10)
    row |= other
    again = Rig(tmp_path, recorded(rig, tmp_path / "lake"), rig.kubelet, rig.pods, T0_US + 60 * S)
    assert spans(again.run(2)) == [("a", 60, None)]
    assert again.said() == []
    again.finish()
