"""The contract: what servers tell of their requests, and the columns of the index made from it.

Apart from the tables of tokens: a request is never a token.
"""

from __future__ import annotations

from tokenergy_collectors.lake.table import Column, Table, col, nullable

REQUEST_KINDS = ("finished", "ttft", "tpot", "e2e")
"""What a row of `requests` counts: requests by finish reason, or requests by a latency."""

REQUESTS = Table(
    name="requests",
    layer="raw",
    row="one reading of a server's request counters, or of one histogram of their latencies",
    sort=("source_id", "engine", "kind", "series", "ts_us"),
    time="ts_us",
    columns=(
        col("ts_us", "int64", "when it was read"),
        col("source_id", "string", "the server"),
        col("node", "string", "where it was read"),
        col("job_id", "string", "the job whose requests it counts"),
        nullable("model", "string", "model name"),
        col("engine", "string", "label of the engine inside a server; empty if it has only one"),
        col(
            "kind",
            "string",
            "finished: requests by finish reason; ttft (time to first token), tpot (mean time per "
            "output token of a request), e2e (whole request): requests by latency",
        ),
        col(
            "counts",
            "string",
            "requests since the counter began, a JSON object: by finish reason; of a latency, "
            "those at most so many seconds, +Inf: all",
        ),
        col("metric", "string", "name of the metric, as served"),
        col(
            "series",
            "string",
            "all other labels of the series, a JSON object; {}: none",
        ),
        nullable("sum_s", "float64", "sum of the latencies, seconds; NULL if it is none"),
        nullable("since_us", "int64", "when the counter was zero (start of its process)"),
        nullable(
            "run",
            "int32",
            "number of the collector's run on its node; it grows at each start",
        ),
        nullable("cluster", "string", "the cluster that the job's id belongs to"),
    ),
)

REQUEST_SUMS: tuple[Column, ...] = (
    nullable("n_requests", "int64", "requests answered to their end; NULL if no server tells"),
    nullable("n_requests_failed", "int64", "requests that were aborted, refused or failed"),
    nullable("n_joint_requests", "int64", "n_requests of the joint time: what ratios divide by"),
    nullable("n_joint_requests_low", "int64", "lower bound of n_joint_requests"),
    nullable("n_joint_requests_high", "int64", "upper bound of n_joint_requests"),
    nullable("n_joint_good", "int64", "of n_joint_requests, those within the SLO (estimate)"),
    nullable("n_joint_good_low", "int64", "lower bound of n_joint_good"),
    nullable("n_joint_good_high", "int64", "upper bound of n_joint_good"),
)
"""Sums over hours, in both tables of the index."""

REQUEST_RATIOS: tuple[Column, ...] = (
    nullable("j_per_request", "float64", "e_joint_nj / n_joint_requests: J per request, GPU"),
    nullable("j_per_request_low", "float64", "lower bound of j_per_request"),
    nullable("j_per_request_high", "float64", "upper bound of j_per_request"),
    nullable("slo_share", "float64", "n_joint_good / n_joint_requests: requests within the SLO"),
    nullable("slo_share_low", "float64", "lower bound of slo_share"),
    nullable("slo_share_high", "float64", "upper bound of slo_share"),
    nullable(
        "te_gpu_goodput",
        "float64",
        "te_gpu_out / slo_share: J per generated token of requests within the SLO, GPU boundary",
    ),
    nullable("te_gpu_goodput_low", "float64", "lower bound of te_gpu_goodput"),
    nullable("te_gpu_goodput_high", "float64", "upper bound of te_gpu_goodput"),
    nullable("slo", "string", "the SLO: ttft_s, tpot_s, e2e_s; several are joined by +"),
    nullable(
        "slo_method",
        "string",
        "how n_joint_good was found: counted, interpolated, estimated; joined by +",
    ),
)
"""Ratios, in both tables of the index."""
