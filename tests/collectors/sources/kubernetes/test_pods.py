"""When pods start and end."""

from tests.collectors.sources.kubernetes.rig import GPU, T0_US, S, spans
from tests.support.kubelet import pod
from tokenergy_collectors.sources.host import Output


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


def test_a_change_at_the_stop_is_recorded_without_reading_the_boards_again(rig):
    rig.run(2)
    rig.kubelet.pods = [pod("a", GPU[0])]
    rig.source._read()
    rig.finish()
    assert spans(rig.rows) == [("a", 2, None)]
    assert rig.edges_us == []
