"""Epilogs that never come: processes that are gone, the next job, a restart of the node."""

import json
import os
import time

import pytest

from tests.collectors.sources.slurm.answers import answer
from tests.collectors.sources.slurm.rig import MINORS, T0_US, Rig, S
from tokenergy_collectors.sources.slurm.alive import Processes
from tokenergy_collectors.sources.slurm.scontrol import AskError


@pytest.fixture
def rig(tmp_path):
    return Rig(tmp_path, grace_s=10)


def ends(rig):
    """The end of each job and how it was learned, with its bounds; seconds since T0."""
    found = {}
    for row in rig.jobs():
        labels = json.loads(row["labels"] or "{}")
        bounds = [labels.get(name) for name in ("end_after_us", "end_before_us")]
        bounds = [None if us is None else round((us - T0_US) / S, 3) for us in bounds]
        found[row["job_id"]] = (row["end_s"], labels.get("end"), *bounds)
    return found


def start(rig, job_id="17", gpus="1", at_s=0.0, **changed):
    rig.scontrol.jobs[job_id] = answer(job_id, **changed)
    rig.hook("prolog", job_id, gpus, at_s)
    rig.processes.jobs.add(job_id)


def test_the_processes_end_and_slurm_tells_when(rig):
    start(rig)
    rig.run(20)
    rig.processes.jobs.clear()
    # It ended at 08:00:20, and the last process was seen at 20.0 s and missing at 21.0 s.
    rig.scontrol.jobs["17"] = answer(state="FAILED", end="2026-01-15T08:00:20", gres="")
    rig.run(9)
    assert ends(rig)["17"] == (None, None, None, None)  # its epilog may still come
    rig.run(4)
    assert ends(rig)["17"] == (20.5, "scontrol", 20.0, 21.0)
    [text] = rig.told()
    assert "job 17: its epilog is lost; by scontrol it ended within 1.0 s" in text


def test_slurm_is_not_there_so_the_absence_counts(rig):
    rig.scontrol.fails = AskError("scontrol: no answer within 5 s")
    start(rig)
    rig.run(20)
    rig.processes.jobs.clear()
    rig.run(15)
    assert ends(rig)["17"] == (21.0, "absent", 20.0, 21.0)
    assert rig.jobs()[0]["method"] == "cgroup"


def test_an_allocation_without_a_step_has_no_process_and_goes_on(rig):
    start(rig)
    rig.run(20)
    rig.processes.jobs.clear()
    asked = len(rig.scontrol.asked)
    rig.run(100)
    assert ends(rig)["17"] == (None, None, None, None)
    assert len(rig.scontrol.asked) - asked <= 10  # every `grace_s`
    rig.hook("epilog", "17", "1", 120.0)
    rig.run(2)
    assert ends(rig)["17"] == (120.0, None, None, None)


def test_one_whose_processes_were_never_seen_ends_only_if_slurm_says_so(rig):
    rig.scontrol.fails = AskError("scontrol: no answer within 5 s")
    rig.hook("prolog", "17", "1")
    rig.run(100)
    assert ends(rig)["17"] == (None, None, None, None)
    rig.scontrol.fails = None  # and it has forgotten the job
    rig.run(70)
    end_s, how, after_s, before_s = ends(rig)["17"]
    assert (how, after_s, end_s) == ("scontrol", 0.0, before_s)


def test_slurm_tells_the_second_of_the_end_of_one_that_was_never_seen(rig):
    rig.hook("prolog", "17", "1")
    rig.scontrol.jobs["17"] = answer(state="TIMEOUT", end="2026-01-15T08:00:05", gres="")
    rig.run(15)
    assert ends(rig)["17"] == (5.5, "scontrol", 5.0, 6.0)


def test_a_late_epilog_corrects_what_was_concluded(rig):
    start(rig)
    rig.run(20)
    rig.processes.jobs.clear()
    rig.scontrol.jobs["17"] = None
    rig.run(15)
    assert ends(rig)["17"][0] == 21.0
    rig.hook("epilog", "17", "1", 33.5)
    rig.run(2)
    assert ends(rig)["17"] == (33.5, None, None, None)
    assert [row["method"] for row in rig.jobs()] == ["hook"]


def test_the_next_job_on_a_whole_board_ends_the_one_before(rig):
    start(rig, "17")
    rig.run(20)
    rig.processes.jobs.clear()
    rig.run(3.6)
    start(rig, "18", at_s=23.5)
    rig.run(3)
    # Its last process was seen at 20 s; at 21 s there was none.
    assert ends(rig) == {"17": (21.0, "next", 20.0, 23.5), "18": (None,) * 4}


def test_slurm_tells_when_one_ended_that_the_next_shows_to_be_over(rig):
    start(rig, "17")
    rig.run(10.6)
    rig.processes.jobs.clear()
    rig.scontrol.jobs["17"] = answer(state="FAILED", end="2026-01-15T08:00:10", gres="")
    start(rig, "18", at_s=11.5)
    rig.run(2)
    # It had a process at 10 s, and ended in the second that Slurm tells.
    assert ends(rig)["17"] == (10.5, "scontrol", 10.0, 11.0)
    [text] = rig.told()
    assert "job 17: its epilog is lost; by scontrol it ended within 1.0 s" in text


def test_one_that_is_still_seen_is_not_ended_by_the_next(rig):
    start(rig, "17")
    rig.run(20)
    start(rig, "18", at_s=19.5)
    rig.run(3)
    assert ends(rig) == {"17": (None,) * 4, "18": (None,) * 4}


@pytest.mark.parametrize("first", ["gpu:h100:1(IDX:1)", "shard:2(IDX:1)"])
@pytest.mark.parametrize("second", ["gpu:h100:1(IDX:1)", "shard:2(IDX:1)"])
def test_shares_exclude_whole_boards_and_not_each_other(rig, first, second):
    for number, gres in enumerate((first, second)):
        rig.scontrol.jobs[str(number)] = answer(str(number), gres=gres)
        rig.hook("prolog", str(number), "1", number * 5.0)
        rig.run(5)
    together = first == second == "shard:2(IDX:1)"
    assert ends(rig)["0"][:2] == ((None, None) if together else (5.0, "next"))
    assert ends(rig)["1"] == (None,) * 4


def test_without_scontrol_boards_count_as_whole(tmp_path):
    rig = Rig(tmp_path, scontrol="")
    for number in range(2):
        rig.hook("prolog", str(number), "1", number * 5.0)
        rig.run(5)
    assert ends(rig) == {"0": (5.0, "next", 0.0, 5.0), "1": (None,) * 4}
    assert rig.scontrol.asked == []


def test_a_job_that_starts_again_has_ended_before(rig):
    start(rig, "17", "1")
    rig.run(5)
    rig.hook("prolog", "17", "2", 7.5, restart="1")
    rig.run(5)
    found = sorted((row["device_id"], row["end_s"]) for row in rig.jobs())
    assert found == [("GPU-0", None), ("GPU-3", 7.5)]


def test_a_restart_of_the_node_ends_what_ran(rig, monkeypatch):
    start(rig)
    rig.run(20)
    rig.seal()
    monkeypatch.setattr(time, "clock_gettime_ns", lambda clock: 60 * 10**9)
    rig.start(T0_US + 300 * S)  # the node was started 60 s before
    [row] = rig.jobs()
    assert ends(rig)["17"] == (240.0, "boot", 0.0, 240.0)
    assert (row["device_id"], row["start_s"]) == ("GPU-3", 0.0)


def test_a_new_collector_goes_on_with_what_runs(rig):
    start(rig)
    rig.run(20)
    rig.seal()
    for path in rig.folder.iterdir():
        path.unlink()
    rig.start(T0_US + 100 * S, minors=list(reversed(MINORS)))
    rig.run(5)
    assert (rig.raw, rig.told()) == ([], [])  # nothing new
    rig.hook("epilog", "17", "1", 105.5)
    rig.run(2)
    [row] = rig.jobs()
    # The board is the one that the number meant at the start.
    assert (row["device_id"], row["name"], row["end_s"]) == ("GPU-3", "train", 105.5)


class Proc:
    """A folder like /proc."""

    def __init__(self, root):
        self.root, self.now_s = root, 0.0
        self.processes = Processes(root, os.getuid(), lambda: self.now_s)

    def add(self, pid, title="python", cgroup="0::/"):
        (self.root / str(pid)).mkdir(parents=True, exist_ok=True)
        (self.root / str(pid) / "cmdline").write_text(f"{title}\0")
        (self.root / str(pid) / "cgroup").write_text(cgroup + "\n")

    def remove(self, pid):
        for path in (self.root / str(pid)).iterdir():
            path.unlink()
        (self.root / str(pid)).rmdir()

    def alive(self, *jobs):
        return self.processes.alive(set(jobs))


@pytest.mark.parametrize(
    ("title", "cgroup"),
    [
        ("slurmstepd: [17.batch]", "0::/"),
        ("slurmstepd: [17.extern]", "0::/"),
        ("python", "9:devices:/slurm/uid_1001/job_17/step_0/task_0\n8:pids:/"),
        ("python", "4:memory:/slurm_gpu-01/uid_1001/job_17"),
        ("python", "0::/system.slice/slurmstepd.scope/job_17/step_batch/user/task_0"),
        ("python", "0::/system.slice/gpu-01_slurmstepd.scope/job_17/step_0/user"),
    ],
)
def test_a_job_is_found_by_its_stepd_or_its_cgroup(tmp_path, title, cgroup):
    proc = Proc(tmp_path)
    proc.add(1, "init")
    proc.add(40, title, cgroup)
    assert proc.alive("17", "1", "7") == {"17"}


@pytest.mark.parametrize(
    ("title", "cgroup"),
    [
        ("python job_17", "0::/user.slice/job_17"),
        ("x slurmstepd: [17.batch]", "0::/"),
        ("slurmstepd: [171.batch]", "0::/system.slice/slurmstepd.scope/job_171/step_0"),
    ],
)
def test_what_is_no_process_of_a_job(tmp_path, title, cgroup):
    proc = Proc(tmp_path)
    proc.add(40, title, cgroup)
    assert proc.alive("17") == set()


def test_nobody_else_can_call_himself_slurmstepd(tmp_path):
    proc = Proc(tmp_path)
    proc.add(40, "slurmstepd: [17.batch]")
    proc.processes = Processes(tmp_path, os.getuid() + 1)
    assert proc.alive("17") == set()


def test_a_process_that_ends_is_noticed_at_once_and_another_one_found(tmp_path):
    proc = Proc(tmp_path)
    proc.add(40, "slurmstepd: [17.batch]")
    proc.add(41, "slurmstepd: [17.0]")
    assert proc.alive("17") == {"17"}
    known = proc.processes._known["17"]
    proc.remove(known)
    assert proc.alive("17") == {"17"}
    proc.remove(81 - int(known))
    assert proc.alive("17") == set()


def test_all_processes_are_looked_through_every_five_seconds_at_most(tmp_path):
    proc = Proc(tmp_path)
    assert proc.alive("17") == set()
    proc.add(40, "slurmstepd: [17.batch]")
    proc.now_s = 4.9
    assert proc.alive("17") == set()
    proc.now_s = 5.0
    assert proc.alive("17") == {"17"}
