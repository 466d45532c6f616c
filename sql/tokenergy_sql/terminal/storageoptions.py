"""The options of a storage study, checked.

In: what the user gave. Out: what is asked, in W, J and s; or an error that names the option.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.lake import Lake
from tokenergy_collectors.lake.contract import HOUR_US
from tokenergy_sql.terminal.arguments import parse_instant
from tokenergy_transforms.loadprofile.profile import parse_step
from tokenergy_transforms.storage.asking import Asked
from tokenergy_transforms.storage.gathering import Span
from tokenergy_transforms.storage.wanted import Limits, Store

_W_PER_KW = 1e3
_J_PER_KWH = 3.6e6
_PPM = 1_000_000


@dataclass(frozen=True, slots=True)
class Given:
    """The options as they were given; see `cli.storage`."""

    by: str
    group: str | None
    start: str | None
    end: str | None
    step: str
    ramp_kw_s: float | None
    peak_kw: float | None
    efficiency: float | None
    each_way: float | None
    c_rate: float | None
    reserve_kwh: float
    start_charge: float | None
    split: str | None
    sweep: bool


def asked(lake: Lake, given: Given) -> Asked:
    """Return what is asked of a lake.

    Raises:
        UserError: an option has an unusable value, no limit is given, or the lake has no readings.
    """
    if given.ramp_kw_s is None and given.peak_kw is None:
        raise UserError("--ramp-kw-per-s and --peak-kw: give one of them, or both")
    ramp = _positive("--ramp-kw-per-s", given.ramp_kw_s, "kW per second, such as 1")
    peak = given.peak_kw
    if peak is not None and not math.isfinite(peak):
        raise UserError(f"--peak-kw {peak}: expected a number of kW")
    limits = Limits(
        None if ramp is None else ramp * _W_PER_KW, None if peak is None else peak * _W_PER_KW
    )
    from_us, until_us = _span(lake, given)
    span = Span(given.by, given.group, from_us, until_us, parse_step(given.step), given.split)
    return Asked(span, limits, _store(given), given.sweep)


def _span(lake: Lake, given: Given) -> tuple[int, int]:
    """Return the span; what is not given is that of the readings, in whole hours."""
    hours = lake.hours("power")
    if not hours:
        raise UserError(f"lake {lake.root}: has no power readings yet")
    from_us = hours[0] if given.start is None else parse_instant("--from", given.start)
    until_us = hours[-1] + HOUR_US if given.end is None else parse_instant("--until", given.end)
    if from_us >= until_us:
        raise UserError(f"--until {given.end}: is not after the start")
    return from_us, until_us


def _store(given: Given) -> Store:
    """Return the store; its efficiencies are whole millionths, as its books are."""
    if given.efficiency is not None and given.each_way is not None:
        raise UserError("--efficiency and --efficiency-each-way: give one of them")
    way = 1.0
    if given.each_way is not None:
        way = _share("--efficiency-each-way", given.each_way)
    elif given.efficiency is not None:
        way = math.sqrt(_share("--efficiency", given.efficiency))
    way = round(way * _PPM) / _PPM
    start = given.start_charge
    if start is not None and not 0 <= start <= 1:
        raise UserError(f"--start-charge {start}: expected a share from 0 to 1")
    if not (math.isfinite(given.reserve_kwh) and given.reserve_kwh >= 0):
        raise UserError(f"--reserve-kwh {given.reserve_kwh}: expected 0 or more")
    c_rate = _positive("--c-rate", given.c_rate, "power / energy per hour, such as 2")
    return Store(way, way, c_rate, given.reserve_kwh * _J_PER_KWH, start)


def _share(option: str, value: float) -> float:
    if not 0.1 <= value <= 1:
        raise UserError(f"{option} {value}: expected a share from 0.1 to 1, such as 0.9")
    return value


def _positive(option: str, value: float | None, expected: str) -> float | None:
    if value is not None and not (math.isfinite(value) and value > 0):
        raise UserError(f"{option} {value}: expected more than 0 {expected}")
    return value
