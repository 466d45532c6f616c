"""The derived tables: what aggregation and indexing write."""

from __future__ import annotations

from tokenergy_collectors.lake.table import Column, Table, col, nullable

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

_GROUP: tuple[Column, ...] = (
    col("hour_us", "int64", "start of the hour"),
    col("kind", "string", "what the group is: job, node, rack or site"),
    col(
        "group_id",
        "string",
        "name of the group; a rack's is SITE/HALL/POD/RACK, as far as they are known",
    ),
)

_RAMPS: tuple[Column, ...] = tuple(
    column
    for name, words in (("100ms", "0.1 s"), ("1s", "1 s"), ("10s", "10 s"), ("60s", "60 s"))
    for column in (
        nullable(f"up_{name}_mw", "float64", f"largest rise of the load within {words}"),
        nullable(
            f"down_{name}_mw", "float64", f"largest fall within {words}, as a positive number"
        ),
        nullable(
            f"p999_{name}_mw", "float64", f"99.9th percentile of the change over {words}, unsigned"
        ),
    )
)

LOAD_PROFILE = Table(
    name="load_profile",
    layer="derived",
    row="the load of one job, node, rack or site in one hour: swing, ramps, dominant period",
    sort=("kind", "group_id"),
    time="hour_us",
    columns=(
        *_GROUP,
        col("step_us", "int64", "cell of the uniform grid; the load of a cell is its mean"),
        nullable(
            "period_us", "int64", "effective period of the readings: that of the slowest device"
        ),
        nullable(
            "limit_hz", "float64", "highest frequency that the readings resolve: 1 / (2 * period)"
        ),
        col("devices", "int32", "devices of the group"),
        col(
            "metered", "int32", "devices of the group with readings in the hour; the load is theirs"
        ),
        col(
            "cells", "int32", "cells in which the power of all metered devices is known throughout"
        ),
        col("coverage", "float64", "device time with known power / device time in the group"),
        col("energy_nj", "int128", "energy of the covered time, times the shares"),
        nullable(
            "mean_mw", "float64", "mean load over those cells; the next figures are over them too"
        ),
        nullable("min_mw", "float64", "lowest cell"),
        nullable("max_mw", "float64", "highest cell"),
        nullable("swing_mw", "float64", "highest minus lowest cell"),
        nullable("swing_share", "float64", "swing / mean"),
        nullable("load_factor", "float64", "mean / highest cell"),
        nullable("crest_factor", "float64", "highest cell / root mean square"),
        nullable("variance_mw2", "float64", "variance of the cells (mW squared)"),
        nullable(
            "battery_nj",
            "int128",
            "size of a lossless battery that would flatten the load to its mean",
        ),
        *_RAMPS,
        nullable("dominant_hz", "float64", "frequency of the strongest line up to the limit"),
        nullable("dominant_period_s", "float64", "1 / dominant_hz"),
        nullable(
            "dominant_amplitude_mw",
            "float64",
            "amplitude of that line: half its peak-to-peak value",
        ),
        nullable("dominant_swing_share", "float64", "peak-to-peak value of that line / mean"),
        nullable("dominant_share", "float64", "share of that line in the variance up to the limit"),
        col("segments", "int32", "Welch segments of the spectrum; 0 if none is fully covered"),
        nullable("resolution_hz", "float64", "width of a frequency bin of the spectrum"),
        col(
            "reason_codes",
            "string",
            "why a value is NULL or doubtful, separated by commas; may be empty",
        ),
        col("emulated", "bool", "true if any device is emulated"),
        nullable("as_of_us", "int64", "stamp of the latest reading in it"),
    ),
)

LOAD_SPECTRUM = Table(
    name="load_spectrum",
    layer="derived",
    row="the swing of one job, node, rack or site in one hour and frequency band",
    sort=("kind", "group_id", "low_hz"),
    time="hour_us",
    columns=(
        *_GROUP,
        col("low_hz", "float64", "lower edge of the band"),
        col("high_hz", "float64", "upper edge of the band"),
        nullable("variance_mw2", "float64", "variance of the load in the band (mW squared)"),
        nullable("rms_mw", "float64", "square root of the variance: the rms amplitude in the band"),
        col(
            "reason",
            "string",
            "why it is NULL: above_nyquist, below_resolution, no_segment, not_metered; else empty",
        ),
        col("emulated", "bool", "true if any device is emulated"),
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
