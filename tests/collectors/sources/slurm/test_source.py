"""The `slurm` source: what the hooks tell becomes rows of `jobs`, whatever is lost on the way."""

import json

import pytest

from tests.collectors.sources.slurm.answers import answer
from tests.collectors.sources.slurm.rig import T0_US, Rig, S
from tokenergy_collectors.base.clock import VirtualClock
from tokenergy_collectors.base.logs import Log
from tokenergy_collectors.base.schedule import Schedule
from tokenergy_collectors.sources.host import Host
from tokenergy_collectors.sources.plan import Plan
from tokenergy_collectors.sources.slurm.scontrol import AskError
from tokenergy_collectors.sources.slurm.settings import SlurmKeys
from tokenergy_collectors.sources.slurm.source import SlurmJobs


@pytest.fixture
def rig(tmp_path):
    return Rig(tmp_path)


def spans(rig):
    return sorted(
        (row["job_id"], row["device_id"], row["start_s"], row["end_s"]) for row in rig.jobs()
    )


def test_a_job_of_two_boards_from_prolog_to_epilog(tmp_path):
    rig = Rig(tmp_path, cluster="north")
    rig.scontrol.jobs["17"] = answer(gres="gpu:h100:2(IDX:0,3)")
    rig.hook("prolog", "17", "0,3", 0.25, user="ada", account="physics", partition="gpu")
    rig.run(5)
    # Slurm counts device files: 0 is /dev/nvidia0, which is NVML's board 1, and 3 is board 2.
    assert spans(rig) == [("17", "GPU-1", 0.25, None), ("17", "GPU-2", 0.25, None)]
    rig.hook("epilog", "17", "0,3", 6.5)
    rig.run(3)
    assert spans(rig) == [("17", "GPU-1", 0.25, 6.5), ("17", "GPU-2", 0.25, 6.5)]
    row = rig.jobs()[0]
    shown = ("scheduler", "user", "account", "name", "cluster", "method", "share_ppm")
    assert [row[name] for name in shown] == [
        "slurm",
        "ada",
        "physics",
        "train",
        "north",
        "hook",
        1_000_000,
    ]
    assert json.loads(row["labels"]) == {"partition": "gpu"}
    assert rig.told() == []
    assert {(row["device_id"], row["end_us"]) for row in rig.live} == {
        (device, T0_US + 6_500_000) for device in ("GPU-1", "GPU-2")
    }


def test_everything_is_read_at_each_edge_as_soon_as_it_is_known(rig):
    rig.scontrol.jobs["17"] = answer()
    rig.run(3)
    assert rig.edges == []
    rig.hook("prolog", "17", "1", 3.1)
    rig.run(4)
    # The folder is looked at twice a second; a name that Slurm tells is no edge of a job.
    assert len(rig.edges) == 1
    assert 3.1 <= (rig.edges[0] - T0_US) / S <= 3.9
    rig.hook("epilog", "17", "1", 7.2)
    rig.run(3)
    assert len(rig.edges) == 2
    assert 7.2 <= (rig.edges[1] - T0_US) / S <= 8.0


@pytest.mark.parametrize(
    ("gres", "settings", "share_ppm", "label"),
    [
        ("shard:3(IDX:2)", {}, 750_000, "3/4 shard"),
        ("shard:1(IDX:2)", {"shards_per_board": 3}, 333_333, "1/3 shard"),
        ("shard:h100:2(0/4,0/4,2/4,0/4)", {}, 500_000, "2/4 shard"),
        ("mps:h100:25(IDX:2)", {}, 250_000, "25/100 mps"),
    ],
)
def test_shards_and_mps_are_shares(tmp_path, gres, settings, share_ppm, label):
    rig = Rig(tmp_path, **settings)
    rig.scontrol.gres = "gpu:h100:4,shard:h100:16,mps:h100:400"
    rig.scontrol.jobs["17"] = answer(gres=gres, job_gres="shard:3")
    rig.hook("prolog", "17", "2")
    rig.run(3)
    [row] = rig.jobs()
    assert (row["device_id"], row["share_ppm"]) == ("GPU-0", share_ppm)
    assert json.loads(row["labels"])["share"] == label


def test_a_short_job_has_its_name_and_share_although_it_is_over(rig):
    rig.scontrol.jobs["17"] = answer(state="COMPLETED", gres="", job_gres="shard:2")
    rig.hook("prolog", "17", "2", 0.1)
    rig.hook("epilog", "17", "2", 0.2)
    rig.run(3)
    [row] = rig.jobs()
    assert (row["name"], row["share_ppm"], row["end_s"]) == ("train", 500_000, 0.2)


def test_an_answer_about_a_later_start_tells_no_boards_of_this_one(rig):
    gres = "shard:1(IDX:3)"
    rig.scontrol.jobs["17"] = answer(restarts=1, gres=gres, job_gres="shard:2")
    rig.hook("prolog", "17", "1", restart="0")
    rig.run(3)
    [row] = rig.jobs()
    assert (row["device_id"], row["share_ppm"]) == ("GPU-3", 500_000)


def test_without_an_answer_a_share_is_assumed_and_asked_for_again(rig):
    rig.scontrol.fails = AskError("scontrol: no answer within 5 s")
    rig.hook("prolog", "17", "2")
    rig.run(3)
    [row] = rig.jobs()
    assert (row["name"], row["share_ppm"], row["labels"]) == (
        None,
        1_000_000,
        '{"share": "assumed"}',
    )
    assert rig.health["slurm/jobs"].succeeded is False
    assert rig.health["slurm"].succeeded is True
    asked = len(rig.scontrol.asked)
    rig.run(60)
    assert asked < len(rig.scontrol.asked) < asked + 12  # less and less often
    rig.scontrol.fails = None
    rig.scontrol.jobs["17"] = answer(gres="shard:1(IDX:2)")
    rig.run(90)
    [row] = rig.jobs()
    assert (row["name"], row["share_ppm"]) == ("train", 250_000)


def test_an_answer_that_cannot_be_read_is_told_once_and_costs_no_other_job(rig):
    rig.scontrol.jobs["17"] = "JobId=17 JobName=x\n   of a newer Slurm\n"
    rig.scontrol.jobs["18"] = answer("18")
    rig.hook("prolog", "17", "0")
    rig.hook("prolog", "18", "1")
    rig.run(30)
    assert [(row["job_id"], row["name"]) for row in rig.jobs()] == [("17", None), ("18", "train")]
    [text] = rig.told()
    assert "what scontrol show job says of job 17 cannot be read" in text
    assert rig.health["slurm/jobs"].succeeded is True


def test_an_array_task_has_the_arrays_id_in_its_name(rig):
    rig.scontrol.jobs["18"] = answer("18", array="ArrayJobId=17 ArrayTaskId=3 ")
    rig.hook("prolog", "18", "0", array_job="17", array_task="3")
    rig.run(2)
    [row] = rig.jobs()
    assert (row["job_id"], row["name"]) == ("18", "train 17_3")
    assert json.loads(row["labels"]) == {"array": "17_3", "array_job": "17", "array_task": "3"}


def test_a_requeued_job_is_another_allocation_of_the_same_job(rig):
    rig.scontrol.jobs["17"] = answer()
    rig.hook("prolog", "17", "1", 0.0, restart="0")
    rig.run(2)
    # As Slurm 22.05 tells it: the epilog of the first start has the number of the second.
    rig.hook("epilog", "17", "1", 2.5, restart="1")
    rig.scontrol.jobs["17"] = answer(restarts=1)
    rig.hook("prolog", "17", "0", 5.0, restart="1")
    rig.run(5)
    assert spans(rig) == [("17", "GPU-1", 5.0, None), ("17", "GPU-3", 0.0, 2.5)]
    assert len({row["allocation_id"] for row in rig.jobs()}) == 2


def test_a_suspended_job_keeps_its_boards(rig):
    rig.processes.jobs = {"17"}
    rig.scontrol.jobs["17"] = answer(state="SUSPENDED")
    rig.hook("prolog", "17", "1")
    rig.run(200)
    assert spans(rig) == [("17", "GPU-3", 0.0, None)]


def test_jobs_without_boards_and_their_epilogs_are_not_recorded(rig):
    rig.hook("prolog", "17")
    rig.hook("epilog", "17", at_s=1)
    rig.run(3)
    assert (rig.jobs(), rig.told(), rig.scontrol.asked) == ([], [], [])


def test_a_start_without_a_prolog_is_asked_for(rig):
    # Slurm 22.05 runs no prolog if a job starts again on a node within two minutes.
    rig.scontrol.jobs["17"] = answer()
    rig.hook("prolog", "17", "1", -0.5)
    rig.hook("epilog", "17", "1", -0.25, restart="1")
    rig.run(2)
    done = answer(state="COMPLETED", restarts=1, gres="", end="2026-01-15T08:00:05")
    rig.scontrol.jobs["17"] = done
    for _ in range(2):  # the second one tells nothing new
        rig.hook("epilog", "17", "1", 5.25, restart="1")
        rig.run(3)
    assert spans(rig) == [("17", "GPU-3", -0.5, -0.25), ("17", "GPU-3", 1.5, 5.25)]
    last = max(rig.jobs(), key=lambda row: row["start_us"])
    assert (last["name"], json.loads(last["labels"])) == (
        "train",
        {"restart": 1, "start": "scontrol"},
    )
    assert rig.told() == []
    rig.hook("epilog", "17", "1", 15.3, restart="1")  # a second one of the same start
    rig.run(3)
    assert spans(rig) == [("17", "GPU-3", -0.5, -0.25), ("17", "GPU-3", 1.5, 5.25)]
    assert rig.told() == []


def test_a_start_that_is_yet_to_come_is_not_that_of_an_epilog(rig):
    rig.scontrol.jobs["17"] = answer(state="PENDING", restarts=1)
    rig.hook("epilog", "17", "1", 0.5, restart="1")
    rig.run(3)
    assert spans(rig) == []
    assert "no prolog told its start" in rig.told()[0]


def test_an_epilog_without_its_prolog_is_told(rig):
    rig.hook("epilog", "17", "1")
    rig.run(3)
    [text] = rig.told()
    assert "job 17 ended on boards 1, and no prolog told its start" in text


def test_a_board_that_is_not_there_is_told_and_costs_no_other_job(rig):
    rig.hook("prolog", "17", "9")
    rig.hook("prolog", "18", "0")
    rig.run(3)
    assert [row["job_id"] for row in rig.jobs()] == ["18"]
    [text] = rig.told()
    assert "job 17: board 9 of 4" in text


def test_boards_are_those_of_gres_conf_if_it_is_told(tmp_path):
    rig = Rig(tmp_path, device_files="/dev/nvidia[2,3]")
    rig.hook("prolog", "17", "0")
    rig.run(2)
    assert spans(rig) == [("17", "GPU-0", 0.0, None)]


def test_a_job_on_several_nodes_is_marked_for_the_live_view(rig):
    rig.hook("prolog", "17", "0", nodes="2")
    rig.hook("prolog", "18", "1", nodes="1")
    rig.run(2)
    assert rig.spread == {"17"}


def test_a_missing_folder_is_a_failure_until_it_is_there(rig):
    rig.folder.rmdir()
    rig.run(2)
    assert rig.health["slurm"].succeeded is False
    rig.folder.mkdir()
    rig.hook("prolog", "17", "0", 2.0)
    rig.run(2)
    assert rig.health["slurm"].succeeded is True
    assert len(rig.jobs()) == 1


def test_without_a_folder_or_on_an_emulated_node_nothing_is_planned(tmp_path):
    emulated = Host("n1", VirtualClock(T0_US), Log("text"), emulated=True)
    for keys, host in (
        (SlurmKeys(), Host("n1", VirtualClock(T0_US), Log("text"))),
        (SlurmKeys.model_validate({"slurm": {"spool": str(tmp_path)}}), emulated),
    ):
        plan = Plan(Schedule(host.clock), host)
        source = SlurmJobs(keys, host)
        source.begin()
        source.plan(plan)
        assert plan.readers == []
