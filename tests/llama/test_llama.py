"""A real llama.cpp server on an emulated board: its tokens, and the energy of each.

The server has counted more than a million tokens before: from there on it prints six digits, so its
counter moves in steps of ten. The board's true energy is known to the nanojoule.
"""

from __future__ import annotations

import csv
import http.client
import json
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest

from tests.support.feeding import Feeding, true_energy_j
from tokenergy_collectors.lake import Lake

pytestmark = pytest.mark.e2e

HERE = Path(__file__).parent
PYTHON = Path(__file__).parents[2] / ".venv" / "llama" / "bin" / "python"
BEFORE = 1_000_000
WORK_S = 20
PROFILE = """
name = "llama"
start = 2026-01-15T08:00:00Z
duration_s = 1800
seed = 11

[boards.h100]
name = "NVIDIA H100 80GB HBM3"
idle_w = 80
limit_w = 700

[nodes.n1]
boards = "h100"
count = 1

[[jobs]]
id = "load"
devices = { n1 = [0] }
start_s = 0
end_s = 1799
workload = { type = "training", model = "m", tokens_per_step = 1000, load_s = 1 }
"""


class Llama:
    """A llama.cpp server in a process of its own; `sent` are the tokens that its answers name."""

    def __init__(self, folder: Path) -> None:
        model = folder / "tiny.gguf"
        subprocess.run([PYTHON, HERE / "model.py", model], check=True)
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self.process = subprocess.Popen(
            [PYTHON, HERE / "server.py", model, str(self.port)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        )  # fmt: skip
        assert self.process.stdout is not None
        assert self.process.stdout.readline(), "the server ended"
        self.sent = {"prompt_tokens": 0, "completion_tokens": 0}
        self._lock = threading.Lock()

    def close(self) -> None:
        self.process.communicate("", timeout=60)

    def metric(self, name: str) -> str:
        """Return a number of the server's page as it is printed."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/metrics") as page:
            found = re.search(rf"^{name} (\S+)$", page.read().decode(), re.MULTILINE)
        assert found is not None
        return found[1]

    def ask(self, prompt: int, answer: int) -> None:
        """Send one request, and note what its answer counts."""
        body = {
            "prompt": [3 + n * 7 % 250 for n in range(prompt)], "max_tokens": answer,
            "ignore_eos": True, "cache_prompt": False,
        }  # fmt: skip
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=600)
        connection.request(
            "POST", "/v1/completions", json.dumps(body), {"Content-Type": "application/json"}
        )
        used = json.loads(connection.getresponse().read())["usage"]
        connection.close()
        with self._lock:
            for name in self.sent:
                self.sent[name] += used[name]


@pytest.fixture
def llama(tmp_path: Path) -> Iterator[Llama]:
    if not PYTHON.exists():
        pytest.skip("llama.cpp is not installed: run `make e2e-llama`")
    found = Llama(tmp_path)
    try:
        yield found
    finally:
        found.close()


def at_once(threads: int, work: Callable[[int], None]) -> None:
    """Do some work in several threads."""
    each = [threading.Thread(target=work, args=(number,)) for number in range(threads)]
    for one in each:
        one.start()
    for one in each:
        one.join()


def past_a_million(llama: Llama) -> None:
    """Let the server generate more than a million tokens."""

    def work(_: int) -> None:
        while llama.sent["completion_tokens"] < BEFORE:
            llama.ask(8, 1900)

    at_once(4, work)
    assert float(llama.metric("llamacpp:tokens_predicted_total")) > BEFORE
    assert "e+06" in llama.metric("llamacpp:tokens_predicted_total")


def write_job(path: Path, job: tuple[str, float, float]) -> None:
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["job_id", "node", "device", "start", "end"])
        writer.writerow([job[0], "n1", "0", f"{job[1]:.6f}", f"{job[2]:.6f}"])


def test_tokens_and_joules_of_a_real_server(llama: Llama, tmp_path: Path) -> None:
    past_a_million(llama)
    profile, lake = tmp_path / "profile.toml", tmp_path / "lake"
    profile.write_text(PROFILE)
    before = dict(llama.sent)
    with Feeding(profile, tmp_path) as fed:
        start_s = time.time() + 12
        end_s = start_s + WORK_S + 15
        write_job(tmp_path / "jobs.csv", ("chat", start_s, end_s))
        config = tmp_path / "collect.toml"
        config.write_text(
            f'lake = "{lake}"\nnode = "n1"\njobs_file = "{tmp_path / "jobs.csv"}"\n'
            f'[[tokens]]\nsource_id = "chat"\njob_id = "chat"\nmodel = "tiny"\nevery_s = 1.0\n'
            f'url = "http://127.0.0.1:{llama.port}/metrics"\n'
        )
        collect = [sys.executable, "-m", "tokenergy_collectors"]
        checked = fed.run(*collect, "check", "--config", config)
        assert "llama.cpp; generated, prompt_cached, prompt_computed" in checked
        daemon = subprocess.Popen([*collect, "run", "--config", str(config)], env=fed.environment)
        try:
            work(llama, start_s + 1, start_s + 1 + WORK_S)
            # What a long answer made is counted when it ends: all have ended before the job does.
            assert time.time() < end_s
            time.sleep(end_s + 3 - time.time())
        finally:
            daemon.send_signal(signal.SIGTERM)
            assert daemon.wait(60) == 0
        truth_j = true_energy_j(profile, lake, fed, 0, start_s, end_s)
    tokenergy = Path(sys.executable).parent / "tokenergy"
    for command in ("aggregate", "index", "check"):
        subprocess.run([tokenergy, command, "--lake", lake], check=True)
    [job] = [row for row in Lake(lake).read("job_index").to_pylist() if row["job_id"] == "chat"]
    made = {name: llama.sent[name] - before[name] for name in before}
    show(job, made, truth_j)
    assert made["completion_tokens"] > 10_000
    assert job["n_low"] <= made["completion_tokens"] <= job["n_high"]
    # The counter is printed in tens.
    assert abs(job["n_generated"] - made["completion_tokens"]) <= 10
    assert abs(job["n_prompt_computed"] - made["prompt_tokens"]) <= 10
    assert job["e_gpu_low_nj"] <= truth_j * 1e9 <= job["e_gpu_high_nj"]
    true_j_per_token = truth_j / made["completion_tokens"]
    assert job["te_gpu_low"] <= true_j_per_token <= job["te_gpu_high"]
    assert abs(job["te_gpu_out"] / true_j_per_token - 1) < 0.1
    assert "coarse_counter" in job["reason_codes"]


def work(llama: Llama, start_s: float, until_s: float) -> None:
    """Send requests of many lengths, at changing rates, between two times."""
    time.sleep(max(0.0, start_s - time.time()))

    def some(number: int) -> None:
        random = Random(number)
        while time.time() < until_s:
            llama.ask(random.randrange(1, 500), random.randrange(1, 400))
            time.sleep(random.random() * 0.2)

    at_once(3, some)


def show(job: dict[str, Any], made: dict[str, int], truth_j: float) -> None:
    """Print the figures beside what is true."""
    joules = [int(job[f"e_gpu_{name}nj"]) / 1e9 for name in ("", "low_", "high_")]
    each = [job["te_gpu_out"], job["te_gpu_low"], job["te_gpu_high"]]
    counts = [job["n_generated"], job["n_low"], job["n_high"]]
    for name, true, found in (
        ("generated", made["completion_tokens"], counts),
        ("J", truth_j, joules),
        ("J/token", truth_j / made["completion_tokens"], each),
    ):
        print(f"{name}: true {true:.10g}, found {found[0]:.10g} [{found[1]:.10g}, {found[2]:.10g}]")
    print(f"prompts: true {made['prompt_tokens']}, found {job['n_prompt_computed']}")
    print(job["reason_codes"])
