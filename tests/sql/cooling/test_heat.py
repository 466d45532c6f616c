"""Heat of a loop: by hand, beside a fine sum of its own, within bounds, and only where known."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.sql.cooling.sitefile import HALLS, known_of, loop
from tokenergy_sql.cooling.coolants import COOLANTS
from tokenergy_sql.cooling.declared import Loop
from tokenergy_sql.cooling.heat import heat_of
from tokenergy_sql.metering.course import Course
from tokenergy_sql.metering.readings import Readings
from tokenergy_sql.places import Place

S = 1_000_000
BEGIN = 1_768_464_000 * S
HOUR = 3_600 * S
PLACE = Place("hall", "b")
LOOP = Loop(PLACE, "flow-b", "supply-b", "return-b")
NJ = 1e9

Value = Callable[[float], float]
"""What a meter shows at a second, in the unit of its register."""

ACCURATE = {"accuracy_percent": 0, "accuracy_absolute": 0.1}


def readings(value: Value, until_s: int = 3_600, every_s: int = 60) -> Readings:
    stamps = range(0, until_s + 1, every_s)
    return Readings.of(*((BEGIN + s * S, round(value(s) * 1e9)) for s in stamps))


def course(
    flow: Readings,
    supply: Readings,
    back: Readings,
    text: str = HALLS + loop("b", "hall:b"),
    of: Loop = LOOP,
) -> Course:
    places, _ = known_of(text)
    return heat_of(of, places.meters.by_id, {"flow-b": flow, "supply-b": supply, "return-b": back})


def test_a_constant_loop_by_hand() -> None:
    """10 L/s from 30 to 40 °C: at 35 °C a litre is 0.99404 kg of 4.180 kJ/(kg K): 415.5 kW."""
    found = course(readings(lambda _: 10), readings(lambda _: 30), readings(lambda _: 40))
    heat = found.amount(BEGIN, BEGIN + HOUR)
    assert heat.value / NJ / 3_600 == pytest.approx(415.5e3, rel=2e-4)
    assert (heat.low, heat.high) == (None, None)


def test_units_of_flow_and_temperature() -> None:
    """The same loop in m3/h and K, and with a scale."""
    text = HALLS + loop("b", "hall:b", ("flow", "m3/h"), {"scale": 0.1}).replace('"°C"', '"K"')
    in_others = course(
        readings(lambda _: 360), readings(lambda _: 303.15), readings(lambda _: 313.15), text
    )
    plain = course(readings(lambda _: 10), readings(lambda _: 30), readings(lambda _: 40))
    assert in_others.amount(BEGIN, BEGIN + HOUR).value == pytest.approx(
        plain.amount(BEGIN, BEGIN + HOUR).value, rel=1e-9
    )


def test_heat_between_readings_is_the_integral_of_the_lines() -> None:
    """Flow every 60 s, temperatures every 45 s: a sum over seconds says the same."""
    flow = readings(lambda s: 10 + 4 * math.sin(s / 300), every_s=60)
    supply = readings(lambda s: 30 + 2 * math.sin(s / 200), every_s=45)
    back = readings(lambda s: 40 + 3 * math.cos(s / 150), every_s=45)
    found = course(flow, supply, back).amount(BEGIN, BEGIN + HOUR).value / NJ
    at = np.arange(0.005, 3_600, 0.01)

    def lines(of: Readings) -> np.ndarray:
        return np.interp(at, (of.ts_us - BEGIN) / S, of.values / 1e9)

    cold, warm = lines(supply), lines(back)
    carries = COOLANTS["water"].j_per_m3_k((cold + warm) / 2)
    expected = float(np.sum(lines(flow) / 1000 * (warm - cold) * carries) * 0.01)
    assert found == pytest.approx(expected, rel=1e-5)


@given(cuts=st.lists(st.integers(1, 3_599), min_size=1, max_size=5, unique=True))
def test_parts_add_up(cuts: list[int]) -> None:
    found = course(
        readings(lambda s: 10 + s / 1_000),
        readings(lambda s: 30 + s / 2_000),
        readings(lambda s: 40 - s / 3_000),
        HALLS + loop("b", "hall:b", flow_keys={"accuracy_percent": 1}, degree_keys=ACCURATE),
    )
    edges = [0, *sorted(cuts), 3_600]
    parts = [found.amount(BEGIN + a * S, BEGIN + b * S) for a, b in pairwise(edges)]
    whole = found.amount(BEGIN, BEGIN + HOUR)
    assert sum(one.value for one in parts) == pytest.approx(whole.value, rel=1e-6)
    assert sum(one.low or 0 for one in parts) == pytest.approx(whole.low, rel=1e-3)
    assert sum(one.high or 0 for one in parts) == pytest.approx(whole.high, rel=1e-3)


def test_bounds_by_hand() -> None:
    """2 % of 10 L/s and a step of 0.001; 0.1 K and a step of 0.001 at each end; water 0.5 %."""
    found = course(
        readings(lambda _: 10),
        readings(lambda _: 30),
        readings(lambda _: 40),
        HALLS + loop("b", "hall:b", flow_keys={"accuracy_percent": 2}, degree_keys=ACCURATE),
    ).amount(BEGIN, BEGIN + HOUR)
    assert found.low is not None
    assert found.high is not None
    assert found.low / found.value == pytest.approx((9.799 * 9.798 / 100) * 0.995, rel=1e-6)
    assert found.high / found.value == pytest.approx((10.201 * 10.202 / 100) * 1.005, rel=1e-6)


def test_bounds_of_heat_below_nothing_by_hand() -> None:
    """Coolant that comes back 1 K colder: the larger flow carries the least."""
    found = course(
        readings(lambda _: 10),
        readings(lambda _: 30),
        readings(lambda _: 29),
        HALLS + loop("b", "hall:b", flow_keys={"accuracy_percent": 2}, degree_keys=ACCURATE),
    ).amount(BEGIN, BEGIN + HOUR)
    assert found.low is not None
    assert found.high is not None
    assert found.low / found.value == pytest.approx((10.201 * 1.202 / 10) * 1.005, rel=1e-6)
    assert found.high / found.value == pytest.approx((9.799 * 0.798 / 10) * 0.995, rel=1e-6)


@given(
    seed=st.integers(0, 10_000),
    off=st.tuples(st.floats(-1, 1), st.floats(-1, 1), st.floats(-1, 1)),
)
def test_bounds_hold_the_truth_whatever_the_meters_errors(
    seed: int, off: tuple[float, float, float]
) -> None:
    chance = np.random.default_rng(seed)
    flow, cold = chance.uniform(1, 30), chance.uniform(10, 45)
    rise = chance.uniform(-0.5, 15)
    text = HALLS + loop("b", "hall:b", flow_keys={"accuracy_percent": 2}, degree_keys=ACCURATE)
    shown = (
        readings(lambda _: flow / (1 + 0.0199 * off[0])),
        readings(lambda _: cold + 0.1 * off[1]),
        readings(lambda _: cold + rise + 0.1 * off[2]),
    )
    found = course(*shown, text).amount(BEGIN, BEGIN + HOUR)
    truth = flow / 1000 * rise * 999 * 4_180 * 3_600 * NJ
    water = float(COOLANTS["water"].j_per_m3_k(np.array([cold + rise / 2]))[0])
    truth *= water / (999 * 4_180)
    assert found.low is not None
    assert found.high is not None
    assert found.low <= truth <= found.high


def test_a_coolant_carries_less_than_water() -> None:
    water, glycol = (
        course(
            readings(lambda _: 10),
            readings(lambda _: 30),
            readings(lambda _: 40),
            of=LOOP._replace(coolant=name),
        ).amount(BEGIN, BEGIN + HOUR)
        for name in ("water", "pg25")
    )
    assert 0.94 * water.value < glycol.value < 0.98 * water.value


def test_heat_is_known_only_where_all_three_meters_are() -> None:
    """Supply is not read from 600 to 1,800 s; flow begins at 300 s; return ends at 3,000 s."""
    flow = readings(lambda _: 10).part(5, 61)
    supply = readings(lambda _: 30)
    supply = supply.chosen(np.array([*range(11), *range(30, 61)]))
    back = readings(lambda _: 40).part(0, 51)
    found = course(flow, supply, back)
    known = [(begin - BEGIN, end - BEGIN) for begin, end in found.known]
    assert known == [(300 * S, 600 * S), (1_800 * S, 3_000 * S)]
    with pytest.raises(ValueError, match="not known"):
        found.amount(BEGIN, BEGIN + HOUR)
    half = found.amount(BEGIN + 1_800 * S, BEGIN + 3_000 * S)
    assert half.value / NJ / 1_200 == pytest.approx(415.5e3, rel=2e-4)


def test_without_readings_nothing_is_known() -> None:
    places, _ = known_of(HALLS + loop("b", "hall:b"))
    assert heat_of(LOOP, places.meters.by_id, {}).known == []


def test_a_meter_that_counts_litres() -> None:
    """10 L/s, counted in pulses of 100 L that roll over: the same heat, and bounds that hold it."""
    keys = {"scale": 100, "resolution": 1, "rollover": 100, "accuracy_percent": 1}
    text = HALLS + loop("b", "hall:b", ("volume", "L"), keys, ACCURATE)
    counted = readings(lambda s: (90 + s // 10) % 100)
    supply, back = readings(lambda _: 30), readings(lambda _: 40)
    found = course(counted, supply, back, text).amount(BEGIN, BEGIN + HOUR)
    assert found.value / NJ / 3_600 == pytest.approx(415.5e3, rel=1e-3)
    assert found.low is not None
    assert found.high is not None
    # A pulse in 60 of ten minutes, 1 % of flow, 0.202 K of 10 K, 0.5 % of water: 5.3 %.
    assert 0.94 < found.low / found.value < 0.96
    assert 1.04 < found.high / found.value < 1.06


def test_a_meter_that_is_replaced_is_read_with_its_own_scale() -> None:
    """Half an hour in L/s x 1, then in tenths of L/s: heat goes on, without the time between."""
    change = "2026-01-15T08:30:00Z"
    first = loop("b", "hall:b")
    second = first.split("[[meter]]")[1].replace("resolution", "scale = 0.1\nresolution")
    text = HALLS + first.replace('id = "flow-b"', f'id = "flow-b"\nuntil = {change}')
    text += "\n[[meter]]" + second.replace('id = "flow-b"', f'id = "flow-b"\nfrom = {change}')
    flow = readings(lambda s: 10 if s < 1_800 else 100)
    found = course(flow, readings(lambda _: 30), readings(lambda _: 40), text)
    assert found.known == [
        (BEGIN, BEGIN + 1_740 * S),
        (BEGIN + 1_800 * S, BEGIN + HOUR),
    ]
    for begin, end in found.known:
        heat = found.amount(begin, end).value / NJ
        assert heat / ((end - begin) / S) == pytest.approx(415.5e3, rel=2e-4)


def test_coolant_that_comes_back_colder_carries_less_than_nothing() -> None:
    found = course(readings(lambda _: 10), readings(lambda _: 30), readings(lambda _: 29))
    assert found.amount(BEGIN, BEGIN + HOUR).value < 0
