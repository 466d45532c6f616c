"""A host without a meter of its own: a model of what its CPUs and its boards show.

    host = base x W + per_cpu x CPU + per_gpu x GPU

W is the watched time, CPU the energy that the processors count themselves (RAPL), GPU that of the
boards: fans and power supplies follow the heat. The coefficients are constants of the site file,
learned from nodes that are metered (`tokenergy host-model`), as are the bounds: by how much the
model was off in an hour, and a part of all that came into the node, as the meters and boards that
taught may have been off. Of less than an hour the mean of what a model is off is larger: that grows
with the square root of an hour over the time. Outside the loads from which it was learned the model
says nothing.
"""

from __future__ import annotations

from math import isqrt
from typing import NamedTuple

from tokenergy_collectors.lake.contract import HOUR_US
from tokenergy_sql.hosting.cpu import Cpu
from tokenergy_sql.hosting.host import WHOLE_PPM, Boards, Host, ceil_div, is_enough


class Model(NamedTuple):
    """A model of hosts; no figure is negative.

    Attributes:
        base_mw: power of an idle host.
        cpu_ppm, gpu_ppm: of the energy of CPUs and boards.
        below_mw, above_mw: how far what is measured may be below and above the model, in an hour.
        input_ppm: how far that may be off itself, of the energy of host and boards.
        cpu_least_mw, cpu_most_mw, gpu_least_mw, gpu_most_mw: mean power of CPUs and boards that it
            was learned from.
    """

    base_mw: int
    cpu_ppm: int
    gpu_ppm: int
    below_mw: int
    above_mw: int
    input_ppm: int
    cpu_least_mw: int
    cpu_most_mw: int
    gpu_least_mw: int
    gpu_most_mw: int


def modelled(model: Model, cpu: Cpu | None, boards: Boards, watched_us: int) -> Host | str:
    """Return the energy of a host, or why the model does not say it."""
    if not is_enough(boards.covered_us, boards.device_us):
        return "boards_in_part"
    gpu_nj = boards.nj * boards.device_us // boards.covered_us
    covered_us = watched_us * boards.covered_us // boards.device_us
    cpu_nj = cpu_low_nj = cpu_high_nj = 0
    if model.cpu_ppm:
        if cpu is None or cpu.nj is None or cpu.high_nj is None:
            return "no_cpu"
        cpu_nj, cpu_low_nj, cpu_high_nj = cpu.nj, cpu.low_nj, cpu.high_nj
        covered_us = min(covered_us, cpu.covered_us)
    if not _is_learned(model, cpu_nj, gpu_nj, watched_us):
        return "outside_model"
    base_nj = model.base_mw * watched_us
    root = isqrt(watched_us * HOUR_US)
    nj = base_nj + _scaled(model, cpu_nj, gpu_nj)
    off_nj = ceil_div(model.input_ppm * (nj + gpu_nj), WHOLE_PPM)
    low_nj = base_nj - model.below_mw * root + _scaled(model, cpu_low_nj, boards.low_nj) - off_nj
    most_gpu_nj = max(boards.high_nj, gpu_nj)
    high_nj = base_nj + model.above_mw * root - _scaled(model, -cpu_high_nj, -most_gpu_nj) + off_nj
    return Host("modelled", nj, max(0, low_nj), high_nj, covered_us)


def _is_learned(model: Model, cpu_nj: int, gpu_nj: int, watched_us: int) -> bool:
    """Return whether the load is one from which the model was learned."""
    ranges = [(gpu_nj, model.gpu_least_mw, model.gpu_most_mw)]
    if model.cpu_ppm:
        ranges.append((cpu_nj, model.cpu_least_mw, model.cpu_most_mw))
    return all(least * watched_us <= nj <= most * watched_us for nj, least, most in ranges)


def _scaled(model: Model, cpu_nj: int, gpu_nj: int) -> int:
    """Return what follows from CPUs and boards, rounded down."""
    return -ceil_div(-(model.cpu_ppm * cpu_nj + model.gpu_ppm * gpu_nj), WHOLE_PPM)
