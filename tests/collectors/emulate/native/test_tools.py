"""Unmodified third-party tools on emulated boards, compared with the truth.

One feeder serves four boards with a server, a training job and a stray process on them. Each tool
is a process of its own that finds the boards by the environment alone. A tool's window lies between
two stamps of the monotonic clock before it and two after it, so its energy lies between the truth
of the inner and that of the outer bracket.
"""

from __future__ import annotations

import json
import re
import sys
import time
from itertools import pairwise

import pytest

from tests.support.emulated import SMALL
from tests.support.feeding import Feeding, Truth
from tokenergy_collectors.emulate.profile.profile import load_profile

NAME = "NVIDIA H100 80GB HBM3"
BOARDS = range(4)
END_US = 280_000_000
MJ = 1e-3

LONG = (
    SMALL.replace("duration_s = 60", "duration_s = 300")
    .replace("end_s = 41.234567", "end_s = 290")
    .replace("end_s = 50\n", "end_s = 290\n")
    .replace("end_s = 60", "end_s = 295")
    .replace("start_s = 50", "start_s = 290")
    .replace("start_s = 5\n", "start_s = 0\n")
    .replace("start_s = 3.000001", "start_s = 0")
    .replace("start_s = 10", "start_s = 0")
    .replace("load_s = 4", "load_s = 0")
    .replace("load_s = 2", "load_s = 0")
    .replace("end_s = 30", "end_s = 290")
)
"""The small profile, with everything on it running for as long as the tests may take."""

UNTIL_BUSY = """
import pynvml, time
pynvml.nvmlInit()
boards = [pynvml.nvmlDeviceGetHandleByIndex(index) for index in range(4)]
while any(pynvml.nvmlDeviceGetPowerUsage(board) < watts * 1000
          for board, watts in zip(boards, (300, 300, 300, 100))):
    time.sleep(0.05)
"""
"""Ends once the averages of the server's, the training's and the stray's boards are up."""


@pytest.fixture(scope="module")
def fed(library, cache, tmp_path_factory):
    folder = tmp_path_factory.mktemp("tools")
    profile = folder / "long.toml"
    profile.write_text(LONG)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(cache))
        feeding = Feeding(profile, folder)
    with feeding:
        # Tools are compared on boards that work, not on the first idle seconds.
        feeding.script(UNTIL_BUSY)
        yield feeding


@pytest.fixture(scope="module")
def truth(fed, tmp_path_factory):
    return Truth(load_profile(fed.state.with_name("long.toml")), "n1", END_US)


def monotonic_us():
    return time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000


def last_line(text):
    """What a script printed as its last line; other libraries may have written above it."""
    return json.loads(text.strip().splitlines()[-1])


def hold_energy(truth, origin_us, stamps_s, energy_j, boards, slack_j):
    """Energy must lie between the truth of the inner and of the outer bracket."""
    before, began, ending, after = (round(1e6 * stamp) - origin_us for stamp in stamps_s)
    inner = sum(truth.energy_j(board, began, ending) for board in boards)
    outer = sum(truth.energy_j(board, before, after) for board in boards)
    assert inner > 100
    assert inner - slack_j <= energy_j <= outer + slack_j
    assert outer < 2 * inner  # or the brackets say nothing


def test_gpustat(fed, truth):
    """It prints whole watts, rounded down."""
    began_us = monotonic_us() - fed.origin_us
    found = json.loads(fed.run(sys.executable, "-m", "gpustat", "--json"))
    ended_us = monotonic_us() - fed.origin_us
    assert found["driver_version"] == "580.00.00-emulated"
    assert [gpu["index"] for gpu in found["gpus"]] == list(BOARDS)
    for gpu, identity in zip(found["gpus"], truth.identities, strict=True):
        assert (gpu["name"], gpu["uuid"]) == (NAME, identity.uuid)
        assert gpu["enforced.power.limit"] == 700
        shown = truth.readings_w(identity.index, began_us, ended_us, average=True)
        assert gpu["power.draw"] in {int(watts) for watts in shown}
    assert max(gpu["power.draw"] for gpu in found["gpus"]) > 300


def test_nvitop(fed, truth):
    """It prints whole watts, rounded, and the name without its maker."""
    began_us = monotonic_us() - fed.origin_us
    page = fed.run(sys.executable, "-m", "nvitop", "-1", "--ascii")
    ended_us = monotonic_us() - fed.origin_us
    assert "Driver Version: 580.00.00-emulated" in page
    assert page.count(NAME.removeprefix("NVIDIA ")) == len(BOARDS)
    found = [int(watts) for watts in re.findall(r"(\d+)W / 700W", page)]
    assert len(found) == len(BOARDS)
    for board, watts in zip(BOARDS, found, strict=True):
        shown = truth.readings_w(board, began_us, ended_us, average=True)
        assert watts in {round(reading) for reading in shown}


ZEUS_WINDOW = """
import json, time
from zeus.monitor import ZeusMonitor
monitor = ZeusMonitor(cpu_indices=[])
stamps = [time.monotonic()]
monitor.begin_window("test", sync_execution=False)
stamps.append(time.monotonic())
time.sleep(3)
stamps.append(time.monotonic())
found = monitor.end_window("test", sync_execution=False)
stamps.append(time.monotonic())
names = [monitor.gpus.get_name(index) for index in monitor.gpu_indices]
print(json.dumps({"stamps": stamps, "energy": found.gpu_energy, "names": names}))
"""


def test_zeus_energy_window(fed, truth):
    """The difference of two counters, each in whole millijoules: off by one of them at most."""
    found = last_line(fed.script(ZEUS_WINDOW))
    assert found["names"] == [NAME] * 4
    assert sorted(found["energy"]) == ["0", "1", "2", "3"]
    for board in BOARDS:
        energy_j = found["energy"][str(board)]
        hold_energy(truth, fed.origin_us, found["stamps"], energy_j, [board], MJ + 1e-6)


ZEUS_POWER = """
import json, time
from zeus.monitor import PowerMonitor

def start(attempts=4):
    try:
        return PowerMonitor(update_period=0.05, power_domains=["device_instant"])
    except RuntimeError:  # it gives its process 10 s to import scikit-learn: a busy machine
        if attempts == 1:
            raise
        return start(attempts - 1)

if __name__ == "__main__":
    monitor = start()
    ahead = time.time() - time.monotonic()
    begin = time.time()
    time.sleep(5)
    end = time.time()
    # Its process may be late on a busy machine: all samples up to the end must have come.
    while not all(monitor.get_power_timeline("device_instant", start_time=end).values()):
        time.sleep(0.05)
    energy = monitor.get_energy(begin, end)
    samples = monitor.get_power_timeline("device_instant", start_time=begin, end_time=end)
    monitor.stop()
    print(json.dumps({"ahead": ahead, "begin": begin, "end": end, "energy": energy,
                      "samples": samples}))
"""

CALLS_US = 250_000
"""How long after its stamp a sample may have been taken: four calls, and a busy machine."""


def test_zeus_power_monitor(fed, truth, tmp_path):
    """Its watts are readings of the sensor; its joules are a trapezoid through them.

    Between two samples both the trapezoid and what the sensor showed lie within the range of the
    readings from the one to the other, so they differ by that range at most. Before the first
    sample and after the last one the tool counts nothing.
    """
    script = tmp_path / "power.py"  # it starts processes that import the main module again
    script.write_text(ZEUS_POWER)
    found = last_line(fed.run(sys.executable, script, timeout_s=90))

    def profile_us(unix_s):
        return round(1e6 * (unix_s - found["ahead"])) - fed.origin_us

    begin_us, end_us = profile_us(found["begin"]), profile_us(found["end"])
    for board in BOARDS:
        samples = [(profile_us(unix_s), watts) for unix_s, watts in found["samples"][str(board)]]
        assert len(samples) > 20

        def shown(from_us, to_us, board=board):
            return truth.readings_w(board, from_us - 1_000, to_us + CALLS_US, average=False)

        assert all(watts in shown(at_us, at_us) for at_us, watts in samples)
        spans = [(a, b, shown(a, b)) for (a, _), (b, _) in pairwise(samples)]
        allowed_j = sum((b - a) / 1e6 * (max(seen) - min(seen)) for a, b, seen in spans)
        ends_us = samples[0][0] - begin_us + end_us - samples[-1][0]
        allowed_j += ends_us / 1e6 * max(shown(begin_us, end_us))
        held_j = truth.shown_j(board, begin_us, end_us)
        assert abs(found["energy"][str(board)] - held_j) <= allowed_j
        assert allowed_j < held_j  # or the bound says nothing


CODECARBON = """
import json, time
from codecarbon import OfflineEmissionsTracker
from codecarbon.external.hardware import GPU

calls = []

def noted(method):
    def call(self, *given, **named):
        before_s = time.monotonic()
        found = method(self, *given, **named)
        call = {"stamps": [before_s, time.monotonic()]}
        if found is not None:
            power, energy = found
            call |= {"length_s": named["last_duration"], "watts": power.W, "kwh": energy.kWh}
        calls.append(call)
        return found
    return call

GPU.start, GPU.measure_power_and_energy = map(noted, (GPU.start, GPU.measure_power_and_energy))
tracker = OfflineEmissionsTracker(
    country_iso_code="DEU", measure_power_secs=1, save_to_file=False, log_level="error"
)
tracker.start_task("set up")  # the first one looks at the machine for seconds
tracker.stop_task("set up")
stamps = [time.monotonic()]
tracker.start_task("test")
stamps.append(time.monotonic())
time.sleep(5)
stamps.append(time.monotonic())
found = tracker.stop_task("test")
stamps.append(time.monotonic())
seen = list(calls)  # a stop may measure once more
tracker.stop()
print(json.dumps({"stamps": stamps, "kwh": found.gpu_energy, "watts": found.gpu_power,
                  "model": found.gpu_model, "calls": seen}))
"""
"""The tool, and what it did to the boards: reading counters at a start, power and energy later."""


def test_codecarbon(fed, truth, tmp_path):
    """It adds differences of the counters in kWh: a millijoule a board, and a double's rounding.

    A counter of two months at 700 W is about 1,000 kWh, of which a double keeps 1e-13: under a
    microjoule. It asks whether there is an `nvidia-smi` before it uses NVML, and no more of it.
    """
    command = tmp_path / "nvidia-smi"
    command.write_text("#!/bin/sh\n")
    command.chmod(0o755)
    fed.environment["PATH"] = f"{tmp_path}:{fed.environment['PATH']}"
    found = last_line(fed.script(CODECARBON))
    assert found["model"] == f"4 x {NAME}"
    energy_j = 3.6e6 * found["kwh"]
    hold_energy(truth, fed.origin_us, found["stamps"], energy_j, BOARDS, 4 * MJ + 1e-3)
    hold_power(truth, fed.origin_us, found)


def hold_power(truth, origin_us, found):
    """Each power is an energy by its counters, divided by the length that the tool took for it.

    The tool takes that length some moments before and after it reads the counters, so its power
    need not be one that the boards had: on a busy machine a moment is long. Its result is the mean
    over all its intervals, that of the set-up too.
    """
    set_up, measured, began, ended = found["calls"]
    for first, last in ((set_up, measured), (began, ended)):
        stamps_s = [*first["stamps"], *last["stamps"]]
        before, after, again, done = (round(1e6 * stamp) - origin_us for stamp in stamps_s)
        inner_j = sum(truth.energy_j(board, after, again) for board in BOARDS)
        outer_j = sum(truth.energy_j(board, before, done) for board in BOARDS)
        energy_j = 3.6e6 * last["kwh"]
        assert inner_j - 5 * MJ <= energy_j <= outer_j + 5 * MJ
        assert last["watts"] == pytest.approx(energy_j / last["length_s"], rel=1e-9)
    start, sleeping, woken, stop = found["stamps"]
    assert woken - sleeping <= ended["length_s"] <= stop - start
    boards = [truth.watts(board, before, done) for board in BOARDS]
    total = [sum(cells) for cells in zip(*boards, strict=True)]
    least, most = ((b - a) / 1e6 / ended["length_s"] for a, b in ((after, again), (before, done)))
    assert min(total) * least <= ended["watts"] <= max(total) * most
    mean_w = (measured["watts"] + ended["watts"]) / 2
    assert found["watts"] == pytest.approx(mean_w, rel=1e-9)
