"""Which meters of a host lie inside others: what may be added up, and what would count twice.

In: domains of the table `host`. Out: those whose energies may be added. This is the one place that
says so; docs/host-energy.md shows it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple


class Kind(NamedTuple):
    """A kind of meter: the kinds that it is inside of, and whether it is added up."""

    inside: tuple[str, ...]
    added: bool


RAPL_KINDS = {
    # The whole board, where the vendor wired it: it may hold everything below, and GPUs too.
    "psys": Kind(inside=(), added=False),
    "package": Kind(inside=("psys",), added=True),
    # Memory is beside its package on servers and on client parts; psys holds both.
    "dram": Kind(inside=("psys",), added=True),
    # Parts of the package. On AMD `core` is one core of it, not all of them.
    "core": Kind(inside=("package", "psys"), added=False),
    "uncore": Kind(inside=("package", "psys"), added=False),
}
"""The kinds of RAPL meter. No kind that is added is inside another one that is."""


def rapl_kind(domain: str) -> str | None:
    """Return the kind of a RAPL meter (`package` of `package-0`); None for any other domain."""
    kind, dash, _ = domain.partition("-")
    return kind if dash and kind in RAPL_KINDS else None


def added_up(domains: Iterable[str]) -> list[str]:
    """Return, in order of name, the domains that may be added up to the energy of a node's CPUs.

    A part never stands for its package: where no package is metered, it is not in the sum.
    """
    found = set(domains)
    return sorted(d for d in found if (kind := rapl_kind(d)) and RAPL_KINDS[kind].added)
