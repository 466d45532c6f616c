"""Runs beside one another: figures worked out by hand, bounds that hold the truth, the table."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from tests.support.commands import command
from tests.support.lakes import T0, LakeBuilder, S, level
from tokenergy_collectors.lake import Lake
from tokenergy_sql.terminal.comparetable import compare_parts

LABELS = {
    "benchmark": "vllm", "requests": 40, "requests_failed": 2, "ttft_median_ms": 55.5,
    "ttft_p99_ms": 210.0, "e2e_median_ms": 4_000.0, "e2e_p99_ms": 9_250.0,
}  # fmt: skip

OFFSET_W = 5
"""A meter may show so much more or less than there is, whatever the power: docs/uncertainty.md."""


def run(
    lake: LakeBuilder, job_id: str, start_s: int, seconds: int, tokens: int, board: str = "GPU-a",
    **more: Any,
) -> None:  # fmt: skip
    start_us, end_us = T0 + start_s * S, T0 + (start_s + seconds) * S
    kind = more.pop("kind", "generated")
    lake.job(job_id, board, start_us, end_us, **more)
    lake.tokens(
        job_id, [(start_us, 0), (end_us, tokens)], kind=kind, since_us=start_us,
        source_id=f"import:{job_id}",
    )  # fmt: skip


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """Two boards: a draws 400 W, then 300 W; b 500 W. Runs of ten minutes on them."""
    builder = LakeBuilder(tmp_path_factory.mktemp("runs") / "lake")
    for index, board in enumerate(("GPU-a", "GPU-b")):
        builder.device(board, index=index)
    low, high = level(400_000, T0, T0 + 900 * S, S), level(300_000, T0 + 901 * S, T0 + 3_500 * S, S)
    builder.power("GPU-a", low + high)
    builder.power("GPU-b", level(500_000, T0, T0 + 3_500 * S, S))
    run(builder, "base", 100, 600, 60_000, labels=json.dumps(LABELS))
    run(builder, "lower", 1_000, 600, 60_000)
    run(builder, "other", 100, 600, 60_000, board="GPU-b")
    run(builder, "trained", 1_700, 300, 90_000, kind="trained")
    run(builder, "twice", 2_100, 300, 30_000, labels=json.dumps(LABELS))
    run(builder, "twice", 2_700, 300, 60_000, labels=json.dumps(LABELS | {"requests": 9}))
    builder.job("silent", "GPU-b", T0 + 1_000 * S, T0 + 1_600 * S)
    builder.job("both", "GPU-a", T0 + 3_100 * S, T0 + 3_400 * S)
    run(builder, "both", 3_100, 300, 40_000, board="GPU-b")
    return builder.build()


_ASKED: dict[tuple[Path, tuple[str, ...]], list[dict[str, Any]]] = {}
"""What was answered before: the lake does not change, and an answer takes seconds."""


def compare(lake: Lake, *jobs: str) -> list[dict[str, Any]]:
    if (lake.root, jobs) not in _ASKED:
        code, out, err = command(
            "tokenergy", "compare", *jobs, "--lake", str(lake.root), "--format", "json"
        )
        assert (code, err) == (0, "")
        _ASKED[lake.root, jobs] = json.loads(out)
    found = _ASKED[lake.root, jobs]
    assert [one["job_id"] for one in found] == list(jobs)
    return found


def test_figures_by_hand(lake: Lake) -> None:
    base, lower, _ = compare(lake, "base", "lower", "other")
    # 400 W for 600 s are 240 kJ; 60,000 tokens: 4 J each. With 300 W: 180 kJ, 3 J.
    assert (base["duration_s"], base["tokens"], base["tokens_per_s"]) == (600.0, 60_000, 100.0)
    assert (base["gpu_j"], base["mean_w"]) == pytest.approx((240_000, 400))
    assert (lower["gpu_j"], lower["mean_w"]) == pytest.approx((180_000, 300))
    assert [one["j_per_token"] for one in (base, lower)] == pytest.approx([4, 3])
    assert [one["ratio"] for one in (base, lower)] == pytest.approx([1, 0.75])
    assert (base["ratio_low"], base["ratio_high"]) == (1, 1)
    assert base["j_per_token_low"] < 4 < base["j_per_token_high"]


def test_what_the_benchmark_said_is_beside_it(lake: Lake) -> None:
    base, lower, _ = compare(lake, "base", "lower", "other")
    said = ("ttft_median_ms", "ttft_p99_ms", "latency_median_ms", "latency_p99_ms")
    assert [base[name] for name in said] == [55.5, 210.0, 4_000.0, 9_250.0]
    assert (base["requests"], base["requests_failed"]) == (40, 2)
    assert base["requests_per_s"] == pytest.approx(40 / 600)
    assert [lower[name] for name in (*said, "requests", "requests_failed")] == [None] * 6


def test_one_meter_s_error_cancels_and_two_meters_errors_do_not(lake: Lake) -> None:
    _, lower, other = compare(lake, "base", "lower", "other")
    for off_w in (-OFFSET_W, 0, OFFSET_W):
        truth = (300 - off_w) / (400 - off_w)
        assert lower["ratio_low"] <= truth <= lower["ratio_high"]
    assert lower["ratio_high"] / lower["ratio_low"] < 1.05
    # Each card may show 5 % more or less than it draws, and in opposite directions.
    assert other["ratio"] == pytest.approx(1.25)
    assert other["ratio_low"] < 1.25 * 0.95 / 1.05 * 1.01
    assert other["ratio_high"] > 1.25 * 1.05 / 0.95 * 0.99


def test_the_first_is_what_the_others_are_compared_with(lake: Lake) -> None:
    lower, base = compare(lake, "lower", "base")
    _, swapped, _ = compare(lake, "base", "lower", "other")
    assert (lower["ratio"], base["ratio"]) == pytest.approx((1, 4 / 3))
    assert 1 / swapped["ratio_high"] == pytest.approx(base["ratio_low"], rel=0.01)


def test_boards_at_once_and_one_after_the_other(lake: Lake) -> None:
    twice, both = compare(lake, "twice", "both")
    # Two runs of one job: the time between them is not the job's; percentiles do not add up.
    assert (twice["duration_s"], twice["tokens"], twice["mean_w"]) == (600.0, 90_000, 300.0)
    assert (twice["ttft_p99_ms"], twice["requests"]) == (None, None)
    # 300 W and 500 W for the same 300 s.
    assert (both["duration_s"], both["devices"]) == (300.0, 2)
    assert both["mean_w"] == pytest.approx(800)
    assert both["j_per_token"] == pytest.approx(800 * 300 / 40_000)


def test_what_is_not_known_is_null_with_its_reason(lake: Lake) -> None:
    _, silent, trained = compare(lake, "base", "silent", "trained")
    nothing = ("tokens", "tokens_per_s", "j_per_token", "ratio", "ratio_low", "ratio_high")
    assert [silent[name] for name in nothing] == [None] * 6
    assert "no_tokens" in silent["reason_codes"]
    assert "other_workload" in silent["reason_codes"]
    assert trained["j_per_token"] == pytest.approx(1)
    assert (trained["ratio"], trained["ratio_low"], trained["ratio_high"]) == (None, None, None)
    assert "other_workload" in trained["reason_codes"]


def test_a_first_run_without_tokens_has_no_ratios(lake: Lake) -> None:
    found = compare(lake, "silent", "base")
    assert [one["ratio"] for one in found] == [None, None]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["base"], "RUN: expected two jobs or more"),
        (["base", "base"], "job 'base': is named twice"),
        (["base", "bass"], "job 'bass': not in the lake .*; did you mean base"),
        (["base", "other", "--format", "xml"], "--format 'xml': expected table, json, csv or"),
        (["base", "other", "--columns", "ratioo"], "--columns 'ratioo': no such column"),
    ],
)
def test_what_is_refused(lake: Lake, arguments: list[str], message: str) -> None:
    code, out, err = command("tokenergy", "compare", *arguments, "--lake", str(lake.root))
    assert (code, out) == (2, "")
    assert err.count("\n") == 1
    with pytest.raises(AssertionError, match=message):
        raise AssertionError(err)


def test_a_job_that_came_after_the_index(lake: Lake) -> None:
    LakeBuilder(lake.root).job("new", "GPU-b", T0 + 1_700 * S, T0 + 1_800 * S)
    code, out, err = command("tokenergy", "compare", "base", "new", "--lake", str(lake.root))
    assert (code, out) == (2, "")
    assert err == (
        f"error: job 'new': is not indexed; run `tokenergy run --lake {lake.root}` (it needs "
        "readings of power of its time)\n"
    )


def test_a_lake_without_books(tmp_path: Path) -> None:
    code, _, err = command("tokenergy", "compare", "a", "b", "--lake", str(tmp_path))
    assert (code, err.count("\n")) == (2, 1)
    assert "no readings yet" in err


@pytest.mark.parametrize("width", [80, 120])
def test_the_table_fits_and_says_what_it_leaves_out(lake: Lake, width: int) -> None:
    rows = compare(lake, "base", "lower", "other")
    out = io.StringIO()
    Console(file=out, width=width).print(compare_parts(rows)[0])
    lines = out.getvalue().splitlines()
    assert max(map(len, lines)) <= width
    text = " ".join(out.getvalue().split())
    left_out = text[text.index("not shown, for lack of width: ") :]
    head = next(line for line in lines if "J/token" in line and "┃" in line)
    for heading in ("run", "tokens/s", "J/token", "ratio", "[low, high]"):
        assert heading in head
    for heading in ("seconds", "GPU kJ", "mean W"):
        assert (heading in left_out) == (width == 80)
    for value in ("base", "100.0", "4.000", "0.7500"):
        assert value in text


def test_what_differs_is_said_below(lake: Lake) -> None:
    code, out, _ = command("tokenergy", "compare", "base", "both", "--lake", str(lake.root))
    assert code == 0
    assert out.splitlines()[-2:] == [
        "the runs differ in: number of GPUs",
        "ratios are of whole runs, whatever their load; at equal operating points: tokenergy gate "
        "job:base job:both",
    ]


def test_files_for_programs(lake: Lake, tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    where = ["base", "lower", "--lake", str(lake.root)]
    path = tmp_path / "runs.parquet"
    assert command(
        "tokenergy", "compare", *where, "--format", "parquet", "--output", str(path)
    ) == (0, "", "")
    table = pq.read_table(path)
    assert table["ratio"].to_pylist() == pytest.approx([1, 0.75])
    code, out, _ = command(
        "tokenergy", "compare", *where, "--format", "csv", "--columns", "job_id,tokens"
    )
    assert (code, out) == (0, "job_id,tokens\nbase,60000\nlower,60000\n")
