"""The derived tables of load profiles: hours, and spans of any length, of jobs and places."""

from __future__ import annotations

from tokenergy_collectors.lake.table import Column, Table, col, nullable

_NAME = (
    col("kind", "string", "what the group is: job, node, rack or site"),
    col(
        "group_id",
        "string",
        "name of the group; a rack's is SITE/HALL/POD/RACK, as far as they are known",
    ),
)

_GROUP: tuple[Column, ...] = (col("hour_us", "int64", "start of the hour"), *_NAME)

_SPAN: tuple[Column, ...] = (
    col("from_us", "int64", "start of the span"),
    col("until_us", "int64", "end of the span"),
    col(
        "boundary",
        "string",
        "what the load is of: boards; it (boards and hosts); connection (the site's meter, or "
        "modelled)",
    ),
    *_NAME,
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

_FIGURES: tuple[Column, ...] = (
    col("step_us", "int64", "cell of the uniform grid; the load of a cell is its mean"),
    nullable("period_us", "int64", "effective period of the readings: that of the slowest device"),
    nullable(
        "limit_hz", "float64", "highest frequency that the readings resolve: 1 / (2 * period)"
    ),
    col("devices", "int32", "devices of the group"),
    col("metered", "int32", "devices of the group with readings in the hour; the load is theirs"),
    col("cells", "int32", "cells in which the power of all metered devices is known throughout"),
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
)

_LAST = (
    col("emulated", "bool", "true if any device is emulated"),
    nullable("as_of_us", "int64", "stamp of the latest reading in it"),
)

_BAND: tuple[Column, ...] = (
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
)

_SWING: tuple[Column, ...] = (
    col("seen_hz", "float64", "where the readings show it; its place in this table"),
    nullable(
        "centre_hz",
        "float64",
        "mean frequency of its variance; NULL if it is a faster swing's image",
    ),
    nullable(
        "width_hz",
        "float64",
        "from 10 % to 90 % of its variance; that of a steady line is about 1.3 / segment length",
    ),
    nullable("rms_mw", "float64", "square root of its variance above the background"),
    nullable("rms_share", "float64", "that / mean load"),
    nullable(
        "above_background",
        "float64",
        "how many times its peak exceeds the median density around it",
    ),
    col("resolution_hz", "float64", "width of a frequency bin: 1 / segment length"),
    col("segments", "int32", "Welch segments of the spectrum"),
    col(
        "reason_codes",
        "string",
        "aliased, may_alias, narrow (no wider than a line), harmonic (a multiple of a larger one); "
        "separated by commas, may be empty",
    ),
    col("emulated", "bool", "true if any device is emulated"),
)

LOAD_PROFILE = Table(
    name="load_profile",
    layer="derived",
    row="the load of one job, node, rack or site in one hour: swing, ramps, dominant period",
    sort=("kind", "group_id"),
    time="hour_us",
    columns=(*_GROUP, *_FIGURES, *_LAST),
)

LOAD_SPECTRUM = Table(
    name="load_spectrum",
    layer="derived",
    row="the swing of one job, node, rack or site in one hour and frequency band",
    sort=("kind", "group_id", "low_hz"),
    time="hour_us",
    columns=(*_GROUP, *_BAND),
)

LOAD_SWING = Table(
    name="load_swing",
    layer="derived",
    row="one swing of one job, node, rack or site in one hour: a line, or a hump that wanders",
    sort=("kind", "group_id", "seen_hz"),
    time="hour_us",
    columns=(*_GROUP, *_SWING),
)

LOAD_SPAN = Table(
    name="load_span",
    layer="derived",
    row="the load of one job, node, rack or site over a span that was asked for, as `load_profile`",
    sort=("kind", "group_id"),
    time="from_us",
    columns=(*_SPAN, *_FIGURES, *_LAST),
)

LOAD_SPAN_SPECTRUM = Table(
    name="load_span_spectrum",
    layer="derived",
    row="the swing of one group over such a span in one frequency band, as `load_spectrum`",
    sort=("kind", "group_id", "low_hz"),
    time="from_us",
    columns=(*_SPAN, *_BAND),
)

LOAD_SPAN_SWING = Table(
    name="load_span_swing",
    layer="derived",
    row="one swing of one group over such a span, as `load_swing`",
    sort=("kind", "group_id", "seen_hz"),
    time="from_us",
    columns=(*_SPAN, *_SWING),
)
