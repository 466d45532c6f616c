"""Of which time an hour has segments: the rest of what jobs claimed was recorded by nothing.

In: the hour's segments and their spans (see `claim.sql`). Out: the table `seen`: span, device_id,
node, from_us, to_us, one row a run of segments that follow one another in a span and on a node.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import duckdb

    from tokenergy_transforms.batch import I32
    from tokenergy_transforms.booking.hour import Hour


def create_seen(con: duckdb.DuckDBPyConnection, hour: Hour, span: I32) -> None:
    """Create the table `seen` of an hour, empty if the hour has no segments.

    Args:
        con: where to create it.
        hour: n segments.
        span: int32[n], see `Blocks.span`; a span is of one device.
    """
    import pyarrow as pa

    follows = hour.start_us[1:] == hour.end_us[:-1]
    follows &= (hour.node[1:] == hour.node[:-1]) & (span[1:] == span[:-1])
    at = np.flatnonzero(np.concatenate([np.ones(min(len(span), 1), np.bool_), ~follows]))
    last = np.append(at[1:], len(span)) - 1 if len(at) else at
    device = np.searchsorted(hour.offsets, at, side="right") - 1
    rows = pa.table(
        {
            "span": pa.array(span[at], pa.int32()),
            "device_id": pa.array([hour.devices[d] for d in device.tolist()], pa.string()),
            "node": pa.array([hour.nodes[n] for n in hour.node[at].tolist()], pa.string()),
            "from_us": pa.array(hour.start_us[at], pa.int64()),
            "to_us": pa.array(hour.end_us[last], pa.int64()),
        }
    )
    con.register("incoming", rows)
    con.execute("CREATE TEMP TABLE seen AS FROM incoming")
    con.unregister("incoming")
