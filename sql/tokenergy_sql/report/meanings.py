"""What the codes of the index mean.

In: codes (`reason_codes`, `method`). Out: a sentence for each, and why a figure is missing.
"""

from __future__ import annotations

from typing import Any

REASONS = {
    "gap": "For part of the job's time the power is unknown: readings were too far apart, or "
    "nothing recorded one of its devices.",
    "disputed": "Energy counter and samples differ by more than 5 %; the bounds include both.",
    "counter_flagged": "Energy counter and samples differ by 2 to 5 %; the counter is used.",
    "shared_estimate": "The job shared a GPU; its energy is an estimate from the declared shares.",
    "calibrated": "The bounds come from the calibration; the meter's reading may be outside them.",
    "contended": "Jobs claimed more than a whole GPU at once; their shares were scaled down.",
    "partial_tokens": "For part of the job's time its token counters were not read.",
    "low_joint_coverage": "Energy and tokens are both known for less than a tenth of the job's "
    "time, too little for J/token.",
    "token_anomaly": "A reading was left out, processes took turns, or stamps moved: see bounds.",
    "coarse_counter": "A token counter is printed in steps; half a step is in the bounds.",
    "implausible_power": "A power reading above what the board can draw was left out.",
    "counter_glitch": "An energy counter's reading that no board can have drawn was left out.",
    "equal_stamps": "Several power readings have one stamp; their mean counts.",
    "sparse": "The readings are far apart; the bounds allow for what they do not show.",
    "clock_step": "A host's clock was set, or the host slept, while the job ran.",
    "no_energy": "Nothing metered the job's GPUs, so its energy is not known.",
    "no_allocation": "No job list says which GPUs the job held, so no energy can be its own.",
    "no_tokens": "No counter of generated or trained tokens was read for the job.",
    "zero_tokens": "The token counters did not grow, so J/token is not defined.",
    "mixed_workload": "The job both trained and served; the two are never combined in one figure.",
    "no_host_power": "Host power (the node without its GPUs) is neither measured nor declared.",
    "unbounded_host": "Host energy has no upper bound: a meter's accuracy is not declared.",
    "no_pue": "No PUE is measured, modelled or declared, so facility energy is not known.",
    "partial_pue": "The meters of the building are known for a part of an hour only; its PUE is "
    "that of this part.",
    "no_pue_bound": "A meter of the building, or a part of its modelled PUE, has no declared "
    "accuracy, so the upper bound of facility energy is not known.",
    "running": "The job was still running; its figures will change.",
}
"""Every reason code of the index."""

EFFICIENCY_REASONS = {
    "tokens_sparse": "The counters were read too rarely to give a token rate.",
    "few_intervals": "Fewer than five intervals have a known rate, so full rate is not defined.",
    "no_prompt_counter": "No counter of prompt tokens was read, so prefill energy is not known.",
    "no_limit": "A board's power limit is not known, so energy above caps is not known.",
}
"""Every further reason code of `job_efficiency`."""

PHASE_REASONS = {
    "not_inference": "The job did not serve: it has no prefill and no decode.",
    "no_prompt_counter": "No counter of computed prompt tokens was read.",
    "zero_tokens": "No prompt was read, or nothing was generated.",
    "few_windows": "Fewer than 30 windows, or less than six times five minutes, have known energy "
    "and tokens; further codes say what others lack.",
    "constant_load": "The load hardly varied, so nothing tells tokens from idle power.",
    "collinear": "Prompt and generated tokens rose and fell together.",
    "coarse_counter": "The counters are printed in steps that are too coarse.",
    "wide": "The estimate is not certain to be above zero.",
    "nonlinear": "What a token costs depends on the load; the bounds hold what it was.",
    "one_role": "The servers of this job only prefill, or only decode.",
    "sampled_in_part": "A sensor that sees a part of the time metered the energy, and no counter.",
    "gap": REASONS["gap"],
    "shared_estimate": REASONS["shared_estimate"],
    "sparse": REASONS["sparse"],
    "disputed": REASONS["disputed"],
    "partial_tokens": REASONS["partial_tokens"],
}
"""Every code of `phase_reasons`."""

METHODS = {
    "counter": "the energy counter gives the total, the samples its course over time",
    "counter_flagged": "as counter, but the samples differ by 2 to 5 %",
    "disputed": "counter and samples differ by more than 5 %",
    "counter_gap": "the counter alone: readings were too far apart to show the course over time",
    "samples": "the integral of the power samples alone: there was no counter",
    "missing": "neither samples nor counter; the energy is not known",
}
"""Every method of the ledger."""
ACCOUNTS = {
    "active": "active (jobs at work)",
    "resident_idle": "resident idle (held by a job that does nothing)",
    "free_idle": "free idle (held by no job)",
    "unattributed": "unattributed (at work for no known job)",
    "gap": "gap (energy not known)",
}
"""Every account of the ledger, as the page shows it."""

TOKENS = {
    "prompt_computed": "prompt, computed",
    "prompt_cached": "prompt, cached",
    "prompt_external": "prompt, from another server",
    "generated": "generated",
    "trained": "trained",
}
"""Every kind of token, as the page shows it."""

PUE_METHODS = {
    "measured": "measured by meters of the building",
    "modelled": "modelled from parts: IT, losses, cooling, the rest",
    "declared": "declared in the site file",
    "declared+measured": "measured in some hours or halls, declared in others",
    "measured+modelled": "measured in some hours or halls, modelled in others",
    "declared+modelled": "modelled in some hours or halls, declared in others",
    "declared+measured+modelled": "measured, modelled or declared, by hour and hall",
}
"""Where the PUE of a job comes from (`facility_method`)."""

METERS = {"counter": "energy counters", "samples": "power samples", "both": "both in one hour"}
"""Every meter that energy can come from."""

_NO_ENERGY = ("no_energy", "no_allocation")
_BLOCK_GPU = (
    *_NO_ENERGY,
    "no_tokens",
    "zero_tokens",
    "mixed_workload",
    "low_joint_coverage",
    "partial_tokens",
)
_BLOCK_SITE = ("no_host_power", "no_pue")


def codes_of(job: dict[str, Any]) -> list[str]:
    """Return the reason codes of a row of `job_index`."""
    return [code for code in (job["reason_codes"] or "").split(",") if code]


def why_no_energy(job: dict[str, Any]) -> str:
    """Return why a row has no GPU energy."""
    return _first(codes_of(job), _NO_ENERGY)


def why_no_index(job: dict[str, Any], *, facility: bool, tokens: bool = True) -> str:
    """Return why a row has no J/token; without `tokens`, why it has no energy."""
    reasons = _BLOCK_GPU if tokens else _NO_ENERGY
    return _first(codes_of(job), (*reasons, *_BLOCK_SITE) if facility else reasons)


def why_no_rate(row: dict[str, Any] | None) -> str:
    """Return why a row of `job_efficiency` has no full rate."""
    if row is None:
        return "Not derived: run `tokenergy index` again."
    wanted = ("no_energy", "no_tokens", "zero_tokens", "tokens_sparse", "few_intervals")
    return _first(codes_of(row), wanted)


def why_no_prefill(row: dict[str, Any], workload: str) -> str:
    """Return why a row of `job_efficiency` has no prefill energy."""
    if workload == "training":
        return "Training has no prompts."
    codes = codes_of(row)
    return (
        _first(codes, ("no_prompt_counter",)) if "no_prompt_counter" in codes else why_no_rate(row)
    )


def _first(codes: list[str], wanted: tuple[str, ...]) -> str:
    sentences = {**REASONS, **EFFICIENCY_REASONS}
    return next((sentences[code] for code in wanted if code in codes), "Not known.")
