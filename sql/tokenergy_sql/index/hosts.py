"""The hosts of an hour: what the site file says of the lake's nodes, and what these showed.

In: a connection with the hour's ledger, the lake, the site's constants. Out: rows of `host_hour`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tokenergy_collectors.lake import Lake
from tokenergy_sql.hosting.hour import Declared, host_rows
from tokenergy_sql.index.modelrun import index_version
from tokenergy_sql.index.sitehistory import SiteHistory

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa


def hosts_of(
    con: duckdb.DuckDBPyConnection, lake: Lake, hour_us: int, history: SiteHistory, digest: str
) -> pa.Table:
    """Return the rows of `host_hour` of an hour.

    Args:
        con: has `ledger`, `ledger_hour`, `node_watched`, `site` and `site_node` of the hour, and
            `device` and `allocation`.
        lake: the lake.
        hour_us: start of the hour, microseconds UTC.
        history: the constants of each hour, and the site's places.
        digest: of the hour's inputs.
    """
    # `site_node` has the nodes under all their names.
    declared = con.execute(
        "SELECT node, coalesce(n.host_mw, site.host_mw) FROM node_watched CROSS JOIN site "
        "LEFT JOIN site_node AS n USING (node) ORDER BY node"
    ).fetchall()
    host_mw = {node: mw for node, mw in declared if mw is not None}
    # As of `site_node`: who else is known may make a short name ambiguous.
    known = con.execute("SELECT node FROM device UNION SELECT node FROM allocation ORDER BY node")
    models = history.at(hour_us).models_of(node for (node,) in known.fetchall())
    stamps = {"index_version": index_version(), "inputs_digest": digest}
    of_site = Declared(host_mw, models, history.site.places)
    return host_rows(con, lake, hour_us, of_site, stamps)
