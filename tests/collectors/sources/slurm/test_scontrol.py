"""What Slurm says of a job: shares, names, ends; and text of users that looks like an answer."""

from fractions import Fraction

import pytest

from tests.collectors.sources.slurm.answers import Scontrol, answer
from tokenergy_collectors.sources.slurm.scontrol import (
    AskError,
    Part,
    UnreadableError,
    ask_job,
    ask_per_board,
    parse_job,
    run_command,
)

END_S = 1_768_467_601


def parse(**changed):
    return parse_job(answer(**changed), "17", "n1")


def test_a_job_of_whole_boards():
    facts = parse(array="ArrayJobId=16 ArrayTaskId=3 ")
    assert (facts.name, facts.array, facts.over, facts.end_s) == ("train", "16_3", False, None)
    assert (facts.told, facts.parts, facts.shared) == (True, {}, None)
    assert facts.part(1, 1) is None


@pytest.mark.parametrize(
    ("gres", "parts"),
    [
        ("shard:3(IDX:2)", {2: Part("shard", Fraction(3), None)}),
        ("shard:h100:4(IDX:0-1)", {p: Part("shard", Fraction(2), None) for p in (0, 1)}),
        ("mps:a100:50(IDX:3)", {3: Part("mps", Fraction(50), None)}),
        ("gpu:h100:1(IDX:0),shard:1(IDX:2)", {2: Part("shard", Fraction(1), None)}),
        ("shard:h100:3(0/4,1/4,2/4,0/4)", {p: Part("shard", Fraction(p), 4) for p in (1, 2)}),
    ],
)
def test_parts_of_boards(gres, parts):
    facts = parse(gres=gres, job_gres="shard:3")
    assert (facts.told, facts.parts) == (True, parts)


def test_an_ended_job_tells_its_end_and_what_it_asked_for():
    facts = parse(state="COMPLETED", end="2026-01-15T09:00:01", gres="", job_gres="shard:h100:3")
    assert (facts.over, facts.end_s, facts.told) == (True, END_S, False)
    assert facts.part(2, 1) == Part("shard", Fraction(3), None)
    assert facts.part(2, 2) == Part("shard", Fraction(3, 2), None)  # equal parts
    assert parse(gres="", job_gres="shard:3", nodes=2).part(2, 1) is None
    assert parse(state="CANCELLED", end="Unknown").end_s is None


@pytest.mark.parametrize("state", ["RUNNING", "SUSPENDED", "COMPLETING", "CONFIGURING"])
def test_states_in_which_boards_are_held(state):
    assert parse(state=state).over is False


@pytest.mark.parametrize("state", ["FAILED", "PENDING", "NODE_FAIL", "TIMEOUT", "PREEMPTED"])
def test_states_in_which_they_are_not(state):
    assert parse(state=state).over is True


@pytest.mark.parametrize(
    "line",
    [
        "   StartTime=2026-01-15T08:00:01 EndTime=2026-01-15T08:00:02 Deadline=N/A",
        "   JobState=COMPLETED Reason=None Dependency=(null)",
        "   Requeue=1 Restarts=7 BatchFlag=1 Reboot=0 ExitCode=0:0",
        "JobId=17 JobName=other",
    ],
)
@pytest.mark.parametrize("where", ["name", "comment"])
def test_a_name_that_looks_like_an_answer_is_none(line, where):
    with pytest.raises(AskError, match="job 17 cannot be read"):
        parse(**{where: f"x\n{line}"})


def test_a_name_cannot_take_more_of_a_board():
    line = "     Nodes=n1 CPU_IDs=1 Mem=0 GRES=gpu:h100:1(IDX:1)"
    facts = parse(gres="shard:1(IDX:1)", job_gres="shard:1", name=f"x\n{line}")
    assert (facts.told, facts.part(1, 1)) == (False, Part("shard", Fraction(1), None))


def test_of_an_array_all_tasks_are_told_under_the_id_of_one():
    tasks = [
        answer(job, array=f"ArrayJobId=17 ArrayTaskId={n} ", gres=f"shard:1(IDX:{n})")
        for n, job in enumerate(("18", "17", "171"))
    ]
    facts = parse_job("\n".join(tasks), "17", "n1")
    assert (facts.array, list(facts.parts)) == ("17_1", [1])


def test_a_whole_record_in_a_name_is_none():
    with pytest.raises(UnreadableError):
        parse(name="x\n" + answer("18"))
    with pytest.raises(UnreadableError):
        parse(comment="\n" + answer("17", gres="shard:1(IDX:1)"))


def test_the_answer_for_another_job_is_none():
    with pytest.raises(AskError, match="cannot be read"):
        parse_job(answer("18"), "17", "n1")


@pytest.mark.parametrize(
    ("nodes", "node", "told"),
    [("gpu[01-04,09]", "gpu03", True), ("gpu[01-04,09]", "gpu05", False), ("n1", "n2", False)],
)
def test_a_job_on_several_nodes_has_a_line_for_each_kind_of_them(nodes, node, told):
    text = answer(gres="shard:2(IDX:1)").replace("Nodes=n1 ", f"Nodes={nodes} ")
    assert parse_job(text, "17", node).told is told


def test_a_forgotten_job_and_a_silent_slurm_differ():
    scontrol = Scontrol()
    assert ask_job("scontrol", "9", "n1", scontrol) is None
    with pytest.raises(AskError, match="Unable to contact"):
        ask_job("scontrol", "9", "n1", lambda words: (1, "Unable to contact slurm controller"))
    assert ask_per_board("scontrol", "n1", scontrol) == {"shard": 4}
    with pytest.raises(AskError, match="show node"):
        ask_per_board("scontrol", "n1", lambda words: (1, "Node n1 not found"))
    with pytest.raises(AskError, match="/nonexistent: No such file"):
        run_command(["/nonexistent", "show"])


@pytest.mark.parametrize(
    ("gres", "units"),
    [
        ("gpu:4", {}),
        ("gpu:a:2,gpu:b:2,shard:a:4,shard:b:4", {"shard": 2}),
        ("gpu:h100:4(S:0-1),mps:h100:400", {"mps": 100}),
        ("shard:8", {}),
    ],
)
def test_units_of_a_board(gres, units):
    assert ask_per_board("scontrol", "n1", Scontrol(gres)) == units


def test_commands_run_with_times_in_utc():
    assert run_command(["sh", "-c", "echo $TZ $SLURM_TIME_FORMAT; exit 3"]) == (
        3,
        "UTC0 standard\n",
    )
