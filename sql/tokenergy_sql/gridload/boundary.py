"""The load of boards, of boards with their hosts, or of the grid connection.

In: hours of cells of boards; `host_hour` and `node_hour` of the lake. Out: the same cells with what
else is drawn there. A cell whose host or PUE is not known is not known.

A host is known by the hour: its energy is spread evenly over the time for which it was watched, by
the boards of its node, each board's part to who holds it. So it adds to the level of a load and to
no swing: fans and CPUs that swing with the boards do not show (`host_by_hour`). Without a meter of
the site the connection is IT times the PUE of the hour (`modelled_pue`): cooling that lags behind
and UPSes that smooth do not show either.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.lake import Lake
from tokenergy_collectors.lake.contract import WHOLE_PPM
from tokenergy_transforms.loadprofile.coursehours import Cells, CourseHour
from tokenergy_transforms.loadprofile.groups import Member
from tokenergy_transforms.loadprofile.loadcourse import Boundary

BOUNDARIES: tuple[Boundary, ...] = ("boards", "it", "connection")

_WHOLE_PPB = 1_000_000_000


def parse_boundary(text: str, what: str = "--boundary") -> Boundary:
    """Return a boundary by its name.

    Raises:
        UserError: there is none of this name.
    """
    for known in BOUNDARIES:
        if text == known:
            return known
    raise UserError(f"{what} {text!r}: expected {', '.join(BOUNDARIES)}")


def around(
    lake: Lake, boundary: Boundary
) -> Callable[[Iterator[CourseHour]], Iterator[CourseHour]]:
    """Return what turns hours of boards into hours at a boundary."""

    def turned(hours: Iterator[CourseHour]) -> Iterator[CourseHour]:
        for hour in hours:
            yield hour if boundary == "boards" else _at(lake, hour, boundary)

    return turned


@dataclass(frozen=True, slots=True)
class _Hosts:
    """Host power (mW, whole) and PUE (ppb) of nodes in an hour, where they are known."""

    host_mw: Mapping[str, int]
    pue_ppb: Mapping[str, int]


def _at(lake: Lake, hour: CourseHour, boundary: Boundary) -> CourseHour:
    hosts = _hosts(lake, hour.hour_us)
    turned = {}
    for name, cells in hour.groups.items():
        found = _with_hosts(cells, hour, hosts)
        turned[name] = _times_pue(found, hour, hosts) if boundary == "connection" else found
    return replace(hour, groups=turned)


def _hosts(lake: Lake, hour_us: int) -> _Hosts:
    host_rows = lake.read("host_hour", [hour_us], columns=["node", "host_nj", "watched_us"])
    node_rows = lake.read("node_hour", [hour_us], columns=["node", "pue_ppb"])
    return _Hosts(
        {
            row["node"]: int(row["host_nj"]) // row["watched_us"]
            for row in host_rows.to_pylist()
            if row["host_nj"] is not None and row["watched_us"]
        },
        {row["node"]: row["pue_ppb"] for row in node_rows.to_pylist() if row["pue_ppb"]},
    )


def _with_hosts(cells: Cells, hour: CourseHour, hosts: _Hosts) -> Cells:
    """Add each member's part of its host to the cells in which it is held."""
    energy_nj, known = cells.grid.energy_nj.copy(), cells.known.copy()
    reasons = {"host_by_hour"}
    for node, members in _by_node(cells).items():
        host_mw = hosts.host_mw.get(node)
        for member in members:
            share = member.share_ppm / hour.boards.get(node, 1) / WHOLE_PPM
            held_us = _held_us(member, cells)
            if host_mw is None:
                known &= held_us == 0
                reasons.add("no_host_power")
            else:
                energy_nj += np.rint(held_us * (host_mw * share)).astype(np.int64)
    grid = replace(cells.grid, energy_nj=energy_nj)
    return replace(cells, grid=grid, known=known, reasons=cells.reasons | reasons)


def _times_pue(cells: Cells, hour: CourseHour, hosts: _Hosts) -> Cells:
    """Multiply by the PUE of the hour: that of each node, weighted with its boards."""
    nodes = _by_node(cells)
    reasons = {"modelled_pue"}
    if not nodes or not all(node in hosts.pue_ppb for node in nodes):
        reasons.add("no_pue")
        known = np.zeros_like(cells.known)
        return replace(cells, known=known, reasons=cells.reasons | reasons)
    boards = {node: len(members) for node, members in nodes.items()}
    weighted = sum(hosts.pue_ppb[node] * count for node, count in boards.items())
    factor = weighted / sum(boards.values()) / _WHOLE_PPB
    energy_nj = np.rint(cells.grid.energy_nj * factor).astype(np.int64)
    grid = replace(cells.grid, energy_nj=energy_nj)
    return replace(cells, grid=grid, reasons=cells.reasons | reasons)


def _by_node(cells: Cells) -> dict[str, list[Member]]:
    found: dict[str, list[Member]] = {}
    for member in cells.group.metered:
        found.setdefault(member.key[0], []).append(member)
    return found


def _held_us(member: Member, cells: Cells) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Return how much of each cell a member is held: int64[n] microseconds."""
    step_us, count = cells.grid.step_us, len(cells.grid.energy_nj)
    starts = cells.grid.hour_us + np.arange(count, dtype=np.int64) * step_us
    high = np.minimum(starts + step_us, member.end_us)
    held_us: np.ndarray[Any, np.dtype[np.int64]] = np.maximum(
        high - np.maximum(starts, member.start_us), 0
    )
    return held_us
