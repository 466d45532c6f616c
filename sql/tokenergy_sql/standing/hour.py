"""The rows of `place_hour` of an hour.

In: the ledger and the segments of an hour, what the site file places, meters, hosts. Out: rows, as
the contract has them. Lakes whose site file places no node have none, and nothing is read.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tokenergy_collectors.lake import Lake
from tokenergy_collectors.lake.contract import PLACE_HOUR
from tokenergy_sql.metering.course import Course
from tokenergy_sql.places import Meter, Place, Places
from tokenergy_sql.standing.booked import Pair, read_booked
from tokenergy_sql.standing.grid import STEP_US, Grid, grid_of
from tokenergy_sql.standing.loads import NodeLoads, node_loads
from tokenergy_sql.standing.metered import Powers, all_metered
from tokenergy_sql.standing.power import Cells, Slots, cells_of, distribution, highest
from tokenergy_sql.standing.stays import Standing, cuts_of, places_nodes, standing
from tokenergy_sql.standing.tally import Key, Tally, around, hosts_of, place_of, tallies

if TYPE_CHECKING:
    import pyarrow as pa

_AROUND = ("rack", "module", "hall", "site")

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Nodes:
    """What else is known of the nodes of an hour.

    Attributes:
        host_nj: energy of each node's host; None: unknown.
        expected: boards that nodes should have.
        emulated: nodes with an emulated board.
    """

    host_nj: Mapping[str, int | None]
    expected: Iterable[Pair]
    emulated: frozenset[str]


def place_rows(
    lake: Lake,
    places: Places,
    courses: Mapping[str, Course],
    nodes: Nodes,
    hour_us: int,
    version: str,
) -> pa.Table:
    """Return the rows of an hour; none if the site file places no node in it.

    Args:
        lake: has the ledger and the segments.
        places: what stands where.
        courses: of the meters around the hour.
        nodes: what else is known of nodes.
        hour_us: start of the hour, microseconds UTC.
        version: of the models.

    Raises:
        UserError: a file cannot be read.
    """
    import pyarrow as pa

    if not places_nodes(places, hour_us):
        return PLACE_HOUR.schema().empty_table()
    grid = grid_of(hour_us, cuts_of(places, hour_us))
    booked = read_booked(lake, hour_us)
    loads = node_loads(lake, hour_us, booked, nodes.expected, grid)
    found = standing(places, loads.names, grid)
    hosts = hosts_of(loads, nodes.host_nj)
    hour = _Hour(grid, places, loads, found, tallies(found, loads, hosts, grid), nodes.emulated)
    rows = [*hour.of_boards(), *hour.of_meters(courses)]
    of_hour = {"hour_us": hour_us, "step_us": STEP_US, "index_version": version}
    return pa.Table.from_pylist([row | of_hour for row in rows], schema=PLACE_HOUR.schema())


@dataclass(frozen=True, slots=True)
class _Hour:
    """All that rows are made of."""

    grid: Grid
    places: Places
    loads: NodeLoads
    standing: Standing
    tallies: Mapping[Key, Tally]
    emulated: frozenset[str]

    def of_boards(self) -> Iterator[Row]:
        """Yield the rows of boards, and those of boards and hosts."""
        cells = {key: cells_of(tally.slots, self.grid) for key, tally in self.tallies.items()}
        for key, tally in self.tallies.items():
            row = self._row(key, tally)
            energy = self._energy(tally)
            yield {
                **row,
                "method": "boards",
                **energy,
                **distribution(cells[key], self.grid.hour_us),
                **self._bounds(tally, cells[key], 0),
                **_peaks_in(key, cells),
            }
            recorded = tally.nodes - {node for node in tally.nodes if node >= self._recorded}
            if key.kind != "node" and tally.hosted and recorded:
                yield {**row, "method": "boards+host", **self._with_hosts(tally, energy)}

    @property
    def _recorded(self) -> int:
        return len(self.loads.names)

    def _row(self, key: Key, tally: Tally) -> Row:
        recorded = [node for node in tally.nodes if node < self._recorded]
        names = {self.loads.names[node] for node in recorded}
        return {
            **self._place(key),
            "nodes": len(tally.nodes),
            "boards": int(self.loads.boards[recorded].sum()),
            "missing": ",".join(sorted(tally.missing)) or None,
            "present_us": int(self.grid.length[tally.slots.present].sum()),
            "device_us": tally.split["device_us"],
            "covered_us": tally.split["covered_us"],
            "shape_us": self.loads.longest_us or None,
            "emulated": bool(names & self.emulated),
        }

    def _place(self, key: Key) -> Row:
        place = place_of(key)
        rated = self.places.rated_mw if key.kind == "site" else None
        if place is not None:
            rated = self.standing.rated_mw.get(place, rated)
        hall, module, rack, type_ = key.where
        around_it = {"hall": hall, "module": module, "rack": rack, "type": type_}
        return {"place": key.place, "kind": key.kind, **around_it, "rated_mw": rated}

    def _energy(self, tally: Tally) -> Row:
        recorded = [node for node in tally.nodes if node < self._recorded]
        priced = bool(self.loads.priced[recorded].any())
        bounded = bool(recorded)
        return {
            "energy_nj": tally.split["energy_nj"] if priced else None,
            "low_nj": tally.split["low_nj"] if bounded else None,
            "high_nj": tally.split["high_nj"] if bounded else None,
        }

    def _with_hosts(self, tally: Tally, energy: Row) -> Row:
        slots = Slots(
            tally.slots.power_mw + tally.host_mw, tally.slots.present, tally.slots.unknown
        )
        cells = cells_of(slots, self.grid)
        added = {k: None if nj is None else nj + tally.host_nj for k, nj in energy.items()}
        host_mw = self.grid.by_cell(tally.host_mw)
        return {
            **added,
            **distribution(cells, self.grid.hour_us),
            **self._bounds(tally, cells, host_mw),
        }

    def _bounds(self, tally: Tally, cells: Cells, host_mw: Any) -> Row:
        """Return the bounds of the highest known cell: those of the ledger, hosts being exact."""
        if not cells.known.any():
            return {}
        low, high = (
            self.grid.by_cell(bound)[cells.known] for bound in (tally.low_nj, tally.high_nj)
        )
        peak_mw = cells.power_mw[cells.known].max()
        host = np.broadcast_to(host_mw, cells.known.shape)[cells.known]
        return {
            # Whole milliwatts of each board may be rounded past a bound.
            "peak_low_mw": int(min((low // STEP_US + host).max(), peak_mw)),
            "peak_high_mw": int(max((-(-high // STEP_US) + host).max(), peak_mw)),
        }

    def of_meters(self, courses: Mapping[str, Course]) -> Iterator[Row]:
        """Yield the rows of places with meters."""
        powers = Powers(courses, self.grid)
        metered = [
            (first, last, all_metered(tree.root, self.places.meters.at(self._edge(first))))
            for first, last, tree in self.standing.trees
        ]
        for key, tally in self.tallies.items():
            place = place_of(key)
            times = [] if place is None else [*_times(place, tally, metered)]
            if not times:
                continue
            found = powers.place(times)
            low, high = (found.amount.low, found.amount.high) if found.amount else (None, None)
            yield {
                **self._row(key, tally),
                "method": "metered",
                "missing": ",".join(sorted(found.missing)) or None,
                "device_us": 0,
                "covered_us": found.covered_us,
                "energy_nj": found.amount and found.amount.value,
                "low_nj": low,
                "high_nj": high,
                "shape_us": found.longest_us or None,
                **distribution(cells_of(found.slots, self.grid), self.grid.hour_us),
            }

    def _edge(self, slot: int) -> int:
        return int(self.grid.edges[slot])


def _times(
    place: Place, tally: Tally, metered: Iterable[tuple[int, int, Mapping[Place, Any]]]
) -> Iterator[tuple[int, int, tuple[Meter, ...]]]:
    """Yield when a place is metered while nodes stand in it, and by which meters."""
    for first, last, by_place in metered:
        # Between two moves a node either stays or is not there.
        if place in by_place and tally.slots.present[first]:
            yield first, last, by_place[place]


def _peaks_in(key: Key, cells: Mapping[Key, Cells]) -> Row:
    """Return how much a place drew at most while all of each place around it is known."""
    found: Row = {}
    for kind in _AROUND:
        outer = around(key, kind)
        if outer is not None and outer in cells:
            found[f"peak_in_{kind}_mw"] = highest(cells[key], cells[outer].known)
    return found
