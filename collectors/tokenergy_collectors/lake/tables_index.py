"""The tables of the index: energy, tokens and their ratio, by job and by hour of a job."""

from __future__ import annotations

from tokenergy_collectors.lake.table import Column, Table, col, nullable
from tokenergy_collectors.lake.tables_phases import PHASES
from tokenergy_collectors.lake.tables_requests import REQUEST_RATIOS, REQUEST_SUMS

_SUMS: tuple[Column, ...] = (
    col("device_us", "int64", "claimed device time, times the share; seen by a collector or not"),
    col("covered_us", "int64", "claimed device time with known power"),
    nullable("unseen_us", "int64", "claimed device time of which nothing at all was recorded"),
    nullable("token_us", "int64", "claimed device time in which the token counters were read"),
    nullable("joint_us", "int64", "claimed device time in which both power and tokens are known"),
    nullable("e_gpu_nj", "int128", "GPU energy"),
    nullable("e_gpu_low_nj", "int128", "lower bound of e_gpu_nj"),
    nullable("e_gpu_high_nj", "int128", "upper bound of e_gpu_nj"),
    nullable("e_gpu_active_nj", "int128", "GPU energy while the job was active"),
    nullable(
        "e_host_nj",
        "int128",
        "energy of the rest of the nodes, by the allocated share of their devices",
    ),
    nullable("e_host_low_nj", "int128", "lower bound of e_host_nj; NULL in older rows"),
    nullable("e_host_high_nj", "int128", "upper bound of e_host_nj; NULL: nothing bounds it"),
    nullable("e_facility_nj", "int128", "(GPU + host) times PUE"),
    nullable(
        "e_facility_low_nj", "int128", "lower bound of e_facility_nj, from that of the GPU energy"
    ),
    nullable(
        "e_facility_high_nj", "int128", "upper bound of e_facility_nj, from that of the GPU energy"
    ),
    nullable(
        "e_gpu_rss_low_nj",
        "int128",
        "lower bound of e_gpu_nj, independent errors combined by squares",
    ),
    nullable(
        "e_gpu_rss_high_nj",
        "int128",
        "upper bound of e_gpu_nj, independent errors combined by squares",
    ),
    nullable(
        "e_gpu_burdened_nj",
        "int128",
        "e_gpu_nj and a share, by device time, of the site's energy that no job held in the hour",
    ),
    nullable("e_facility_burdened_nj", "int128", "the same including hosts, times PUE"),
    nullable(
        "counter_nj", "int128", "total of the energy counters where samples cover the same time"
    ),
    nullable("counted_integral_nj", "int128", "integral of the samples over the same time"),
    nullable("max_gap_us", "int64", "longest time between two consecutive readings inside the job"),
    nullable("n_prompt_computed", "int64", "prompt tokens computed"),
    nullable("n_prompt_cached", "int64", "prompt tokens read from a cache"),
    nullable("n_generated", "int64", "generated tokens"),
    nullable("n_trained", "int64", "trained tokens"),
    nullable("n_low", "int64", "lower bound of the index's denominator"),
    nullable("n_high", "int64", "upper bound of the index's denominator"),
    nullable(
        "n_joint", "int64", "generated (trained) tokens of the joint time: what ratios divide by"
    ),
    nullable("n_joint_low", "int64", "lower bound of n_joint"),
    nullable("n_joint_high", "int64", "upper bound of n_joint"),
    nullable("n_joint_prompt_computed", "int64", "prompt tokens computed in the joint time"),
    nullable("n_joint_prompt_cached", "int64", "prompt tokens read from a cache in the joint time"),
    nullable("e_joint_nj", "int128", "GPU energy of the joint time: what ratios divide"),
    nullable("e_joint_low_nj", "int128", "lower bound of e_joint_nj"),
    nullable("e_joint_high_nj", "int128", "upper bound of e_joint_nj"),
    nullable("e_joint_rss_low_nj", "int128", "lower bound of e_joint_nj, by squares"),
    nullable("e_joint_rss_high_nj", "int128", "upper bound of e_joint_nj, by squares"),
    nullable("e_joint_facility_nj", "int128", "facility energy of the joint time"),
    nullable("e_joint_facility_low_nj", "int128", "lower bound of e_joint_facility_nj"),
    nullable("e_joint_facility_high_nj", "int128", "upper bound of e_joint_facility_nj"),
    nullable("e_joint_burdened_nj", "int128", "e_gpu_burdened_nj of the joint time"),
    nullable("e_joint_facility_burdened_nj", "int128", "e_facility_burdened_nj of the joint time"),
)
"""Exact sums: hours add up to the job, jobs to the fleet."""

_JOULES: tuple[Column, ...] = (
    nullable("e_gpu_j", "float64", "GPU energy: active + idle"),
    nullable("e_gpu_active_j", "float64", "GPU energy while the job was active"),
    nullable("e_gpu_idle_j", "float64", "GPU energy while the job held devices but was idle"),
    nullable(
        "e_host_j",
        "float64",
        "energy of the rest of the nodes, by the allocated share of their devices",
    ),
    nullable("e_it_j", "float64", "GPU + host"),
    nullable("e_facility_j", "float64", "IT energy times PUE"),
)

_RATIOS: tuple[Column, ...] = (
    nullable("te_gpu_out", "float64", "J per generated token, GPU boundary"),
    nullable(
        "te_gpu_total", "float64", "J per prompt (computed and cached) and generated token, GPU"
    ),
    nullable("te_gpu_total_uncached", "float64", "as te_gpu_total, without cached prompt tokens"),
    nullable("te_train", "float64", "J per trained token, GPU boundary"),
    nullable("te_gpu_low", "float64", "lower bound of te_gpu_out (te_train for training)"),
    nullable("te_gpu_high", "float64", "upper bound of te_gpu_out (te_train for training)"),
    nullable("tokenergy", "float64", "J per generated (trained) token, facility boundary"),
    nullable("te_low", "float64", "lower bound of tokenergy"),
    nullable("te_high", "float64", "upper bound of tokenergy"),
    nullable(
        "te_rss_low", "float64", "lower bound of te_gpu_out or te_train from e_gpu_rss_low_nj"
    ),
    nullable(
        "te_rss_high", "float64", "upper bound of te_gpu_out or te_train from e_gpu_rss_high_nj"
    ),
    nullable(
        "te_gpu_burdened", "float64", "J per generated (trained) token, GPU boundary, burdened"
    ),
    nullable(
        "tokenergy_burdened", "float64", "J per generated (trained) token, facility, burdened"
    ),
    nullable("tokens_per_kwh", "float64", "3.6e6 / tokenergy"),
    nullable("boundary_ratio", "float64", "e_facility_j / e_gpu_active_j"),
)

_AUDIT: tuple[Column, ...] = (
    nullable("coverage", "float64", "covered_us / device_us: time with known power"),
    nullable("token_coverage", "float64", "token_us / device_us: time with known tokens"),
    nullable("joint_coverage", "float64", "joint_us / device_us: time with both"),
    nullable(
        "max_gap_s", "float64", "longest time between two consecutive readings inside the job"
    ),
    nullable("counter_rel_err", "float64", "|counter - integral| / counter where both exist"),
    nullable(
        "measured_share",
        "float64",
        "share of the facility energy that was metered rather than declared; 1: all of it",
    ),
    col(
        "host_method",
        "string",
        "how e_host_nj was found: measured, modelled, declared, joined by +; or none",
    ),
    col(
        "facility_method",
        "string",
        "where the PUE comes from: measured, modelled, declared, several joined by +, or none",
    ),
    col("method", "string", "methods of the ledger rows, joined by +"),
    col(
        "reason_codes",
        "string",
        "why a value is NULL or doubtful, separated by commas; may be empty",
    ),
    col("emulated", "bool", "true if any device is emulated"),
    col("index_version", "string", "version of the models and of this contract"),
    col("inputs_digest", "string", "SHA-256 over the inputs of this row"),
    nullable("as_of_us", "int64", "end of the latest segment booked to the job"),
)

JOB_HOUR_INDEX = Table(
    name="job_hour_index",
    layer="derived",
    row="one job in one hour",
    sort=("job_id",),
    time="hour_us",
    columns=(
        col("job_id", "string", "job"),
        col("hour_us", "int64", "start of the hour"),
        *_SUMS,
        *_JOULES,
        *_RATIOS,
        *_AUDIT,
        *REQUEST_SUMS,
        *REQUEST_RATIOS,
        nullable(
            "pue_ppb",
            "int64",
            "PUE of the job's nodes, parts per billion; of several, weighted by the job's energy",
        ),
        nullable(
            "e_it_low_nj",
            "int128",
            "lower bound of GPU and host energy together: of a node whose meters are known "
            "throughout, closer than the sum of both",
        ),
        nullable(
            "e_it_high_nj", "int128", "upper bound of GPU and host energy together, unseen time too"
        ),
        nullable("pue_low_ppb", "int64", "lower bound of pue_ppb"),
        nullable(
            "pue_high_ppb",
            "int64",
            "upper bound of pue_ppb; with unseen time, the most that the PUE of any node can be",
        ),
    ),
)

JOB_INDEX = Table(
    name="job_index",
    layer="derived",
    row="one job",
    sort=("job_id",),
    time="start_us",
    columns=(
        col("job_id", "string", "job: CLUSTER/ID, or its id alone"),
        nullable("name", "string", "job name"),
        nullable("user", "string", "user"),
        nullable("account", "string", "account"),
        nullable("model", "string", "model name; several are joined by +"),
        nullable("gpu", "string", "board name; several are joined by +"),
        col("workload", "string", "inference, training, mixed or none (no tokens)"),
        col("start_us", "int64", "start of the first allocation"),
        nullable("end_us", "int64", "end of the last allocation; NULL while the job runs"),
        col("nodes", "int32", "number of nodes"),
        col("devices", "int32", "number of devices"),
        *_SUMS,
        *_JOULES,
        *_RATIOS,
        *_AUDIT,
        nullable("cluster", "string", "cluster of the job's allocations; part of `job_id`"),
        *PHASES,
        *REQUEST_SUMS,
        *REQUEST_RATIOS,
    ),
)

_OVER: tuple[Column, ...] = tuple(
    nullable(
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
    row="how one job used its energy in one hour, in parts that add up, and its steady state",
    sort=("job_id",),
    time="hour_us",
    columns=(
        col("job_id", "string", "job"),
        col("hour_us", "int64", "start of the hour"),
        col("device_us", "int64", "allocated device time, times the share"),
        nullable(
            "idle_us", "int64", "device time that was resident idle, outside the steady state"
        ),
        nullable("gap_us", "int64", "device time that no meter covered"),
        nullable("gap_high_nj", "int128", "upper bound of the energy in gap_us"),
        nullable("e_gpu_nj", "int128", "GPU energy: the sum of the next six parts, with NULL as 0"),
        nullable("e_steady_nj", "int128", "energy of intervals at 90 % of the peak rate or more"),
        nullable(
            "e_low_batch_nj", "int128", "energy of intervals with tokens at a lower rate, not idle"
        ),
        nullable(
            "e_prefill_nj",
            "int128",
            "energy of intervals with new prompt tokens and output below 10 % of the peak",
        ),
        nullable(
            "e_no_tokens_nj",
            "int128",
            "energy of busy intervals without tokens: loading, checkpoints, a hang",
        ),
        nullable("e_idle_nj", "int128", "resident idle energy, outside the steady state"),
        nullable(
            "e_unknown_nj", "int128", "energy that is not idle, while the token rate is not known"
        ),
        nullable(
            "e_prefill_high_nj",
            "int128",
            "energy of all intervals with new prompt tokens: an upper bound of prefill",
        ),
        nullable(
            "e_low_batch_excess_nj",
            "int128",
            "e_low_batch_nj minus the energy of the same tokens at te_steady",
        ),
        nullable("e_steady_low_nj", "int128", "lower bound of e_steady_nj"),
        nullable("e_steady_high_nj", "int128", "upper bound of e_steady_nj"),
        nullable("interval_us", "int64", "length of the intervals; NULL if no counter is known"),
        col("intervals", "int64", "intervals whose rate and energy are known"),
        nullable(
            "peak_tokens_s", "float64", "95th percentile of the rates of intervals with tokens"
        ),
        nullable("steady_us", "int64", "time in the steady state"),
        nullable("n_steady", "int64", "generated (trained) tokens in the steady state"),
        nullable("n_low_batch", "int64", "tokens in the intervals of e_low_batch_nj"),
        nullable("steady_w", "float64", "e_steady_nj / steady_us: W of all devices of the job"),
        nullable("steady_tokens_s", "float64", "n_steady / steady_us"),
        nullable(
            "te_steady", "float64", "e_steady_nj / n_steady: J per generated (trained) token, GPU"
        ),
        nullable("te_steady_low", "float64", "lower bound of te_steady, from that of the energy"),
        nullable("te_steady_high", "float64", "upper bound of te_steady, from that of the energy"),
        *_OVER,
        col(
            "reason_codes",
            "string",
            "why a value is NULL or doubtful, separated by commas; may be empty",
        ),
        col("emulated", "bool", "true if any device is emulated"),
        col("index_version", "string", "version of the models and of this contract"),
        col("inputs_digest", "string", "SHA-256 over the inputs of this row"),
        nullable("as_of_us", "int64", "latest stamp of the inputs of this row"),
    ),
)
