"""One token endpoint: fetched over HTTP, parsed, mapped to the roles of known counters.

In: a URL that serves Prometheus text. Out: cumulative counters by model, engine and role. Only
lines of known counters are parsed, so that a server's hundreds of other series cost nothing.
"""

from __future__ import annotations

import http.client
import time
import urllib.error
import urllib.request
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from tokenergy_collectors.sources.tokens.counters import COUNTERS, Role, counter_of

_START = "process_start_time_seconds"
_MAX_BYTES = 32 << 20
_CHUNK_BYTES = 1 << 16
_LIMIT = 2**63
_LABELS = [{}, *(dict([counter.label]) for counter in COUNTERS if counter.label is not None)]

# An endpoint is on the local network: ignore a proxy that the environment names for other traffic.
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class ScrapeError(Exception):
    """The endpoint did not answer, or not in Prometheus text format."""


@dataclass(frozen=True, slots=True)
class Scraped:
    """One engine's counters at one instant.

    Attributes:
        model: name of the model, if the labels have it.
        engine: label of the engine; empty if the server has only one.
        roles: tokens by the role of their counter.
        since_us: start of the server's process (us UTC), if the server reports it.
    """

    model: str | None
    engine: str
    roles: dict[Role, int]
    since_us: int | None


def fetch(url: str, timeout_s: float) -> str:
    """Return the text an endpoint serves.

    Raises:
        ScrapeError: it cannot be reached, is too slow, or answers with an error, with part of a
            text, with too much text, or not in UTF-8.
    """
    deadline_s = time.monotonic() + timeout_s
    body = bytearray()
    try:
        with _OPENER.open(url, timeout=timeout_s) as answer:
            # The timeout above is for one read: a server that sends a byte now and then needs this.
            while chunk := answer.read1(_CHUNK_BYTES):
                body += chunk
                if len(body) > _MAX_BYTES:
                    raise ScrapeError(f"more than {_MAX_BYTES} bytes")
                if time.monotonic() > deadline_s:
                    raise ScrapeError(f"not complete after {timeout_s:g} s")
            promised = answer.headers.get("Content-Length")
        text = body.decode("utf-8")
    except urllib.error.HTTPError as error:
        with error:
            raise ScrapeError(f"HTTP {error.code}") from None
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise ScrapeError(str(error) or type(error).__name__) from None
    # A number that is cut off would look like a counter that fell.
    if (promised is not None and promised != str(len(body))) or (text and text[-1] != "\n"):
        raise ScrapeError(f"cut off after {len(body)} bytes")
    return text


def parse(text: str) -> list[Scraped]:
    """Return the known counters of an exposition, by model and engine.

    Series of the same role, model and engine are added, for example several data-parallel ranks. If
    a server counts the same tokens twice, the counter that moves with every batch is taken.

    Raises:
        ScrapeError: a line of a known counter is malformed, or its value is not a count.
    """
    from prometheus_client.parser import text_string_to_metric_families

    since_us: int | None = None
    totals: dict[tuple[str | None, str], dict[tuple[Role, bool], int]] = {}
    try:
        for family in text_string_to_metric_families("\n".join(_known_lines(text)) + "\n"):
            for sample in family.samples:
                if sample.name == _START:
                    since_us = _count(sample.name, sample.value * 1_000_000)
                    continue
                counter = counter_of(sample.name, sample.labels)
                if counter is None:
                    continue
                labels = sample.labels
                engine = (labels.get("model_name") or labels.get("model"), labels.get("engine", ""))
                roles = totals.setdefault(engine, {})
                key = (counter.role, counter.late)
                value = roles.get(key, 0) + _count(sample.name, sample.value)
                roles[key] = _count(sample.name, value)
    except (ValueError, LookupError) as error:
        raise ScrapeError(f"not Prometheus text: {error}") from None
    return [
        Scraped(model, engine, _preferred(roles), since_us)
        for (model, engine), roles in sorted(totals.items(), key=lambda item: str(item[0]))
    ]


def _count(name: str, value: float) -> int:
    """Return a count as an int64; NaN, infinity and negative values are errors."""
    if not 0 <= value < _LIMIT:
        raise ScrapeError(f"{name} is {value:g}: expected 0 to 2^63")
    return round(value)


def _preferred(roles: dict[tuple[Role, bool], int]) -> dict[Role, int]:
    """Return the counters of one family: the one that moves with every batch, if it is served."""
    late = all(is_late for _, is_late in roles)
    return {role: value for (role, is_late), value in roles.items() if is_late == late}


def _known_lines(text: str) -> Iterable[str]:
    for line in text.split("\n"):
        head = line.partition("{")[0].split(None, 1)
        if head and (head[0] == _START or _may_count(head[0])):
            yield line


@lru_cache(maxsize=10_000)
def _may_count(name: str) -> bool:
    """Return whether a metric of this name is a known counter for any label."""
    return any(counter_of(name, labels) is not None for labels in _LABELS)
