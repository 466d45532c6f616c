"""The cells of chosen groups, hour after hour: what courses and spans are made of.

In: the lake, the groups that are wanted, a span of time. Out: for each hour that the span touches,
the filled grid of each group and which of its cells count, by the rules of the hour's profile. So a
cell has the same bits here and there. Memory holds one hour: its grids, and the cache of readings.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.lake import Lake
from tokenergy_collectors.lake.contract import HOUR_US
from tokenergy_transforms.inventory import Inventory, read_inventory
from tokenergy_transforms.loadprofile import groups, rows, stream
from tokenergy_transforms.loadprofile.bandwidth import AVERAGE_US
from tokenergy_transforms.loadprofile.cells import Grid
from tokenergy_transforms.loadprofile.figures import Bools
from tokenergy_transforms.loadprofile.groups import Group
from tokenergy_transforms.loadprofile.hourreadings import HourReadings
from tokenergy_transforms.loadprofile.profile import auto_step

Name = tuple[str, str]
"""(kind, group_id)."""

Choose = Callable[[list[Group]], list[Group]]
"""Takes all groups of an hour; returns those to fill, which may be made of several."""


@dataclass(frozen=True, slots=True)
class Cells:
    """The filled grid of one group in one hour.

    Attributes:
        group: with its members of the hour.
        grid: the energy of each cell.
        known: bool[n] which cells count: held throughout, every member's power known throughout.
        reasons: what is doubtful of it at another boundary than the boards'.
    """

    group: Group
    grid: Grid
    known: Bools
    reasons: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class CourseHour:
    """One hour of some groups.

    Attributes:
        hour_us: its start.
        step_us: size of a cell.
        groups: by (kind, group_id). A group without members in the hour is not there.
        boards: how many boards were read of each node.
    """

    hour_us: int
    step_us: int
    groups: dict[Name, Cells]
    boards: dict[str, int] = field(default_factory=dict)


def check_span(from_us: int, until_us: int, step_us: int | None) -> None:
    """Return if a span and a step can be used.

    Raises:
        UserError: the span is empty, or the step does not divide an hour.
    """
    if from_us >= until_us:
        raise UserError(f"from {from_us} until {until_us}: expected a span that is not empty")
    if step_us is not None and (step_us < 1 or HOUR_US % step_us):
        raise UserError(f"step {step_us} us: expected one that divides an hour")


def hours(
    lake: Lake,
    kinds: Sequence[str],
    from_us: int,
    until_us: int,
    step_us: int | None = None,
    *,
    names: Sequence[Name] | None = None,
    choose: Choose = list,
    inventory: Inventory | None = None,
    report: stream.Report = lambda _: None,
) -> Iterator[CourseHour]:
    """Yield the hours that a span touches, ascending, each whole.

    Args:
        lake: where to read.
        kinds: kinds of group that are made, of `groups.KINDS`.
        from_us: start of the span, microseconds UTC.
        until_us: its end.
        step_us: grid step of all groups; None takes the finest that `auto` picks for one of them
            in the first hour in which one was read. Slower readings in a later hour only make it
            finer than it need be.
        names: only these groups; then only nodes that may have a part in them are read.
        choose: makes the groups to fill from those of an hour.
        inventory: the lake's, if it has been read.
        report: takes the name of each node before it is worked on.

    Raises:
        UserError: see `check_span`; or a file cannot be reached.
    """
    check_span(from_us, until_us, step_us)
    inventory = inventory or read_inventory(lake)
    waiting: list[Read] = []
    for hour_us in range(from_us // HOUR_US * HOUR_US, until_us, HOUR_US):
        one = read_hour(lake, inventory, hour_us, kinds, names, choose, report)
        metered = [group for group in one.chosen if group.metered]
        if step_us is None and metered:
            step_us = min(auto_step(rows.period_us(group)) for group in metered)
        if step_us is None:
            # It waits for the step: its groups have no readings, so none need be kept.
            waiting.append(replace(one, readings=HourReadings(lake, hour_us, {}), nodes=[]))
            continue
        yield from (_filled(earlier, step_us, report) for earlier in waiting)
        waiting = []
        yield _filled(one, step_us, report)
        del one  # its readings, before those of the next hour are read
    yield from (_filled(one, auto_step(AVERAGE_US), report) for one in waiting)


@dataclass(frozen=True, slots=True)
class Read:
    """An hour whose groups are known and not yet filled."""

    hour_us: int
    readings: HourReadings
    nodes: list[str]
    chosen: list[Group]
    boards: dict[str, int]


def read_hour(
    lake: Lake,
    inventory: Inventory,
    hour_us: int,
    kinds: Sequence[str],
    names: Sequence[Name] | None,
    choose: Choose,
    report: stream.Report,
) -> Read:
    """Find the groups of an hour and how they were read; arguments as in `hours`."""
    in_force = groups.in_force(inventory, hour_us)
    readings = HourReadings(lake, hour_us, in_force)
    paces = {}
    for node, of_node in readings.of_nodes(_nodes(lake, inventory, hour_us, names)):
        report(f"{node}: pace")
        paces.update(of_node)
    # Without readings a job still has members: what they drew is not known.
    made = groups.groups(inventory, in_force, hour_us, kinds, paces)
    wanted = None if names is None else set(names)
    chosen = choose([g for g in made if wanted is None or (g.kind, g.group_id) in wanted])
    boards = Counter(node for node, _ in paces)
    return Read(hour_us, readings, stream.order(paces, in_force), chosen, dict(boards))


def _filled(one: Read, step_us: int, report: stream.Report) -> CourseHour:
    steps = [step_us] * len(one.chosen)
    filled = stream.fill_grids(
        one.readings, one.hour_us, one.chosen, steps, one.nodes, _close, report
    )
    found = {(cells.group.kind, cells.group.group_id): cells for cells in filled}
    return CourseHour(one.hour_us, step_us, found, one.boards)


def _close(one: stream.Open, grid: Grid) -> Cells:
    return Cells(one.group, grid, rows.known_cells(one.group, grid))


def _nodes(
    lake: Lake, inventory: Inventory, hour_us: int, names: Sequence[Name] | None
) -> list[str]:
    """Return the nodes of an hour that may have a part in some groups."""
    there = lake.nodes("power", hour_us)
    if names is None or any(kind in ("rack", "site") for kind, _ in names):
        return there
    jobs = {name for kind, name in names if kind == "job"}
    wanted = {name for kind, name in names if kind == "node"}
    wanted |= {row["node"] for row in inventory.allocations if row["job_id"] in jobs}
    return [node for node in there if node in wanted]
