"""`deploy/slurm/tokenergy-hook.sh`: one whole line in one new file, and never a failed job."""

import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from tokenergy_collectors.sources.slurm.hookfile import read_events

HOOK = Path(__file__).parents[4] / "deploy/slurm/tokenergy-hook.sh"
PROLOG = {
    "SLURM_SCRIPT_CONTEXT": "prolog_slurmd",
    "SLURM_JOB_ID": "17",
    "SLURM_JOB_GPUS": "0,2-3",
    "SLURM_JOB_RESTART_COUNT": "1",
    "SLURM_JOB_USER": "ada",
    "SLURM_JOB_UID": "1001",
    "SLURM_JOB_ACCOUNT": "physics",
    "SLURM_JOB_NUM_NODES": "2",
    "SLURM_JOB_PARTITION": "gpu",
    "SLURM_CLUSTER_NAME": "north",
    "SLURMD_NODENAME": "gpu-01",
    "CUDA_VISIBLE_DEVICES": "0,2,3",
}
SHELLS = [shell for shell in ("dash", "bash", "busybox") if shutil.which(shell)]


def hook(spool, shell="dash", **changed):
    """Run the hook as slurmd does: with nothing of the user's environment."""
    variables = {**PROLOG, "TOKENERGY_SLURM_SPOOL": str(spool), **changed}
    command = {"bash": ["bash", "--posix"], "busybox": ["busybox", "sh"]}.get(shell, [shell])
    return subprocess.run(
        [*command, HOOK],
        env={name: value for name, value in variables.items() if value is not None},
        capture_output=True,
        text=True,
        check=False,
        timeout=20,
    )


def events(spool):
    found = [read_events(path) for path in sorted(spool.iterdir())]
    assert all(file.whole and not file.bad for file in found)
    return [event for file in found for event in file.events]


@pytest.mark.parametrize("shell", SHELLS)
def test_a_prolog_is_one_line_that_the_collector_reads(tmp_path, shell):
    before_us = time.time_ns() // 1_000
    done = hook(tmp_path, shell)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    [event] = events(tmp_path)
    assert (event.kind, event.job_id, event.restart) == ("prolog", "17", 1)
    assert (event.gpus, event.visible) == ("0,2-3", "0,2,3")
    assert before_us <= event.wall_us <= time.time_ns() // 1_000
    assert {name: event.fields[name] for name in ("user", "uid", "account", "partition")} == {
        "user": "ada",
        "uid": "1001",
        "account": "physics",
        "partition": "gpu",
    }
    assert (event.fields["nodes"], event.fields["node"]) == ("2", "gpu-01")


def test_names_of_users_cannot_add_fields_or_lines(tmp_path):
    hook(tmp_path, SLURM_JOB_NAME="a\tjob=9\nevent=epilog\x1b[0m%s$(id)`id`", SLURM_JOB_USER="")
    [event] = events(tmp_path)
    assert event.job_id == "17"
    assert event.fields["name"] == "a job=9 event=epilog [0m%s$(id)`id`"
    assert "user" not in event.fields


def test_an_epilog_is_told_too_and_files_are_for_the_group_alone(tmp_path):
    hook(tmp_path)
    hook(tmp_path, SLURM_SCRIPT_CONTEXT="epilog_slurmd")
    assert [event.kind for event in events(tmp_path)] == ["prolog", "epilog"]
    assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o640}


@pytest.mark.parametrize(
    "changed",
    [
        {"SLURM_JOB_ID": "../../etc/x"},
        {"SLURM_JOB_ID": None},
        {"SLURM_SCRIPT_CONTEXT": "task_prolog"},
        {"SLURM_SCRIPT_CONTEXT": None},
        {"TOKENERGY_SLURM_SPOOL": "/nonexistent/spool"},
        {"TOKENERGY_SLURM_SPOOL": "/proc"},
    ],
)
def test_whatever_happens_the_job_goes_on(tmp_path, changed):
    done = hook(tmp_path, **changed)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert list(tmp_path.iterdir()) == []


def test_a_hook_that_hangs_is_over_in_seconds(tmp_path):
    # `date` never answers: what hangs in a real host is the disk, which a test cannot make hang.
    tools, spool = tmp_path / "bin", tmp_path / "spool"
    tools.mkdir()
    spool.mkdir()
    (tools / "date").write_text("#!/bin/sh\nexec sleep 100\n")
    (tools / "date").chmod(0o755)
    began_s = time.monotonic()
    done = hook(spool, PATH=f"{tools}:{os.defpath}")
    assert done.returncode == 0
    assert time.monotonic() - began_s < 10
    assert list(spool.iterdir()) == []


def test_a_file_that_is_there_is_never_written(tmp_path):
    # The name holds the time and the process: only a folder that somebody else writes has it.
    tools, spool, secret = tmp_path / "bin", tmp_path / "spool", tmp_path / "secret"
    tools.mkdir()
    spool.mkdir()
    secret.write_text("kept")
    (tools / "date").write_text(
        f"#!/bin/sh\nln -s {secret} {spool}/1.5-17-prolog-$PPID.event\necho 1.5\n"
    )
    (tools / "date").chmod(0o755)
    done = hook(spool, PATH=f"{tools}:{os.defpath}")
    assert done.returncode == 0
    assert secret.read_text() == "kept"
    assert [path.is_symlink() for path in spool.iterdir()] == [True]
