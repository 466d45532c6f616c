"""Benchmarks' files in, J/token beside J/token out: held against arithmetic done by hand.

The log of the boards is written here: constant power, in steps between the runs. So the energy of a
run is watts x seconds, and its tokens are those of the file: no code of the product is needed to
know what must come out.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tests.support.commands import command
from tests.support.ledger import ask
from tokenergy_collectors.lake import Lake

T_S = 1_768_467_600
"""2026-01-15T09:00:00Z."""

BOARDS = ("GPU-11111111-0000-4000-8000-000000000000", "GPU-22222222-0000-4000-8000-000000000000")
WATTS = ((-1_300, 150.0), (-1_200, 620.0), (300, 380.0), (700, 540.0), (1_200, 150.0), (1_300, 0.0))
"""From when on (seconds after `T_S`) each board drew so much; the last one ends the log."""


def tool(name: str, *arguments: object) -> str:
    code, out, err = command(name, *map(str, arguments))
    assert code == 0, err
    return out


def log_of(folder: Path) -> Path:
    lines = ["timestamp, uuid, index, power.draw [W]"]
    for (since, watts), (until, _) in pairwise(WATTS):
        for at in range(since, until):
            stamp = datetime.fromtimestamp(T_S + at, UTC)
            lines += [
                f"{stamp:%Y/%m/%d %H:%M:%S}.000, {board}, {index}, {watts:.2f} W"
                for index, board in enumerate(BOARDS)
            ]
    path = folder / "power.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


def record(start_s: float, end_s: float, output: int) -> dict[str, Any]:
    """A record of AIPerf with what is read of it; `tests/collectors` has whole ones."""
    return {
        "metadata": {
            "request_start_ns": round((T_S + start_s) * 1e9),
            "request_end_ns": round((T_S + end_s) * 1e9),
            "benchmark_phase": "profiling",
        },
        "metrics": {
            "input_sequence_length": {"value": 1_000, "unit": "tokens"},
            "output_sequence_length": {"value": output, "unit": "tokens"},
            "time_to_first_token": {"value": 300.0, "unit": "ms"},
        },
        "error": None,
    }


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A plain run of vLLM over an hour's edge, and one of AIPerf with its requests."""
    folder = tmp_path_factory.mktemp("files")
    plain = {
        "date": "20260115-090502", "endpoint_type": "openai", "backend": "openai", "label": None,
        "model_id": "llama-3.1-8b", "tokenizer_id": "llama-3.1-8b", "num_prompts": 3_000,
        "request_rate": "inf", "burstiness": 1.0, "max_concurrency": 64, "duration": 1_500.0,
        "completed": 3_000, "failed": 0, "total_input_tokens": 3_000_000,
        "total_output_tokens": 900_000, "median_ttft_ms": 180.5, "p99_ttft_ms": 912.25,
    }  # fmt: skip
    (folder / "batch-64.json").write_text(json.dumps(plain))
    artifacts = folder / "concurrency8"
    artifacts.mkdir()
    # 100 requests of 300 tokens, four at a time, each 16 s long: from 300 s to 700 s.
    records = [record(300 + 16 * (n // 4), 316 + 16 * (n // 4), 300) for n in range(100)]
    (artifacts / "profile_export.jsonl").write_text("\n".join(map(json.dumps, records)) + "\n")
    return folder


@pytest.fixture(scope="module")
def lake(files: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("runs") / "lake"
    tool("tokenergy-collect", "import", "nvidia-smi", log_of(files), "--lake", root,
         "--node", "gpu-01")  # fmt: skip
    import_both(root, files)
    tool("tokenergy", "run", "--lake", root)
    return root


def import_both(root: Path, files: Path) -> str:
    where = ("--lake", root, "--node", "gpu-01", "--device", "0-1")
    said = tool("tokenergy-collect", "import", "benchmark", files / "batch-64.json", *where,
                "--end", "2026-01-15T09:05:00Z")  # fmt: skip
    records = files / "concurrency8" / "profile_export.jsonl"
    return said + tool("tokenergy-collect", "import", "benchmark", records, *where)


def test_energy_and_tokens_by_hand(lake: Path) -> None:
    batch, eight = json.loads(
        tool("tokenergy", "compare", "batch-64", "concurrency8", "--lake", lake, "--format", "json")
    )
    # Two boards at 620 W for 1,500 s, the last second of it falling to 380 W: a line between two
    # readings that are a second apart.
    energy = 2 * (620 * 1_499 + (620 + 380) / 2)
    assert batch["gpu_j"] == pytest.approx(energy, rel=1e-9)
    assert (batch["tokens"], batch["tokens_low"], batch["tokens_high"]) == (900_000,) * 3
    assert batch["j_per_token"] == pytest.approx(energy / 900_000, rel=1e-9)
    assert (batch["duration_s"], batch["tokens_per_s"]) == pytest.approx((1_500, 600))
    assert (batch["requests"], batch["ttft_p99_ms"]) == (3_000, 912.25)
    other = 2 * (380 * 399 + (380 + 540) / 2)
    assert eight["gpu_j"] == pytest.approx(other, rel=1e-9)
    assert (eight["tokens"], eight["duration_s"]) == (30_000, 400)
    assert (eight["latency_median_ms"], eight["latency_p99_ms"]) == (16_000, 16_000)
    assert eight["ratio"] == pytest.approx(other / 30_000 / (energy / 900_000), rel=1e-9)
    assert eight["ratio_low"] < eight["ratio"] < eight["ratio_high"]


def test_an_hour_of_a_run_without_requests_says_how_little_it_knows(lake: Path) -> None:
    before, after = ask(
        Lake(lake),
        "SELECT * FROM job_hour_index WHERE job_id = 'batch-64' ORDER BY hour_us",
    )
    assert (before["n_generated"], after["n_generated"]) == (720_000, 180_000)
    for hour in (before, after):
        assert hour["n_low"] == 0
        assert hour["n_high"] >= 900_000
        assert "coarse_counter" in hour["reason_codes"]


def test_prompts_and_requests_are_in_the_index(lake: Path) -> None:
    (eight,) = ask(Lake(lake), "SELECT * FROM job_index WHERE job_id = 'concurrency8'")
    assert (eight["n_prompt_computed"], eight["n_requests"], eight["n_requests_failed"]) == (
        *(100_000, 100, 0),
    )
    assert eight["coverage"] == eight["joint_coverage"] == 1


def test_the_books_close_and_twice_is_once(lake: Path, files: Path) -> None:
    tool("tokenergy", "check", "--lake", lake)
    assert import_both(lake, files).count("already imported: nothing changed") == 2


def test_a_job_that_held_the_boards_before_gets_the_tokens(files: Path, tmp_path: Path) -> None:
    """As of a pod or a job of Slurm: the run is a part of its time, and divides that alone."""
    root = tmp_path / "lake"
    tool("tokenergy-collect", "import", "nvidia-smi", log_of(files), "--lake", root,
         "--node", "gpu-01")  # fmt: skip
    jobs = tmp_path / "jobs.csv"
    jobs.write_text(f"job_id,node,device,start,end\npod,gpu-01,0-1,{T_S - 1_250},{T_S + 1_250}\n")
    tool("tokenergy-collect", "import", "jobs", jobs, "--lake", root)
    records = files / "concurrency8" / "profile_export.jsonl"
    where = ("--lake", root, "--node", "gpu-01")
    code, _, err = command("tokenergy-collect", "import", "benchmark", str(records),
                           *map(str, where), "--device", "0-1")  # fmt: skip
    assert (code, "job 'pod' holds 0 of gpu-01 in that time too" in err) == (2, True)
    tool("tokenergy-collect", "import", "benchmark", records, *where, "--job-id", "pod",
         "--tokens-only")  # fmt: skip
    tool("tokenergy", "run", "--lake", root)
    (pod,) = ask(Lake(root), "SELECT * FROM job_index")
    energy = 2 * (380 * 399 + (380 + 540) / 2)
    assert float(pod["e_joint_nj"]) / 1e9 == pytest.approx(energy, rel=1e-9)
    assert pod["te_gpu_out"] == pytest.approx(energy / 30_000, rel=1e-9)
    assert pod["joint_coverage"] == pytest.approx(400 / 2_500)
