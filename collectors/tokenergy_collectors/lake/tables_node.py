"""The tables of nodes by hour: constants, capacity, energy that no job bears; and of hosts."""

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
        nullable("e_host_nj", "int128", "energy of its host: see host_hour"),
        nullable(
            "host_method",
            "string",
            "how that was found: measured, modelled, declared or none; NULL in older rows",
        ),
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
            "upper bound of pue_ppb; NULL: a meter or a part of the model has no declared accuracy",
        ),
        nullable(
            "facility_method",
            "string",
            "where pue_ppb comes from: measured, modelled, declared, none",
        ),
        nullable(
            "pue_place",
            "string",
            "`site` or `hall:NAME` whose meters measured it, or whose parts it is modelled from; "
            "NULL: it is declared or unknown",
        ),
        nullable("pue_covered_us", "int64", "time of the hour for which those meters are known"),
        nullable(
            "metered_nj",
            "int128",
            "energy of pue_place in the hour, which burdened jobs and unborne energy add up to; "
            "NULL: it is not measured",
        ),
    ),
)

HOST_HOUR = Table(
    name="host_hour",
    layer="derived",
    row="the host of one node in one hour: what it drew besides its boards, how that was found",
    sort=("node",),
    time="hour_us",
    columns=(
        col("node", "string", "host name"),
        col("hour_us", "int64", "start of the hour"),
        col("method", "string", "measured, modelled, declared or none"),
        nullable("host_nj", "int128", "energy of the host over watched_us; NULL: not known"),
        nullable("host_low_nj", "int128", "the least that it can be; NULL: nothing is known"),
        nullable("host_high_nj", "int128", "the most that it can be; NULL: nothing bounds it"),
        col("watched_us", "int64", "time for which one of its boards is in the ledger"),
        col("covered_us", "int64", "the part of it of which the method knew its inputs"),
        nullable(
            "meters",
            "string",
            "ids of the node's meters, a JSON list; NULL: the site file has none",
        ),
        col("input_us", "int64", "watched time for which its meters and all its boards are known"),
        nullable("input_nj", "int128", "what its meters counted in input_us"),
        nullable("input_low_nj", "int128", "lower bound of input_nj; NULL: no accuracy declared"),
        nullable("input_high_nj", "int128", "upper bound of input_nj"),
        nullable("input_boards_nj", "int128", "what its boards drew in input_us"),
        col("boards_nj", "int128", "what its boards drew in watched_us, as far as it is known"),
        nullable("domains", "string", "RAPL domains that cpu_nj adds up; NULL: none was read"),
        col("cpu_us", "int64", "watched time for which they are known"),
        nullable(
            "cpu_nj",
            "int128",
            "what they counted in watched_us, filled in where up to a tenth of it is not known",
        ),
        nullable("cpu_low_nj", "int128", "lower bound of cpu_nj, filling in nothing"),
        nullable("cpu_high_nj", "int128", "upper bound of cpu_nj"),
        nullable("declared_mw", "int64", "declared host power that the hour was derived with"),
        nullable(
            "model", "string", "the model of its host, a JSON object: see docs/host-energy.md"
        ),
        nullable(
            "doubts", "string", "why a method did not count, or has no bound; comma-separated"
        ),
        col("index_version", "string", "version of the models and of this contract"),
        col("inputs_digest", "string", "SHA-256 over the inputs of this row"),
    ),
)
