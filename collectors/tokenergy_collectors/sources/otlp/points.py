"""The token counts in one block of OTLP metrics.

In: a `ResourceMetrics`, and what the configuration maps. Out: `Point`s by kind of token, and how
many points could not be used and why.

Sources: OpenTelemetry's conventions for generative AI (in development), `gen-ai-metrics.md` and
`gen-ai-token-metrics.md` of semantic-conventions-genai: `gen_ai.client.token.usage` is a histogram
by `gen_ai.token.type`; `gen_ai.client.inference.usage.*` are counters, of which `cache_read` is a
part of the input. Both count the same tokens. No `gen_ai.server.*` metric counts tokens.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from tokenergy_collectors.sources.otlp.messages import attributes

_TYPE = "gen_ai.token.type"
_OPERATION = "gen_ai.operation.name"
_OLD = "gen_ai.client.token.usage"
_USAGE = "gen_ai.client.inference.usage."
_COUNTERS = {
    f"{_USAGE}input_tokens": "prompt_all",
    f"{_USAGE}output_tokens": "generated",
    f"{_USAGE}cache_read.input_tokens": "prompt_cached",
}
_BY_TYPE = {"input": "prompt_all", "output": "generated", "completion": "generated"}
"""Roles by type; `completion` is what conventions before 1.28 call output."""

_SUMS_OF_CALLS = ("invoke_agent", "invoke_workflow")
"""Operations that count again what the calls inside them count."""

_DELTA, _CUMULATIVE = 1, 2
_NO_VALUE = 1
_LIMIT = 2**53
_MAPPED = re.compile(r'(?P<name>[^{}]+)\{(?P<label>[^=]+)="(?P<value>[^"]*)"\}')


class Point(NamedTuple):
    """One count at one instant.

    Attributes:
        kind: of `TOKEN_KINDS`.
        metric: its name; of a difference: both names.
        labels: attributes of the point, and its scope.
        model: that answered, else that was asked.
        value: tokens: since the start, or of a delta since the point before.
        cached: the part of `value` that a cache had; None if this block does not say.
        start_ns: when the count was zero; 0 if unknown.
        time_ns: when it was read.
        delta: whether `value` is only what came since the point before.
    """

    kind: str
    metric: str
    labels: Mapping[str, str]
    model: str | None
    value: int
    cached: int | None
    start_ns: int
    time_ns: int
    delta: bool


@dataclass(slots=True)
class Block:
    """What one block holds: usable points, and points that were refused, with the first reason."""

    points: list[Point] = field(default_factory=list)
    refused: int = 0
    why: str = ""

    def refuse(self, count: int, why: str) -> None:
        """Note points that cannot be used."""
        self.refused += count
        self.why = self.why or why


class _Raw(NamedTuple):
    role: str
    metric: str
    scope: str
    labels: dict[str, str]
    value: int
    start_ns: int
    time_ns: int
    delta: bool


def read(block: Any, mapping: Mapping[str, str]) -> Block:
    """Return the token counts of a block; metrics that count no tokens are passed over."""
    found = Block()
    raw: list[_Raw] = []
    for scope in block.scope_metrics:
        for metric in scope.metrics:
            if metric.name in (_OLD, *_COUNTERS) or _mapped(metric.name, mapping):
                raw += _points(metric, scope.scope.name, mapping, found)
    # The counters are the newer convention for what the histogram counts: never both.
    newer = {one.role for one in raw if one.metric.startswith(_USAGE)}
    raw = [one for one in raw if one.metric != _OLD or one.role not in newer]
    cached = {
        (one.scope, _told(one)): one.value
        for one in raw
        if one.role == "prompt_cached" and one.metric.startswith(_USAGE)
    }
    for one in raw:
        found.points.append(_point(one, cached.get((one.scope, _told(one)))))
    return found


def _point(one: _Raw, cached: int | None) -> Point:
    labels = {**one.labels, **({"otel.scope.name": one.scope} if one.scope else {})}
    model = labels.get("gen_ai.response.model") or labels.get("gen_ai.request.model")
    if one.role != "prompt_all":
        return Point(
            one.role, one.metric, labels, model, one.value, None, one.start_ns, one.time_ns,
            one.delta,
        )  # fmt: skip
    # The same name whether a cache was ever hit: a count must not change its name on the way.
    metric = one.metric
    if metric.startswith(_USAGE):
        metric = f"{metric} - {_USAGE}cache_read.input_tokens"
    return Point(
        "prompt_computed", metric, labels, model, one.value, cached, one.start_ns, one.time_ns,
        one.delta,
    )  # fmt: skip


def _points(metric: Any, scope: str, mapping: Mapping[str, str], found: Block) -> Iterator[_Raw]:
    """Yield the points of one metric that count tokens."""
    kind = metric.WhichOneof("data")
    if kind is None:
        return
    data = getattr(metric, kind)
    why = _unusable(kind, data)
    if why is not None:
        found.refuse(len(data.data_points), f"{metric.name} {why}")
        return
    for point in data.data_points:
        labels = attributes(point.attributes)
        role = _role(metric.name, labels, mapping)
        if role is None or point.flags & _NO_VALUE or labels.get(_OPERATION) in _SUMS_OF_CALLS:
            continue
        value = _value(point, kind)
        if not 0 <= value <= _LIMIT or point.time_unix_nano <= 0:
            found.refuse(1, f"{metric.name} is {value:g}, or has no time: expected 0 to 2^53")
            continue
        yield _Raw(
            role, metric.name, scope, labels, round(value), point.start_time_unix_nano,
            point.time_unix_nano, data.aggregation_temporality == _DELTA,
        )  # fmt: skip


def _unusable(kind: str, data: Any) -> str | None:
    if kind not in ("sum", "histogram", "exponential_histogram"):
        return f"is a {kind}: expected a counter or a histogram"
    if kind == "sum" and not data.is_monotonic:
        return "can fall: expected a monotonic sum"
    if data.aggregation_temporality not in (_DELTA, _CUMULATIVE):
        return "has no temporality: expected delta or cumulative"
    return None


def _value(point: Any, kind: str) -> float:
    if kind != "sum":
        return float(point.sum) if point.HasField("sum") else -1.0
    return float(getattr(point, point.WhichOneof("value") or "as_int"))


def _role(name: str, labels: Mapping[str, str], mapping: Mapping[str, str]) -> str | None:
    """Return what a series counts; None if it is none that is wanted."""
    for wanted, role in mapping.items():
        found = _MAPPED.fullmatch(wanted)
        if wanted == name or (
            found and found["name"] == name and labels.get(found["label"]) == found["value"]
        ):
            return role
    if name == _OLD:
        return _BY_TYPE.get(labels.get(_TYPE, ""))
    return _COUNTERS.get(name)


def _mapped(name: str, mapping: Mapping[str, str]) -> bool:
    return any(wanted.partition("{")[0] == name for wanted in mapping)


def _told(one: _Raw) -> tuple[tuple[str, str], ...]:
    return tuple(sorted(one.labels.items()))
