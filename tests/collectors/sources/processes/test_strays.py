"""A process on a board that no job explains is an event, once, with when it came and left."""

import os
import pwd

from tests.collectors.sources.processes.rig import DOCKER, T0_US, VLLM, Rig, S
from tests.collectors.sources.processes.test_jobs import SHELL

ME = pwd.getpwuid(os.getuid()).pw_name
SLURM = "/system.slice/slurmstepd.scope/job_18/step_0/user/task_0"


def test_a_process_without_a_job_is_told_once_from_when_to_when(tmp_path):
    with Rig(tmp_path, plain=()) as rig:
        rig.proc.run(30, SHELL)
        rig.run(3)
        rig.put(1, 30)
        rig.run(30)
        [(since_s, words)] = rig.told("stray")
        assert since_s == 5
        assert words.startswith(f"process 30 (python3) of {ME}, plain {ME}/python3-30.")
        assert words.endswith(f"cgroup {SHELL}: no job holds the board")
        rig.end(30)
        rig.run(2)
        assert rig.told("stray_over") == [(34, words)]
        assert {row["device_id"] for row in rig.events} == {rig.gpu(1)}
        rig.run(60)
        assert len(rig.events) == 2


def test_a_job_or_another_sources_allocation_explains_a_process(rig):
    rig.proc.run(30, VLLM)
    rig.proc.run(31, SLURM)
    rig.put(0, 30)
    rig.put(1, 31)
    rig.others(("18", 1, "slurm"))
    rig.run(60)
    assert rig.events == []


def test_a_process_that_stays_for_seconds_alone_is_not_told(tmp_path):
    with Rig(tmp_path, plain=()) as rig:
        rig.proc.run(30, SHELL)
        rig.put(1, 30)
        rig.run(12)
        rig.end(30)
        rig.run(60)
        assert rig.events == []


def test_a_job_told_later_ends_the_stray(tmp_path):
    with Rig(tmp_path, docker=False) as rig:
        rig.proc.run(30, DOCKER)
        rig.put(1, 30)
        rig.run(20)
        rig.others(("chat", 1, "declared"))
        rig.run(5)
        assert [s for s, _ in rig.told("stray")] == [0]
        assert [s for s, _ in rig.told("stray_over")] == [21]


def test_a_slurm_job_on_another_jobs_board_is_told(rig):
    rig.proc.run(31, SLURM)
    rig.put(1, 31)
    rig.others(("17", 1, "slurm"))
    rig.run(20)
    [(_, words)] = rig.told("stray")
    assert "Slurm job 18" in words
    assert words.endswith("the board is held by 17")


def test_many_processes_of_one_owner_are_one_event(tmp_path):
    with Rig(tmp_path, docker=False) as rig:
        for pid in range(100, 1_100):
            rig.proc.run(pid, DOCKER)
        rig.put(0, *range(100, 1_100))
        rig.run(30)
        [(_, words)] = rig.told("stray")
        assert "process 100 (python3) and 999 more" in words


def test_the_stop_of_the_collector_ends_what_it_saw(tmp_path):
    with Rig(tmp_path, docker=False) as rig:
        rig.proc.run(30, DOCKER)
        rig.put(1, 30)
        rig.run(20)
        rig.source.finish(rig.clock.monotonic_us())
        assert [s for s, _ in rig.told("stray_over")] == [20]
        assert rig.told("stray_over")[0][1] == rig.told("stray")[0][1]


def test_check_says_whose_job_each_process_would_be(tmp_path):
    with Rig(tmp_path, docker=False, plain=()) as rig:
        rig.proc.run(30, VLLM)
        rig.proc.run(31, VLLM)
        rig.proc.run(32, DOCKER)
        rig.proc.run(33, SLURM)
        rig.put(0, 30, 31)
        rig.put(1, 32, 4242)
        rig.put(2, 33)
        levels, texts = zip(*rig.findings(), strict=True)
        assert len(levels) == 4
        text = "\n".join(texts)
        assert f"systemd vllm.service: 2 processes of {ME} on gpu 0: job n1/systemd/vllm" in text
        assert "on gpu 1: no job by [processes]" in text
        assert "left to [slurm]" in text
        assert "1 processes are not visible" in text
        assert "hostPID" in text
        assert sorted(levels) == ["ok", "ok", "warn", "warn"]


def test_check_says_that_nothing_runs(rig):
    assert rig.findings() == [("ok", "no process is on a board now")]
    assert T0_US % S == 0
