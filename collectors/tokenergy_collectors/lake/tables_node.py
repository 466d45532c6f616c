"""The table of nodes by hour: the site's constants, capacity, and energy that no job bears."""

from __future__ import annotations

from tokenergy_collectors.lake.table import Table, col, nullable

NODE_HOUR = Table(
    name="node_hour",
    layer="derived",
    row="one node in one hour: what was declared of it, what it drew, and what no job bears",
    sort=("node",),
    time="hour_us",
    columns=(
        col("node", "string", "host name"),
        col("hour_us", "int64", "start of the hour"),
        nullable("site", "string", "site of its boards; of several the first"),
        nullable("pue_ppm", "int64", "declared PUE that the hour was derived with, ppm"),
        nullable("host_mw", "int64", "declared host power that the hour was derived with"),
        col("watched_us", "int64", "time for which one of its boards is in the ledger"),
        col("capacity_us", "int64", "device time of its boards in the ledger"),
        col("idle_us", "int64", "the part of capacity_us that no job held"),
        nullable("e_gpu_nj", "int128", "energy of its boards"),
        nullable("e_host_nj", "int128", "energy of its host: host_mw * watched_us"),
        col(
            "unborne_gpu_nj",
            "int128",
            "its idle capacity's part of the energy that no job held at the site: on no job",
        ),
        nullable("unborne_facility_nj", "int128", "the same including hosts, at the facility"),
        col("index_version", "string", "version of the models and of this contract"),
        col("inputs_digest", "string", "SHA-256 over the inputs of this row"),
        nullable("as_of_us", "int64", "latest stamp of the inputs of this row"),
        nullable("pue_ppb", "int64", "PUE that its jobs have in the hour, parts per billion"),
        nullable("pue_low_ppb", "int64", "lower bound of pue_ppb; at least 1"),
        nullable(
            "pue_high_ppb",
            "int64",
            "upper bound of pue_ppb; NULL: a meter has no declared accuracy",
        ),
        nullable("facility_method", "string", "where pue_ppb comes from: measured, declared, none"),
        nullable(
            "pue_place",
            "string",
            "`site` or `hall:NAME` whose meters measured it; NULL: it is not measured",
        ),
        nullable("pue_covered_us", "int64", "time of the hour for which those meters are known"),
        nullable(
            "metered_nj",
            "int128",
            "energy of pue_place in the hour, which burdened jobs and unborne energy add up to",
        ),
    ),
)
