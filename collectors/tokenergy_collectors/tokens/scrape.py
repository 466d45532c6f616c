"""One token endpoint: fetched over HTTP, parsed, mapped to the contract's kinds.

In: a URL that serves Prometheus text. Out: cumulative counters by engine and kind. Only the lines
of known counters are parsed, so that a server's hundreds of other series cost nothing.
"""

from __future__ import annotations

import urllib.error
import urllib.request
from collections.abc import Iterable
from dataclasses import dataclass

from tokenergy_collectors.tokens.names import Role, counter_of, kinds_of

_START = "process_start_time_seconds"


class ScrapeError(Exception):
    """The endpoint did not answer, or not in Prometheus text format."""


@dataclass(frozen=True, slots=True)
class Scraped:
    """One engine's counters at one instant."""

    model: str | None
    engine: str
    kinds: dict[str, int]
    since_us: int | None


def fetch(url: str, timeout_s: float) -> str:
    """Return the text an endpoint serves.

    Raises:
        ScrapeError: it cannot be reached, answers with an error, or not in UTF-8.
    """
    try:
        with urllib.request.urlopen(url, timeout=timeout_s) as answer:  # noqa: S310 - the config allows http(s) alone
            return str(answer.read().decode("utf-8"))
    except urllib.error.HTTPError as error:
        with error:
            raise ScrapeError(f"HTTP {error.code}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ScrapeError(str(error)) from None


def parse(text: str) -> list[Scraped]:
    """Return the known counters of an exposition, by model and engine.

    Series of the same role, model and engine are added (several data-parallel ranks, say). Where a
    server tells the same tokens twice, the counter that moves with every batch is taken.

    Raises:
        ScrapeError: a line of a known counter is malformed.
    """
    from prometheus_client.parser import text_string_to_metric_families

    since_us: int | None = None
    totals: dict[tuple[str | None, str], dict[tuple[Role, bool], int]] = {}
    try:
        for family in text_string_to_metric_families("\n".join(_known_lines(text)) + "\n"):
            for sample in family.samples:
                if sample.name == _START:
                    since_us = round(sample.value * 1_000_000)
                    continue
                counter = counter_of(sample.name, sample.labels)
                if counter is None:
                    continue
                labels = sample.labels
                engine = (labels.get("model_name") or labels.get("model"), labels.get("engine", ""))
                roles = totals.setdefault(engine, {})
                key = (counter.role, counter.late)
                roles[key] = roles.get(key, 0) + round(sample.value)
    except ValueError as error:
        raise ScrapeError(f"not Prometheus text: {error}") from None
    return [
        Scraped(model, engine, kinds_of(_preferred(roles)), since_us)
        for (model, engine), roles in sorted(totals.items(), key=lambda item: str(item[0]))
    ]


def _preferred(roles: dict[tuple[Role, bool], int]) -> dict[Role, int]:
    """Take one family of counters: the lively one where it is served."""
    late = all(is_late for _, is_late in roles)
    return {role: value for (role, is_late), value in roles.items() if is_late == late}


def _known_lines(text: str) -> Iterable[str]:
    for line in text.splitlines():
        if line.startswith("#") or not line:
            continue
        name = line.partition("{")[0].partition(" ")[0]
        if name.endswith("_created") or name.endswith("_bucket") or name.endswith("_count"):
            continue
        if name == _START or ":" in name or "_" in name:
            labelled = line.rpartition("}")[0] + "}" if "{" in line else name
            if name == _START or counter_of(labelled) is not None:
                yield line
