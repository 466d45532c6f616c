"""What racks, modules, halls and the site drew in an hour, of what the hour's models know.

In: a connection with `device_now` and `parameters`, the rows of `node_hour`, places, meters. Out:
the rows of `place_hour`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tokenergy_collectors.lake import Lake
from tokenergy_sql.index.modelrun import index_version
from tokenergy_sql.index.models import model_text
from tokenergy_sql.metering.hour import HourRows
from tokenergy_sql.places import Places
from tokenergy_sql.standing.hour import Nodes, place_rows

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa


def place_hour(
    con: duckdb.DuckDBPyConnection,
    lake: Lake,
    places: Places,
    metered: HourRows,
    node_rows: pa.Table,
) -> pa.Table:
    """Return the rows of `place_hour` of an hour; none if the site file places no node.

    Args:
        con: has `device_now` and `parameters`.
        lake: has the ledger and the segments of the hour.
        places: what stands where.
        metered: what meters say of the hour.
        node_rows: of `node_hour`.

    Raises:
        UserError: a file cannot be read.
    """
    ((hour_us,),) = con.execute("SELECT hour_us FROM parameters").fetchall()
    boards = con.execute(model_text("board_expected")).fetchall()
    hosts = zip(node_rows["node"].to_pylist(), node_rows["e_host_nj"].to_pylist(), strict=True)
    nodes = Nodes(
        {node: None if host_nj is None else int(host_nj) for node, host_nj in hosts},
        [(node, device_id) for node, device_id, _ in boards],
        frozenset(node for node, _, emulated in boards if emulated),
    )
    return place_rows(lake, places, metered.courses, nodes, hour_us, index_version())
