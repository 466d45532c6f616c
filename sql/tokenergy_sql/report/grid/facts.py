"""The rows behind the page of the grid's side.

In: a connection to what the report covers. Out: `GridFacts`, or None where no site and no rack has
a load profile.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tokenergy_collectors.lake.contract import HOUR_US
from tokenergy_sql.catalog.namedrows import NamedRow
from tokenergy_sql.report.querying import query

if TYPE_CHECKING:
    import duckdb

MOST_SWINGS = 50
MOST_JOBS = 20
MOST_STEPS = 400
"""Most steps of the chart over time; a step is one hour or several."""

_KINDS = ["site", "rack", "node", "job"]
_BOUNDARIES = ["boards", "it", "connection"]
_EVER_US = 2**63 - 1


@dataclass(frozen=True, slots=True)
class GridFacts:
    """The rows of the page.

    Attributes:
        groups: sites, racks, and the jobs that swing most; see `grid_groups.sql`.
        places: those of them that the page begins with: the sites, or else the racks.
        drawn: the one with the highest peak, which has the charts.
        load: its load by step of `step_us`; empty if there are only profiles of spans.
        bands: its rms by frequency band.
        swings: the largest swings of all groups, without harmonics; each has the `total`.
        largest: the largest swing of `places`, as a list of at most one.
    """

    groups: list[NamedRow]
    places: list[NamedRow]
    drawn: NamedRow
    step_us: int
    load: list[NamedRow]
    bands: list[NamedRow]
    swings: list[NamedRow]
    largest: list[NamedRow]


def read_grid(con: duckdb.DuckDBPyConnection, hours: range | None) -> GridFacts | None:
    """Return the rows of the page; None if no site and no rack has a load profile.

    Args:
        con: to what the report covers.
        hours: starts of the hours that it covers, microseconds UTC; None for the whole lake. A
            span that ends later is left out.
    """
    until = {"until_us": _EVER_US if hours is None else hours[-1] + HOUR_US}
    groups = query(con, "grid_groups", {**until, "most": MOST_JOBS})
    if not groups or groups[0]["kind"] == "job":
        return None
    places = [row for row in groups if row["kind"] == groups[0]["kind"]]
    group = {"kind": places[0]["kind"], "group_id": places[0]["group_id"]}
    by_hour = query(con, "grid_load", {**group, "step_us": HOUR_US})
    step_us = HOUR_US
    if by_hour:
        covers = by_hour[-1]["from_us"] + HOUR_US - by_hour[0]["from_us"]
        step_us = HOUR_US * -(-covers // (MOST_STEPS * HOUR_US))
    load = by_hour if step_us == HOUR_US else query(con, "grid_load", {**group, "step_us": step_us})
    own = {"kinds": [group["kind"]], "boundaries": ["boards"], "most": 1}
    every = {"kinds": _KINDS, "boundaries": _BOUNDARIES, "most": MOST_SWINGS}
    return GridFacts(
        groups=groups,
        places=places,
        drawn=places[0],
        step_us=step_us,
        load=load,
        bands=query(con, "grid_bands", group),
        swings=query(con, "grid_swings", {**every, **until}),
        largest=query(con, "grid_swings", {**own, **until}),
    )
