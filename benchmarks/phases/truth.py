"""What tokens of the trials really cost.

In: a profile, its request logs. Out: J per prompt token and per generated token of each job. Where
costs were planted, those. Where none were, what one more token costs: the same server is run on
requests with 5 % more and 5 % fewer prompt tokens, or generated tokens, and the difference in
energy is divided by the difference in tokens. And the mean: what a job drew above idle power.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tokenergy_collectors.emulate.profile import blueprint
from tokenergy_collectors.emulate.profile.jobs import JobSpec
from tokenergy_collectors.emulate.profile.profile import Profile
from tokenergy_collectors.emulate.workloads.inference import Inference
from tokenergy_collectors.emulate.workloads.request_log import RequestLog, load_log
from tokenergy_collectors.emulate.workloads.timeline import CELL_US

_MORE, _LESS = 1.05, 0.95


@dataclass(frozen=True, slots=True)
class Costs:
    """What a job's tokens cost, J."""

    prefill_j: float
    decode_j: float


@dataclass(frozen=True, slots=True)
class _Run:
    """One run of a server: energy of a board of nominal power, and tokens."""

    energy_j: float
    prompt: int
    generated: int


def costs(one: Profile) -> dict[str, Costs]:
    """Return what one more token of each job costs on the board that it runs on."""
    return {job.id: _scaled(one, job, _marginal(one, job)) for job in one.jobs}


def means(one: Profile) -> dict[str, Costs]:
    """Return what a token of each job drew above idle power in the mean.

    A prompt token has the power of prefill for its time; generated tokens have the rest.
    """
    found = {}
    for job in one.jobs:
        spec: Any = job.workload
        prefill_j = (spec.prefill_w - spec.idle_w) * spec.per_prompt_token_us / 1e6
        ran = _run(one, job, 1.0, 1.0)
        length_s = (job.end_us - job.start_us) / 1e6
        idle_j = spec.load_w * spec.load_s + spec.idle_w * (length_s - spec.load_s)
        decode_j = (ran.energy_j - idle_j - prefill_j * ran.prompt) / ran.generated
        found[job.id] = _scaled(one, job, Costs(prefill_j, decode_j))
    return found


def _scaled(one: Profile, job: JobSpec, nominal: Costs) -> Costs:
    """Return the costs on the job's own board."""
    ((node, (board,)),) = job.devices.items()
    factor = blueprint.physics(one, node, board).factor
    return Costs(nominal.prefill_j * factor, nominal.decode_j * factor)


def _marginal(one: Profile, job: JobSpec) -> Costs:
    spec: Any = job.workload
    if spec.prompt_token_j is not None:
        return Costs(spec.prompt_token_j, spec.generated_token_j)
    longer, shorter = _run(one, job, _MORE, 1.0), _run(one, job, _LESS, 1.0)
    prefill_j = (longer.energy_j - shorter.energy_j) / (longer.prompt - shorter.prompt)
    longer, shorter = _run(one, job, 1.0, _MORE), _run(one, job, 1.0, _LESS)
    decode_j = (longer.energy_j - shorter.energy_j) / (longer.generated - shorter.generated)
    return Costs(prefill_j, decode_j)


def _run(one: Profile, job: JobSpec, prompts: float, answers: float) -> _Run:
    """Run a server alone, on requests that are longer or shorter by factors."""
    spec: Any = job.workload
    log = load_log(spec.log, one.folder)
    requests = [
        request._replace(
            context=max(1, round(request.context * prompts)),
            generated=max(1, round(request.generated * answers)),
        )
        for request in log.requests
    ]
    length_us = job.end_us - job.start_us
    server = Inference(spec, RequestLog(requests, log.period_us), one.seed, job.id, 0, length_us)
    server.advance(length_us)
    power_mw = server.cells(0, length_us // CELL_US).power_mw
    prompt, cached, generated, *_ = server.totals_at(length_us)
    return _Run(float(power_mw.sum()) * CELL_US / 1e9, prompt - cached, generated)
