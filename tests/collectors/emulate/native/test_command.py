"""`tokenergy-collect emulate` as a user runs it: environment, exit codes, end, truth."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request

import pytest

from tests.support.emulated import SMALL, Walk
from tests.support.feeding import COMMAND, Feeding
from tokenergy_collectors.emulate.profile.profile import load_profile
from tokenergy_collectors.emulate.run.early_end import shorten, write_truth_until

pytestmark = pytest.mark.usefixtures("library")

READ = """
import pynvml
pynvml.nvmlInit()
handle = pynvml.nvmlDeviceGetHandleByIndex(2)
print(pynvml.nvmlDeviceGetName(handle), pynvml.nvmlDeviceGetPowerUsage(handle))
"""


@pytest.fixture
def profile(tmp_path):
    path = tmp_path / "small.toml"
    path.write_text(
        SMALL.replace("start_s = 5\n", "start_s = 0\n").replace("load_s = 4", "load_s = 0")
    )
    return path


def emulate(profile, *words):
    return subprocess.run(
        [*COMMAND, str(profile), *map(str, words)], capture_output=True, text=True, timeout=60
    )


def test_a_command_runs_on_the_boards_and_its_exit_code_is_ours(profile, tmp_path):
    state = tmp_path / "boards"
    done = emulate(profile, "--state", state, "--", sys.executable, "-c", READ)
    assert done.returncode == 0, done.stderr
    name, _, mw = done.stdout.strip().rpartition(" ")
    assert name == "NVIDIA H100 80GB HBM3"
    assert 50_000 < int(mw) < 800_000
    assert not state.exists()
    assert emulate(profile, "--", "sh", "-c", "exit 7").returncode == 7
    assert emulate(profile, "--", "sh", "-c", "kill -KILL $$").returncode == 128 + signal.SIGKILL


def test_what_cannot_be_run_is_one_line(profile):
    done = emulate(profile, "--", "/no/such/program")
    assert done.returncode == 2
    assert done.stderr == "error: /no/such/program: cannot be run: No such file or directory\n"


def test_the_command_is_ended_when_the_time_is_over(profile):
    done = emulate(profile, "--duration", "1s", "--", "sleep", "60")
    assert done.returncode == 128 + signal.SIGTERM


def test_the_environment_is_printed_and_the_file_is_gone_after_sigterm(profile, tmp_path):
    with Feeding(profile, tmp_path) as fed:
        assert fed.lines[0] == "# 4 boards of 'n1' in 'small', in real time"
        assert fed.lines[-1] == f"export TOKENERGY_EMULATED_NVML={fed.state}"
        assert fed.script(READ).startswith("NVIDIA H100")
        line = fed.process.stdout.readline()
        assert line.startswith("# tokens of job chat, model m-8b: http://127.0.0.1:")
        url = line.split()[-1]
        with urllib.request.urlopen(url) as answer:
            assert b"vllm:generation_tokens_total" in answer.read()
        fed.process.send_signal(signal.SIGTERM)
        fed.process.communicate(timeout=30)
        assert fed.process.returncode == 0
        assert not fed.state.exists()


def test_a_feeder_that_is_killed_leaves_lost_boards(profile, tmp_path):
    """The lease runs out: a reader gets an error, and never a value that stands still."""
    watch = (
        "import pynvml, time\n"
        "pynvml.nvmlInit()\n"
        "handle = pynvml.nvmlDeviceGetHandleByIndex(2)\n"
        "print('ready', flush=True)\n"
        "try:\n"
        "    while True:\n"
        "        pynvml.nvmlDeviceGetTotalEnergyConsumption(handle)\n"
        "        time.sleep(0.05)\n"
        "except pynvml.NVMLError as error:\n"
        "    print(error.value)\n"
    )
    with Feeding(profile, tmp_path) as fed:
        reader = subprocess.Popen(
            [sys.executable, "-c", watch], env=fed.environment, stdout=subprocess.PIPE, text=True
        )
        assert reader.stdout.readline() == "ready\n"
        fed.process.kill()
        out, _ = reader.communicate(timeout=30)
        assert out == "15\n"
        assert fed.state.exists()
        again = [*COMMAND, str(profile), "--state", str(fed.state), "--", "true"]
        assert subprocess.run(again, timeout=60).returncode == 0
        assert not fed.state.exists()


def test_the_truth_of_a_run_that_ended_early(profile, tmp_path):
    path = tmp_path / "truth.json"
    before_us = time.time_ns() // 1000
    done = emulate(profile, "--duration", "2s", "--truth", path)
    assert done.returncode == 0, done.stderr
    found = json.loads(path.read_text())
    assert (found["node"], found["duration_us"]) == ("n1", 2_000_000)
    assert before_us <= found["start_us"] <= time.time_ns() // 1000
    walk = Walk(load_profile(profile))
    expected = [b.tables(0, 10_000_000) for b in walk.node.boards]
    boards = [row["energy_nj"] for row in found["rows"] if row["row"] == "board"]
    assert boards == [int(table.energy_nj[400]) for table in expected]
    jobs = {row["job_id"] for row in found["rows"] if row["row"] == "allocation"}
    assert jobs == {"chat"}  # the others begin later


def test_a_shortened_profile_is_the_beginning_of_the_whole_one(tmp_path):
    whole, short = Walk(), Walk(shorten(load_profile_text(tmp_path), 20_000_000))
    tables = [[board.tables(0, 10_000_000) for board in w.node.boards] for w in (whole, short)]
    for a, b in zip(*tables, strict=True):
        assert a.energy_nj.tolist() == b.energy_nj.tolist()
    write_truth_until(whole.node, 20_000_000, tmp_path / "t.json")
    rows = json.loads((tmp_path / "t.json").read_text())["rows"]
    ends = {row["end_us"] - whole.node.start_us for row in rows if row["row"] != "tokens"}
    assert ends == {20_000_000}
    tokens = {row["job_id"]: row for row in rows if row["row"] == "tokens"}
    assert tokens["chat"]["generated"] > 0


def load_profile_text(tmp_path):
    path = tmp_path / "small.toml"
    path.write_text(SMALL)
    return load_profile(path)


def test_without_a_folder_it_makes_one_of_its_own(profile, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    done = emulate(profile, "--", "sh", "-c", "ls -l $TOKENERGY_EMULATED_NVML")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("-rw-------")
    assert f"{tmp_path}/tokenergy-" in done.stdout
    assert [path.name for path in tmp_path.iterdir()] == ["small.toml"]
    assert "TOKENERGY_EMULATED_NVML" not in os.environ
