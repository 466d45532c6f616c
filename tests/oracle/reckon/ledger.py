"""The ledger of one device in one hour: energy, bounds and time, by job and account.

Rules: docs/ledger.md, "Accounts", "Shared devices", "Bounds".
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from tests.oracle.reckon.accounts import Activity, Gauges, account
from tests.oracle.reckon.blocks import Booked, book, find_blocks
from tests.oracle.reckon.devices import Facts
from tests.oracle.reckon.edges import SECOND_US, Edge, edge_at
from tests.oracle.reckon.holders import Allocation, Claim, claims
from tests.oracle.reckon.meters import EnergyCounter, Sensor
from tests.oracle.reckon.segments import HOUR_US, Segment, edges_of, segments


@dataclass
class Entry:
    """One row of the ledger.

    Attributes:
        energy_nj: None where no meter covered it.
        low, high: bounds of the energy.
    """

    device: str
    node: str
    hour: int
    start: int
    end: int
    job: str | None
    energy_nj: int | None
    low: Fraction
    high: Fraction
    device_us: int
    covered_us: int
    method: str
    shared: bool
    account: str


@dataclass
class Part:
    """A segment, or the covered or uncovered part of one, before it is split among jobs."""

    segment: Segment
    energy_nj: int | None
    low: Fraction
    high: Fraction
    device_us: int
    covered_us: int
    method: str


@dataclass
class Watched:
    """What a node's collector read of a device, and who held it there.

    Attributes:
        meters: its power, how far each reading may be off, and its counter.
        goes_on: whether the node is read in a later hour too.
    """

    node: str
    meters: tuple[Sensor, Sensor, EnergyCounter]
    held: list[Allocation]
    goes_on: bool


def ledger(
    device: str,
    hour: int,
    watched: list[Watched],
    facts: Facts,
    evidence: tuple[Gauges, Activity],
) -> list[Entry]:
    """Return the ledger of a device in an hour, on whatever nodes it was."""
    gauges, activity = evidence
    held = [a for on in watched for a in on.held]
    where = (device, hour)
    of_nodes = [
        s for on in watched for s in segments(on.node, hour, on.meters, on.held, on.goes_on)
    ]
    of_nodes.sort(key=lambda s: s.start)
    cuts = edges_of(held)
    found = find_blocks(of_nodes, set(cuts))
    at = {cut: edge for cut in cuts if (edge := edge_at(cut, found, facts)) is not None}
    at |= _beyond(hour, cuts, found, facts)
    book(found, {cut: edge.moved_nj for cut, edge in at.items()})
    entries = []
    readings = [s.least_mw for s in found.segments if s.least_mw is not None]
    idle = facts.errors.least(Fraction(min(readings, default=0)), Fraction(1))
    for tenure in _tenures(found, set(cuts)):
        parts = [part for i in tenure for part in _parts(i, found, facts, idle)]
        _widen(parts, at)
        for part in parts:
            for claim in claims(held, part.segment.start, part.segment.end):
                known = part.energy_nj is not None
                of = account(claim, known, part.segment, gauges, activity)
                entries.append(_entry(where, part, claim, of))
    return entries


def _beyond(hour: int, cuts: list[int], found: Booked, facts: Facts) -> dict[int, Edge]:
    """Return what edges of jobs less than a second beyond the hour do at its own edges."""
    at = {}
    for side, before in ((hour, True), (hour + HOUR_US, False)):
        far = [abs(cut - side) for cut in cuts if (cut < side) == before]
        edge = edge_at(side, found, facts)
        if side not in cuts and edge is not None and min(far, default=SECOND_US) < SECOND_US:
            part = 1 - Fraction(min(far), SECOND_US)
            none = Fraction(0)
            at[side] = Edge(0, edge.left_below * part, none, edge.right_below * part, none)
    return at


def _tenures(found: Booked, cuts: set[int]) -> list[list[int]]:
    """Return the segments between two neighbouring edges of jobs, for all such times.

    Time that is not the device's ends one too.
    """
    tenures: list[list[int]] = []
    for i, s in enumerate(found.segments):
        if not tenures or s.start in cuts or s.start != found.segments[i - 1].end:
            tenures.append([])
        tenures[-1].append(i)
    return tenures


def _parts(i: int, found: Booked, facts: Facts, idle: Fraction) -> list[Part]:
    """Return a segment with the bounds of its meter; its uncovered rest is a part of its own.

    Args:
        i: place of the segment.
        found: all segments.
        facts: of the device.
        idle: its least power in the hour.
    """
    s, energy, method = found.segments[i], found.energy_nj[i], found.method[i]
    if energy is None:
        return [_missing(s, s.length_us, facts)]
    rest_us = s.length_us - s.covered_us
    time_us = s.covered_us if method == "samples" else s.length_us
    doubt = s.doubt_nj if method == "samples" else 0
    low = facts.errors.least(Fraction(energy - doubt), Fraction(time_us))
    high = facts.errors.most(Fraction(energy + doubt), Fraction(time_us))
    sampled_low = facts.errors.least(Fraction(s.energy_nj - s.doubt_nj), Fraction(s.covered_us))
    sampled_high = facts.errors.most(Fraction(s.energy_nj + s.doubt_nj), Fraction(s.covered_us))
    if method == "samples":
        p = facts.seen
        low = min(low, p * low + (1 - p) * idle * s.covered_us)
        high = max(high, p * high + (1 - p) * facts.limit_mw * s.covered_us)
        dense = Fraction(s.covered_us - s.sparse_us, s.covered_us)
        low, high = low * dense, max(high, high * dense + facts.limit_mw * s.sparse_us)
    elif method == "counter_gap":
        low = min(low, sampled_low + idle * rest_us)
        high = max(high, sampled_high + facts.limit_mw * rest_us)
    elif method == "disputed":
        low, high = min(low, sampled_low), max(high, sampled_high)
    part = Part(s, energy, low, high, time_us, s.covered_us, method)
    if method == "samples" and rest_us:
        return [part, _missing(s, rest_us, facts)]
    return [part]


def _missing(s: Segment, time_us: int, facts: Facts) -> Part:
    return Part(s, None, Fraction(0), Fraction(facts.limit_mw * time_us), time_us, 0, "missing")


def _widen(parts: list[Part], at: dict[int, Edge]) -> None:
    """Spread what the edges of a tenure leave open over its parts of known energy."""
    below = above = Fraction(0)
    for cut in {part.segment.start for part in parts} & at.keys():
        below, above = below + at[cut].right_below, above + at[cut].right_above
    for cut in {part.segment.end for part in parts} & at.keys():
        below, above = below + at[cut].left_below, above + at[cut].left_above
    known = [part for part in parts if part.energy_nj is not None]
    low, high = sum(part.low for part in known), sum(part.high for part in known)
    for part in known:
        if low > 0:
            part.low -= part.low * min(below, low) / low
        if high > 0:
            part.high += part.high * above / high


def _entry(where: tuple[str, int], part: Part, claim: Claim, account: str) -> Entry:
    """Return what a claim takes of a part."""
    share = Fraction(claim.upper - claim.lower, claim.whole)
    energy = None if part.energy_nj is None else claim.of(part.energy_nj)
    s, (device, hour) = part.segment, where
    return Entry(
        device, s.node, hour, s.start, s.end, claim.job, energy,
        part.low * share, part.high * share, claim.of(part.device_us), claim.of(part.covered_us),
        part.method, claim.shared, account,
    )  # fmt: skip
