"""Streams the nodes of an hour through the grids of its groups.

In: the groups of an hour and its readings. Out: what a caller makes of each filled grid, such as
the rows of its group. Nodes of one rack come one after the other; a group's grid is made at its
first node, and handed over and released after its last. So memory holds the grids of the open
groups (see `cells`), the readings of one node, and the cache of `hourreadings`. A second pass over
the readings checks whether dominant lines are real.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from tokenergy_transforms.batch import Readings
from tokenergy_transforms.inorder import THREADS, in_order
from tokenergy_transforms.loadprofile import rows, spectrum
from tokenergy_transforms.loadprofile.alias import Suspect, suspect
from tokenergy_transforms.loadprofile.cells import Grid
from tokenergy_transforms.loadprofile.groups import DeviceRow, Group, Key, Member
from tokenergy_transforms.loadprofile.hourreadings import HourReadings

Report = Callable[[str], None]
"""Takes progress, in words."""

Sums = npt.NDArray[np.complex128]
"""complex128[blocks, frequencies], see `alias.Suspect`."""

Places = tuple[tuple[int, int, int, int], ...]
"""(place among a node's devices, start_us, end_us, share_ppm) of each member."""


@dataclass(slots=True)
class Filled:
    """A group with its rows, its members by node, and what is to be checked in the readings.

    Attributes:
        suspects: each with the swings that it is, by place; None is the dominant line.
    """

    group: Group
    step_us: int
    of_node: dict[str, list[Member]]
    rows: rows.GroupRows
    suspects: list[tuple[Suspect, list[int | None]]]


@dataclass(slots=True)
class Open:
    """A group whose grid is being filled: its members by node, the nodes that are left."""

    group: Group
    step_us: int
    of_node: dict[str, list[Member]] = field(default_factory=dict)
    left: set[str] = field(default_factory=set)
    grid: Grid | None = None


T = TypeVar("T")


def order(paces: Mapping[Key, object], in_force: Mapping[str, DeviceRow]) -> list[str]:
    """Return the nodes with readings, those of one rack next to each other."""
    first: dict[str, tuple[str, ...]] = {}
    for node, device in sorted(paces):
        row = in_force.get(device, {})
        place = tuple(str(row.get(level) or "") for level in ("site", "hall", "pod", "rack"))
        first.setdefault(node, place)
    return sorted(first, key=lambda node: (first[node], node))


def by_node(group: Group) -> dict[str, list[Member]]:
    """Return the members that were read, by node."""
    found: dict[str, list[Member]] = {}
    for member in group.metered:
        found.setdefault(member.key[0], []).append(member)
    return found


def fill(
    readings: HourReadings,
    hour_us: int,
    groups: Sequence[Group],
    steps_us: Sequence[int],
    nodes: Sequence[str],
    psd: spectrum.Psd,
    report: Report,
) -> list[Filled]:
    """Fill the grids node by node; make the rows of each group after its last node.

    Args:
        readings: those of the hour.
        hour_us: start of the hour.
        groups: the groups.
        steps_us: the grid step of each.
        nodes: in which order.
        psd: computes densities.
        report: takes the name of each node.
    """

    def close(one: Open, grid: Grid) -> Filled:
        return _close(one, grid, psd)

    return fill_grids(readings, hour_us, groups, steps_us, nodes, close, report)


def fill_grids(
    readings: HourReadings,
    hour_us: int,
    groups: Sequence[Group],
    steps_us: Sequence[int],
    nodes: Sequence[str],
    close: Callable[[Open, Grid], T],
    report: Report,
) -> list[T]:
    """Fill the grids node by node; hand each to `close` after its last node.

    Args: see `fill`.
    """
    filled: list[Future[T]] = []
    here: dict[str, list[Open]] = {}
    every = [
        Open(group, step_us, by_node(group))
        for group, step_us in zip(groups, steps_us, strict=True)
    ]
    for one in every:
        one.left = set(one.of_node)
        for node in one.of_node:
            here.setdefault(node, []).append(one)

    def added(node: str) -> tuple[str, list[Grid]]:
        of_node = [(one.step_us, one.of_node[node]) for one in here[node]]
        return node, _grids(readings, hour_us, node, of_node)

    with ThreadPoolExecutor(THREADS) as pool:
        unread = [one for one in every if not one.left]
        filled += [pool.submit(close, one, Grid.empty(hour_us, one.step_us)) for one in unread]
        for node, grids in in_order(added, [node for node in nodes if node in here]):
            report(node)
            for one, grid in zip(here[node], grids, strict=True):
                one.grid = one.grid or Grid.empty(hour_us, one.step_us)
                one.grid.merge(grid)
                one.left.discard(node)
                if not one.left:
                    filled.append(pool.submit(close, one, one.grid))
                    one.grid = None
        return [one.result() for one in filled]


def _grids(
    readings: HourReadings, hour_us: int, node: str, of_node: Sequence[tuple[int, list[Member]]]
) -> list[Grid]:
    """Return the grid of each group's members of a node: step and members of each."""
    loaded = readings.load(node)
    limits_us = readings.limits_us(loaded.devices)
    same: dict[tuple[int, Places], Grid] = {}
    found = []
    for step_us, members in of_node:
        key = (step_us, _places(members, loaded))
        if key not in same:  # a node, its rack and its site mostly add up the same devices
            same[key] = Grid.empty(hour_us, step_us)
            same[key].add(loaded, limits_us, key[1])
        found.append(same[key])
    return found


def check_lines(
    readings: HourReadings, filled: Sequence[Filled], nodes: Sequence[str], report: Report
) -> None:
    """Check against the readings, node by node, whether the lines and swings found are real."""
    here: dict[str, list[tuple[Filled, Suspect]]] = {}
    for one in filled:
        for node in one.of_node:
            for line, _ in one.suspects:
                here.setdefault(node, []).append((one, line))

    def sums(node: str) -> tuple[str, list[Sums]]:
        lines = [(one.of_node[node], line) for one, line in here[node]]
        return node, _sums(readings.load(node), lines)

    for node, found in in_order(sums, [node for node in nodes if node in here]):
        report(f"{node}: lines")
        for (_, line), of_node in zip(here[node], found, strict=True):
            line.sums += of_node
    for one in filled:
        for line, places in one.suspects:
            verdict = line.verdict()
            for place in places:
                if place is None:
                    one.rows.apply_verdict(verdict)
                else:
                    one.rows.apply_to_swing(place, verdict)


def _sums(loaded: Readings, lines: Sequence[tuple[list[Member], Suspect]]) -> list[Sums]:
    """Return what the members on a node add to the sums of each line."""
    done: dict[tuple[Places, bytes], Sums] = {}
    found = []
    for members, line in lines:
        places = _places(members, loaded)
        key = (places, line.same)
        if key not in done:  # a site and the one job on it have the same line
            done[key] = line.of_node(loaded, places)
        found.append(done[key])
    return found


def _close(one: Open, grid: Grid, psd: spectrum.Psd) -> Filled:
    found = rows.group_rows(one.group, grid, psd)
    lines = found.lines()
    spacings = spacings_of(one.group)
    suspects = [
        (suspect(hz, spacings, found.defined, grid.hour_us, grid.step_us), places)
        for hz, places in lines
    ]
    return Filled(one.group, one.step_us, one.of_node, found, suspects)


def spacings_of(group: Group) -> list[float]:
    """Return the spacing of each device's readings; empty if that of one is not known."""
    ticks = [member.pace.ticks_us for member in group.metered if member.pace]
    spacings = [us for us in ticks if us is not None]
    return spacings if len(spacings) == len(ticks) else []


def _places(members: Sequence[Member], loaded: Readings) -> Places:
    place = {device: k for k, device in enumerate(loaded.devices)}
    return tuple((place[m.key[1]], m.start_us, m.end_us, m.share_ppm) for m in members)
