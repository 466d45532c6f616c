"""Reads what NVIDIA AIPerf exported: `profile_export_aiperf.json` and `profile_export.jsonl`.

In: the object of the first, the lines of the second. Out: a `Run`. The format follows AIPerf 0.13
(`common/models/export_models.py`, `record_models.py`; schema 1.4) and 0.1.

What that source says of times: the stamps of a record are wall clock, nanoseconds since 1970, UTC.
`start_time` and `end_time` of the summary are the client's local time, without a zone, of the phase
that is measured. `benchmark_duration` is from the first request to the last answer. Requests of the
phase `warmup` are in no figure of the summary; the records may have them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from tokenergy_collectors.base.csvfile import BadValueError
from tokenergy_collectors.importers.benchmark.fields import count, number, required, text
from tokenergy_collectors.importers.benchmark.run import US_PER_S, Answer, Run

TOOL = "aiperf"

_LATENCIES = {
    "request_latency": "e2e",
    "time_to_first_token": "ttft",
    "inter_token_latency": "tpot",
}
"""Of AIPerf, the inter-token latency of a request is its mean time per token after the first."""

_QUANTILES = {"p50": "median", "p99": "p99"}
_UNIT_US = {"ns": 0.001, "us": 1.0, "ms": 1e3, "sec": 1e6, "s": 1e6}


def is_summary(found: Mapping[str, Any]) -> bool:
    """Return whether an object is a summary of AIPerf."""
    return "input_config" in found and ("aiperf_version" in found or "request_latency" in found)


def is_record(found: Mapping[str, Any]) -> bool:
    """Return whether an object is a record of one request."""
    metadata = found.get("metadata")
    return isinstance(metadata, dict) and "request_start_ns" in metadata and "metrics" in found


def read_summary(found: Mapping[str, Any], name: str) -> Run:
    """Return the run of a summary.

    Raises:
        BadValueError: a field is missing or cannot be, or the run did not end well.
    """
    if found.get("is_complete") is False:
        why = text(found, "incomplete_reason") or "no reason is given"
        raise BadValueError(f"is_complete is false ({why}): expected a run that came to its end")
    answered = _total(found, "request_count")
    duration = found.get("benchmark_duration")
    run = Run(
        tool=TOOL,
        name=name,
        generated=_tokens(found, "total_osl", "output_sequence_length", answered),
        answered=answered,
        model=_model(found.get("input_config")),
        prompt=_prompt(found, answered),
        failed=_total(found, "error_request_count") if "error_request_count" in found else 0,
        duration_us=None if duration is None else round(_time_us(duration, "benchmark_duration")),
        local_start=text(found, "start_time"),
        local_end=text(found, "end_time"),
        figures_ms=_figures(found),
    )
    if found.get("was_cancelled") is True:
        run.warnings.append("the run was cancelled: tokens of requests under way are not counted")
    return run


def read_records(lines: Iterable[tuple[int, Mapping[str, Any]]], name: str) -> Run:
    """Return the run of the records of its requests.

    Args:
        lines: number and object of each line.
        name: what the file is called.

    Raises:
        BadValueError: a field is missing or cannot be; names the line.
    """
    answers: list[Answer] = []
    spans: list[tuple[int, int]] = []
    for line, found in lines:
        try:
            if text(required(found, "metadata"), "benchmark_phase") == "warmup":
                continue
            span = _span(found["metadata"])
            spans.append(span)
            if found.get("error") is None:
                answers.append(_answer(found, *span))
        except BadValueError as error:
            raise BadValueError(f"line {line}: {error}") from None
    if not spans:
        raise BadValueError("has no requests of the phase that is measured")
    start_us, end_us = min(one for one, _ in spans), max(one for _, one in spans)
    prompts = [one.prompt for one in answers]
    return Run(
        tool=TOOL,
        name=name,
        generated=sum(one.generated for one in answers),
        answered=len(answers),
        prompt=None if None in prompts else sum(one or 0 for one in prompts),
        failed=len(spans) - len(answers),
        duration_us=end_us - start_us,
        start_us=start_us,
        end_us=end_us,
        answers=answers,
        answers_are_utc=True,
    )


def _span(metadata: Mapping[str, Any]) -> tuple[int, int]:
    """Return when a request was sent and answered; it is not shorter than it was."""
    start_ns, end_ns = (
        count(required(metadata, name), name, most=2**63)
        for name in ("request_start_ns", "request_end_ns")
    )
    if end_ns < start_ns:
        raise BadValueError(f"request_end_ns {end_ns} is before request_start_ns {start_ns}")
    return start_ns // 1_000, -(-end_ns // 1_000)


def _answer(found: Mapping[str, Any], start_us: int, end_us: int) -> Answer:
    metrics = required(found, "metrics")
    output = metrics.get("output_sequence_length") or metrics.get("output_token_count")
    if output is None:
        raise BadValueError("metrics.output_sequence_length is missing")
    prompt, ttft = metrics.get("input_sequence_length"), metrics.get("time_to_first_token")
    return Answer(
        start_us,
        end_us,
        _tokens_of(output, "metrics.output_sequence_length"),
        None if prompt is None else _tokens_of(prompt, "metrics.input_sequence_length"),
        None if ttft is None else round(_time_us(ttft, "metrics.time_to_first_token", "value")),
    )


def _tokens_of(metric: Any, name: str) -> int:
    return count(required(_metric(metric, name), "value"), name)


def _metric(found: Any, name: str) -> Mapping[str, Any]:
    if not isinstance(found, dict):
        raise BadValueError(f"{name} is {str(found)[:60]!r}: expected an object with a unit")
    return found


def _time_us(metric: Any, name: str, key: str = "avg") -> float:
    """Return a time in microseconds; its unit is beside it."""
    found = _metric(metric, name)
    unit = found.get("unit")
    if unit not in _UNIT_US:
        raise BadValueError(f"{name} is in {unit!r}: expected one of {', '.join(_UNIT_US)}")
    return number(required(found, key), f"{name}.{key}") * _UNIT_US[unit]


def _total(found: Mapping[str, Any], name: str) -> int:
    return count(required(_metric(required(found, name), name), "avg"), f"{name}.avg")


def _tokens(found: Mapping[str, Any], total: str, each: str, answered: int) -> int:
    """Return a sum of tokens: as it was added up, else as the sum beside the mean of requests."""
    if found.get(total) is not None:
        return _total(found, total)
    metric = _metric(found.get(each) or {}, each)
    if metric.get("sum") is not None:
        return count(metric["sum"], f"{each}.sum")
    raise BadValueError(
        f"{total} is missing, and so is {each}.sum: the tokens of {answered} requests are not known"
    )


def _prompt(found: Mapping[str, Any], answered: int) -> int | None:
    names = ("total_isl", "input_sequence_length")
    if not any(name in found for name in names):
        return None
    return _tokens(found, *names, answered)


def _figures(found: Mapping[str, Any]) -> dict[str, float]:
    return {
        f"{ours}_{word}_ms": _time_us(found[theirs], theirs, key) / US_PER_S * 1e3
        for theirs, ours in _LATENCIES.items()
        if found.get(theirs) is not None
        for key, word in _QUANTILES.items()
        if _metric(found[theirs], theirs).get(key) is not None
    }


def _model(config: Any) -> str | None:
    """Return the models that were asked: releases name them in two ways."""
    if not isinstance(config, dict):
        return None
    names: list[Any] = []
    models, endpoint = config.get("models"), config.get("endpoint")
    if isinstance(models, dict) and isinstance(models.get("items"), list):
        names = [one.get("name") for one in models["items"] if isinstance(one, dict)]
    elif isinstance(endpoint, dict) and isinstance(endpoint.get("model_names"), list):
        names = endpoint["model_names"]
    return "+".join(name for name in names if isinstance(name, str) and name) or None
