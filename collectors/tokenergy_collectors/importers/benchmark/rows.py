"""Rows of the lake that a run gives.

In: a run and its span. Out: rows of `tokens`, `requests` and `jobs`. Counters begin with the run
(`since_us`), so two runs of one job are two processes. What is not a counter (latencies as the tool
worked them out) is a label of the job.
"""

from __future__ import annotations

import json
from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from tokenergy_collectors.importers.benchmark.clock import Span
from tokenergy_collectors.importers.benchmark.points import edges, placed, points
from tokenergy_collectors.importers.benchmark.run import US_PER_MS, US_PER_S, Answer, Run
from tokenergy_collectors.lake.contract import REQUESTS, TOKENS, WHOLE_PPM

Row = tuple[Any, ...]

_EDGES_MS = (
    *(5, 10, 15, 20, 25, 30, 40, 50, 60, 75, 80, 100, 120, 150, 200, 250, 300, 400, 500, 600, 750),
    *(800, 1_000, 1_200, 1_500, 2_000, 2_500, 3_000, 4_000, 5_000, 6_000, 7_500, 8_000, 10_000),
    *(12_000, 15_000, 20_000, 25_000, 30_000, 40_000, 50_000, 60_000, 90_000, 120_000, 180_000),
    *(240_000, 300_000, 600_000),
)
"""Upper edges of the buckets of latencies: limits that people choose are among them."""

_LATENCIES: Mapping[str, Callable[[Answer], float | None]] = {
    "ttft": lambda one: one.ttft_us,
    "tpot": lambda one: one.tpot_us,
    "e2e": lambda one: one.latency_us,
}

LABEL = "benchmark"
"""The label of a job that is a run: the tool that made it."""


def token_rows(run: Run, span: Span, same: Mapping[str, Any]) -> list[Row]:
    """Return the rows of `tokens` of a run; `same` is what all of them have in common."""
    answers = placed(run, span)
    counters = [
        ("generated", "output_tokens", points(run.generated, span, answers, lambda a: a.generated))
    ]
    if run.prompt is not None:
        # Where requests do not add up to the total, or say nothing, the total alone is known.
        known = sum(one.prompt or 0 for one in answers) == run.prompt
        prompts = points(run.prompt, span, answers if known else (), lambda a: a.prompt or 0)
        # The client knows of no cache: as of any server that tells none, all were computed.
        counters.append(("prompt_computed", "input_tokens", prompts))
    return [
        TOKENS.make_row(
            ts_us=point.ts_us, engine="", kind=kind, value=point.value, epoch=0,
            since_us=span.start_us, metric=f"{run.tool}:{metric}", series="{}",
            quantum=point.quantum, **same,
        )
        for kind, metric, found in counters
        for point in found
    ]  # fmt: skip


def request_rows(run: Run, span: Span, same: Mapping[str, Any]) -> list[Row]:
    """Return the rows of `requests` of a run: how many had ended, and how fast they were."""
    answers = placed(run, span)
    found = [
        _request_row(at_us, run, span, same, kind="finished", counts=counts)
        for at_us, counts in _finished(run, span, answers)
    ]
    for kind, latency_us in _LATENCIES.items():
        told = [one for one in answers if latency_us(one) is not None]
        if answers and (told or kind == "e2e"):
            for at_us in edges(span):
                known = [latency_us(one) or 0.0 for one in told if one.end_us <= at_us]
                found.append(
                    _request_row(
                        at_us,
                        run,
                        span,
                        same,
                        kind=kind,
                        counts=_buckets(known),
                        sum_s=sum(known) / US_PER_S,
                    )
                )
    return found


def _finished(
    run: Run, span: Span, answers: Sequence[Answer]
) -> Iterator[tuple[int, Mapping[str, int]]]:
    """Yield how many requests had ended at the edges, failed ones at the end alone."""
    last_us = span.end_us
    for at_us in edges(span) if answers else (span.start_us, span.end_us):
        answered = sum(one.end_us <= at_us for one in answers) if answers else run.answered
        counts = {"answered": 0 if at_us == span.start_us else answered}
        if at_us == last_us:
            counts["answered"] = run.answered
        if run.failed is not None:
            counts["failed"] = run.failed if at_us == last_us else 0
        yield at_us, counts


def _request_row(
    at_us: int, run: Run, span: Span, same: Mapping[str, Any], *, kind: str,
    counts: Mapping[str, int], sum_s: float | None = None,
) -> Row:  # fmt: skip
    return REQUESTS.make_row(
        ts_us=at_us, engine="", kind=kind, counts=json.dumps(counts, separators=(",", ":")),
        metric=f"{run.tool}:{'requests' if kind == 'finished' else kind}", series="{}",
        sum_s=sum_s, since_us=span.start_us, **same,
    )  # fmt: skip


def _buckets(known_us: Sequence[float]) -> dict[str, int]:
    """Return how many latencies are at most each edge; keys are seconds."""
    counts = [0] * (len(_EDGES_MS) + 1)
    for one in known_us:
        counts[bisect_left(_EDGES_MS, one / US_PER_MS)] += 1
    found, total = {}, 0
    for edge_ms, count in zip(_EDGES_MS, counts, strict=False):
        total += count
        found[f"{edge_ms / 1_000:g}"] = total
    return {**found, "+Inf": len(known_us)}


def job_row(run: Run, span: Span, device: str, same: Mapping[str, Any]) -> dict[str, Any]:
    """Return the row of `jobs` of a run on one device, without `recorded_us`."""
    labels = {LABEL: run.tool, "requests": run.answered, **figures(run)}
    if run.failed is not None:
        labels["requests_failed"] = run.failed
    if run.duration_us is not None:
        labels["duration_s"] = run.duration_us / US_PER_S
    return {
        **same,
        "device_id": device,
        "start_us": span.start_us,
        "end_us": span.end_us,
        "share_ppm": WHOLE_PPM,
        "scheduler": "declared",
        "user": None,
        "account": None,
        "name": run.name,
        "labels": json.dumps(labels, sort_keys=True),
        "method": "declared",
        "allocation_id": None,
        "edge_doubt_us": span.doubt_us or None,
    }


def figures(run: Run) -> dict[str, Any]:
    """Return median and 99th percentile of each latency, ms: as the tool told them, else ours."""
    found = dict(run.figures_ms)
    for kind, latency_us in _LATENCIES.items():
        known = sorted(us for one in run.answers if (us := latency_us(one)) is not None)
        for word, percent in (("median", 50), ("p99", 99)):
            if known and (name := f"{kind}_{word}_ms") not in found:
                found[name] = quantile(known, percent) / US_PER_MS
    return dict(sorted(found.items()))


def quantile(ordered: Sequence[float], percent: int) -> float:
    """Return a percentile, linear between two neighbours, as both tools work it out."""
    place, part = divmod((len(ordered) - 1) * percent, 100)
    low, high = ordered[place], ordered[min(place + 1, len(ordered) - 1)]
    return low + (high - low) * part / 100
