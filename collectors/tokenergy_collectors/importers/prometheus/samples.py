"""Raw samples of a store, with the stamps of their scrapes.

In: a selector and a span of time. Out: series, each with its labels, stamps and values.

A range query (`/api/v1/query_range`) is not used: it looks back for a value at each step, so that
its stamps are not those of the readings, and a value that is gone lives on for five minutes. A
range selector in an instant query, `metric[5m]`, gives each sample as it was scraped; Prometheus
leaves staleness markers out, so a gap stays a gap.

How stores differ, and what is done:

- Prometheus before 3 includes a sample at the very start of `[5m]`, later ones do not: the span is
  asked for a second longer, and cut here.
- Thanos may answer with samples that were averaged: `max_source_resolution=0s` asks for raw ones;
  `partial_response=false` makes a store that is away an error instead of a hole.
- VictoriaMetrics writes a marker as null; Prometheus writes `NaN`: neither is a reading.
- All have limits on samples: a span that is too much is asked for in halves.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.importers.prometheus.client import Client, TooMuchError
from tokenergy_collectors.sources.tokens.page import labels_text

Stamps = npt.NDArray[np.int64]
Values = npt.NDArray[np.float64]

_LEAST_US = 60_000_000
"""A span that is not divided any more."""

_EXACT = {"max_source_resolution": "0s", "partial_response": "false", "nocache": "1"}
_COUNT_CALLS = 1_000


@dataclass(frozen=True, slots=True)
class Samples:
    """The samples of one series in a span of time.

    Attributes:
        metric: its name.
        labels: all other labels.
        ts_us: int64[n], stamps of the scrapes, us UTC, ascending.
        values: float64[n].
    """

    metric: str
    labels: Mapping[str, str]
    ts_us: Stamps
    values: Values


def names_in(client: Client, patterns: Iterable[str], start_us: int, end_us: int) -> list[str]:
    """Return the names of metrics that a store has in a span of time, sorted.

    Args:
        client: asks the store.
        patterns: regular expressions; one for names of some kind.
        start_us: first instant, us UTC.
        end_us: last instant.

    Raises:
        UserError: the store does not answer.
    """
    found: set[str] = set()
    for pattern in patterns:
        parameters: dict[str, str | list[str]] = {
            "match[]": [f"{{__name__=~{quoted(pattern)}}}"],
            "start": _seconds(start_us),
            "end": _seconds(end_us),
        }
        try:
            data = client.ask("/api/v1/label/__name__/values", parameters)
        except TooMuchError as error:
            raise UserError(
                f"{client.door.url}: cannot list its metrics: {error}; choose a shorter time with "
                "--from and --to, or a longer --timeout"
            ) from None
        found |= {str(name) for name in data or ()}
    return sorted(found)


def quoted(text: str) -> str:
    """Return a text as PromQL writes it."""
    text = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{text}"'


def samples_of(
    client: Client, metric: str, matchers: str, start_us: int, end_us: int
) -> list[Samples]:
    """Return all series of a metric with their samples in [start, end), sorted by labels.

    Args:
        client: asks the store.
        metric: its name.
        matchers: further matchers as in PromQL, such as `cluster="a"`; may be empty.
        start_us: first instant, us UTC.
        end_us: the instant after the last.

    Raises:
        UserError: the store does not answer, even about a minute.
    """
    selector = f"{{__name__={quoted(metric)}{f',{matchers}' if matchers else ''}}}"
    parts: dict[str, list[tuple[Mapping[str, str], Stamps, Values]]] = {}
    for answer in _spans(client, selector, start_us, end_us):
        for labels, ts_us, values in answer:
            parts.setdefault(labels_text(labels), []).append((labels, ts_us, values))
    return [_joined(metric, parts[key]) for key in sorted(parts)]


def _spans(
    client: Client, selector: str, start_us: int, end_us: int
) -> Iterator[list[tuple[Mapping[str, str], Stamps, Values]]]:
    """Yield answers about a span, in halves where all of it is too much."""
    seconds = -(-(end_us - start_us) // 1_000_000) + 1
    parameters = {"query": f"{selector}[{seconds}s]", "time": _seconds(end_us), **_EXACT}
    try:
        yield _matrix(client.ask("/api/v1/query", parameters), client, start_us, end_us)
        return
    except TooMuchError as error:
        if end_us - start_us <= _LEAST_US:
            raise UserError(
                f"{client.door.url}: {selector}: the store refuses even a minute of it: {error}; "
                "narrow it with --match, such as --match 'cluster=\"a\"'"
            ) from None
    middle_us = (start_us + end_us) // 2 // 1_000_000 * 1_000_000
    yield from _spans(client, selector, start_us, middle_us)
    yield from _spans(client, selector, middle_us, end_us)


def _matrix(
    data: Any, client: Client, start_us: int, end_us: int
) -> list[tuple[Mapping[str, str], Stamps, Values]]:
    """Return the series of an answer, cut to [start, end).

    Raises:
        UserError: it is no answer about a span.
    """
    try:
        if data["resultType"] != "matrix":
            raise ValueError(data["resultType"])
        return [
            (
                {name: text for name, text in one["metric"].items() if name != "__name__"},
                *_read(one["values"], start_us, end_us),
            )
            for one in data["result"] or ()
            if "values" in one
        ]
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise UserError(
            f"{client.door.url}: cannot read the answer to /api/v1/query: expected a matrix of "
            f"samples, got {error}"
        ) from None


def _read(values: Iterable[Any], start_us: int, end_us: int) -> tuple[Stamps, Values]:
    stamps, numbers = [], []
    for ts_s, text in values:
        # Stores keep milliseconds; a float of seconds holds a microsecond exactly until 2100.
        ts_us = round(float(ts_s) * 1_000) * 1_000
        value = math.nan if text is None else float(text)
        if start_us <= ts_us < end_us and math.isfinite(value):
            stamps.append(ts_us)
            numbers.append(value)
    return np.array(stamps, dtype=np.int64), np.array(numbers, dtype=np.float64)


def _joined(metric: str, parts: list[tuple[Mapping[str, str], Stamps, Values]]) -> Samples:
    ts_us = np.concatenate([part[1] for part in parts])
    values = np.concatenate([part[2] for part in parts])
    # A store with replicas may give a stamp twice: the first counts.
    ts_us, first = np.unique(ts_us, return_index=True)
    return Samples(metric, parts[0][0], ts_us, values[first])


def _seconds(ts_us: int) -> str:
    return f"{ts_us // 1_000_000}.{ts_us // 1_000 % 1_000:03d}"
