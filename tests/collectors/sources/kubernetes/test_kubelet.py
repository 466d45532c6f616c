"""What a kubelet that restarts, hangs or lies changes about the allocations: nothing."""

import os
import sys

import pytest

from tests.collectors.sources.kubernetes.rig import GPU, T0_US, Rig, S, spans
from tests.support.clocks import SteppedClock
from tests.support.kubelet import pod
from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.sources.kubernetes.source import KubernetesPods


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


def test_a_socket_that_is_not_ours_to_use_is_a_finding(rig, monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    [(level, text), *_] = rig.findings()
    assert level == "warn"
    assert "no permission; the kubelet's socket is root's" in text


def test_other_bytes_than_a_kubelets_are_a_failure_in_words(rig):
    rig.kubelet.answer = lambda method, context: b"\x0a\xff\xff"
    rig.run(1)
    assert "not an answer of a kubelet" in rig.findings()[0][1]


def test_the_missing_package_is_named(tmp_path, monkeypatch):
    rig = Rig(tmp_path)
    monkeypatch.setitem(sys.modules, "grpc", None)
    assert [level for level, _ in rig.findings()] == ["FAIL"]
    with pytest.raises(UserError, match=r"pip install .tokenergy\[kubernetes\]"):
        Rig(tmp_path, kubelet=rig.kubelet, host=rig.pods)
    with pytest.raises(UserError):
        KubernetesPods.validate(rig.keys, emulated=False)


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


def test_a_board_that_another_pod_gets_while_the_kubelet_knows_little_changes_hands(rig):
    rig.kubelet.pods = [pod("a", GPU[0]), pod("b", GPU[1])]
    rig.run(2)
    rig.kubelet.stop()
    rig.kubelet.pods = [pod("new", GPU[0])]
    rig.kubelet.start()
    assert spans(rig.run(5)) == [("a", 0, 3), ("new", 3, None)]


def test_a_kubelet_that_takes_long_to_answer_again_may_know_nothing_at_first(tmp_path):
    rig = Rig(tmp_path, timeout_s=0.1, every_s=10.0)
    rig.kubelet.start()
    rig.kubelet.pods = [pod("a", GPU[0])]
    try:
        rig.run(2)
        rig.kubelet.hang()
        rig.run(40)
        rig.kubelet.pods = []
        rig.kubelet.release()
        assert rig.run(20) == []
        rig.kubelet.pods = [pod("a", GPU[0])]
        assert rig.run(20) == []
    finally:
        rig.kubelet.stop()


def test_a_stop_does_not_wait_for_a_kubelet_that_hangs(tmp_path):
    rig = Rig(tmp_path, clock=SteppedClock(T0_US), timeout_s=60.0)
    rig.kubelet.start()
    rig.kubelet.hang()
    try:
        rig.run(0)
        assert rig.kubelet.asked.wait(30)
        rig.finish()
        rig.plan.finish(rig.clock.monotonic_us() + 30 * S)
        [reader] = rig.plan.readers
        assert (reader.health.runs, reader.health.failures) == (1, 0)
        assert rig.events == []
    finally:
        rig.kubelet.stop()
