"""The derived tables: what aggregation and indexing write."""

from __future__ import annotations

from tokenergy_collectors.lake.table import Table, col, nullable

_REASONS = (
    "what was wrong with the readings, joined by a comma: counter_glitch, equal_stamps, "
    "implausible_power, sparse; NULL if nothing was"
)

SEGMENT = Table(
    name="segment",
    layer="derived",
    row="one device between two consecutive cuts (edges of windows and jobs)",
    sort=("device_id", "start_us"),
    time="start_us",
    columns=(
        col("device_id", "string", "as in power"),
        col("node", "string", "host name"),
        col("start_us", "int64", "the cut that begins it"),
        col("end_us", "int64", "the cut that ends it"),
        col("readings", "int32", "number of readings in [start, end)"),
        col("covered_us", "int64", "time for which power is known"),
        col("max_gap_us", "int64", "longest time between two consecutive readings that touches it"),
        col("energy_nj", "int64", "integral of power over the covered time"),
        nullable("min_mw", "int32", "lowest reading"),
        nullable("mean_mw", "float64", "mean power over the covered time"),
        nullable("max_mw", "int32", "highest reading"),
        nullable("p50_mw", "int32", "median reading (nearest rank)"),
        nullable("p95_mw", "int32", "95th percentile of readings (nearest rank)"),
        nullable("p99_mw", "int32", "99th percentile of readings (nearest rank)"),
        col("rise_mw_s", "int64", "steepest rise, mW/s, rounded down"),
        col("fall_mw_s", "int64", "steepest fall, mW/s, as a positive number, rounded down"),
        nullable(
            "counter_nj",
            "int64",
            "difference of the energy counter, interpolated linearly between its readings",
        ),
        nullable("counter_off_us", "int64", "time from the end to the nearest counter reading"),
        nullable("end_mw", "int32", "power at the end, interpolated linearly between readings"),
        nullable(
            "sparse_us",
            "int64",
            "covered time between readings more than 1.5 s apart; NULL if there is none",
        ),
        nullable(
            "doubt_nj",
            "int64",
            "how far the integral may be off because readings of one stamp were averaged",
        ),
        nullable("reasons", "string", _REASONS),
    ),
)

LEDGER = Table(
    name="ledger",
    layer="derived",
    row=(
        "one run: neighbouring segments of one device, block and account (and job, if one holds "
        "the device) of which the same is known"
    ),
    sort=("device_id", "start_us", "account", "job_id"),
    time="start_us",
    columns=(
        col("device_id", "string", "as in power"),
        col("node", "string", "host name"),
        col("start_us", "int64", "start of the run"),
        col("end_us", "int64", "end of the run"),
        col("account", "string", "active, resident_idle, free_idle, unattributed or gap"),
        nullable("job_id", "string", "the job that held the device"),
        nullable("energy_nj", "int64", "energy booked; NULL if no meter covered it"),
        col("low_nj", "int64", "lower bound"),
        col("high_nj", "int64", "upper bound"),
        col(
            "method", "string", "counter, counter_flagged, disputed, counter_gap, samples, missing"
        ),
        col(
            "meter", "string", "the meter whose total the energy adds up to: counter, samples, none"
        ),
        col("attribution", "string", "exclusive, or shared_estimate if jobs share the device"),
        nullable("k", "float64", "counter / integral in the reconciled block"),
        col("integral_nj", "int64", "integral of the samples for this row"),
        nullable("counter_nj", "int64", "difference of the counter for this row"),
        col("covered_us", "int64", "device time with known power, times the share"),
        col("device_us", "int64", "device time booked by this row (length times the share)"),
        col("max_gap_us", "int64", "longest time between two consecutive readings that touches it"),
        nullable("reasons", "string", "as in segment, as far as it concerns this row's energy"),
        nullable(
            "segments",
            "int32",
            "how many it adds up; NULL in older rows, which are one segment each",
        ),
    ),
)

LEDGER_HOUR = Table(
    name="ledger_hour",
    layer="derived",
    row="the ledger of one hour, summed by device, account and job",
    sort=("device_id", "account", "job_id"),
    time="hour_us",
    columns=(
        col("device_id", "string", "as in power"),
        col("node", "string", "host name"),
        col("hour_us", "int64", "start of the hour"),
        col("account", "string", "as in ledger"),
        nullable("job_id", "string", "the job that held the device"),
        nullable("energy_nj", "int128", "energy booked; NULL if no meter covered it"),
        col("low_nj", "int128", "lower bound"),
        col("high_nj", "int128", "upper bound"),
        col("own_nj", "int128", "the part of high - low that belongs to the calibrated card alone"),
        col("class_nj", "int128", "the part of high - low that all boards of this name share"),
        col("calibrated", "bool", "true if the bounds come from a calibrated card"),
        col("device_us", "int64", "device time booked"),
        col("covered_us", "int64", "device time with known power"),
        nullable(
            "counter_nj", "int128", "total of the energy counter where samples cover the same time"
        ),
        nullable("counted_integral_nj", "int128", "integral of the samples over the same time"),
        col("max_gap_us", "int64", "longest time between two consecutive readings that touches it"),
        col("method", "string", "methods of the ledger rows, joined by +"),
        col("shared", "bool", "true if jobs shared the device: an estimate"),
        col("as_of_us", "int64", "end of the latest segment in it"),
        nullable("reasons", "string", "reasons of the ledger rows, each once, joined by a comma"),
        nullable(
            "calibrated_meters",
            "string",
            "which meters of the card are calibrated: counter, samples, counter+samples",
        ),
    ),
)

TOKEN_USAGE = Table(
    name="token_usage",
    layer="derived",
    row="the tokens of one job, hour, model and kind",
    sort=("job_id", "model", "kind"),
    time="hour_us",
    columns=(
        col("job_id", "string", "job"),
        col("hour_us", "int64", "start of the hour"),
        nullable("model", "string", "model name"),
        col(
            "kind",
            "string",
            "prompt_computed, prompt_cached, prompt_external, generated or trained",
        ),
        col("tokens", "int64", "tokens in the hour, inside the job"),
        col("low", "int64", "lower bound"),
        col("high", "int64", "upper bound"),
        nullable("reasons", "string", "reason codes of its counters, joined by commas; NULL: none"),
    ),
)
