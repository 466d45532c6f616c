"""A recording of a decoder: the collector as a user starts it, on emulated boards."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from benchmarks.collector.boards import emulated_boards
from benchmarks.decode import __main__ as decode
from benchmarks.decode.plan import IDLE, Plan, S, jobs_csv
from benchmarks.decode.record import ABOUT, record

from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.lake import Lake

PLAN = Plan(batches=(1, 4), before_s=3, decode_s=2, pause_s=0.5, idle_s=1, after_s=0.5)


class Sleeper:
    """Stands in for a model: a step takes 10 ms, and every 100th begins new sequences."""

    def __init__(self) -> None:
        self.about: dict[str, object] = {"model": "sleeper"}
        self.device_id: str | None = None
        self.begun: list[int] = []
        self.steps = 0

    def begin(self, batch: int) -> None:
        self.begun.append(batch)
        self.steps = 0

    def step(self) -> tuple[int, int]:
        time.sleep(0.01)
        self.steps += 1
        batch = self.begun[-1]
        return (16 * batch if self.steps % 100 == 1 else 0), batch


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    boards, folder = tmp_path_factory.mktemp("boards"), tmp_path_factory.mktemp("made") / "here"
    with emulated_boards(boards) as environment:
        record(folder, Sleeper(), PLAN, environment)
    return folder


def test_phases_follow_each_other_with_pauses() -> None:
    phases = Plan((2, 8), before_s=1, decode_s=3, pause_s=0.5, idle_s=4).phases(10 * S)
    assert [(p.job_id, p.batch, p.start_us, p.end_us) for p in phases] == [
        ("decode-batch-2", 2, 11 * S, 14 * S),
        ("decode-batch-8", 8, 14_500_000, 17_500_000),
        (IDLE, 0, 18 * S, 22 * S),
    ]
    lines = jobs_csv(phases, "n", "GPU-1").splitlines()
    assert lines[2] == "decode-batch-8,n,GPU-1,14.500000,17.500000"


def test_a_recording_holds_what_the_loop_counted(
    recording: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert decode.main(["table", str(recording)]) == 0
    out = capsys.readouterr().out
    about = json.loads((recording / ABOUT).read_text())
    jobs = {job["job_id"]: job for job in about["jobs"]}
    assert list(jobs) == ["decode-batch-1", "decode-batch-4", IDLE]
    for batch in PLAN.batches:
        job = jobs[f"decode-batch-{batch}"]
        assert job["steps"] > 100
        assert job["generated_tokens"] == batch * job["steps"]
        assert f"| {batch} | 2 | " in out
        assert f" | {job['generated_tokens']:,} | " in out
    # Names of the jobs are those of the lake, and their edges are what the loop kept to.
    rows = Lake(recording / "lake").read("jobs").to_pylist()
    assert {(r["job_id"], r["start_us"], r["end_us"]) for r in rows} == {
        (j["job_id"], j["start_us"], j["end_us"]) for j in jobs.values()
    }
    # What is kept is sealed: no log of the collector, no configuration.
    assert {path.name for path in recording.iterdir()} == {ABOUT, "lake"}
    files = [path for path in recording.rglob("*") if path.is_file()]
    assert {path.suffix for path in files} == {".json", ".parquet"}


def test_counts_outside_the_bounds_are_told(
    recording: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "lake").symlink_to(recording / "lake")
    about = json.loads((recording / ABOUT).read_text())
    about["jobs"][1]["generated_tokens"] *= 2
    (other / ABOUT).write_text(json.dumps(about))
    assert decode.main(["table", str(other)]) == 1
    told = capsys.readouterr().out.splitlines()[-1]
    assert told.startswith("decode-batch-4: generated in [")
    assert told.endswith(f"], but the loop counted {about['jobs'][1]['generated_tokens']}")


def test_what_cannot_be_recorded_is_one_line(
    recording: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(UserError, match="not empty"):
        record(recording, Sleeper(), PLAN)
    assert decode.main(["table", str(tmp_path)]) == 2
    assert (
        capsys.readouterr().err == f"decode: {tmp_path}: not a recording: about.json is missing\n"
    )


def test_a_collector_that_is_late_ends_the_recording(tmp_path: Path) -> None:
    early = Plan(batches=(1,), before_s=0, decode_s=60)
    begun = time.monotonic()
    with (
        emulated_boards(tmp_path) as environment,
        pytest.raises(UserError, match="was not sampling when the first job began"),
    ):
        record(tmp_path / "made", Sleeper(), early, environment)
    assert time.monotonic() - begun < 60  # the job itself was not waited for
