"""What `tokenergy-collect check` says about Slurm."""

import os

import pytest

from tests.collectors.sources.slurm.rig import Rig
from tokenergy_collectors.sources.slurm.findings import findings
from tokenergy_collectors.sources.slurm.scontrol import AskError
from tokenergy_collectors.sources.slurm.settings import Slurm

CONFIG = """\
Configuration data as of 2026-01-15T08:00:00
ClusterName             = north
Epilog                  = /etc/slurm/tokenergy-hook.sh
EpilogSlurmctld         = (null)
Prolog                  = /etc/slurm/tokenergy-hook.sh
PrologSlurmctld         = (null)
"""


def check(rig, config=CONFIG, status=0, **changed):
    settings = rig.keys.slurm.model_copy(update=changed)
    return [
        (one.level, one.text)
        for one in findings(settings, rig.host, lambda words: (status, config))
    ]


@pytest.fixture
def rig(tmp_path):
    return Rig(tmp_path, cluster="north")


def test_all_is_well_and_the_last_event_is_told(rig):
    rig.hook("prolog", "17", "0", 1)
    rig.hook("epilog", "17", "0,2", 61)
    [(level, text)] = check(rig)
    assert level == "ok"
    assert "last event: epilog of job 17, boards 0,2, 2026-01-15 08:01:01 UTC; 2 files" in text


def test_a_folder_without_files_may_be_well(rig):
    [(level, text)] = check(rig)
    assert (level, "run a job to try the hooks" in text) == ("ok", True)


def test_a_folder_that_is_not_there(rig):
    rig.folder.rmdir()
    [(level, text)] = check(rig)
    assert (level, text) == (
        "FAIL",
        f"{rig.folder}: No such file or directory; docs/slurm.md says how to make it",
    )


def test_a_folder_that_is_not_writable(rig, monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, mode: mode & os.W_OK == 0)
    assert ("warn", True) in [(level, "not writable" in text) for level, text in check(rig)]


@pytest.mark.parametrize(
    ("config", "level", "words"),
    [
        (
            CONFIG.replace("Prolog                  = /etc/slurm/tokenergy-hook.sh", ""),
            "FAIL",
            "no Prolog",
        ),
        (
            CONFIG.replace(
                "Epilog                  = /etc/slurm/tokenergy-hook.sh", "Epilog = (null)"
            ),
            "FAIL",
            "no Epilog",
        ),
        (
            CONFIG.replace(
                "Epilog                  = /etc/slurm/tokenergy-hook.sh", "Epilog[0] = /site/epilog"
            ),
            "ok",
            "Epilog is /site/epilog",
        ),
        (CONFIG.replace("= north", "= south"), "warn", "the cluster is 'south'"),
    ],
)
def test_what_slurm_conf_lacks(rig, config, level, words):
    found = check(rig, config)
    assert (level, True) in [(one, words in text) for one, text in found]
    assert len(found) == 2


def test_slurm_that_does_not_answer(rig):
    def run(words):
        raise AskError("scontrol: No such file or directory")

    found = list(findings(rig.keys.slurm, rig.host, run))
    assert [one.level for one in found] == ["ok", "warn"]
    assert "a shard counts as a whole board" in found[1].text
    assert len(check(rig, "slurm_load_ctl_conf error", status=1)) == 2
    assert len(check(rig, scontrol="")) == 1


def test_a_half_file_and_garbage_are_told(rig):
    (rig.folder / "1.event").write_text("tokenergy-slurm-1\tevent=")
    assert check(rig)[0] == ("warn", "1.event: its line is not whole")
    (rig.folder / "2.event").write_text("x\n")
    assert check(rig)[0][0] == "warn"


def test_boards_without_a_minor_number(rig):
    rig.host.boards[1].minor = None
    assert ("warn", True) in [(level, "device_files" in text) for level, text in check(rig)]
    assert len(check(rig, device_files="/dev/nvidia[0-3]")) == 1


def test_without_a_folder_or_on_an_emulated_node_nothing_is_checked(rig):
    assert list(findings(Slurm(), rig.host)) == []
    rig.host.emulated = True
    assert check(rig) == [("ok", "not read on an emulated node")]
