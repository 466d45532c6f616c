"""The derived tables: what aggregation and indexing write."""

from __future__ import annotations

from tokenergy_collectors.lake.table import Column, Table, col, nullable

SEGMENT = Table(
    name="segment",
    layer="derived",
    row="one device between two neighbouring cuts (window edges and job edges)",
    sort=("device_id", "start_us"),
    time="start_us",
    columns=(
        col("device_id", "string", "as in power"),
        col("node", "string", "host name"),
        col("start_us", "int64", "cut at the left"),
        col("end_us", "int64", "cut at the right"),
        col("readings", "int32", "readings in [start, end)"),
        col("covered_us", "int64", "time in which power is defined"),
        col("max_gap_us", "int64", "largest spacing of neighbouring readings that touches it"),
        col("energy_nj", "int64", "integral of power over the covered time"),
        nullable("min_mw", "int32", "smallest reading"),
        nullable("mean_mw", "float64", "energy over covered time"),
        nullable("max_mw", "int32", "largest reading"),
        nullable("p50_mw", "int32", "median reading (nearest rank)"),
        nullable("p95_mw", "int32", "95th percentile of readings (nearest rank)"),
        nullable("p99_mw", "int32", "99th percentile of readings (nearest rank)"),
        col("rise_mw_s", "int64", "steepest rise, mW/s, rounded down"),
        col("fall_mw_s", "int64", "steepest fall, mW/s, as a positive number, rounded down"),
        nullable("counter_nj", "int64", "energy counter's difference, linear between its readings"),
        nullable("counter_off_us", "int64", "from the right cut to the nearest counter reading"),
        nullable("end_mw", "int32", "power at the right cut, linear between readings"),
    ),
)

_GROUP: tuple[Column, ...] = (
    col("hour_us", "int64", "start of the hour"),
    col("kind", "string", "what is added up: job, node, rack or site"),
    col("group_id", "string", "its name; a rack's is SITE/HALL/POD/RACK, as far as they are known"),
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
        col("step_us", "int64", "cell of the uniform grid: the load is its mean over a cell"),
        nullable("period_us", "int64", "effective period of the readings: the slowest device's"),
        nullable("limit_hz", "float64", "half of one over it: nothing above is told"),
        col("devices", "int32", "devices of the group"),
        col("metered", "int32", "of which had readings in the hour: the load is theirs"),
        col("cells", "int32", "cells in which the power of all of them is defined throughout"),
        col("coverage", "float64", "device time with defined power / device time in the group"),
        col("energy_nj", "int128", "energy of all covered time, times the shares"),
        nullable(
            "mean_mw", "float64", "mean load over those cells; so are the figures that follow"
        ),
        nullable("min_mw", "float64", "smallest cell"),
        nullable("max_mw", "float64", "largest cell"),
        nullable("swing_mw", "float64", "largest less smallest cell"),
        nullable("swing_share", "float64", "swing / mean"),
        nullable("load_factor", "float64", "mean / largest cell"),
        nullable("crest_factor", "float64", "largest cell / root mean square"),
        nullable("variance_mw2", "float64", "variance of the cells, as they are (mW squared)"),
        nullable(
            "battery_nj", "int128", "storage that would flatten the load to its mean, lossless"
        ),
        *_RAMPS,
        nullable("dominant_hz", "float64", "frequency of the strongest line up to the limit"),
        nullable("dominant_period_s", "float64", "one over it"),
        nullable("dominant_amplitude_mw", "float64", "its amplitude: half of its peak to peak"),
        nullable("dominant_swing_share", "float64", "its peak to peak / mean"),
        nullable("dominant_share", "float64", "its share of the variance up to the limit"),
        col("segments", "int32", "Welch segments behind the spectrum; 0: none is fully covered"),
        nullable("resolution_hz", "float64", "width of a bin of the spectrum"),
        col(
            "reason_codes",
            "string",
            "why something is NULL or doubtful, joined by a comma; may be empty",
        ),
        col("emulated", "bool", "true if any device is emulated"),
        nullable("as_of_us", "int64", "latest reading in it"),
    ),
)

LOAD_SPECTRUM = Table(
    name="load_spectrum",
    layer="derived",
    row="the swing of one job, node, rack or site in one hour and band of frequency",
    sort=("kind", "group_id", "low_hz"),
    time="hour_us",
    columns=(
        *_GROUP,
        col("low_hz", "float64", "lower edge of the band"),
        col("high_hz", "float64", "upper edge of the band"),
        nullable("variance_mw2", "float64", "variance of the load in the band (mW squared)"),
        nullable("rms_mw", "float64", "its root: the rms amplitude in the band"),
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
    row="one device, segment and account (and job, where one holds the device)",
    sort=("device_id", "start_us", "account", "job_id"),
    time="start_us",
    columns=(
        col("device_id", "string", "as in power"),
        col("node", "string", "host name"),
        col("start_us", "int64", "start of the segment"),
        col("end_us", "int64", "end of the segment"),
        col("account", "string", "active, resident_idle, free_idle, unattributed or gap"),
        nullable("job_id", "string", "the job that held the device"),
        nullable("energy_nj", "int64", "energy booked; NULL where nothing metered it"),
        col("low_nj", "int64", "lower bound"),
        col("high_nj", "int64", "upper bound"),
        col(
            "method", "string", "counter, counter_flagged, disputed, counter_gap, samples, missing"
        ),
        col("meter", "string", "whose total the energy adds up to: counter, samples, none"),
        col("attribution", "string", "exclusive, or shared_estimate where jobs share the device"),
        nullable("k", "float64", "counter over integral in the reconciled block"),
        col("integral_nj", "int64", "the samples' integral for this row"),
        nullable("counter_nj", "int64", "the counter's difference for this row"),
        col("covered_us", "int64", "device time with defined power, times the share"),
        col("device_us", "int64", "device time booked by this row (length times the share)"),
        col("max_gap_us", "int64", "largest spacing of readings that touches it"),
    ),
)

LEDGER_HOUR = Table(
    name="ledger_hour",
    layer="derived",
    row="the ledger of one hour, added up by device, account and job",
    sort=("device_id", "account", "job_id"),
    time="hour_us",
    columns=(
        col("device_id", "string", "as in power"),
        col("node", "string", "host name"),
        col("hour_us", "int64", "start of the hour"),
        col("account", "string", "as in ledger"),
        nullable("job_id", "string", "the job that held the device"),
        nullable("energy_nj", "int128", "energy booked; NULL where nothing metered it"),
        col("low_nj", "int128", "lower bound"),
        col("high_nj", "int128", "upper bound"),
        col("own_nj", "int128", "the part of high - low that is the calibrated card's own"),
        col("class_nj", "int128", "the part of high - low that boards of its name have in common"),
        col("calibrated", "bool", "true if the bounds are those of a calibrated card"),
        col("device_us", "int64", "device time booked"),
        col("covered_us", "int64", "of which power was defined"),
        nullable(
            "counter_nj", "int128", "energy counter's total where samples cover the same time"
        ),
        nullable("counted_integral_nj", "int128", "samples' integral over that same time"),
        col("max_gap_us", "int64", "largest spacing of readings that touches it"),
        col("method", "string", "methods of the ledger rows, joined by +"),
        col("shared", "bool", "true if jobs shared the device: an estimate"),
        col("as_of_us", "int64", "end of the latest segment in it"),
    ),
)

TOKEN_USAGE = Table(
    name="token_usage",
    layer="derived",
    row="one job, hour, model and kind of token",
    sort=("job_id", "model", "kind"),
    time="hour_us",
    columns=(
        col("job_id", "string", "job"),
        col("hour_us", "int64", "start of the hour"),
        nullable("model", "string", "model name"),
        col("kind", "string", "prompt_computed, prompt_cached, generated or trained"),
        col("tokens", "int64", "tokens in the hour, inside the job"),
        col("low", "int64", "lower bound"),
        col("high", "int64", "upper bound"),
    ),
)
