"""The kinds of the contract, from the series of one engine at one instant.

In: series by role. Out: values by kind, each still one series: computed prompts are the difference
of two series with the same labels.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, replace

from tokenergy_collectors.sources.tokens.counters import Counter, Role
from tokenergy_collectors.sources.tokens.page import Series, labels_text

_SERVER = re.compile(r"(?:ray_)?[^:_]*[:_]")


@dataclass(frozen=True, slots=True)
class Value:
    """One counter of the contract at one instant.

    Attributes:
        kind: one of `TOKEN_KINDS` of the contract.
        metric: name of its metric; of a difference: both names.
        series: all its labels, as in the column of that name.
        value: tokens.
        parts: the values it is the difference of; of any other counter, its value.
        quantum: step in which the server prints it; 1 if it is exact.
        since_us: start of its process (us UTC), if known.
    """

    kind: str
    metric: str
    series: str
    value: int
    parts: tuple[int, ...]
    quantum: int
    since_us: int | None


def preferred(found: Iterable[Series], known: Collection[Counter] = ()) -> list[Series]:
    """Return the series of one engine without those that count the same tokens again.

    Args:
        found: all its series.
        known: counters that it served at any time. A second choice is not used where the first
            choice is missing for once: a counter must not change its meaning.
    """
    series = list(found)
    # Where the counters that move with every batch are served, the late ones are dropped.
    late = all(one.counter.late for one in series)
    series = [one for one in series if one.counter.late == late]
    kept = []
    for one in series:
        better = [
            other.counter.choice for other in series if other.counter.role == one.counter.role
        ]
        if one.counter.choice == min(better) and not _has_better(one, known):
            kept.append(one)
    return kept


def values_of(series: Iterable[Series], known: Collection[Role] = ()) -> list[Value]:
    """Return the counters of the contract that the series of one engine give.

    Computed prompt tokens are all prompt tokens minus the cached ones, never negative. If the
    server reports no cache, they are all prompt tokens.

    Args:
        series: of one engine, without double ones: see `preferred`.
        known: roles that the engine has reported at any time. If it has reported cached tokens, a
            total without them is left out, since its computed part is unknown. If it has reported
            computed ones, they are never made from a total.
    """
    by_role: dict[Role, list[Series]] = {}
    for one in series:
        by_role.setdefault(one.counter.role, []).append(one)
    totals, cached = by_role.pop("prompt_all", []), by_role.get("prompt_cached", [])
    values = [
        Value(role, one.metric, labels_text(one.labels), one.value, (one.value,), one.quantum,
              one.since_us)
        for role, of_role in by_role.items()
        for one in of_role
    ]  # fmt: skip
    if "prompt_computed" not in by_role and "prompt_computed" not in known:
        values += _computed(totals, cached, "prompt_cached" in known)
    return values


def _has_better(one: Series, known: Collection[Counter]) -> bool:
    return any(c.role == one.counter.role and c.choice < one.counter.choice for c in known)


def _computed(totals: list[Series], cached: list[Series], expected: bool) -> Iterator[Value]:
    """Yield computed prompts: each total less its own cached part."""
    if not cached and not expected:
        for one in totals:
            yield Value("prompt_computed", one.metric, labels_text(one.labels), one.value,
                        (one.value,), one.quantum, one.since_us)  # fmt: skip
        return
    names = {_prefix(one): one.metric for one in cached}
    for metric in {one.metric: None for one in totals}:
        mine = [one for one in totals if one.metric == metric]
        # A page may hold old and new names of one server: subtract the ones spelled alike.
        other = names.get(_prefix(mine[0]), next(iter(names.values()), None))
        yield from _differences(mine, [one for one in cached if one.metric == other])


def _differences(totals: list[Series], cached: list[Series]) -> Iterator[Value]:
    """Yield totals less cached parts; labels that only some of them have are added over."""
    if not cached:
        return
    shared = set.intersection(*(set(one.labels) for one in (*totals, *cached)))
    for total in _added(totals, shared):
        parts = [one for one in _added(cached, shared) if one.labels == total.labels]
        for part in parts:
            yield Value(
                "prompt_computed",
                f"{total.metric} - {part.metric}",
                labels_text(total.labels),
                max(0, total.value - part.value),
                (total.value, part.value),
                # Both are printed in steps.
                1 if total.quantum == part.quantum == 1 else total.quantum + part.quantum,
                total.since_us,
            )


def _added(series: list[Series], shared: Collection[str]) -> list[Series]:
    """Return one series for each value of the shared labels: what has further labels is added."""
    found: dict[str, Series] = {}
    for one in series:
        labels = {name: value for name, value in one.labels.items() if name in shared}
        key = labels_text(labels)
        before = found.get(key)
        value = one.value + (before.value if before else 0)
        found[key] = replace(one, labels=labels, value=value)
    return list(found.values())


def _prefix(one: Series) -> str:
    """Return how a metric names its server: `vllm:` of `vllm:prompt_tokens_total`."""
    found = _SERVER.match(one.metric)
    return found[0] if found else ""
