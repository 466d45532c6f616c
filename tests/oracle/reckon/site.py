"""Declared constants of the site: PUE, and the power of hosts, from an instant on.

Rules: docs/index-definition.md, docs/restatement.md.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from math import floor

WHOLE = 1_000_000


@dataclass
class Site:
    """Declared constants.

    Attributes:
        pue_ppm: PUE in millionths.
        node_host_mw: power of hosts in milliwatts.
        periods: (from, PUE, power of hosts): what is not named stays as it was.
    """

    pue_ppm: int | None = None
    node_host_mw: dict[str, int] = field(default_factory=dict)
    periods: list[tuple[int, int | None, dict[str, int]]] = field(default_factory=list)

    def host_of(self, node: str, hour: int) -> int | None:
        """Return the declared power of a node's host in an hour."""
        found = self.node_host_mw.get(node)
        for since, _, nodes in self.periods:
            if since <= hour:
                found = nodes.get(node, found)
        return found

    def pue_of(self, hour: int) -> int | None:
        """Return the declared PUE of an hour."""
        found = self.pue_ppm
        for since, pue_ppm, _ in self.periods:
            if since <= hour and pue_ppm is not None:
                found = pue_ppm
        return found

    def times_pue(self, amount: int | Fraction | None, hour: int) -> int | None:
        """Return an energy times the PUE of an hour, rounded down; None if one is not known."""
        pue_ppm = self.pue_of(hour)
        if amount is None or pue_ppm is None:
            return None
        return floor(amount * pue_ppm / Fraction(WHOLE))
