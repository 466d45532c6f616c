"""What is told of prefill and decode: columns of the jobs' index, and the sums behind them."""

from __future__ import annotations

from tokenergy_collectors.lake.table import Column, Table, col, nullable

PHASES: tuple[Column, ...] = (
    nullable("te_gpu_prefill", "float64", "J per computed prompt token, GPU boundary"),
    nullable("te_gpu_prefill_low", "float64", "lower bound of te_gpu_prefill"),
    nullable("te_gpu_prefill_high", "float64", "upper bound of te_gpu_prefill"),
    nullable("te_gpu_decode", "float64", "J per generated token alone, GPU boundary"),
    nullable("te_gpu_decode_low", "float64", "lower bound of te_gpu_decode"),
    nullable("te_gpu_decode_high", "float64", "upper bound of te_gpu_decode"),
    nullable("phase_base_w", "float64", "W of one device that belong to no token, by regression"),
    nullable(
        "phase_residual",
        "float64",
        "what the regression leaves of a window's energy: root mean square / mean energy",
    ),
    nullable("phase_windows", "int64", "windows of the regression"),
    nullable("phase_coverage", "float64", "device time of those windows / device_us"),
    nullable("phase_method", "string", "roles (measured), regression (an estimate) or none"),
    nullable(
        "phase_reasons",
        "string",
        "why te_gpu_prefill or te_gpu_decode is NULL or doubtful, separated by commas",
    ),
)
"""Columns of `job_index` on prefill and decode."""

_FACTORS = {"t": "device time (ms)", "p": "prompt tokens", "g": "generated tokens"}
_FACTORS |= {"z": "z = 1000 generated^2 / device time (s)", "e": "energy (uJ)"}


def _product(name: str, pairs: bool) -> Column:
    a, b = (_FACTORS[letter] for letter in name)
    what = f"square of {a}" if a == b else f"{a} x {b}"
    prefix, words = ("pair_", ", of pairs of windows") if pairs else ("", "")
    return nullable(f"{prefix}{name}", "int128", f"sum of: {what}{words}")


_SINGLE = ("tt", "tp", "tg", "tz", "te", "pp", "pg", "pz", "pe", "gg", "gz", "ge", "zz", "ze", "ee")
_PAIRED = ("tt", "tp", "tg", "te", "pp", "pg", "pe", "gg", "ge")

PHASE_ROLE = Table(
    name="phase_role",
    layer="derived",
    row="the servers of one job and role in one hour, where each only prefills or only decodes",
    sort=("job_id", "role"),
    time="hour_us",
    columns=(
        col("job_id", "string", "job"),
        col("hour_us", "int64", "start of the hour"),
        col("role", "string", "prefill or decode"),
        col("device_us", "int64", "device time of its boards"),
        nullable("e_gpu_nj", "int128", "energy of its boards, idle or not"),
        col("e_gpu_low_nj", "int128", "lower bound of e_gpu_nj"),
        col("e_gpu_high_nj", "int128", "upper bound of e_gpu_nj"),
        col("tokens", "int64", "prefill: prompt tokens computed; decode: tokens generated"),
        col("low", "int64", "lower bound of tokens"),
        col("high", "int64", "upper bound of tokens"),
        col("inputs_digest", "string", "SHA-256 over the inputs of this row"),
    ),
)

PHASE_BLOCK = Table(
    name="phase_block",
    layer="derived",
    row="the windows of one job in five minutes: sums for a regression of energy on tokens",
    sort=("job_id", "start_us"),
    time="start_us",
    columns=(
        col("job_id", "string", "job"),
        col("start_us", "int64", "start of the five minutes in which the windows begin"),
        col("windows", "int32", "windows that count"),
        col("pairs", "int32", "pairs of neighbouring windows that count"),
        col("device_us", "int64", "device time of the windows"),
        nullable("n_prompt", "int64", "prompt tokens computed in them"),
        nullable("n_generated", "int64", "tokens generated in them"),
        nullable("e_uj", "int128", "energy of the job's devices in them"),
        nullable("rate_least", "int64", "least generated tokens per 1,000 s of device time"),
        nullable("rate_most", "int64", "most generated tokens per 1,000 s of device time"),
        nullable("low_ppm", "int64", "least true energy over metered energy, from meters' gains"),
        nullable("high_ppm", "int64", "most true energy over metered energy, from meters' gains"),
        col("quantum", "int64", "coarsest step in which its counters were printed"),
        *(_product(name, pairs=False) for name in _SINGLE),
        *(_product(name, pairs=True) for name in _PAIRED),
        col("reasons", "string", "why other windows do not count, separated by commas"),
        col("inputs_digest", "string", "SHA-256 over the inputs of this row"),
    ),
)
