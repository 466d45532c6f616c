"""Up to when nodes were read in an hour: a running job claims their boards until then.

In: `cut_claim`, the hour's files of segments. Out: the table `node_until`: node, until_us; only of
nodes of running jobs that are on several. In SQL, all rows of the hour would be read for them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tokenergy_collectors.lake import Lake
from tokenergy_collectors.lake.contract import SEGMENT
from tokenergy_collectors.lake.paths import node_of
from tokenergy_collectors.lake.reading import BrokenFileError, RawFile

if TYPE_CHECKING:
    import duckdb

_WANTED = "SELECT DISTINCT node FROM cut_claim WHERE nodes AND end_us IS NULL AND node IS NOT NULL"


def create_node_until(con: duckdb.DuckDBPyConnection, lake: Lake, hour_us: int) -> None:
    """Create `node_until` of an hour.

    Args:
        con: has `cut_claim`.
        lake: the lake.
        hour_us: start of the hour, microseconds UTC.
    """
    import pyarrow.compute as pc

    con.execute("CREATE TEMP TABLE node_until (node VARCHAR, until_us BIGINT)")
    wanted = {node for (node,) in con.execute(_WANTED).fetchall()}
    for path in lake.files("segment", [hour_us]) if wanted else ():
        if (node := node_of(path)) in wanted:
            try:
                with RawFile(path, SEGMENT) as file:
                    ends = [
                        pc.max(file.read(group.number, ("end_us",))["end_us"]).as_py()
                        for group in file.groups(())
                    ]
            except BrokenFileError as error:
                lake.quarantine(path, SEGMENT, str(error))
                continue
            if ends:
                con.execute("INSERT INTO node_until VALUES ($1, $2)", [node, max(ends)])
