"""Processes on boards become allocations."""

import os
import pwd

import pytest

from tests.collectors.sources.processes.rig import (
    DOCKER,
    HEX,
    HZ,
    T0_US,
    UPTIME_S,
    VLLM,
    HandMadeProc,
    Rig,
    S,
)
from tokenergy_collectors.emulate.workloads.base import Process

ME = pwd.getpwuid(os.getuid()).pw_name
SHELL = "/user.slice/user-1000.slice/session-3.scope"


def test_units_and_containers_hold_the_boards_that_their_processes_are_on(rig):
    rig.proc.run(100, VLLM)
    rig.proc.run(101, VLLM)
    rig.proc.run(200, DOCKER)
    rig.put(0, 100)
    rig.put(1, 101)
    rig.put(2, 200)
    rig.run(10)
    unit, container = "n1/systemd/vllm.service", f"n1/docker/{HEX[:12]}"
    assert rig.spans() == [(unit, 0, 0, None), (unit, 1, 0, None), (container, 2, 0, None)]
    assert {row["share_ppm"] for row in rig.rows} == {1_000_000}
    assert {row["method"] for row in rig.rows} == {"processes"}
    assert [row["scheduler"] for row in rig.rows] == ["systemd", "systemd", "docker"]
    assert len(rig.edges_us) == 1
    assert [row["job_id"] for row in rig.live] == [unit, unit, container]


def test_a_start_is_known_to_the_last_list_or_the_start_of_the_process(rig):
    rig.run(7)
    rig.proc.run(100, VLLM, age_s=2)
    rig.proc.run(200, DOCKER, age_s=900)
    rig.put(0, 100)
    rig.put(1, 200)
    vllm, docker = rig.run(5)
    assert (vllm["start_us"] - T0_US) // S == (docker["start_us"] - T0_US) // S == 10
    wait_us = vllm["start_us"] - (T0_US + 10 * S)
    assert vllm["edge_doubt_us"] == 2 * S + wait_us
    assert docker["edge_doubt_us"] == 5 * S + wait_us


def test_an_end_is_seen_within_a_second_without_another_list(rig):
    rig.proc.run(100, VLLM)
    rig.put(0, 100)
    rig.run(11.5)
    rig.end(100)
    [row] = rig.run(2)
    assert rig.spans() == [("n1/systemd/vllm.service", 0, 0, 12)]
    assert S <= row["edge_doubt_us"] < 1.2 * S


def test_a_number_that_another_process_has_got_is_another_process(rig):
    rig.proc.run(100, VLLM)
    rig.put(0, 100)
    rig.run(7)
    rig.proc.end(100)
    rig.proc.run(100, DOCKER, age_s=1)
    rig.run(6)
    assert rig.spans() == [
        ("n1/systemd/vllm.service", 0, 0, 8),
        (f"n1/docker/{HEX[:12]}", 0, 10, None),
    ]


def test_jobs_on_one_board_share_it_equally_while_they_are_both_there(rig):
    rig.proc.run(100, VLLM)
    rig.put(0, 100)
    rig.run(4)
    rig.proc.run(200, DOCKER, age_s=1)
    rig.proc.run(300, "/machine.slice/libpod-" + "ab" * 32 + ".scope", age_s=1)
    rig.put(0, 100, 200, 300)
    rig.run(6)
    rig.end(200)
    rig.end(300)
    rig.run(2)
    shares = [(row["share_ppm"], row["end_us"] is None) for row in rig.rows]
    assert rig.spans() == [
        ("n1/systemd/vllm.service", 0, 0, 5),
        (f"n1/docker/{HEX[:12]}", 0, 5, 11),
        ("n1/podman/" + ("ab" * 32)[:12], 0, 5, 11),
        ("n1/systemd/vllm.service", 0, 5, 11),
        ("n1/systemd/vllm.service", 0, 11, None),
    ]
    at_once = [row["share_ppm"] for row in rig.rows if (row["start_us"] - T0_US) // S == 5]
    assert sum(set(at_once)) == 333_334 + 333_333
    assert shares[0] == (1_000_000, True)
    assert shares[-1] == (1_000_000, True)


def test_what_another_source_says_of_a_board_counts(rig):
    rig.proc.run(100, VLLM)
    rig.put(0, 100)
    rig.others(("17", 0, "slurm"))
    assert rig.run(10) == []
    rig.others()
    rig.run(2)
    assert rig.spans() == [("n1/systemd/vllm.service", 0, 11, None)]


def test_pods_and_jobs_of_slurm_are_left_to_their_sources(rig):
    rig.proc.run(100, "/system.slice/slurmstepd.scope/job_17/step_0/user/task_0")
    rig.proc.run(101, f"/kubepods/podaaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee/{HEX}")
    rig.put(0, 100)
    rig.put(1, 101)
    assert rig.run(10) == []


def test_a_plain_job_is_what_a_shell_started_with_its_children(rig):
    rig.proc.run(10, SHELL, comm="bash", age_s=9_000)
    rig.proc.run(20, SHELL, comm="torchrun", parent=10, age_s=60)
    for rank in range(2):
        rig.proc.run(30 + rank, SHELL, parent=20)
        rig.put(rank, 30 + rank)
    rig.proc.run(40, SHELL, comm="sweep) 0 (x", parent=10)
    rig.put(2, 40)
    rig.run(1)
    first = f"n1/plain/{ME}/torchrun-20.{(UPTIME_S - 60) * HZ}"
    second = f"n1/plain/{ME}/sweep) 0 (x-40.{(UPTIME_S - 50) * HZ}"
    assert [one[:2] for one in rig.spans()] == [(first, 0), (first, 1), (second, 2)]


def test_a_parent_of_another_cgroup_is_not_climbed_to(rig):
    rig.proc.run(20, "/system.slice/cron.service", comm="runner", age_s=60)
    rig.proc.run(30, SHELL, parent=20)
    rig.put(0, 30)
    rig.run(1)
    assert [row["name"] for row in rig.rows] == [f"{ME}/python3-30.{(UPTIME_S - 50) * HZ}"]


def test_only_what_is_chosen_is_a_job(tmp_path):
    chosen = {"docker": False, "podman": False, "plain": ("nobody-*",), "systemd": ()}
    with Rig(tmp_path, **chosen) as rig:
        for pid, cgroup in ((1, VLLM), (2, DOCKER), (3, SHELL)):
            rig.proc.run(pid, cgroup)
        rig.put(0, 1, 2, 3)
        assert rig.run(5) == []


def test_a_quadlet_is_its_unit(rig):
    rig.proc.run(100, f"/system.slice/vllm.service/libpod-payload-{HEX}")
    rig.put(0, 100)
    rig.run(1)
    assert rig.spans() == [("n1/systemd/vllm.service", 0, 0, None)]


def test_processes_on_instances_hold_these(tmp_path):
    with Rig(tmp_path, mig=("3g.40gb", "4g.40gb")) as rig:
        rig.proc.run(100, VLLM)
        rig.proc.run(200, DOCKER)
        rig.node.boards[0].guests = [Process(100, 1, 1), Process(200, 1, 2)]
        rig.run(1)
        one, two = (instance.device_id for instance in rig.host.boards[0].instances)
        found = {row["device_id"]: (row["scheduler"], row["share_ppm"]) for row in rig.rows}
        assert found == {one: ("systemd", 1_000_000), two: ("docker", 1_000_000)}


def test_a_board_that_stops_to_list_its_processes_keeps_those_that_live(rig, monkeypatch):
    rig.proc.run(100, VLLM)
    rig.put(0, 100)
    rig.run(4)
    for board in rig.host.boards:
        monkeypatch.setattr(board, "failure", 15)
    assert rig.run(10) == []
    [reader] = rig.plan.readers
    assert reader.health.succeeded is False
    rig.proc.end(100)
    rig.run(2)
    assert rig.spans() == [("n1/systemd/vllm.service", 0, 0, 15)]


def test_a_process_that_vanishes_between_two_calls_is_left_out(rig, monkeypatch):
    rig.proc.run(100, VLLM)
    (rig.proc.root / "100" / "cgroup").unlink()
    rig.put(0, 100)
    assert rig.run(4) == []
    rig.put(0, 4242)
    assert rig.run(5) == []
    # Each was missing once: it may have ended between the two questions.
    assert rig.told("error") == []
    assert rig.run(5) == []
    assert len(rig.told("error")) == 1
    assert "PID namespace" in rig.told("error")[0][1]


def test_ten_thousand_processes_are_looked_through(rig):
    pids = range(1_000, 11_000)
    for pid in pids:
        rig.proc.run(pid, VLLM if pid % 2 else DOCKER)
    rig.put(0, *pids)
    rig.run(0.1)
    assert [row["share_ppm"] for row in rig.rows] == [500_000, 500_000]


def test_an_emulated_node_has_no_processes(tmp_path):
    proc = HandMadeProc(tmp_path / "proc")
    with Rig(tmp_path, proc=proc) as rig:
        rig.host.emulated = True
        [(level, text)] = rig.findings()
        assert (level, text) == ("ok", "not read on an emulated node")


@pytest.mark.parametrize("template", ["{pod}", "{name!r}", "{name", "fixed", "{node}/{kind}"])
def test_a_template_without_a_name_is_refused(template):
    from tokenergy_collectors.sources.processes.settings import Processes

    with pytest.raises(ValueError, match="job_id"):
        Processes(job_id=template)
