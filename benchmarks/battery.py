"""How fast a storage study is: an hour at 10 Hz, and 100 sizes over a day.

`make bench-battery` or `python -m benchmarks.battery [--runs N] [--highs-s SECONDS]`. Loads are
made from a seed: a random walk, and a square wave with noise, as of a training job. The same linear
program is also given to HiGHS without its structure: in full for the first minutes, where it ends,
and, with --highs-s, for the whole hour until that time is up. Exit code 1 if the two differ by more
than 1e-4, or a target is missed.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable

import numpy as np

from benchmarks import machine
from tokenergy_transforms.storage import causal, optimum, simplex
from tokenergy_transforms.storage.interior import NotSolvedError
from tokenergy_transforms.storage.model import Model, least_energy
from tokenergy_transforms.storage.program import F64
from tokenergy_transforms.storage.wanted import Limits, Store

STEP_S = 0.1
HOUR, DAY, SHORT = 36_000, 864_000, 3_000
SIZES = 100
HOUR_TARGET_S, SWEEP_TARGET_S = 60.0, 10.0
WITHIN = 1e-4


def walk(cells: int) -> F64:
    """Return a random walk around 100 kW, in W."""
    steps = np.random.default_rng(1).normal(0, 500, cells)
    return np.abs(1e5 + np.cumsum(steps))


def square(cells: int) -> F64:
    """Return a load of 120 kW for 1.2 s of every 2 s, else 60 kW, with 2 kW of noise, in W."""
    noise = np.random.default_rng(2).normal(0, 2e3, cells)
    return np.where(np.arange(cells) % 20 < 12, 1.2e5, 6e4) + noise


LOADS: dict[str, tuple[Callable[[int], F64], float]] = {
    "walk": (walk, 500.0),
    "square": (square, 2e3),
}


def timed(runs: int, task: Callable[[], object]) -> float:
    """Return the median time of some runs of a task, in seconds."""
    found = []
    for _ in range(runs):
        begin = time.perf_counter()
        task()
        found.append(time.perf_counter() - begin)
    return statistics.median(found)


def hour(name: str, runs: int, way: float) -> bool:
    """Print the time of energy and power for an hour; return whether it is within the target."""
    make, ramp = LOADS[name]
    load, store = make(HOUR), Store(way, way)
    found = optimum.optimum(load, STEP_S, Limits(ramp), store)
    took = timed(runs, lambda: optimum.optimum(load, STEP_S, Limits(ramp), store))
    ok = took <= HOUR_TARGET_S
    print(
        f"{'ok  ' if ok else 'SLOW'} {name:7} hour at 10 Hz, {way:.3g} each way: {took:6.1f} s, "
        f"{found.energy_j / 1e3:.6g} kJ, {found.power_w / 1e3:.6g} kW, gap {found.gap:.1e}"
    )
    return ok


def beside_highs(name: str, cells: int, runs: int) -> bool:
    """Print the times of both solvers for one program; return whether they agree."""
    make, ramp = LOADS[name]
    load = make(cells)
    found = optimum.best_energy(load, STEP_S, Limits(ramp), Store())
    assert found is not None
    model: Model = found[0]
    program = least_energy(model)
    ours = timed(runs, lambda: optimum.best_energy(load, STEP_S, Limits(ramp), Store()))
    begin = time.perf_counter()
    try:
        plain = simplex.by_highs(program)
    except NotSolvedError:
        print(f"     {name:7} {cells:,} cells: {ours:.2f} s; HiGHS had no solution in time")
        return True
    took = time.perf_counter() - begin
    off = abs(plain.z / found[1].z - 1)
    print(f"     {name:7} {cells:,} cells: {ours:.2f} s; HiGHS {took:.2f} s; differ by {off:.1e}")
    return off <= WITHIN


def swept(runs: int) -> bool:
    """Print the time of a sweep of sizes over a day; return whether it is within the target."""
    load = square(DAY)
    rule = causal.Rule(STEP_S, Limits(2e3), Store(0.975, 0.975), 30.0, from_mean=True)
    sizes = (np.geomspace(1e4, 1e7, SIZES), np.full(SIZES, 1e5))
    causal.sweep([load[:1000]], rule, sizes, 0.5)  # compiles
    took = timed(runs, lambda: causal.sweep([load], rule, sizes, 0.5))
    ok = took <= SWEEP_TARGET_S
    print(f"{'ok  ' if ok else 'SLOW'} {SIZES} sizes over a day at 10 Hz: {took:.1f} s")
    return ok


def main() -> int:
    """Run all and print; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=3, help="runs of which the median is shown")
    parser.add_argument(
        "--highs-s", type=float, default=0.0, help="HiGHS on the whole hour, at most"
    )
    given = parser.parse_args()
    print(machine.line(machine.machine()))
    results = [beside_highs(name, SHORT, given.runs) for name in LOADS]
    results += [hour(name, given.runs, way) for name in LOADS for way in (1.0, 0.975)]
    results.append(swept(given.runs))
    if given.highs_s:
        simplex.LIMIT_S = given.highs_s
        results += [beside_highs(name, HOUR, 1) for name in LOADS]
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
