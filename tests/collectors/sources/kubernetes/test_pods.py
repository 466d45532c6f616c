"""When pods start and end, and what a kubelet that restarts, hangs or lies changes about it."""

import sys

import pytest

from tests.collectors.sources.kubernetes.rig import GPU, T0_US, Rig, S
from tests.support.clocks import SteppedClock
from tests.support.kubelet import pod
from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.lake import Lake
from tokenergy_collectors.lake.arrays import to_batch
from tokenergy_collectors.lake.contract import CLOCK, JOBS
from tokenergy_collectors.sources.host import Output


@pytest.fixture
def rig(tmp_path):
    rig = Rig(tmp_path)
    rig.kubelet.start()
    yield rig
    rig.finish()
    rig.kubelet.stop()


def spans(rows):
    """Job, start and end in seconds since T0, of each row."""
    return [
        (
            row["job_id"].removeprefix("default/"),
            (row["start_us"] - T0_US) / S,
            None if row["end_us"] is None else (row["end_us"] - T0_US) / S,
        )
        for row in rows
    ]


def test_a_pod_starts_and_ends_within_the_poll_and_the_boards_are_read_then(rig):
    rig.pods.run("a", 1)
    rig.run(10)
    rig.kubelet.pods = [pod("a", GPU[0])]
    [start] = rig.run(5)
    rig.pods.end(1)
    [end] = rig.run(5)
    assert spans([start, end]) == [("a", 11, None), ("a", 11, 16)]
    assert start["allocation_id"] == end["allocation_id"]
    assert (start["edge_doubt_us"], end["edge_doubt_us"]) == (S, S)
    assert [(at_us - T0_US) / S for at_us in rig.edges_us] == [11, 16]


def test_pods_that_were_there_at_the_first_look_have_no_known_doubt(rig):
    rig.kubelet.pods = [pod("a", GPU[0])]
    [row] = rig.run(1)
    assert row["edge_doubt_us"] is None


def test_a_terminated_pod_that_the_kubelet_still_lists_holds_nothing(rig):
    rig.pods.run("a", 1)
    rig.pods.run("b", 2)
    rig.kubelet.pods = [pod("a", GPU[0]), pod("b", GPU[1])]
    rig.run(2)
    rig.pods.end(1)
    assert spans(rig.run(30)) == [("a", 0, 3)]
    assert any("still listed" in text and "default/a" in text for _, text in rig.findings())


def test_a_pod_that_runs_goes_on_though_the_kubelet_does_not_list_it(rig):
    rig.pods.run("a", 1)
    rig.kubelet.pods = [pod("a", GPU[0])]
    rig.run(2)
    rig.kubelet.pods = []
    assert rig.run(100) == []
    rig.pods.end(1)
    [row] = rig.run(1)
    assert spans([row]) == [("a", 0, 103)]
    assert row["edge_doubt_us"] == S


def test_without_traces_a_device_that_a_newer_pod_has_ends_the_older_one(rig):
    rig.kubelet.pods = [pod("old", GPU[0])]
    rig.run(2)
    rig.kubelet.pods = [pod("new", GPU[0]), pod("old", GPU[0])]
    assert spans(rig.run(50)) == [("old", 0, 3), ("new", 3, None)]
    # It stays out for as long as it is listed, and counts again if it comes back.
    rig.kubelet.pods = [pod("new", GPU[0])]
    assert rig.run(2) == []
    rig.kubelet.pods = [pod("old", GPU[0])]
    assert spans(rig.run(1)) == [("new", 3, 55), ("old", 55, None)]


def test_without_traces_a_pod_ends_when_it_is_not_listed_and_that_is_told(rig):
    rig.pods.end(0xFFFF)
    rig.kubelet.pods = [pod("a", GPU[0])]
    rig.run(40)
    rig.kubelet.pods = []
    assert spans(rig.run(2)) == [("a", 0, 41)]
    assert len([text for text in rig.said() if "no cgroups of pods" in text]) == 1
    assert any("no cgroups of pods" in text for _, text in rig.findings())
    rig.pods.logs.rename(rig.pods.logs.with_name("moved"))
    assert any("pods: No such file" in text for _, text in rig.findings())


def test_two_pods_that_have_one_device_from_the_start_are_told_once(rig):
    rig.kubelet.pods = [pod("a", GPU[0]), pod("b", GPU[0])]
    assert spans(rig.run(10)) == [("a", 0, None), ("b", 0, None)]
    assert len([text for text in rig.said() if f"several pods have {GPU[0]}" in text]) == 1


def test_a_pod_of_the_same_name_is_another_allocation_of_the_same_job(rig):
    rig.pods.run("web-0", 1)
    rig.kubelet.pods = [pod("web-0", GPU[0])]
    [first] = rig.run(2)
    rig.pods.end(1)
    rig.pods.run("web-0", 2)  # deleted and made anew between two polls
    rows = rig.run(2)
    assert spans(rows) == [("web-0", 0, 3), ("web-0", 3, None)]
    assert rows[1]["allocation_id"] != first["allocation_id"]
    assert rows[1]["job_id"] == first["job_id"]


def test_a_uid_that_is_known_later_changes_nothing_else(rig):
    rig.kubelet.pods = [pod("a", GPU[0])]
    [first] = rig.run(2)
    rig.pods.run("a", 1)
    [again] = rig.run(2)
    differs = {name for name in first if first[name] != again[name]}
    assert differs == {"labels", "recorded_us"}
    assert rig.edges_us == [T0_US]


def test_a_kubelet_that_restarts_ends_nothing_and_starts_nothing(rig):
    rig.kubelet.pods = [pod("a", GPU[0])]
    rig.run(2)
    rig.kubelet.stop()
    assert rig.run(20) == []
    rig.kubelet.pods = []  # it knows none of its pods yet
    rig.kubelet.start()
    assert rig.run(20) == []
    rig.kubelet.pods = [pod("a", GPU[0])]
    assert rig.run(60) == []
    assert rig.said("kubelet_lost") == []


def test_a_restart_between_two_polls_is_seen_by_the_new_socket(rig):
    rig.kubelet.pods = [pod("a", GPU[0])]
    rig.run(2)
    rig.kubelet.stop()
    rig.kubelet.pods = []
    rig.kubelet.start()
    assert rig.run(20) == []
    [row] = rig.run(20)  # not listed for 30 s: it has ended, when it was missed first
    assert spans([row]) == [("a", 0, 3)]
    assert row["edge_doubt_us"] == S


def test_a_pod_that_ends_while_the_kubelet_is_gone_ends_by_its_cgroup(rig):
    rig.pods.run("a", 1)
    rig.pods.run("other", 2)
    rig.kubelet.pods = [pod("a", GPU[0])]
    rig.run(2)
    rig.kubelet.stop()
    rig.run(2)
    rig.pods.end(1)
    assert spans(rig.run(2)) == [("a", 0, 5)]


def test_a_kubelet_that_is_gone_for_long_is_one_event(rig):
    rig.run(1)
    rig.kubelet.stop()
    rig.run(29)
    assert rig.said("kubelet_lost") == []
    rig.run(300)
    [why] = rig.said("kubelet_lost")
    assert "kubelet.sock does not exist" in why
    assert rig.said("kubelet_found") == []
    rig.kubelet.start()
    rig.run(5)
    assert len(rig.said("kubelet_found")) == 1


def test_a_kubelet_that_hangs_is_one_event_and_holds_nothing_up(tmp_path):
    rig = Rig(tmp_path, timeout_s=0.1, lost_after_s=2.0)
    rig.kubelet.start()
    rig.kubelet.hang()
    try:
        rig.run(6)
        assert rig.said("kubelet_lost") == [f"{rig.kubelet.socket}: no answer within 0.1 s"]
        rig.kubelet.release()
        rig.kubelet.pods = [pod("a", GPU[0])]
        assert spans(rig.run(1)) == [("a", 7, None)]
    finally:
        rig.kubelet.stop()


def test_an_answer_that_is_too_large_is_refused(tmp_path):
    rig = Rig(tmp_path, limit_mib=1, lost_after_s=0.0)
    rig.kubelet.start()
    rig.kubelet.pods = [pod(f"p{number}", "x" * 200) for number in range(5_000)]
    try:
        assert rig.run(2) == []
        [why] = rig.said("kubelet_lost")
        assert "larger than 1 MiB" in why
    finally:
        rig.kubelet.stop()


@pytest.mark.parametrize("name", ["a\x1b[31m", "a\nb", "Ab", "../x", "", "x" * 254])
def test_names_that_kubernetes_forbids_are_left_out_and_told_once(rig, name):
    rig.kubelet.pods = [pod(name, GPU[0]), pod("good", GPU[1])]
    assert spans(rig.run(3)) == [("good", 0, None)]
    [said] = [text for text in rig.said() if "forbids" in text]
    assert said.isprintable()
    [found] = [text for _, text in rig.findings() if "forbids" in text]
    assert found.isprintable()


def test_what_is_no_socket_is_a_finding(rig, tmp_path):
    rig.kubelet.stop()
    [(level, text), *_] = rig.findings()
    assert level == "warn"
    assert "does not exist; is a kubelet running here" in text
    rig.kubelet.socket.write_text("")
    assert "is not a socket" in rig.findings()[0][1]


def test_other_bytes_than_a_kubelets_are_a_failure_in_words(rig):
    rig.kubelet.answer = lambda method, context: b"\x0a\xff\xff"
    rig.run(1)
    assert "not an answer of a kubelet" in rig.findings()[0][1]


def test_the_missing_package_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "grpc", None)
    with pytest.raises(UserError, match=r"grpc is not installed: pip install 'tokenergy\[kub"):
        Rig(tmp_path)


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


def test_jobs_are_named_by_the_template(tmp_path):
    rig = Rig(tmp_path, job_id="{namespace}.{container}")
    rig.kubelet.start()
    rig.kubelet.pods = [pod("a", GPU[0], namespace="ml", container="train")]
    try:
        assert [row["job_id"] for row in rig.run(1)] == ["ml.train"]
    finally:
        rig.kubelet.stop()


@pytest.mark.parametrize("template", ["{label}", "{pod!r}", "{", "{pod:>9}", "{}"])
def test_a_template_with_other_fields_is_an_error(tmp_path, template):
    with pytest.raises(ValueError, match="job_id"):
        Rig(tmp_path, job_id=template)


def test_ticks_go_on_while_the_kubelet_hangs(tmp_path):
    """With threads, as on a real clock: the kubelet answers only after all ticks have run."""
    rig = Rig(tmp_path, clock=SteppedClock(T0_US))
    rig.kubelet.start()
    rig.kubelet.hang()
    ticks = []
    try:
        rig.run(0)
        assert rig.kubelet.asked.wait(30)
        rig.plan.schedule.every(100_000, lambda: ticks.append(0), rig.clock.monotonic_us())
        rig.run(5)
        assert len(ticks) == 51
        assert rig.rows == []
    finally:
        rig.kubelet.stop()
        rig.plan.finish(rig.clock.monotonic_us() + 20 * S)


def test_ten_thousand_pods_are_one_answer(rig):
    rig.kubelet.pods = [pod(f"p{number}") for number in range(10_000)]
    rig.kubelet.pods.insert(5_000, pod("a", GPU[0]))
    assert spans(rig.run(0.5)) == [("a", 0, None)]
    assert rig.kubelet.calls == ["List", "GetAllocatableResources"]


def test_two_sources_of_allocations_are_shown_together():
    shown = []

    class Listener:
        def allocations(self, rows, spread):
            shown.append(([row["job_id"] for row in rows], spread))

    output = Output()
    output.listen(Listener())
    output.allocations([{"job_id": "a"}], {"a"})
    output.allocations([{"job_id": "b"}], (), source="kubernetes")
    output.allocations([], ())
    assert shown == [(["a"], {"a"}), (["a", "b"], {"a"}), (["b"], set())]
