"""The request counters and latency histograms of one page in Prometheus text.

In: the text. Out: one `Told` for each counter or histogram, with all its counts at one instant.
What cannot be read is left out: requests are beside the tokens, and must never cost those.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING

from tokenergy_collectors.sources.tokens.page import START, since_of
from tokenergy_collectors.sources.tokens.requests import RequestMetric, request_metric

if TYPE_CHECKING:
    from prometheus_client.samples import Sample

_LIMIT = 2**53
"""Servers print counts as floating-point numbers: beyond this they are not exact."""

_MOST_COUNTS = 200
"""Finish reasons or buckets of one row; no known server has a quarter of that."""


@dataclass(slots=True)
class Told:
    """A request counter, or a histogram of requests, at one instant.

    Attributes:
        what: what it counts.
        metric: name of the metric, as served, without `_bucket`.
        labels: all labels but that of the counts.
        counts: requests by finish reason, or by the upper edge of a latency's bucket.
        sum_s: sum of the latencies, if it is a histogram.
        since_us: start of the process that counts (us UTC), if the page says it.
    """

    what: RequestMetric
    metric: str
    labels: dict[str, str]
    counts: dict[str, int] = field(default_factory=dict)
    sum_s: float | None = None
    since_us: int | None = None
    readable: bool = True

    @property
    def model(self) -> str | None:
        """Name of the model, if the labels have it."""
        return self.labels.get("model_name") or self.labels.get("model")

    @property
    def engine(self) -> str:
        """Label of the engine; empty if the server has only one."""
        return self.labels.get("engine", "")


def parse_requests(text: str, *, latencies: bool = True) -> list[Told]:
    """Return the request counters of a page, and its histograms if they are wanted.

    Args:
        text: the page.
        latencies: whether to read histograms too, which are most of the lines.
    """
    from prometheus_client.parser import text_string_to_metric_families

    lines = "".join(f"{line}\n" for line in _lines(text, latencies))
    found: dict[tuple[str, tuple[tuple[str, str], ...]], Told] = {}
    starts: list[tuple[dict[str, str], int]] = []
    try:
        for family in text_string_to_metric_families(lines):
            for sample in family.samples:
                if sample.name == START:
                    starts.append((sample.labels, round(sample.value * 1e6)))
                else:
                    _take(found, sample)
    except (ValueError, LookupError, OverflowError):
        return []
    told = [one for one in found.values() if one.readable and one.counts]
    for one in told:
        one.since_us = since_of(starts, one.labels)
    return told


def _take(found: dict[tuple[str, tuple[tuple[str, str], ...]], Told], sample: Sample) -> None:
    """Put a sample into the row that it belongs to."""
    known = request_metric(sample.name)
    if known is None:
        return
    what, part = known
    labels = {name: value for name, value in sample.labels.items() if name != what.label}
    metric = sample.name.removesuffix(part) if part else sample.name
    row = found.setdefault((metric, tuple(sorted(labels.items()))), Told(what, metric, labels))
    if part == "_sum":
        row.sum_s = sample.value if math.isfinite(sample.value) else None
        return
    label = sample.labels.get(what.label, "")
    key = label if part else f"{what.reason}{label}"
    if not 0 <= sample.value < _LIMIT or (
        key not in row.counts and len(row.counts) >= _MOST_COUNTS
    ):
        # One count that cannot be right makes the others of its row doubtful.
        row.readable = False
        return
    row.counts[key] = round(sample.value)


def _lines(text: str, latencies: bool) -> Iterator[str]:
    """Yield the lines of request counters, of histograms if wanted, and of the process' start."""
    for line in text.split("\n"):
        head = line.partition("{")[0].split(None, 1)
        if head and _wanted(head[0]) and (latencies or not head[0].endswith(("_bucket", "_sum"))):
            yield line


# A page has hundreds of names, the same ones each time.
@lru_cache(10_000)
def _wanted(name: str) -> bool:
    return name == START or request_metric(name) is not None
