"""Device time that jobs claim, seen by a collector or not, and how much of it nobody recorded.

Rules: docs/index-definition.md, "Claimed time".
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import pairwise
from math import ceil, floor

from tests.oracle.reckon.devices import UNKNOWN_LIMIT_MW, Devices
from tests.oracle.reckon.holders import Allocation, claims
from tests.oracle.reckon.ledger import Entry
from tests.oracle.reckon.names import short
from tests.oracle.reckon.segments import HOUR_US, edges_of

SILENT_US = 600_000_000
TINY = Fraction(1, 10_000)


@dataclass(frozen=True)
class Span:
    """Time in which a job claims a device: device time, and whether anything was recorded of it."""

    job: str
    node: str
    device: str
    start: int
    end: int
    time: Fraction
    booked: bool
    limit_mw: int


@dataclass
class Claimed:
    """Device time of a job in an hour: all, what nobody recorded of it, and that time's limit."""

    device: Fraction = Fraction(0)
    unseen: Fraction = Fraction(0)
    unseen_high: Fraction = Fraction(0)

    @property
    def device_us(self) -> int:
        return floor(self.device + Fraction(1, 2))

    @property
    def unseen_us(self) -> int:
        return floor(self.unseen + Fraction(1, 2))

    @property
    def tie(self) -> bool:
        """Whether a millionth of a microsecond for each of some spans decides the rounding."""
        parts = (self.device % 1, self.unseen % 1)
        return any(abs(part - Fraction(1, 2)) < TINY for part in parts)

    @property
    def unseen_high_nj(self) -> int:
        return ceil(self.unseen_high)


def claim_spans(
    held: list[Allocation], entries: list[Entry], devices: Devices
) -> dict[tuple[str, int], list[Span]]:
    """Return what each job claims in each hour that has rows in the ledger."""
    found: dict[tuple[str, int], list[Span]] = defaultdict(list)
    for hour in sorted({e.hour for e in entries}):
        rows = [e for e in entries if e.hour == hour]
        until = _node_ends(rows)
        known: dict[tuple[str, str], list[tuple[int, int]]] = defaultdict(list)
        for e in rows:
            if e.job is not None:
                known[e.device, e.job].append((e.start, e.end))
        ended = [_ended(a, hour, until) for a in held]
        for device in {a.device for a in ended}:
            mine = [a for a in ended if a.device == device]
            for span in _of_device(device, hour, mine, known, devices):
                found[span.job, hour].append(span)
    return found


def add_up(spans: Iterable[Span]) -> Claimed:
    """Return the device time of spans."""
    found = Claimed()
    for span in spans:
        found.device += span.time
        if not span.booked:
            found.unseen += span.time
            found.unseen_high += span.time * span.limit_mw
    return found


def _node_ends(rows: list[Entry]) -> dict[str | None, int]:
    """Return until when each node is in the ledger of an hour, and any node (None)."""
    until: dict[str | None, int] = defaultdict(int)
    for e in rows:
        until[short(e.node)] = max(until[short(e.node)], e.end)
        until[None] = max(until[None], e.end)
    return until


def _ended(a: Allocation, hour: int, until: dict[str | None, int]) -> Allocation:
    """Return an allocation with an end: one that runs is claimed while its node is recorded."""
    if a.end_us is not None:
        return a
    end = until.get(short(a.node), 0)
    if end < until[None] - SILENT_US:
        end = until[None]
    return replace(a, end_us=max(a.start_us, end))


def _of_device(
    device: str,
    hour: int,
    held: list[Allocation],
    known: dict[tuple[str, str], list[tuple[int, int]]],
    devices: Devices,
) -> Iterator[Span]:
    until = hour + HOUR_US
    edges = {min(max(t, hour), until) for t in edges_of(held)}
    for a in {a.job for a in held}:
        edges |= {t for span in known[device, a] for t in span}
    limit_mw = _limit_mw(device, devices, until)
    for start, end in pairwise(sorted(edges)):
        for claim in claims(held, start, end):
            if claim.job is None:
                continue
            nodes = [a.node for a in held if a.job == claim.job and _holds(a, start, end)]
            booked = any(s <= start and end <= e for s, e in known[device, claim.job])
            time = Fraction((end - start) * (claim.upper - claim.lower), claim.whole)
            yield Span(claim.job, short(min(nodes)), device, start, end, time, booked, limit_mw)


def _holds(a: Allocation, start: int, end: int) -> bool:
    return a.start_us <= start and (a.end_us is None or a.end_us >= end)


def _limit_mw(device: str, devices: Devices, t: int) -> int:
    """Return the limit of a board, else the largest known one, else the stated one."""
    own = devices.limit_mw(device, t)
    if own is not None:
        return own
    every = [devices.limit_mw(other, t) for other in devices.rows]
    return max((limit for limit in every if limit is not None), default=UNKNOWN_LIMIT_MW)
