"""When the tokens of a job are known, when its energy is, and when both are.

Rules: docs/index-definition.md, "The same time above and below the line", "Tokens".
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from fractions import Fraction
from itertools import pairwise

from tests.oracle.reckon.claimed import Span
from tests.oracle.reckon.ledger import Entry
from tests.oracle.reckon.names import short
from tests.oracle.reckon.segments import HOUR_US
from tests.oracle.reckon.usage import Series

Times = list[tuple[int, int]]
Sources = dict[tuple[str, str], Times]
"""By node and source: from when to when it was read."""


@dataclass
class Known:
    """What is known of a job's time in an hour.

    Attributes:
        tokens: its claims while its tokens are known.
        joint: while its energy is known too.
        times: this joint time.
        whole: whether that is all of its time.
    """

    tokens: list[Span] = field(default_factory=list)
    joint: list[Span] = field(default_factory=list)
    times: Times = field(default_factory=list)
    whole: bool = True


def sources_of(series: Series) -> dict[str, Sources]:
    """Return when each source of each job was read."""
    found: dict[str, dict[tuple[str, str], Times]] = defaultdict(lambda: defaultdict(list))
    for (job, node, source, *_), copies in series.items():
        for processes in copies.values():
            for one in processes:
                found[job][short(node), source].append((one.first_us, one.last_us))
    return {
        job: {source: merged(times) for source, times in of.items()} for job, of in found.items()
    }


def merged(times: Iterable[tuple[int, int]]) -> Times:
    """Return times without overlaps; those that touch are one."""
    found: Times = []
    for start, end in sorted(times):
        if found and start <= found[-1][1]:
            found[-1] = (found[-1][0], max(found[-1][1], end))
        else:
            found.append((start, end))
    return found


def known_of(spans: list[Span], sources: Sources, rows: list[Entry], hour: int) -> Known:
    """Return what is known of a job's time in an hour.

    Args:
        spans: what it claims.
        sources: its sources.
        rows: its rows of the ledger.
        hour: its start.
    """
    metered = merged((e.start, e.end) for e in rows if e.energy_nj is not None)
    edges = {t for span in spans for t in (span.start, span.end)}
    for times in (*sources.values(), metered):
        edges |= {t for time in times for t in time if hour < t < hour + HOUR_US}
    found = Known()
    nodes = {span.node for span in spans}
    for start, end in pairwise(sorted(edges)):
        parts = [_part(span, start, end) for span in spans if span.start <= start < span.end]
        if not parts:
            continue
        here = {part.node for part in parts}
        read = _within(start, end, (time for times in sources.values() for time in times))
        lost = any(
            _lost(start, times, hour) and (node in here or node not in nodes)
            for (node, _), times in sources.items()
        )
        known = read and not lost
        joint = known and _within(start, end, metered)
        found.tokens += parts if known else []
        found.joint += parts if joint else []
        found.times += [(start, end)] if joint else []
        found.whole = found.whole and joint
    found.times = merged(found.times)
    return found


def _part(span: Span, start: int, end: int) -> Span:
    part = Fraction(end - start, span.end - span.start)
    return replace(span, start=start, end=end, time=span.time * part)


def _within(start: int, end: int, times: Iterable[tuple[int, int]]) -> bool:
    return any(since <= start and end <= until for since, until in times)


def _lost(t: int, times: Times, hour: int) -> bool:
    """Say whether a source was read before an instant, and is not read after it."""
    begun = [until for since, until in times if since <= t and since < hour + HOUR_US]
    return bool(begun) and begun[-1] <= t
