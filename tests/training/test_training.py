"""Real trainers with our callbacks, killed and resumed: their tokens are those they trained on.

Each job runs twice: it is killed between two checkpoints, and goes on from the last one. What was
done again counts again, as its energy does; what the checkpoint had counted does not.
"""

from __future__ import annotations

import csv
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.support.feeding import Feeding
from tokenergy_collectors import report
from tokenergy_collectors.lake import Lake

HERE = Path(__file__).parent
PYTHON = Path(__file__).parents[2] / ".venv-torch" / "bin" / "python"
COLLECTORS = Path(report.__file__).parents[2]
KILL_AT = 25
LIMIT_S = 300

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(not PYTHON.exists(), reason="no torch: run `make e2e-training`"),
    pytest.mark.skipif(shutil.which("gcc") is None, reason="needs gcc: it compiles the boards"),
]

JOBS: dict[str, list[str]] = {
    # Job: its loop, what the trainer counts, seconds between two reports. 0: each step is told.
    "hf": ["huggingface_loop.py", "non_padding", "0"],
    "hf-padded": ["huggingface_loop.py", "all", "1"],
    "lightning": ["lightning_loop.py", "0"],
}
PADDED = ("hf-padded",)
PROFILE = """
name = "training"
start = 2026-01-15T08:00:00Z
duration_s = 900
seed = 11

[nodes.n1]
boards = "h100"
count = 3

[[jobs]]
id = "load"
devices = { n1 = [0, 1, 2] }
start_s = 1
end_s = 900
workload = { type = "periodic", model = "m", frequency_hz = 0.2, high_w = 500 }
"""
CONFIG = """
lake = "{folder}/lake"
node = "n1"

[reports]
socket = "{folder}/t.sock"
"""


@dataclass
class Done:
    """What the loops trained on, and what the product says."""

    trained: dict[str, int]
    index: dict[str, dict[str, Any]]
    sessions: dict[str, set[str]]
    ends: list[list[int]] = field(default_factory=list)


@pytest.fixture(scope="module")
def done() -> Iterator[Done]:
    # Not pytest's own folder: its path is too long for a socket.
    folder = Path(tempfile.mkdtemp(prefix="te-train-"))
    try:
        yield run_everything(folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def run_everything(folder: Path) -> Done:
    """Train all jobs beside a daemon, twice, and derive the index."""
    profile, config, jobs = (folder / name for name in ("p.toml", "collect.toml", "jobs.csv"))
    profile.write_text(PROFILE)
    config.write_text(CONFIG.format(folder=folder))
    collect = [sys.executable, "-m", "tokenergy_collectors"]
    with Feeding(profile, folder) as fed:
        daemon = subprocess.Popen([*collect, "run", "--config", config], env=fed.environment)
        try:
            while not (folder / "t.sock").exists():
                assert daemon.poll() is None, "the daemon ended"
                time.sleep(0.05)
            start_s = time.time()
            ends = [train(folder, kill_at) for kill_at in (KILL_AT, 0)]
            end_s = time.time()
        finally:
            daemon.send_signal(signal.SIGTERM)
            assert daemon.wait(60) == 0
        write_jobs(jobs, start_s, end_s)
        fed.run(*collect, "import", "jobs", jobs, "--lake", folder / "lake")
    tokenergy = Path(sys.executable).parent / "tokenergy"
    for command in ("aggregate", "index", "check"):
        subprocess.run([tokenergy, command, "--lake", folder / "lake"], check=True)
    lake = Lake(folder / "lake")
    index = {row["job_id"]: row for row in lake.read("job_index").to_pylist()}
    sessions: dict[str, set[str]] = {job: set() for job in JOBS}
    for row in lake.read("tokens").to_pylist():
        sessions[row["job_id"]].add(row["series"])
    return Done({job: booked(folder, job) for job in JOBS}, index, sessions, ends)


def train(folder: Path, kill_at: int) -> list[int]:
    """Run the loops of all jobs at once; return how they ended."""
    environment = os.environ | {
        "PYTHONPATH": str(COLLECTORS),
        report.SOCKET_VARIABLE: str(folder / "t.sock"),
        "HF_HUB_OFFLINE": "1",
        "OMP_NUM_THREADS": "1",
    }
    # A rank or a job of the machine on which this test runs is not the loop's.
    for name in ("RANK", "SLURM_PROCID", "SLURM_JOB_ID"):
        environment.pop(name, None)
    running = []
    for job, (script, *rest) in JOBS.items():
        log = (folder / f"{job}.log").open("ab")
        words = [str(PYTHON), str(HERE / script), str(folder), job, *rest, str(kill_at)]
        with log:
            running.append(subprocess.Popen(words, env=environment, stdout=log, stderr=log))
    return [one.wait(LIMIT_S) for one in running]


def booked(folder: Path, job: str) -> int:
    """Return the tokens of the book that the model itself wrote."""
    lines = (folder / f"{job}.book").read_text().splitlines()
    return sum(int(line.split()[job in PADDED]) for line in lines)


def write_jobs(path: Path, start_s: float, end_s: float) -> None:
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["job_id", "node", "device", "start", "end"])
        for board, job in enumerate(JOBS):
            writer.writerow([job, "n1", board, f"{start_s:.6f}", f"{end_s:.6f}"])


def test_each_was_killed_and_went_on_to_its_end(done: Done) -> None:
    assert done.ends == [[-signal.SIGKILL] * len(JOBS), [0] * len(JOBS)]
    assert {job: len(found) for job, found in done.sessions.items()} == dict.fromkeys(JOBS, 2)


@pytest.mark.parametrize("job", ["hf", "lightning"])
def test_tokens_are_those_that_were_trained_on(done: Done, job: str) -> None:
    row = done.index[job]
    print(f"{job}: trained {done.trained[job]}, counted {row['n_trained']}")
    assert row["n_trained"] == done.trained[job]


def test_bounds_hold_what_was_not_reported_before_the_kill(done: Done) -> None:
    """With a report a second the last one is older than the kill: its tokens are in the bounds."""
    [job] = PADDED
    row = done.index[job]
    print(
        f"{job}: trained {done.trained[job]}, counted {row['n_trained']} "
        f"[{row['n_low']}, {row['n_high']}]"
    )
    assert row["n_trained"] <= done.trained[job]
    assert row["n_low"] <= done.trained[job] <= row["n_high"]
