"""How far off the energy of a host is where a model says it: nodes with a known truth.

Run: `python -m benchmarks.hosts`. Eight metered nodes teach for two weeks; then eight others, whose
meters nobody reads, draw for a week, and each hour of theirs is modelled and compared with the
truth. What the nodes draw is not what the model assumes: fans follow the cube of their speed, power
supplies are worst at low load, nodes differ, and the meters, the boards' sensors and RAPL are each
off by as much as their makers allow.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tokenergy_collectors.lake.contract import HOUR_US
from tokenergy_sql.hosting.cpu import Cpu
from tokenergy_sql.hosting.deciding import Shown, host_of
from tokenergy_sql.hosting.host import Boards, Host
from tokenergy_sql.hosting.measured import Input
from tokenergy_sql.hosting.modelled import Model
from tokenergy_sql.metering.amount import Amount
from tokenergy_sql.terminal.hostfit import Fitted, fitted, hours_of

Floats = NDArray[np.float64]

BOARDS = 8
MINUTES = 60
METER_PERCENT, BOARD_PERCENT, RAPL_PERCENT = 1.0, 2.0, 1.0
"""How far each may be off: the meter and the boards say so, RAPL does not."""

_SUPPLY_W = 12_000.0
"""What the power supplies of a node are rated for, together."""

_FANS_W = 480.0
_NJ = 1e9
_DAY_H = 24


@dataclass(frozen=True)
class Box:
    """One node: how it differs from its kind, and how far its sensors are off.

    Attributes:
        base_w: board management, NICs, disks, voltage regulators at rest.
        fans_w: of its fans at full speed.
        ambient: how much warmer its place is, as a part of the fans' range.
        meter, boards, rapl: gain errors.
    """

    base_w: float
    fans_w: float
    ambient: float
    meter: float
    boards: float
    rapl: float


@dataclass(frozen=True)
class Minutes:
    """A node minute by minute, W: what it truly draws."""

    cpu_w: Floats
    gpu_w: Floats
    host_w: Floats


def boxes(count: int, rng: np.random.Generator, boards_off: float) -> list[Box]:
    """Return nodes of one kind.

    Args:
        count: how many.
        rng: chance.
        boards_off: gain error that all boards of the kind share.
    """
    off = METER_PERCENT / 100
    return [
        Box(
            base_w=310.0 * rng.normal(1, 0.03),
            fans_w=_FANS_W * rng.normal(1, 0.04),
            ambient=rng.uniform(0, 0.08),
            meter=rng.uniform(-off, off),
            boards=boards_off + rng.uniform(-0.005, 0.005),
            rapl=rng.uniform(-RAPL_PERCENT, RAPL_PERCENT) / 100,
        )
        for _ in range(count)
    ]


def drawn(box: Box, hours: int, rng: np.random.Generator) -> Minutes:
    """Return what a node draws in some hours: jobs that come and go, by day more than by night."""
    minutes = hours * MINUTES
    at = np.arange(minutes)
    day = 0.5 + 0.35 * np.sin(2 * np.pi * at / (MINUTES * _DAY_H))
    gpu_load, cpu_load = (_jobs(minutes, day, rng) for _ in range(2))
    cpu_load = 0.6 * cpu_load + 0.4 * gpu_load
    gpu_w = BOARDS * (75 + 600 * gpu_load) * rng.normal(1, 0.02, minutes)
    cpu_w = (140 + 480 * cpu_load) * rng.normal(1, 0.03, minutes)
    heat = (gpu_w + cpu_w) / (BOARDS * 675 + 620)
    speed = np.clip(0.25 + 0.75 * heat + box.ambient, 0.3, 1.0)
    inner_w = box.base_w + 1.09 * cpu_w + box.fans_w * speed**3 + 12 * cpu_load
    out_w = inner_w + gpu_w
    share = out_w / _SUPPLY_W
    efficiency = 0.965 - 0.02 / (1 + 20 * share) - 0.025 * share**2
    return Minutes(cpu_w, gpu_w, out_w / efficiency - gpu_w)


def _jobs(minutes: int, busy: Floats, rng: np.random.Generator) -> Floats:
    """Return a load of 0 to 1 that jumps as jobs begin and end."""
    load, at = np.zeros(minutes), 0
    while at < minutes:
        length = int(rng.exponential(150)) + 1
        level = rng.uniform(0.2, 1.0) if rng.random() < busy[at] else rng.uniform(0, 0.05)
        load[at : at + length] = level
        at += length
    return load


def shown(box: Box, minutes: Minutes, hour: int, *, metered: bool, model: Model | None) -> Shown:
    """Return what a node shows of an hour."""
    part = slice(hour * MINUTES, (hour + 1) * MINUTES)
    cpu_nj, gpu_nj, host_nj = (
        float(one[part].mean()) * 3600 * _NJ
        for one in (minutes.cpu_w, minutes.gpu_w, minutes.host_w)
    )
    boards = _within(gpu_nj * (1 + box.boards), BOARD_PERCENT)
    of_boards = Boards(*boards, BOARDS * HOUR_US, BOARDS * HOUR_US)
    input_ = None
    if metered:
        meters = Amount(*_within((host_nj + gpu_nj) * (1 + box.meter), METER_PERCENT))
        input_ = Input(meters, of_boards, HOUR_US, ("bmc",))
    counted = int(cpu_nj * (1 + box.rapl))
    cpu = Cpu(counted, counted, counted, counted, HOUR_US, ("package-0", "package-1"))
    return Shown(HOUR_US, of_boards, input_, cpu, model, None)


def _within(value_nj: float, percent: float) -> tuple[int, int, int]:
    value = int(value_nj)
    # The truth x is read as x (1 + e): it is between the value over 1 + e and over 1 - e.
    off = percent / 100
    return value, int(value / (1 + off)), int(value / (1 - off)) + 1


@dataclass(frozen=True)
class Tried:
    """Hours of which the truth is known.

    Attributes:
        method: how they were found; `none` where a method refused.
        truth_nj, found: what the host drew, and what was found of it.
    """

    truth_nj: Floats
    found: Sequence[Host]

    def of(self, method: str) -> tuple[Floats, Floats, Floats, Floats]:
        """Return truth, value and bounds in W of the hours with a method."""
        rows = [
            (truth, one.nj, one.low_nj, one.high_nj)
            for truth, one in zip(self.truth_nj, self.found, strict=True)
            if one.method == method
        ]
        columns = np.array(rows, np.float64).reshape(-1, 4).T / _NJ / 3600
        return columns[0], columns[1], columns[2], columns[3]


def tried(
    nodes: Sequence[tuple[Box, Minutes]], hours: int, *, metered: bool, model: Model | None
) -> Tried:
    """Return what is found of some nodes' hosts, hour by hour."""
    truth, found = [], []
    for box, minutes in nodes:
        for hour in range(hours):
            part = slice(hour * MINUTES, (hour + 1) * MINUTES)
            truth.append(float(minutes.host_w[part].mean()) * 3600 * _NJ)
            found.append(host_of(shown(box, minutes, hour, metered=metered, model=model)))
    return Tried(np.array(truth), found)


def rows_of(nodes: Sequence[tuple[Box, Minutes]], hours: int) -> Iterator[dict[str, Any]]:
    """Yield rows of `host_hour` of metered nodes, as far as `hostfit` reads them."""
    for number, (box, minutes) in enumerate(nodes):
        for hour in range(hours):
            one = shown(box, minutes, hour, metered=True, model=None)
            host = host_of(one)
            yield {
                "node": f"n{number}",
                "hour_us": hour * HOUR_US,
                "method": host.method,
                "watched_us": one.watched_us,
                "covered_us": host.covered_us,
                "host_nj": host.nj,
                "host_low_nj": host.low_nj,
                "host_high_nj": host.high_nj,
                "cpu_nj": one.cpu.nj if one.cpu else None,
                "boards_nj": one.boards.nj,
            }


@dataclass(frozen=True)
class Trial:
    """What metered nodes taught, and how that did on themselves and on others."""

    fit: Fitted
    metered: Tried
    modelled: Tried


def trial(
    seed: int, boards_off: float, nodes: int = 8, teach_h: int = 336, test_h: int = 168
) -> Trial:
    """Let metered nodes teach for some hours, and model others for as many that follow."""
    rng = np.random.default_rng(seed)
    teaching = [(b, drawn(b, teach_h, rng)) for b in boxes(nodes, rng, boards_off)]
    others = [(b, drawn(b, test_h, rng)) for b in boxes(nodes, rng, boards_off)]
    fit = fitted(hours_of(rows_of(teaching, teach_h)))
    return Trial(
        fit,
        tried(teaching, min(teach_h, test_h), metered=True, model=None),
        tried(others, test_h, metered=False, model=fit.model),
    )


def inside(found: Tried, method: str) -> float:
    """Return the part of the hours with a method of which the truth is within the bounds."""
    truth_w, _, low_w, high_w = found.of(method)
    return float(np.mean((low_w <= truth_w) & (truth_w <= high_w)))


def _lines(name: str, found: Tried, method: str) -> Iterator[str]:
    truth_w, value_w, low_w, high_w = found.of(method)
    error_w, percent = value_w - truth_w, 100 * (value_w - truth_w) / truth_w
    quantiles = (0.0, 0.05, 0.5, 0.95, 1.0)
    yield f"{name}: {len(truth_w)} of {len(found.found)} hours, a host of {truth_w.mean():.0f} W"
    yield f"  {'error':<10}{'least':>9}{'5 %':>9}{'median':>9}{'95 %':>9}{'most':>9}{'rms':>9}"
    for unit, errors in (("W", error_w), ("%", percent)):
        cells = [*np.quantile(errors, quantiles), np.sqrt(np.mean(errors**2))]
        yield f"  {unit:<10}" + "".join(f"{cell:>+9.1f}" for cell in cells)
    width = float(np.mean(high_w - low_w))
    yield f"  bounds {width:.0f} W wide; truth inside: {100 * inside(found, method):.2f} %"


def main() -> None:
    """Print the errors of measured and modelled hosts."""
    for boards_off in (0.0, -0.015):
        found = trial(1, boards_off)
        model = found.fit.model
        print(f"\nboards' sensors off by {100 * boards_off:+.1f} %, all alike")
        print(
            f"learned from {found.fit.hours} node-hours: base {model.base_mw / 1e3:.1f} W, "
            f"{model.cpu_ppm / 1e6:.3f} x CPU, {model.gpu_ppm / 1e6:.4f} x boards, "
            f"-{model.below_mw / 1e3:.0f} W to +{model.above_mw / 1e3:.0f} W"
        )
        for line in _lines("measured", found.metered, "measured"):
            print(line)
        for line in _lines("modelled, other nodes, later hours", found.modelled, "modelled"):
            print(line)


if __name__ == "__main__":
    main()
