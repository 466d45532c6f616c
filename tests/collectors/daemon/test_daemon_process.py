"""The daemon as a process in real time: SIGTERM ends it, and everything is sealed."""

import json
import signal
import subprocess
import sys
import time

import pytest

from tests.support.emulated import SMALL
from tokenergy_collectors.lake import Lake

S = 1_000_000


def command(tmp_path, *more):
    profile = tmp_path / "small.toml"
    profile.write_text(SMALL)
    config = tmp_path / "collect.toml"
    config.write_text(f"lake = '{tmp_path / 'lake'}'\nroll_s = 1\nlog_format = 'json'\n")
    words = ["run", "--config", config, "--node", "n1", "--emulate", profile, *more]
    return [sys.executable, "-m", "tokenergy_collectors", *map(str, words)]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_with_everything_sealed(tmp_path, number):
    process = subprocess.Popen(
        command(tmp_path, "--real-time"), stderr=subprocess.PIPE, text=True, bufsize=1
    )
    with process:
        lines = []
        while sum(line["event"] == "sealed" for line in lines) < 2:  # once a second
            lines.append(json.loads(process.stderr.readline()))
        asked_us = time.time_ns() // 1000
        process.send_signal(number)
        lines += [json.loads(line) for line in process.stderr]
    assert process.returncode == 0
    assert lines[-1]["event"] == "stop"
    lake = Lake(tmp_path / "lake")
    assert not list(lake.root.rglob("*.tmp"))
    events = sorted(lake.read("event").to_pylist(), key=lambda r: r["ts_us"])
    assert events[0]["kind"] == "start"
    assert events[-1]["kind"] == "stop"
    power = lake.read("power").to_pylist()
    for device in {r["device_id"] for r in power}:
        rows = sorted((r for r in power if r["device_id"] == device), key=lambda r: r["ts_us"])
        stamps = [r["ts_us"] for r in rows]
        assert len(stamps) == len(set(stamps))
        assert stamps[-1] - stamps[0] > 1.2 * S
        assert abs(stamps[-1] - asked_us) < 3 * S
        assert rows[0]["energy_mj"] is not None
        assert rows[-1]["energy_mj"] is not None
    assert not (tmp_path / "lake-truth").exists()


def test_a_whole_emulated_day_in_the_current_folder_writes_the_truth_beside_it(tmp_path):
    here = tmp_path / "here"
    here.mkdir()
    words = command(tmp_path, "--lake", ".")
    result = subprocess.run(words, cwd=here, capture_output=True, text=True, timeout=60)
    assert result.returncode == 0, result.stderr
    truth = json.loads((tmp_path / "here-truth" / "n1.json").read_text())
    assert truth["node"] == "n1"
    assert Lake(here).read("power").num_rows > 1000


def test_a_truth_that_cannot_be_written_is_one_line(tmp_path):
    words = command(tmp_path, "--truth", "/dev/null/x/truth.json")
    result = subprocess.run(words, capture_output=True, text=True, timeout=60)
    assert result.returncode == 2
    assert result.stderr.splitlines()[-1].startswith("error: /dev/null/x/truth.json: cannot be")
