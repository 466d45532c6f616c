"""Rows of `tokens` from counters that a store scraped.

In: samples of counters of known servers, and the starts of their processes. Out: rows, a counter a
series, through the same rules as those of a live endpoint (`sources.tokens`). All samples of one
page have one stamp: together they are what the endpoint would have read.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from tokenergy_collectors.importers.prometheus.names import LabelNames, first_of, host_of
from tokenergy_collectors.importers.prometheus.owners import Owners
from tokenergy_collectors.importers.prometheus.samples import Samples
from tokenergy_collectors.lake.contract import TOKENS
from tokenergy_collectors.sources.tokens.counters import Counter, Counters
from tokenergy_collectors.sources.tokens.epochs import Epochs
from tokenergy_collectors.sources.tokens.kinds import preferred, values_of
from tokenergy_collectors.sources.tokens.page import Series, labels_text

_OF_SCRAPE = ("job", "endpoint", "service", "container", "prometheus")
"""Labels that two scrape jobs of one page differ in."""

_DIGITS = 6
_ROUNDING = ("llamacpp",)
"""Servers that print six digits; the store has numbers, so that the text cannot show it."""

_MOST = 2**63


@dataclass(slots=True)
class Page:
    """What one address served in a chunk.

    Attributes:
        labels: labels of its first series, for its names.
        at: series by stamp (us UTC).
    """

    labels: Mapping[str, str]
    at: dict[int, list[Series]] = field(default_factory=dict)


@dataclass(slots=True)
class Tokens:
    """The rows of a chunk, by node, and addresses whose job no label names."""

    rows: dict[str, list[tuple[Any, ...]]] = field(default_factory=dict)
    unnamed: set[str] = field(default_factory=set)


def token_rows(
    found: Iterable[Samples],
    starts: Iterable[Samples],
    names: LabelNames,
    owners: Owners,
    counters: Counters,
    cluster: str | None,
    node: str | None = None,
) -> Tokens:
    """Return rows of `tokens` of one chunk.

    Args:
        found: samples of counters.
        starts: samples of `process_start_time_seconds` of the same addresses.
        names: what labels are called.
        owners: which job a series belongs to.
        counters: what to look for.
        cluster: the cluster that the jobs' ids belong to.
        node: the node of series that name none.
    """
    told = Tokens()
    for address, page in sorted(_pages(found, list(starts), names, counters).items()):
        owner = owners.owner(page.labels)
        job = owners.of(page.labels)
        if job is None:
            told.unnamed.add(address)
        at = (owner.node if owner else None) or first_of(page.labels, names.node)
        at = at or node or host_of(page.labels) or "unknown"
        same = {
            "source_id": f"prometheus:{address}",
            "node": at,
            "job_id": address if job is None else job.job_id,
            "cluster": cluster,
        }
        model = owner.model if owner else None
        told.rows.setdefault(at, []).extend(_rows(page, same, model, names))
    return told


def _pages(
    found: Iterable[Samples],
    starts: list[Samples],
    names: LabelNames,
    counters: Counters,
) -> dict[str, Page]:
    pages: dict[str, Page] = {}
    for samples in _each_once(found, names):
        counter = counters.of(samples.metric, samples.labels)
        if counter is None:
            continue
        labels = {name: text for name, text in samples.labels.items() if name not in names.replica}
        address = samples.labels.get("instance") or labels_text(labels)
        page = pages.setdefault(address, Page(labels))
        rounds = _rounds(samples)
        since = _starts_of(starts, samples.labels)
        for ts_us, value in zip(samples.ts_us.tolist(), samples.values.tolist(), strict=True):
            if not 0 <= value < _MOST:
                continue
            step = _step(value) if rounds and value >= 10**_DIGITS else 1
            series = Series(counter, samples.metric, labels, round(value), step, since.get(ts_us))
            page.at.setdefault(ts_us, []).append(series)
    return pages


def _each_once(found: Iterable[Samples], names: LabelNames) -> list[Samples]:
    """Return each series of a page once, although two jobs or two replicas scraped the page.

    The first by its labels is taken, whatever it has: a counter that changed its name with every
    chunk would begin anew each time.
    """
    first: dict[tuple[str, str], Samples] = {}
    for samples in sorted(found, key=lambda s: (s.metric, labels_text(s.labels))):
        if not len(samples.ts_us):
            continue
        left_out = {*_OF_SCRAPE, *names.replica} if "instance" in samples.labels else set()
        kept = {name: text for name, text in samples.labels.items() if name not in left_out}
        first.setdefault((samples.metric, labels_text(kept)), samples)
    return list(first.values())


def _starts_of(starts: list[Samples], labels: Mapping[str, str]) -> dict[int, int]:
    """Return the start of a series' process (us UTC) by stamp, where its page says one alone."""
    own = [s for s in starts if all(labels.get(k) == s.labels.get(k) for k in ("instance", "job"))]
    own = own if len(own) < 2 else [s for s in own if s.labels.items() <= labels.items()]
    if len(own) != 1:
        return {}
    return {
        ts_us: round(value * 1_000_000)
        for ts_us, value in zip(own[0].ts_us.tolist(), own[0].values.tolist(), strict=True)
        if value > 0
    }


def _rounds(samples: Samples) -> bool:
    """Return whether a series' server printed six digits, as all its large values show."""
    large = [value for value in samples.values.tolist() if value >= 10**_DIGITS]
    rounding = samples.metric.startswith(_ROUNDING) and bool(large)
    return rounding and all(value % _step(value) == 0 for value in large)


def _step(value: float) -> int:
    return int(10 ** (math.floor(math.log10(value)) - _DIGITS + 1))


def _rows(
    page: Page, same: Mapping[str, Any], model: str | None, names: LabelNames
) -> Iterator[tuple[Any, ...]]:
    """Yield the rows of a page, stamp by stamp."""
    # What an engine served at any stamp of the chunk: a counter must not change its meaning where
    # a better one is missing for once.
    served: dict[tuple[str | None, str], set[Counter]] = {}
    for one in (one for series in page.at.values() for one in series):
        served.setdefault(_engine(one, names), set()).add(one.counter)
    roles = {
        engine: {
            one.counter.role
            for series in page.at.values()
            for one in preferred([s for s in series if _engine(s, names) == engine], known)
        }
        for engine, known in served.items()
    }
    epochs = Epochs()
    for ts_us in sorted(page.at):
        by_engine: dict[tuple[str | None, str], list[Series]] = {}
        for one in page.at[ts_us]:
            by_engine.setdefault(_engine(one, names), []).append(one)
        for engine in sorted(by_engine, key=lambda e: (e[0] or "", e[1])):
            series = preferred(by_engine[engine], served[engine])
            for value in values_of(series, roles[engine]):
                epoch, count = epochs.follow(value)
                yield TOKENS.make_row(
                    ts_us=ts_us, model=engine[0] or model, engine=engine[1], kind=value.kind,
                    value=count, epoch=epoch, since_us=value.since_us, metric=value.metric,
                    series=value.series, quantum=value.quantum, **same,
                )  # fmt: skip


def _engine(one: Series, names: LabelNames) -> tuple[str | None, str]:
    return first_of(one.labels, names.model), one.engine
