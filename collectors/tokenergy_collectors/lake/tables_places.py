"""The table of what racks, modules, halls and the site drew by hour."""

from __future__ import annotations

from tokenergy_collectors.lake.table import Column, Table, col, nullable

_PEAKS_IN: tuple[Column, ...] = tuple(
    nullable(
        f"peak_in_{kind}_mw",
        "int64",
        f"highest it drew in a cell in which its whole {kind} is known: sums of these are sums of "
        "peaks over the same time; only of method boards",
    )
    for kind in ("rack", "module", "hall", "site")
)

PLACE_HOUR = Table(
    name="place_hour",
    layer="derived",
    row="one node, rack, module, hall or the site in one hour, by one method: energy and power. A "
    "place that moves has a row for each place that it stood in",
    sort=("place", "hall", "module", "rack", "method"),
    time="hour_us",
    columns=(
        col(
            "place",
            "string",
            "`site`, `hall:NAME`, `module:NAME`, `rack:NAME`, `node:NAME`; `unplaced`: all nodes "
            "that stand in no rack",
        ),
        col("hour_us", "int64", "start of the hour"),
        col("kind", "string", "site, hall, module, rack, node or unplaced"),
        nullable("hall", "string", "the hall that it is, or stands in; NULL: none"),
        nullable("module", "string", "the module that it is, or stands in"),
        nullable("rack", "string", "the rack that it is, or stands in"),
        nullable("type", "string", "the declared type of that module"),
        col(
            "method",
            "string",
            "boards: what the boards drew; boards+host: with the hosts' energy, spread evenly over "
            "the time that a node was watched; metered: by the meters of the place",
        ),
        col("nodes", "int32", "nodes that stood there at some time of the hour"),
        col("boards", "int32", "boards of these nodes that are in the ledger"),
        nullable(
            "missing",
            "string",
            "nodes that stood there and are not in the ledger, and meters not known in all of the "
            "hour, separated by commas",
        ),
        nullable("rated_mw", "int64", "declared rating; NULL: none"),
        col("present_us", "int64", "time for which a node stood there"),
        col("device_us", "int64", "time of the boards in the ledger; 0 where metered"),
        col(
            "covered_us", "int64", "part of device_us with known power; where metered, of the hour"
        ),
        nullable("energy_nj", "int128", "known energy; NULL: none is known"),
        nullable("low_nj", "int128", "lower bound, of time in the ledger without power too"),
        nullable("high_nj", "int128", "upper bound, likewise"),
        col("step_us", "int64", "cell of the time grid; the power of a cell is its mean"),
        nullable(
            "shape_us",
            "int64",
            "longest segment, or time between two readings of a meter: peaks are no shorter",
        ),
        col("cells", "int32", "cells in which all of the place is known; the next are of these"),
        nullable("mean_mw", "float64", "mean power"),
        nullable("min_mw", "int64", "lowest cell"),
        nullable("p50_mw", "int64", "median cell (nearest rank)"),
        nullable("p99_mw", "int64", "99th percentile of the cells (nearest rank)"),
        nullable("peak_mw", "int64", "highest cell"),
        nullable("peak_low_mw", "int64", "lower bound of peak_mw; NULL: metered, or no host bound"),
        nullable("peak_high_mw", "int64", "upper bound of peak_mw"),
        nullable("peak_us", "int64", "start of the first cell with the peak"),
        nullable(
            "bins",
            "list<int32>",
            "histogram of the cells: numbers of bins. Bin 0 is below 1 W, bin i from 1.005^(i - 1) "
            "W to below 1.005^i W; so hours add up",
        ),
        nullable("counts", "list<int32>", "cells in each of these bins"),
        *_PEAKS_IN,
        col("emulated", "bool", "true if any board is emulated"),
        col("index_version", "string", "version of the models and of this contract"),
    ),
)
