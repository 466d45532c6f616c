"""What is known of a host's energy in an hour, and how."""

from __future__ import annotations

from typing import Literal, NamedTuple

Method = Literal["measured", "modelled", "declared", "none"]

WHOLE_PPM = 1_000_000

LEAST_PPM = 900_000
"""The least part of a node's watched time, ppm, that must be known: the rest is filled in."""


class Host(NamedTuple):
    """The energy of a host over the watched time of its node.

    Attributes:
        method: how it was found.
        nj: None: it is not known.
        low_nj: the least that it can be; None: nothing is known at all.
        high_nj: the most; None: nothing bounds it.
        covered_us: the part of the watched time of which the method knew its inputs.
        doubts: see `deciding.DOUBTS`.
    """

    method: Method
    nj: int | None
    low_nj: int | None
    high_nj: int | None
    covered_us: int
    doubts: tuple[str, ...] = ()


class Boards(NamedTuple):
    """What the ledger booked to the boards of a node.

    Attributes:
        nj, low_nj, high_nj: their energy and its bounds; time without known energy adds nothing.
        device_us, covered_us: device time, and that with known energy.
    """

    nj: int
    low_nj: int
    high_nj: int
    device_us: int
    covered_us: int


def is_enough(known_us: int, watched_us: int) -> bool:
    """Return whether so much of the watched time is known that the rest may be filled in."""
    return known_us > 0 and known_us * WHOLE_PPM >= watched_us * LEAST_PPM


def ceil_div(one: int, by: int) -> int:
    """Return a quotient, rounded up."""
    return -(-one // by)
