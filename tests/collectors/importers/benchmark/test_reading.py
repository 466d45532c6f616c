"""The readers: what a file says becomes a run; what it cannot say is an error that names it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.collectors.importers.benchmark.files import (
    DETAILED,
    NINE_US,
    PLAIN,
    RECORDS,
    SUMMARY,
    S,
    changed,
)
from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.importers.benchmark.aiperf import read_records
from tokenergy_collectors.importers.benchmark.reading import read_run
from tokenergy_collectors.importers.benchmark.vllm import read_vllm


def test_a_result_of_vllm() -> None:
    run = read_run(PLAIN)
    assert (run.tool, run.name) == ("vllm", "openai-infqps-concurrency4-8b")
    assert run.model == "meta-llama/Llama-3.1-8B-Instruct"
    assert (run.generated, run.prompt, run.answered, run.failed) == (500, 420, 4, 1)
    assert (run.duration_us, run.start_us, run.end_us) == (12_500_000, None, None)
    assert (run.local_start, run.local_end) == (None, "2026-01-15T09:10:02")
    assert run.figures_ms == {
        "ttft_median_ms": 250.0, "ttft_p99_ms": 328.5, "tpot_median_ms": 41.28, "tpot_p99_ms": 44.02
    }  # fmt: skip
    assert list(run.answers) == []


def test_a_detailed_result_of_vllm_leaves_out_what_failed() -> None:
    run = read_run(DETAILED)
    assert [one.generated for one in run.answers] == [60, 120, 180, 140]
    assert [one.latency_us for one in run.answers] == [3_250_000, 5_250_000, 9_250_000, 8_500_000]
    assert sum(one.prompt or 0 for one in run.answers) == 420
    assert not run.answers_are_utc


def test_without_latencies_a_request_took_the_sum_of_its_waits(tmp_path: Path) -> None:
    run = read_run(changed(DETAILED, tmp_path, latencies=...))
    expected = [one.latency_us for one in read_run(DETAILED).answers]
    assert [one.latency_us for one in run.answers] == pytest.approx(expected, abs=1)


def test_without_a_stream_there_is_no_first_token(tmp_path: Path) -> None:
    """vLLM writes 0 for it, and no waits: older releases then say nothing of how long it took."""
    none: dict[str, Any] = {"ttfts": [0.0] * 5, "itls": [[]] * 5, "median_ttft_ms": 0.0}
    run = read_run(changed(DETAILED, tmp_path, **none))
    assert {one.ttft_us for one in run.answers} == {None}
    assert {one.tpot_us for one in run.answers} == {None}
    assert "ttft_median_ms" not in run.figures_ms
    assert list(read_run(changed(DETAILED, tmp_path, latencies=..., **none)).answers) == []


def test_a_line_ends_where_the_file_says(tmp_path: Path) -> None:
    path = tmp_path / "profile_export.jsonl"
    path.write_text(RECORDS.read_text().replace("session_000001", "a\u2028b"), "utf-8")
    assert read_run(path).generated == 400


def test_releases_without_failed_have_the_number_of_prompts(tmp_path: Path) -> None:
    assert read_run(changed(PLAIN, tmp_path, failed=...)).failed == 1
    assert read_run(changed(PLAIN, tmp_path, failed=..., num_prompts=...)).failed is None


def test_records_of_aiperf_without_the_warm_up() -> None:
    run = read_run(RECORDS)
    assert (run.tool, run.name) == ("aiperf", "concurrency4")
    assert (run.generated, run.prompt, run.answered, run.failed) == (400, 460, 4, 1)
    assert (run.start_us, run.end_us) == (NINE_US, NINE_US + 12 * S)
    assert run.answers_are_utc


def test_a_summary_of_aiperf() -> None:
    run = read_run(SUMMARY)
    assert (run.tool, run.name, run.model) == (
        *("aiperf", "concurrency4", "meta-llama/Llama-3.1-8B-Instruct"),
    )
    assert (run.generated, run.prompt, run.answered, run.failed) == (400, 460, 4, 1)
    assert run.duration_us == 12 * S
    assert (run.local_start, run.local_end) == ("2026-01-15T10:00:00", "2026-01-15T10:00:12.250000")
    assert (run.figures_ms["e2e_median_ms"], run.figures_ms["ttft_p99_ms"]) == (5750.0, 298.8)


def test_a_summary_of_the_first_releases(tmp_path: Path) -> None:
    """Without versions; the models are in another place, and no error is no field."""
    path = changed(
        SUMMARY, tmp_path, schema_version=..., aiperf_version=..., is_complete=...,
        error_request_count=..., input_config={"endpoint": {"model_names": ["a", "b"]}},
    )  # fmt: skip
    run = read_run(path)
    assert (run.model, run.failed) == ("a+b", 0)


def test_units_are_those_beside_the_numbers(tmp_path: Path) -> None:
    path = changed(SUMMARY, tmp_path, benchmark_duration={"unit": "ms", "avg": 12_000.0})
    assert read_run(path).duration_us == 12 * S


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"completed": ...}, "completed is missing"),
        ({"total_input_tokens": ...}, "total_input_tokens is missing"),
        ({"total_output_tokens": None}, "total_output_tokens is missing"),
        ({"total_output_tokens": -500}, "total_output_tokens is -500: expected a number, 0 or"),
        ({"total_output_tokens": 1.5}, "total_output_tokens is 1.5: expected a whole number"),
        ({"completed": "four"}, "completed is 'four': expected a number"),
        ({"completed": True}, "completed is 'True': expected a number"),
        ({"duration": float("nan")}, "duration is nan: expected a number, 0 or more"),
        ({"date": "yesterday"}, "date is 'yesterday': expected a time such as"),
        ({"total_output_tokens": 501}, "is 501, but output_lens add up to 500"),
        ({"completed": 5}, "completed is 5, but 4 requests have no error"),
        ({"errors": ["", ""]}, "errors has 2 entries: expected 5, one a request"),
        ({"output_lens": 7}, "output_lens is '7': expected a list"),
        ({"latencies": [1, 2, 3, -4, 5]}, "latencies is -4: expected a number, 0 or more"),
    ],
)
def test_what_a_result_of_vllm_may_not_say(
    tmp_path: Path, fields: dict[str, Any], message: str
) -> None:
    path = changed(DETAILED, tmp_path, **fields)
    with pytest.raises(UserError, match=message) as error:
        read_run(path)
    assert str(error.value).startswith(f"{path}: ")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"request_count": ...}, "request_count is missing"),
        ({"total_osl": ..., "output_sequence_length": ...}, "total_osl is missing, and so is"),
        ({"total_osl": {"unit": "tokens", "avg": -4.0}}, r"total_osl.avg is -4.0: expected"),
        ({"benchmark_duration": {"unit": "h", "avg": 1}}, "benchmark_duration is in 'h': expected"),
        (
            {"is_complete": False, "incomplete_reason": "records stalled"},
            r"is_complete is false \(records stalled\): expected a run that came to its end",
        ),
    ],
)
def test_what_a_summary_of_aiperf_may_not_say(
    tmp_path: Path, fields: dict[str, Any], message: str
) -> None:
    with pytest.raises(UserError, match=message):
        read_run(changed(SUMMARY, tmp_path, **fields))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty: expected what `vllm bench serve"),
        ("[1, 2]", "is no JSON object: expected"),
        ("timestamp,tokens\n1,2\n", "line 1: is no JSON: expected"),
        ('{"a": 1, "b": 2}', r"is JSON of another program \(its fields: a, b, ...\): expected"),
        ('{"data": []}\n{"data": []}\n', r"is JSON of another program \(its fields: data"),
    ],
)
def test_other_files(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "run.json"
    path.write_text(text)
    with pytest.raises(UserError, match=message):
        read_run(path)


def test_no_file_and_no_text(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="No such file or directory: expected what"):
        read_run(tmp_path / "none.json")
    (tmp_path / "run.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UserError, match="is not text: expected what"):
        read_run(tmp_path / "run.json")


def test_appended_results_are_several_runs(tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    path.write_text(PLAIN.read_text() + "\n" + PLAIN.read_text())
    with pytest.raises(UserError, match="has 2 results, as --append-result writes them"):
        read_run(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda one: one["metadata"].pop("request_end_ns"), "line 2: request_end_ns is missing"),
        (
            lambda one: one["metadata"].update(request_end_ns=5),
            "line 2: request_end_ns 5 is before request_start_ns",
        ),
        (lambda one: one["metrics"].clear(), "line 2: metrics.output_sequence_length is missing"),
        (
            lambda one: one["metrics"]["input_sequence_length"].update(value=-1),
            "line 2: metrics.input_sequence_length is -1: expected a number, 0 or more",
        ),
        (lambda one: one.clear(), "line 2: is no record of a request"),
    ],
)
def test_what_a_record_may_not_say(tmp_path: Path, change: Any, message: str) -> None:
    records = [json.loads(line) for line in RECORDS.read_text().splitlines()]
    change(records[1])
    path = tmp_path / "profile_export.jsonl"
    path.write_text("\n".join(map(json.dumps, records)))
    with pytest.raises(UserError, match=message):
        read_run(path)


def test_a_file_that_is_cut_off_names_the_line(tmp_path: Path) -> None:
    path = tmp_path / "profile_export.jsonl"
    path.write_text(RECORDS.read_text()[:-40])
    with pytest.raises(UserError, match="line 6: is no JSON"):
        read_run(path)


def test_only_warm_up_is_no_run(tmp_path: Path) -> None:
    path = tmp_path / "profile_export.jsonl"
    path.write_text(RECORDS.read_text().splitlines()[0])
    with pytest.raises(UserError, match="has no requests of the phase that is measured"):
        read_run(path)


REQUESTS = st.lists(
    st.tuples(
        st.integers(0, 10**12),  # start, ns after nine
        st.integers(0, 10**12),  # how long it took, ns
        st.integers(0, 10**6),  # tokens generated
        st.booleans(),  # whether it failed
    ),
    min_size=1,
    max_size=30,
)


def record(start_ns: int, took_ns: int, output: int, failed: bool) -> dict[str, Any]:
    at_ns = NINE_US * 1_000 + start_ns
    return {
        "metadata": {"request_start_ns": at_ns, "request_end_ns": at_ns + took_ns},
        "metrics": {"output_sequence_length": {"value": output, "unit": "tokens"}},
        "error": {"code": 500} if failed else None,
    }


@given(REQUESTS)
def test_any_records_add_up_and_lie_inside_of_their_run(
    requests: list[tuple[int, int, int, bool]],
) -> None:
    run = read_records(enumerate((record(*one) for one in requests), 1), "run")
    assert run.generated == sum(output for *_, output, failed in requests if not failed)
    assert run.answered + (run.failed or 0) == len(requests)
    assert run.start_us == NINE_US + min(start for start, *_ in requests) // 1_000
    assert run.end_us is not None
    assert all(run.start_us <= one.start_us <= one.end_us <= run.end_us for one in run.answers)


@given(REQUESTS)
def test_any_detailed_result_adds_up(requests: list[tuple[int, int, int, bool]]) -> None:
    answered = [one for one in requests if not one[3]]
    found = {
        "duration": 2_000.0,
        "completed": len(answered),
        "total_input_tokens": 0,
        "total_output_tokens": sum(one[2] for one in answered),
        "output_lens": [0 if failed else output for *_, output, failed in requests],
        "input_lens": [0] * len(requests),
        "errors": ["down" if failed else "" for *_, failed in requests],
        "start_times": [start / 1e9 for start, *_ in requests],
        "ttfts": [0.0] * len(requests),
        "latencies": [took / 1e9 for _, took, *_ in requests],
    }
    run = read_vllm(found, "run")
    assert sum(one.generated for one in run.answers) == run.generated
    assert len(run.answers) == run.answered
