"""Blocks of segments in which counter and samples meet, and what is booked of each segment.

Rules: docs/ledger.md, "How counter and samples combine".
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from fractions import Fraction

from tests.oracle.reckon.segments import Segment

SLOT_US = 30_000_000
SHORT_US = 5_000_000
NEAR_US = 50_000


@dataclass
class Block:
    """Segments of which the same is known, in one slot."""

    known: str
    members: list[int] = field(default_factory=list)
    integral_nj: int = 0
    total_nj: int = 0


@dataclass
class Booked:
    """The segments of a device in an hour and what the meters say of them together.

    Attributes:
        segments, blocks: the block of each segment.
        divides: whether a block begins at the segment's start.
        k: counter over samples, where both are known.
        energy_nj, method: what is booked, None where nothing is known.
    """

    segments: list[Segment]
    blocks: list[Block] = field(default_factory=list)
    divides: list[bool] = field(default_factory=list)
    k: list[Fraction | None] = field(default_factory=list)
    energy_nj: list[int | None] = field(default_factory=list)
    method: list[str] = field(default_factory=list)


def find_blocks(segments: list[Segment], edges: set[int]) -> Booked:
    """Return the blocks of a device's hour; nothing is booked yet."""
    _drop_stuck_counter(segments)
    found = Booked(segments)
    open_blocks: dict[str, Block] = {}
    slot = None
    for i, s in enumerate(segments):
        divides = _divides(segments, i, edges)
        if divides or s.start // SLOT_US != slot:
            slot, open_blocks = s.start // SLOT_US, {}
        block = open_blocks.setdefault(s.known, Block(s.known))
        block.members.append(i)
        block.integral_nj += s.energy_nj
        block.total_nj += (s.counter_nj or 0) if s.known == "both" else s.energy_nj
        found.blocks.append(block)
        found.divides.append(divides)
    found.k = _ratios(segments)
    return found


def _drop_stuck_counter(segments: list[Segment]) -> None:
    """A counter that does not move through a slot in which power was drawn is no counter there."""
    slots: dict[int, list[Segment]] = defaultdict(list)
    for s in segments:
        slots[s.start // SLOT_US].append(s)
    for members in slots.values():
        counted = sum(s.counter_nj or 0 for s in members)
        if counted == 0 and sum(s.energy_nj for s in members) > 0:
            for s in members:
                s.counter_nj = None


def _divides(segments: list[Segment], i: int, edges: set[int]) -> bool:
    """Say whether a block begins: at an edge that a meter shows, or where one comes or goes."""
    here = segments[i]
    if i == 0:
        return here.counter_nj is not None
    left = segments[i - 1]
    read = left.off_us is not None and left.off_us <= NEAR_US
    sampled = here.known == "samples" and left.known == "samples"
    return (
        (here.start in edges and (read or sampled))
        or (here.counter_nj is None) != (left.counter_nj is None)
        or (here.known == "none") != (left.known == "none")
        or here.start != left.end
    )


def _ratios(segments: list[Segment]) -> list[Fraction | None]:
    """Return k of each segment: that of its slot, or of the hour if the slot has less than 5 s."""
    slots: dict[int, list[Segment]] = defaultdict(list)
    both = [s for s in segments if s.known == "both"]
    for s in both:
        slots[s.start // SLOT_US].append(s)
    found: list[Fraction | None] = []
    for s in segments:
        if s.known != "both":
            found.append(None)
            continue
        members = slots[s.start // SLOT_US]
        if sum(m.length_us for m in members) < SHORT_US:
            members = both
        counted = sum(m.counter_nj or 0 for m in members)
        found.append(Fraction(counted, sum(m.energy_nj for m in members)))
    return found


def book(found: Booked, moved: dict[int, int]) -> None:
    """Book each segment: a block's total, spread in the shape of the samples.

    Args:
        found: blocks.
        moved: by edge, the energy that goes from the block on its right to that on its left.
    """
    totals = {id(block): block.total_nj for block in found.blocks}
    for s, block in zip(found.segments, found.blocks, strict=True):
        totals[id(block)] += moved.get(s.end, 0) - moved.get(s.start, 0)
    running: dict[int, int] = defaultdict(int)
    for s, block, k in zip(found.segments, found.blocks, found.k, strict=True):
        before = running[id(block)]
        running[id(block)] += s.energy_nj
        total, whole = totals[id(block)], block.integral_nj
        energy: int | None = None
        if s.known == "counter":
            energy = s.counter_nj
        elif s.known != "none":
            energy = 0
            if whole > 0:
                energy = (before + s.energy_nj) * total // whole - before * total // whole
        found.energy_nj.append(energy)
        found.method.append(_method(s.known, k))


def _method(known: str, k: Fraction | None) -> str:
    if k is None:
        return {"counter": "counter_gap", "samples": "samples", "none": "missing"}[known]
    off = abs(k - 1)
    if off <= Fraction(2, 100):
        return "counter"
    return "counter_flagged" if off <= Fraction(5, 100) else "disputed"
