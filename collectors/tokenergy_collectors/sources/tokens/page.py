"""The known counters of one page in Prometheus text, series by series.

In: the text. Out: one `Series` for each known counter, never a sum of several. Only lines of known
counters are parsed, so that a server's hundreds of other series cost nothing.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from tokenergy_collectors.sources.tokens.counters import KNOWN, Counter, Counters
from tokenergy_collectors.sources.tokens.scrape import ScrapeError

START = "process_start_time_seconds"
"""Metric that says when the process of a page began."""

_TYPE = "# TYPE "
_LIMIT = 2**63
_DIGITS = 6
"""Digits that a C++ stream prints of a number, unless it is set otherwise: llama.cpp's counters."""

_MORE_DIGITS = re.compile(r"[ \t]\d\.\d{6,}e\+\d+\s")
_ROUNDED = re.compile(r"[ \t](\d(?:\.\d{1,5})?e\+\d+)\s")


@dataclass(frozen=True, slots=True)
class Series:
    """One series of a known counter at one instant.

    Attributes:
        counter: what it counts.
        metric: name of the metric, as served.
        labels: all its labels.
        value: tokens.
        quantum: step in which the server prints the value; 1 if it is exact.
        since_us: start of the process that counts (us UTC), if the page says it.
    """

    counter: Counter
    metric: str
    labels: Mapping[str, str]
    value: int
    quantum: int = 1
    since_us: int | None = None

    @property
    def model(self) -> str | None:
        """Name of the model, if the labels have it."""
        return self.labels.get("model_name") or self.labels.get("model")

    @property
    def engine(self) -> str:
        """Label of the engine; empty if the server has only one."""
        return self.labels.get("engine", "")


@dataclass(slots=True)
class _Found:
    """Samples of a page: known counters, and the starts of processes with their labels."""

    counters: list[tuple[Counter, str, dict[str, str], float]] = field(default_factory=list)
    starts: list[tuple[dict[str, str], int]] = field(default_factory=list)


def parse(text: str, *, exact: bool = False, counters: Counters = KNOWN) -> list[Series]:
    """Return the known counters of a page, in its order.

    A series that the page holds twice counts once, with the value that comes last.

    Args:
        text: the page.
        exact: whether the server is known to print all digits.
        counters: what to look for.

    Raises:
        ScrapeError: a line of one of them is malformed, its value is not a count, or the page says
            that it is a gauge.
    """
    lines = "\n".join(_known_lines(text, counters)) + "\n"
    found = _samples(lines, counters)
    exact = exact or prints_all_digits(text)
    rounded = set() if exact else {float(number) for number in _ROUNDED.findall(lines)}
    series = {}
    for counter, metric, labels, value in found.counters:
        series[metric, labels_text(labels)] = Series(
            counter,
            metric,
            labels,
            _count(metric, value),
            _quantum(value) if value in rounded else 1,
            since_of(found.starts, labels),
        )
    return list(series.values())


def prints_all_digits(text: str) -> bool:
    """Return whether a page shows that its server does not round: it has a number of 7 digits."""
    return _MORE_DIGITS.search(text) is not None


def labels_text(labels: Mapping[str, str]) -> str:
    """Return labels as the column `series` has them: a JSON object with sorted keys."""
    return json.dumps(dict(labels), sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def _samples(lines: str, counters: Counters) -> _Found:
    from prometheus_client.parser import text_string_to_metric_families

    found = _Found()
    try:
        for family in text_string_to_metric_families(lines):
            for sample in family.samples:
                if sample.name == START:
                    since_us = _count(sample.name, sample.value * 1_000_000)
                    found.starts.append((sample.labels, since_us))
                elif (counter := counters.of(sample.name, sample.labels)) is not None:
                    # Known names are taken for what they are, whatever a proxy makes of their type.
                    if family.type == "gauge" and counters is not KNOWN:
                        raise ScrapeError(f"{sample.name} is a gauge: expected a counter")
                    found.counters.append((counter, sample.name, sample.labels, sample.value))
    except (ValueError, LookupError) as error:
        raise ScrapeError(f"not Prometheus text: {error}") from None
    return found


def since_of(starts: list[tuple[dict[str, str], int]], labels: Mapping[str, str]) -> int | None:
    """Return the start of a series' process; None if the page does not say which one is its own.

    A page may join several processes (a front end and its engine, or a federated page): then only a
    start whose labels the series has too is that of its process.
    """
    if len({since_us for _, since_us in starts}) == 1:
        return starts[0][1]
    own = {since_us for of, since_us in starts if of and of.items() <= labels.items()}
    return own.pop() if len(own) == 1 else None


def _quantum(value: float) -> int:
    """Return the step of a number that was rounded to six digits: 10000 for 1.23456e+09."""
    return int(10 ** (math.floor(math.log10(value)) - _DIGITS + 1))


def _count(name: str, value: float) -> int:
    """Return a count as an int64; NaN, infinity and negative values are errors."""
    if not 0 <= value < _LIMIT:
        raise ScrapeError(f"{name} is {value:g}: expected 0 to 2^63")
    return round(value)


def _known_lines(text: str, counters: Counters) -> Iterable[str]:
    """Yield the lines of counters, of their types, and of the start of the process."""
    for line in text.split("\n"):
        head = line.removeprefix(_TYPE).partition("{")[0].split(None, 1)
        if head and (head[0] == START or counters.has(head[0])):
            yield line
