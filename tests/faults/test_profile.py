"""The shipped profile `faults`: every fault in one run, with the commands a user would run."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tokenergy_collectors.emulate.profile.fault_specs import FaultSpec
from tokenergy_collectors.emulate.profile.profile import load_profile
from tokenergy_collectors.lake import Lake


def tokenergy(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).parent / "tokenergy"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    folder = tmp_path_factory.mktemp("faults") / "out"
    done = tokenergy("demo", "--profile", "faults", "--score", "--out", str(folder))
    assert done.returncode == 0, done.stdout + done.stderr
    return folder, done.stdout


def test_it_has_every_kind_of_fault() -> None:
    union = FaultSpec.__origin__
    kinds = {spec.model_fields["kind"].annotation.__args__[0] for spec in union.__args__}
    assert {fault.kind for fault in load_profile("faults").faults} == kinds


def test_the_checks_pass_and_every_job_is_within_its_bound(demo: tuple[Path, str]) -> None:
    _, said = demo
    assert "FAIL" not in said
    lines = said[said.index("Against the truth") :].splitlines()
    verdicts = {
        line.split()[0]: line.split()[-1] for line in lines if line.endswith(("ok", "MISS"))
    }
    assert verdicts == {job.id: "ok" for job in load_profile("faults").jobs}
    assert "DIFFER" not in said


def test_every_fault_left_its_event(demo: tuple[Path, str]) -> None:
    events = Lake(demo[0] / "lake").read("event").to_pylist()
    kinds = {(row["node"], row["kind"]) for row in events}
    assert kinds == {
        *(("gpu-a", kind) for kind in ("start", "stop", "lost", "found", "stale", "stale_over")),
        *(("gpu-a", kind) for kind in ("sensor", "counter_lost", "counter_found", "gauges")),
        *(("gpu-a", kind) for kind in ("slow", "slow_over", "late", "clock_step")),
        *(("gpu-b", kind) for kind in ("start", "stop", "lost", "found", "counter_reset")),
        # The server of each job ends with it.
        *((node, "tokens_lost") for node in ("gpu-a", "gpu-b")),
    }
    assert sum(row["kind"] == "tokens_lost" for row in events) == len(load_profile("faults").jobs)
