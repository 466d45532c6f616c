"""What the codes mean, in words.

In: codes of the index (`reason_codes`, `method`). Out: a sentence each, and the reason why a figure
is not there.
"""

from __future__ import annotations

from typing import Any

REASONS = {
    "gap": "For a part of the job's time no power was defined: readings were too far apart.",
    "disputed": "Energy counter and samples differ by more than 5 %; low and high span both.",
    "counter_flagged": "Energy counter and samples differ by 2 to 5 %; the counter is booked.",
    "shared_estimate": "The job shared a GPU; its part is an estimate by declared shares.",
    "calibrated": "Low and high are of what is true by calibration; the meter may lie outside.",
    "contended": "A GPU was claimed for more than the whole at once; the claims were scaled down.",
    "no_energy": "Nothing metered the job's GPUs, so its energy is not known.",
    "no_tokens": "No counter of generated or trained tokens was seen for the job.",
    "zero_tokens": "Counters were seen and none of them grew: J/token is not defined.",
    "mixed_workload": "The job both trained and served; the two are never put into one figure.",
    "no_host_power": "The power of the node beside its GPUs is neither measured nor declared.",
    "no_pue": "The site's PUE is not declared, so facility energy is not known.",
    "running": "The job had not ended; its figures will change.",
}
"""Every reason code of the index."""

EFFICIENCY_REASONS = {
    "tokens_sparse": "The counters were read too rarely to tell a rate.",
    "few_intervals": "Fewer than five intervals have a known rate: no full rate is told.",
    "no_prompt_counter": "Prompts are not counted, so prefill is not told.",
    "no_limit": "A board's power limit is not known, so nothing is told of caps.",
}
"""Every reason code that `job_efficiency` has besides."""

METHODS = {
    "counter": "the energy counter gives the total, the samples its shape",
    "counter_flagged": "as counter, though the samples differ by 2 to 5 %",
    "disputed": "counter and samples differ by more than 5 %",
    "counter_gap": "the counter alone: readings were too far apart to know the shape",
    "samples": "the samples' integral alone: there was no counter",
    "missing": "neither samples nor counter; the energy is not known",
}
"""Every method of the ledger."""
ACCOUNTS = {
    "active": "active (jobs at work)",
    "resident_idle": "resident idle (held by a job, doing nothing)",
    "free_idle": "free idle (held by no job)",
    "unattributed": "unattributed (at work for no known job)",
    "gap": "gap (energy not known)",
}
"""Every account of the ledger, as it is shown."""

TOKENS = {
    "prompt_computed": "prompt, computed",
    "prompt_cached": "prompt, cached",
    "generated": "generated",
    "trained": "trained",
}
"""Every kind of token, as it is shown."""

METERS = {"counter": "energy counters", "samples": "power samples", "both": "both in one hour"}
"""What a metered energy comes from."""

_BLOCK_GPU = ("no_energy", "no_tokens", "zero_tokens", "mixed_workload")
_BLOCK_SITE = ("no_host_power", "no_pue")


def codes_of(job: dict[str, Any]) -> list[str]:
    """Return the reason codes of a row of `job_index`."""
    return [code for code in (job["reason_codes"] or "").split(",") if code]


def why_no_energy(job: dict[str, Any]) -> str:
    """Return why a row has no GPU energy."""
    return _first(codes_of(job), ("no_energy",))


def why_no_index(job: dict[str, Any], *, facility: bool, tokens: bool = True) -> str:
    """Return why a row has no J/token; without `tokens`, why it has no energy."""
    reasons = _BLOCK_GPU if tokens else _BLOCK_GPU[:1]
    return _first(codes_of(job), (*reasons, *_BLOCK_SITE) if facility else reasons)


def why_no_rate(row: dict[str, Any] | None) -> str:
    """Return why a row of `job_efficiency` tells no full rate."""
    if row is None:
        return "Not derived: run `tokenergy index` again."
    wanted = ("no_energy", "no_tokens", "zero_tokens", "tokens_sparse", "few_intervals")
    return _first(codes_of(row), wanted)


def why_no_prefill(row: dict[str, Any], workload: str) -> str:
    """Return why a row of `job_efficiency` tells no prefill."""
    if workload == "training":
        return "Training has no prompts."
    codes = codes_of(row)
    return (
        _first(codes, ("no_prompt_counter",)) if "no_prompt_counter" in codes else why_no_rate(row)
    )


def _first(codes: list[str], wanted: tuple[str, ...]) -> str:
    known = {**REASONS, **EFFICIENCY_REASONS}
    found = [known[code] for code in wanted if code in codes]
    return found[0] if found else "Not known."
