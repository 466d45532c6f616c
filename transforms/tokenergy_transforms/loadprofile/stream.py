"""Nodes in, one after the other; what is told of each group out.

In: the groups of an hour and its readings. Out: a `Told` a group. The nodes of a rack follow each
other; a group's grid is made at its first node, told and let go after its last. So what is held at
once is the grids of the groups that are open (see `cells`), one node's readings, and what `sources`
keeps. A second walk over the readings asks whether dominant lines are where they seem to be.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from tokenergy_transforms.loadprofile import rows, spectrum
from tokenergy_transforms.loadprofile.alias import Suspect, suspect
from tokenergy_transforms.loadprofile.cells import Grid
from tokenergy_transforms.loadprofile.groups import Group, Key, Member, Row
from tokenergy_transforms.loadprofile.sources import Source
from tokenergy_transforms.readings import Readings

Tell = Callable[[str], None]
Places = tuple[tuple[int, int, int, int], ...]
"""(place among a node's devices, start_us, end_us, share_ppm) of each member."""


@dataclass(slots=True)
class Filled:
    """A group that has been told, its members by node, and its line if it has one."""

    group: Group
    step_us: int
    of_node: dict[str, list[Member]]
    told: rows.Told
    line: Suspect | None


@dataclass(slots=True)
class _Open:
    group: Group
    step_us: int
    of_node: dict[str, list[Member]] = field(default_factory=dict)
    left: set[str] = field(default_factory=set)
    grid: Grid | None = None


def order(paces: Mapping[Key, object], in_force: Mapping[str, Row]) -> list[str]:
    """Return the nodes that were read, those of one rack next to each other."""
    first: dict[str, tuple[str, ...]] = {}
    for node, device in sorted(paces):
        row = in_force.get(device, {})
        place = tuple(str(row.get(level) or "") for level in ("site", "hall", "pod", "rack"))
        first.setdefault(node, place)
    return sorted(first, key=lambda node: (first[node], node))


def fill(
    source: Source,
    hour_us: int,
    groups: Sequence[Group],
    steps_us: Sequence[int],
    nodes: Sequence[str],
    psd: spectrum.Psd,
    tell: Tell,
) -> list[Filled]:
    """Fill the grids node by node; tell each group after its last node.

    Args:
        source: the readings.
        hour_us: start of the hour.
        groups: the groups.
        steps_us: the grid step of each.
        nodes: in which order.
        psd: computes densities.
        tell: told of each node.
    """
    told: list[Filled] = []
    here: dict[str, list[_Open]] = {}
    for group, step_us in zip(groups, steps_us, strict=True):
        one = _Open(group, step_us)
        for member in group.metered:
            one.of_node.setdefault(member.key[0], []).append(member)
        one.left = set(one.of_node)
        for node in one.of_node:
            here.setdefault(node, []).append(one)
        if not one.left:
            told.append(_close(one, Grid.empty(hour_us, step_us), psd))
    for node in nodes:
        tell(node)
        loaded = source.load(node)
        limits_us = source.limits_us(loaded.devices)
        same: dict[tuple[int, Places], Grid] = {}
        for one in here.get(node, []):
            key = (one.step_us, _places(one.of_node[node], loaded))
            if key not in same:  # node, rack and site mostly add up the same devices
                same[key] = Grid.empty(hour_us, one.step_us)
                same[key].add(loaded, limits_us, key[1])
            one.grid = one.grid or Grid.empty(hour_us, one.step_us)
            one.grid.merge(same[key])
            one.left.discard(node)
            if not one.left:
                told.append(_close(one, one.grid, psd))
                one.grid = None
    return told


def ask(source: Source, told: Sequence[Filled], nodes: Sequence[str], tell: Tell) -> None:
    """Ask the readings, node by node, whether the dominant lines are where they seem to be."""
    here: dict[str, list[tuple[Filled, Suspect]]] = {}
    for one in told:
        for node in one.of_node if one.line else ():
            if one.line:
                here.setdefault(node, []).append((one, one.line))
    for node in nodes:
        if node in here:
            tell(f"{node}: lines")
            loaded = source.load(node)
            for one, line in here[node]:
                line.add(loaded, _places(one.of_node[node], loaded))
    for one in told:
        if one.line:
            one.told.doubt(one.line.verdict())


def _close(one: _Open, grid: Grid, psd: spectrum.Psd) -> Filled:
    told = rows.rows(one.group, grid, psd)
    line_hz, line = told.profile["dominant_hz"], None
    if line_hz is not None:
        ticks = [member.pace.ticks_us for member in one.group.metered if member.pace]
        spacings = [us for us in ticks if us is not None]
        known = spacings if len(spacings) == len(ticks) else []
        line = suspect(line_hz, known, told.defined, grid.hour_us, grid.step_us)
    return Filled(one.group, one.step_us, one.of_node, told, line)


def _places(members: Sequence[Member], loaded: Readings) -> Places:
    place = {device: k for k, device in enumerate(loaded.devices)}
    return tuple((place[m.key[1]], m.start_us, m.end_us, m.share_ppm) for m in members)
