"""Reads what `vllm bench serve --save-result` wrote.

In: the object of the file. Out: a `Run`. The format follows vLLM's `vllm/benchmarks/serve.py`
(main branch of autumn 2026; fields that are older or newer are taken if they are there).

What that source says of times: `duration` is a difference of `perf_counter`, from the first request
to the last answer, without test request and warm-up. `start_times` (with `--save-detailed`) are
values of `perf_counter`, which has no known zero: they tell how requests lie beside one another.
`date` is the client's local time to the second, without a zone, taken after the figures were worked
out: a moment after the run ended. So no field says when the run began.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tokenergy_collectors.base.csvfile import BadValueError
from tokenergy_collectors.importers.benchmark.fields import count, items, number, required, text
from tokenergy_collectors.importers.benchmark.run import US_PER_S, Answer, Run

TOOL = "vllm"
MARKS = ("duration", "completed", "total_input_tokens", "total_output_tokens")
"""Fields that all results of this program have."""

LATE_US = 2 * US_PER_S
"""`date` is cut to the second, and comes after some arithmetic: how much the run's end is off."""

_NAMES = {"ttft": "ttft", "tpot": "tpot", "e2el": "e2e"}
_QUANTILES = {"median": "median", "p99": "p99"}


def read_vllm(found: Mapping[str, Any], name: str) -> Run:
    """Return the run of a result.

    Args:
        found: the object of the file.
        name: what the file is called.

    Raises:
        BadValueError: a field is missing or cannot be, or fields contradict one another.
    """
    duration_s = number(required(found, "duration"), "duration")
    answered = count(required(found, "completed"), "completed")
    generated = count(required(found, "total_output_tokens"), "total_output_tokens")
    answers = _answers(found)
    if answers is not None:
        _check_sums(answers, answered, generated)
    return Run(
        tool=TOOL,
        name=name,
        generated=generated,
        answered=answered,
        model=text(found, "model_id"),
        prompt=count(required(found, "total_input_tokens"), "total_input_tokens"),
        failed=_failed(found, answered),
        duration_us=round(duration_s * US_PER_S),
        local_end=_date(found),
        late_us=LATE_US,
        answers=_timed(answers or ()),
        figures_ms=_figures(found),
    )


def _failed(found: Mapping[str, Any], answered: int) -> int | None:
    """Return how many requests failed; releases without `failed` have `num_prompts`."""
    if found.get("failed") is not None:
        return count(found["failed"], "failed")
    if found.get("num_prompts") is None:
        return None
    return max(count(found["num_prompts"], "num_prompts") - answered, 0)


def _date(found: Mapping[str, Any]) -> str | None:
    """Return `20261130-120500` as ISO 8601."""
    date = text(found, "date")
    if date is None:
        return None
    day, _, clock = date.partition("-")
    if len(day) != 8 or len(clock) != 6 or not (day + clock).isdigit():
        raise BadValueError(f"date is {date!r}: expected a time such as 20261130-120500")
    return f"{day[:4]}-{day[4:6]}-{day[6:]}T{clock[:2]}:{clock[2:4]}:{clock[4:]}"


def _figures(found: Mapping[str, Any]) -> dict[str, float]:
    """Return the latencies that vLLM worked out: which ones depends on `--percentile-metrics`.

    Without a stream it has no time to the first token, and writes 0: that is no latency.
    """
    return {
        f"{ours}_{word}_ms": number(found[f"{how}_{theirs}_ms"], f"{how}_{theirs}_ms")
        for theirs, ours in _NAMES.items()
        for how, word in _QUANTILES.items()
        if found.get(f"{how}_{theirs}_ms")
    }


_Request = tuple[int, int | None, float | None, float | None, float | None]
"""Tokens generated, tokens of the prompt; start, time to the first token, latency: seconds."""


def _answers(found: Mapping[str, Any]) -> list[_Request] | None:
    """Return the requests that were answered; None if the file has no detail."""
    outputs = items(found, "output_lens")
    if outputs is None:
        return None
    many = len(outputs)
    inputs = items(found, "input_lens", many)
    errors = items(found, "errors", many)
    starts = items(found, "start_times", many)
    ttfts = items(found, "ttfts", many)
    latencies = items(found, "latencies", many)
    gaps = items(found, "itls", many)
    answers = []
    for place, output in enumerate(outputs):
        if errors[place] if errors else not output:
            continue  # its tokens are not in the totals either
        ttft_s = number(ttfts[place], "ttfts") if ttfts else None
        answers.append(
            (
                count(output, "output_lens"),
                count(inputs[place], "input_lens") if inputs else None,
                number(starts[place], "start_times") if starts else None,
                ttft_s,
                _latency_s(place, latencies, gaps, ttft_s),
            )
        )
    return answers


def _latency_s(
    place: int, latencies: Sequence[Any] | None, gaps: Sequence[Any] | None, ttft_s: float | None
) -> float | None:
    """Return how long a request took: told by newer releases, else the sum of its waits."""
    if latencies:
        return number(latencies[place], "latencies")
    if gaps is None or not ttft_s:
        return None  # without a stream nothing says when the answer came
    waits = gaps[place]
    if not isinstance(waits, list):
        raise BadValueError(f"itls has {str(waits)[:60]!r}: expected a list a request")
    return ttft_s + sum(number(wait, "itls") for wait in waits)


def _check_sums(answers: Sequence[_Request], answered: int, generated: int) -> None:
    total = sum(one[0] for one in answers)
    if len(answers) != answered:
        raise BadValueError(
            f"completed is {answered}, but {len(answers)} requests have no error: expected the same"
        )
    if total != generated:
        raise BadValueError(
            f"total_output_tokens is {generated}, but output_lens add up to {total}: expected the "
            "same"
        )


def _timed(answers: Sequence[_Request]) -> list[Answer]:
    """Return the requests with their times; none unless all of them have times."""
    timed = []
    for generated, prompt, start_s, ttft_s, latency_s in answers:
        if start_s is None or latency_s is None:
            return []
        start_us = round(start_s * US_PER_S)
        ttft_us = round(ttft_s * US_PER_S) if ttft_s else None
        end_us = start_us + round(latency_s * US_PER_S)
        timed.append(Answer(start_us, end_us, generated, prompt, ttft_us))
    return timed
