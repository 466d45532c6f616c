"""The PUE of each node in an hour: measured where meters speak for it, else modelled or declared.

In: the rows of `site_hour` of the hour, the places, the nodes with the site that their boards name,
the declared PUE. Out: the table `node_pue`, which models read.
"""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from tokenergy_collectors.lake.contract import HOUR_US
from tokenergy_sql.index.modelrun import store_rows
from tokenergy_sql.index.models import model_text
from tokenergy_sql.metering.pue import Nodes, measured, modelled
from tokenergy_sql.places import Place, Places

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

_PPB_PER_PPM = 1000


def create_node_pue(
    con: duckdb.DuckDBPyConnection,
    places: Places,
    site_rows: pa.Table,
    hour_us: int,
    declared_ppm: int | None,
) -> None:
    """Create the table `node_pue`: one row a node that the lake knows of in an hour.

    Args:
        con: has `device_now`, `ledger_hour` and `allocation`.
        places: what stands where.
        site_rows: the rows of `site_hour`.
        hour_us: start of the hour.
        declared_ppm: the declared PUE; None: not declared.
    """
    import pyarrow as pa

    found = con.execute(model_text("known_node")).fetchall()
    by_meters, by_model = _found(places, site_rows, hour_us, dict(found))
    columns = zip(
        *(_row(node, by_meters, by_model, declared_ppm) for node, _ in found), strict=True
    )
    types = {
        "node": pa.string(),
        "pue_ppb": pa.int64(),
        "pue_low_ppb": pa.int64(),
        "pue_high_ppb": pa.int64(),
        "pue_method": pa.string(),
        "pue_place": pa.string(),
        "pue_covered_us": pa.int64(),
        "metered_nj": pa.decimal128(38, 0),
    }
    values = [*columns] or [()] * len(types)
    arrays = [pa.array([*of], type_) for of, type_ in zip(values, types.values(), strict=True)]
    store_rows(con, "node_pue", pa.table(arrays, names=[*types]))


def _found(
    places: Places, site_rows: pa.Table, hour_us: int, site_of: dict[str, str]
) -> tuple[Nodes, Nodes]:
    """Return the measured and the modelled PUE of nodes that have one."""
    if not site_rows.num_rows:
        return {}, {}
    halls = halls_of(places, site_of, hour_us)
    # A site file is of one site. Where boards name several, it speaks of those that it places.
    if len({*site_of.values()} - {""}) > 1:
        halls = {node: hall for node, hall in halls.items() if hall is not None}
    standing = places.at(hour_us).of_kind("hall")
    rows = site_rows.to_pylist()
    return measured(rows, (hall.name for hall in standing), halls), modelled(rows, halls)


def halls_of(places: Places, nodes: Any, hour_us: int) -> dict[str, str | None]:
    """Return the hall in which each node stood longest in an hour; None: in none."""
    until_us = hour_us + HOUR_US
    edges = [hour_us, *places.edges(hour_us, until_us), until_us]
    spans = [(end - start, places.at(start)) for start, end in pairwise(edges)]
    found: dict[str, str | None] = {}
    for node in nodes:
        stood: Counter[str] = Counter()
        for length_us, tree in spans:
            for place in tree.path(Place("node", node)):
                if place.kind == "hall":
                    stood[place.name] += length_us
        found[node] = min(stood, key=lambda hall: (-stood[hall], hall)) if stood else None
    return found


def _row(
    node: str, by_meters: Nodes, by_model: Nodes, declared_ppm: int | None
) -> tuple[object, ...]:
    for method, by_node in (("measured", by_meters), ("modelled", by_model)):
        if (pue := by_node.get(node)) is not None:
            return (
                *(node, pue.ppb, pue.low_ppb, pue.high_ppb),
                *(method, pue.place, pue.covered_us, pue.facility_nj),
            )
    ppb = None if declared_ppm is None else declared_ppm * _PPB_PER_PPM
    return node, ppb, ppb, ppb, None if ppb is None else "declared", None, None, None
