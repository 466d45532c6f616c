"""The derived tables: what aggregation and indexing write."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tokenergy_collectors.lake.table import Column, Table, _c, _n

if TYPE_CHECKING:
    pass


SEGMENT = Table(
    name="segment",
    layer="derived",
    row="one device between two neighbouring cuts (window edges and job edges)",
    sort=("device_id", "start_us"),
    time="start_us",
    columns=(
        _c("device_id", "string", "as in power"),
        _c("node", "string", "host name"),
        _c("start_us", "int64", "cut at the left"),
        _c("end_us", "int64", "cut at the right"),
        _c("readings", "int32", "readings in [start, end)"),
        _c("covered_us", "int64", "time in which power is defined"),
        _c("max_gap_us", "int64", "largest spacing of neighbouring readings that touches it"),
        _c("energy_nj", "int64", "integral of power over the covered time"),
        _n("min_mw", "int32", "smallest reading"),
        _n("mean_mw", "float64", "energy over covered time"),
        _n("max_mw", "int32", "largest reading"),
        _n("p50_mw", "int32", "median reading (nearest rank)"),
        _n("p95_mw", "int32", "95th percentile of readings (nearest rank)"),
        _n("p99_mw", "int32", "99th percentile of readings (nearest rank)"),
        _c("rise_mw_s", "int64", "steepest rise, mW/s, rounded down"),
        _c("fall_mw_s", "int64", "steepest fall, mW/s, as a positive number, rounded down"),
        _n("counter_nj", "int64", "energy counter's difference, linear between its readings"),
        _n("counter_off_us", "int64", "from the right cut to the nearest counter reading"),
        _n("end_mw", "int32", "power at the right cut, linear between readings"),
    ),
)


_GROUP: tuple[Column, ...] = (
    _c("hour_us", "int64", "start of the hour"),
    _c("kind", "string", "what is added up: job, node, rack or site"),
    _c("group_id", "string", "its name; a rack's is SITE/HALL/POD/RACK, as far as they are known"),
)


_RAMPS: tuple[Column, ...] = tuple(
    column
    for name, words in (("100ms", "0.1 s"), ("1s", "1 s"), ("10s", "10 s"), ("60s", "60 s"))
    for column in (
        _n(f"up_{name}_mw", "float64", f"largest rise of the load within {words}"),
        _n(f"down_{name}_mw", "float64", f"largest fall within {words}, as a positive number"),
        _n(f"p999_{name}_mw", "float64", f"99.9th percentile of the change over {words}, unsigned"),
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
        _c("step_us", "int64", "cell of the uniform grid: the load is its mean over a cell"),
        _n("period_us", "int64", "effective period of the readings: the slowest device's"),
        _n("limit_hz", "float64", "half of one over it: nothing above is told"),
        _c("devices", "int32", "devices of the group"),
        _c("metered", "int32", "of which had readings in the hour: the load is theirs"),
        _c("cells", "int32", "cells in which the power of all of them is defined throughout"),
        _c("coverage", "float64", "device time with defined power / device time in the group"),
        _c("energy_nj", "int128", "energy of all covered time, times the shares"),
        _n("mean_mw", "float64", "mean load over those cells; so are the figures that follow"),
        _n("min_mw", "float64", "smallest cell"),
        _n("max_mw", "float64", "largest cell"),
        _n("swing_mw", "float64", "largest less smallest cell"),
        _n("swing_share", "float64", "swing / mean"),
        _n("load_factor", "float64", "mean / largest cell"),
        _n("crest_factor", "float64", "largest cell / root mean square"),
        _n("variance_mw2", "float64", "variance of the cells, as they are (mW squared)"),
        _n("battery_nj", "int128", "storage that would flatten the load to its mean, lossless"),
        *_RAMPS,
        _n("dominant_hz", "float64", "frequency of the strongest line up to the limit"),
        _n("dominant_period_s", "float64", "one over it"),
        _n("dominant_amplitude_mw", "float64", "its amplitude: half of its peak to peak"),
        _n("dominant_swing_share", "float64", "its peak to peak / mean"),
        _n("dominant_share", "float64", "its share of the variance up to the limit"),
        _c("segments", "int32", "Welch segments behind the spectrum; 0: none is fully covered"),
        _n("resolution_hz", "float64", "width of a bin of the spectrum"),
        _c(
            "reason_codes",
            "string",
            "why something is NULL or doubtful, joined by a comma; may be empty",
        ),
        _c("emulated", "bool", "true if any device is emulated"),
        _n("as_of_us", "int64", "latest reading in it"),
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
        _c("low_hz", "float64", "lower edge of the band"),
        _c("high_hz", "float64", "upper edge of the band"),
        _n("variance_mw2", "float64", "variance of the load in the band (mW squared)"),
        _n("rms_mw", "float64", "its root: the rms amplitude in the band"),
        _c(
            "reason",
            "string",
            "why it is NULL: above_nyquist, below_resolution, no_segment, not_metered; else empty",
        ),
        _c("emulated", "bool", "true if any device is emulated"),
    ),
)


LEDGER = Table(
    name="ledger",
    layer="derived",
    row="one device, segment and account (and job, where one holds the device)",
    sort=("device_id", "start_us", "account", "job_id"),
    time="start_us",
    columns=(
        _c("device_id", "string", "as in power"),
        _c("node", "string", "host name"),
        _c("start_us", "int64", "start of the segment"),
        _c("end_us", "int64", "end of the segment"),
        _c("account", "string", "active, resident_idle, free_idle, unattributed or gap"),
        _n("job_id", "string", "the job that held the device"),
        _n("energy_nj", "int64", "energy booked; NULL where nothing metered it"),
        _c("low_nj", "int64", "lower bound"),
        _c("high_nj", "int64", "upper bound"),
        _c("method", "string", "counter, counter_flagged, disputed, counter_gap, samples, missing"),
        _c("meter", "string", "whose total the energy adds up to: counter, samples, none"),
        _c("attribution", "string", "exclusive, or shared_estimate where jobs share the device"),
        _n("k", "float64", "counter over integral in the reconciled block"),
        _c("integral_nj", "int64", "the samples' integral for this row"),
        _n("counter_nj", "int64", "the counter's difference for this row"),
        _c("covered_us", "int64", "device time with defined power, times the share"),
        _c("device_us", "int64", "device time booked by this row (length times the share)"),
        _c("max_gap_us", "int64", "largest spacing of readings that touches it"),
    ),
)


LEDGER_HOUR = Table(
    name="ledger_hour",
    layer="derived",
    row="the ledger of one hour, added up by device, account and job",
    sort=("device_id", "account", "job_id"),
    time="hour_us",
    columns=(
        _c("device_id", "string", "as in power"),
        _c("node", "string", "host name"),
        _c("hour_us", "int64", "start of the hour"),
        _c("account", "string", "as in ledger"),
        _n("job_id", "string", "the job that held the device"),
        _n("energy_nj", "int128", "energy booked; NULL where nothing metered it"),
        _c("low_nj", "int128", "lower bound"),
        _c("high_nj", "int128", "upper bound"),
        _c("own_nj", "int128", "the part of high - low that is the calibrated card's own"),
        _c("class_nj", "int128", "the part of high - low that boards of its name have in common"),
        _c("calibrated", "bool", "true if the bounds are those of a calibrated card"),
        _c("device_us", "int64", "device time booked"),
        _c("covered_us", "int64", "of which power was defined"),
        _n("counter_nj", "int128", "energy counter's total where samples cover the same time"),
        _n("counted_integral_nj", "int128", "samples' integral over that same time"),
        _c("max_gap_us", "int64", "largest spacing of readings that touches it"),
        _c("method", "string", "methods of the ledger rows, joined by +"),
        _c("shared", "bool", "true if jobs shared the device: an estimate"),
        _c("as_of_us", "int64", "end of the latest segment in it"),
    ),
)


TOKEN_USAGE = Table(
    name="token_usage",
    layer="derived",
    row="one job, hour, model and kind of token",
    sort=("job_id", "model", "kind"),
    time="hour_us",
    columns=(
        _c("job_id", "string", "job"),
        _c("hour_us", "int64", "start of the hour"),
        _n("model", "string", "model name"),
        _c("kind", "string", "prompt_computed, prompt_cached, generated or trained"),
        _c("tokens", "int64", "tokens in the hour, inside the job"),
        _c("low", "int64", "lower bound"),
        _c("high", "int64", "upper bound"),
    ),
)


_SUMS: tuple[Column, ...] = (
    _c("device_us", "int64", "allocated device time, times the share"),
    _c("covered_us", "int64", "of which power was defined"),
    _n("e_gpu_nj", "int128", "GPU energy"),
    _n("e_gpu_low_nj", "int128", "lower bound of it"),
    _n("e_gpu_high_nj", "int128", "upper bound of it"),
    _n("e_gpu_active_nj", "int128", "GPU energy while the job worked"),
    _n("e_host_nj", "int128", "rest of the nodes, by allocated share of their devices"),
    _n("e_facility_nj", "int128", "(GPU + host) times PUE"),
    _n("e_facility_low_nj", "int128", "lower bound of it, from that of the GPU energy"),
    _n("e_facility_high_nj", "int128", "upper bound of it, from that of the GPU energy"),
    _n("e_gpu_rss_low_nj", "int128", "lower bound, independent errors combined by squares"),
    _n("e_gpu_rss_high_nj", "int128", "upper bound, independent errors combined by squares"),
    _n(
        "e_gpu_burdened_nj",
        "int128",
        "GPU energy and a share, by device time, of what no job of its site bore in the hour",
    ),
    _n("e_facility_burdened_nj", "int128", "the same with the hosts, times PUE"),
    _n("counter_nj", "int128", "energy counters' total where samples cover the same time"),
    _n("counted_integral_nj", "int128", "samples' integral over that same time"),
    _n("max_gap_us", "int64", "largest spacing of readings inside the job"),
    _n("n_prompt_computed", "int64", "prompt tokens computed"),
    _n("n_prompt_cached", "int64", "prompt tokens taken from a cache"),
    _n("n_generated", "int64", "tokens generated"),
    _n("n_trained", "int64", "tokens trained on"),
    _n("n_low", "int64", "lower bound of the index's denominator"),
    _n("n_high", "int64", "upper bound of the index's denominator"),
)
"""Exact sums: those of hours add up to the job, those of jobs to the fleet."""


_JOULES: tuple[Column, ...] = (
    _n("e_gpu_j", "float64", "GPU energy: active + idle"),
    _n("e_gpu_active_j", "float64", "GPU energy while the job worked"),
    _n("e_gpu_idle_j", "float64", "GPU energy while the job held devices and did nothing"),
    _n("e_host_j", "float64", "rest of the nodes, by allocated share of their devices"),
    _n("e_it_j", "float64", "GPU + host"),
    _n("e_facility_j", "float64", "IT energy times PUE"),
)


_RATIOS: tuple[Column, ...] = (
    _n("te_gpu_out", "float64", "J per generated token, GPU boundary"),
    _n("te_gpu_total", "float64", "J per prompt (computed and cached) and generated token, GPU"),
    _n("te_gpu_total_uncached", "float64", "the same without cached prompt tokens"),
    _n("te_train", "float64", "J per trained token, GPU boundary"),
    _n("te_gpu_low", "float64", "lower bound of te_gpu_out (te_train for training)"),
    _n("te_gpu_high", "float64", "upper bound of te_gpu_out (te_train for training)"),
    _n("tokenergy", "float64", "J per generated (trained) token, facility boundary"),
    _n("te_low", "float64", "lower bound of tokenergy"),
    _n("te_high", "float64", "upper bound of tokenergy"),
    _n("te_rss_low", "float64", "lower bound of te_gpu_out or te_train from e_gpu_rss_low_nj"),
    _n("te_rss_high", "float64", "upper bound of te_gpu_out or te_train from e_gpu_rss_high_nj"),
    _n("te_gpu_burdened", "float64", "J per generated (trained) token, GPU boundary, burdened"),
    _n("tokenergy_burdened", "float64", "J per generated (trained) token, facility, burdened"),
    _n("tokens_per_kwh", "float64", "3.6e6 / tokenergy"),
    _n("boundary_ratio", "float64", "e_facility_j / e_gpu_active_j"),
)


_AUDIT: tuple[Column, ...] = (
    _n("coverage", "float64", "covered device time / allocated device time"),
    _n("max_gap_s", "float64", "largest spacing of readings inside the job"),
    _n("counter_rel_err", "float64", "|counter - integral| / counter where both exist"),
    _n("measured_share", "float64", "share of the facility energy that was metered, not declared"),
    _c("host_method", "string", "declared or none"),
    _c("facility_method", "string", "declared or none"),
    _c("method", "string", "methods of the ledger rows, joined by +"),
    _c(
        "reason_codes",
        "string",
        "why something is NULL or doubtful, joined by a comma; may be empty",
    ),
    _c("emulated", "bool", "true if any device is emulated"),
    _c("index_version", "string", "version of the models and of this contract"),
    _c("inputs_digest", "string", "SHA-256 over the inputs of this row"),
    _n("as_of_us", "int64", "latest stamp among the inputs of this row"),
)


JOB_HOUR_INDEX = Table(
    name="job_hour_index",
    layer="derived",
    row="one job in one hour",
    sort=("job_id",),
    time="hour_us",
    columns=(
        _c("job_id", "string", "job"),
        _c("hour_us", "int64", "start of the hour"),
        *_SUMS,
        *_JOULES,
        *_RATIOS,
        *_AUDIT,
    ),
)


JOB_INDEX = Table(
    name="job_index",
    layer="derived",
    row="one job",
    sort=("job_id",),
    time="start_us",
    columns=(
        _c("job_id", "string", "job"),
        _n("name", "string", "job name"),
        _n("user", "string", "user"),
        _n("account", "string", "account"),
        _n("model", "string", "model name; several are joined by +"),
        _n("gpu", "string", "board name; several are joined by +"),
        _c("workload", "string", "inference, training, mixed or none (no tokens)"),
        _c("start_us", "int64", "start of the first allocation"),
        _n("end_us", "int64", "end of the last allocation; NULL = running"),
        _c("nodes", "int32", "number of nodes"),
        _c("devices", "int32", "number of devices"),
        *_SUMS,
        *_JOULES,
        *_RATIOS,
        *_AUDIT,
    ),
)


_OVER: tuple[Column, ...] = tuple(
    _n(
        f"over_{cap}_{bound}_nj",
        "int128",
        f"{words} bound of the energy above {cap} % of the limits",
    )
    for cap in (50, 60, 70, 80, 90)
    for bound, words in (("low", "lower"), ("high", "upper"))
)


JOB_EFFICIENCY = Table(
    name="job_efficiency",
    layer="derived",
    row="what became of the energy of one job in one hour, and its steady state; the parts add up",
    sort=("job_id",),
    time="hour_us",
    columns=(
        _c("job_id", "string", "job"),
        _c("hour_us", "int64", "start of the hour"),
        _c("device_us", "int64", "allocated device time, times the share"),
        _n("idle_us", "int64", "of which resident idle, outside of the steady state"),
        _n("gap_us", "int64", "of which nothing metered"),
        _n("gap_high_nj", "int128", "upper bound of what it drew then"),
        _n("e_gpu_nj", "int128", "GPU energy: the sum of the six parts that follow, NULL as 0"),
        _n("e_steady_nj", "int128", "in intervals at 90 % of the peak rate or more"),
        _n("e_low_batch_nj", "int128", "in intervals with tokens at a lower rate, not idle"),
        _n("e_prefill_nj", "int128", "where prompts grew and output was below 10 % of the peak"),
        _n("e_no_tokens_nj", "int128", "busy, and no token came: loading, checkpoints, a hang"),
        _n("e_idle_nj", "int128", "resident idle, outside of the steady state"),
        _n("e_unknown_nj", "int128", "not idle, and the rate of tokens is not known"),
        _n("e_prefill_high_nj", "int128", "in all intervals in which prompts grew: bounds prefill"),
        _n("e_low_batch_excess_nj", "int128", "low batch above the same tokens at te_steady"),
        _n("e_steady_low_nj", "int128", "lower bound of e_steady_nj"),
        _n("e_steady_high_nj", "int128", "upper bound of e_steady_nj"),
        _n("interval_us", "int64", "length of the intervals; NULL where no counter is known"),
        _c("intervals", "int64", "intervals whose rate and energy are known"),
        _n("peak_tokens_s", "float64", "95th percentile of the rates of those with tokens"),
        _n("steady_us", "int64", "time in the steady state"),
        _n("n_steady", "int64", "generated (trained) tokens in it"),
        _n("n_low_batch", "int64", "tokens of the intervals of e_low_batch_nj"),
        _n("steady_w", "float64", "e_steady_nj / steady_us: W of all the job's devices"),
        _n("steady_tokens_s", "float64", "n_steady / steady_us"),
        _n("te_steady", "float64", "e_steady_nj / n_steady: J per generated (trained) token, GPU"),
        _n("te_steady_low", "float64", "its lower bound, from that of the energy"),
        _n("te_steady_high", "float64", "its upper bound, from that of the energy"),
        *_OVER,
        _c(
            "reason_codes",
            "string",
            "why something is NULL or doubtful, joined by a comma; may be empty",
        ),
        _c("emulated", "bool", "true if any device is emulated"),
        _c("index_version", "string", "version of the models and of this contract"),
        _c("inputs_digest", "string", "SHA-256 over the inputs of this row"),
        _n("as_of_us", "int64", "latest stamp among the inputs of this row"),
    ),
)
