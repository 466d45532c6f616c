"""A hall's cooling: one hour by hand, and laws that hold whatever the weather."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenergy_sql.cooling.classes import CLASSES, REJECTIONS, Rejection
from tokenergy_sql.cooling.coefficients import DEFAULTS, Coefficients
from tokenergy_sql.cooling.plant import PARTS, Cooling, Hall, Outdoors, cooling_of

LIQUID = ("W17", "W27", "W32", "W40", "W45")

PLAIN = Coefficients(
    tower_approach_k=5.0,
    dry_approach_k=10.0,
    air_approach_k=2.0,
    carnot_share=0.5,
    standing_share=0.0,
    evaporator_approach_k=2.0,
    coil_approach_k=10.0,
    condenser_approach_k=10.0,
    least_lift_k=5.0,
    pump_w_per_kw=10.0,
    condenser_pump_w_per_kw=20.0,
    fan_w_per_kw=40.0,
    tower_fan_w_per_kw=16.0,
    dry_fan_w_per_kw=32.0,
    least_speed=0.1,
)


def outdoors(*hours: tuple[float, float]) -> Outdoors:
    dry, wet = np.array(hours, np.float64).T
    return Outdoors(dry, wet)


def cool(
    heat: float,
    hall: Hall,
    hours: Outdoors,
    k: Coefficients = PLAIN,
) -> Cooling:
    return cooling_of(np.full(len(hours.dry_c), heat), hours, hall, k)


def hall(
    name: str, rejection: Rejection = "tower", share: float = 1.0, rated: float = 1000.0
) -> Hall:
    return Hall(CLASSES[name], rejection, share, rated)


def test_liquid_without_a_chiller_by_hand() -> None:
    """W32, all liquid, half load, wet bulb 22 °C: the tower reaches 27 °C.

    Pumps: 10 kW x 1/8. Tower's pumps: 20 kW x 1/8. Its fans: half the heat, and 10 K instead of
    5 K: a quarter of the speed, 16 kW / 64.
    """
    found = cool(500.0, hall("W32"), outdoors((30.0, 22.0)))
    assert found.free.tolist() == [True]
    expected = {"fan": 0.0, "pump": 1.25, "tower": 0.25, "condenser_pump": 2.5, "chiller": 0.0}
    assert {part: found.kw[part].tolist() for part in PARTS} == {
        part: [pytest.approx(kw)] for part, kw in expected.items()
    }
    assert found.total_kw.tolist() == [pytest.approx(4.0)]


def test_liquid_with_a_chiller_by_hand() -> None:
    """W17 at 1000 kW, dry cooler at 30 °C: condensing 30 + 10 + 10, evaporating 15 °C.

    Lift 35 K: COP 0.5 x 288.15 / 35 = 4.116, so 242.9 kW. All else runs at full speed.
    """
    found = cool(1000.0, hall("W17", "dry"), outdoors((30.0, 20.0)))
    assert found.free.tolist() == [False]
    chiller = 1000.0 / (0.5 * 288.15 / 35.0)
    expected = {"pump": 10.0, "tower": 32.0, "condenser_pump": 20.0, "chiller": chiller, "fan": 0.0}
    assert {part: found.kw[part].tolist() for part in PARTS} == {
        part: [pytest.approx(kw)] for part, kw in expected.items()
    }


def test_a_chillers_own_power_is_rejected_too() -> None:
    """W17 at half load, as above: 500 kW and 121.5 kW of the chiller go outdoors, of 1000."""
    found = cool(500.0, hall("W17", "dry"), outdoors((30.0, 20.0)))
    chiller = 500.0 / (0.5 * 288.15 / 35.0)
    rejected = (500.0 + chiller) / 1000.0
    assert found.kw["chiller"].tolist() == [pytest.approx(chiller)]
    assert found.kw["tower"].tolist() == [pytest.approx(32.0 * rejected**3)]
    assert found.kw["condenser_pump"].tolist() == [pytest.approx(20.0 * rejected**3)]


def test_air_by_hand() -> None:
    """At 25 °C outdoors the air comes in at 27 °C: fans only. A degree more, and a chiller runs.

    Then water of 17 °C, evaporating 15 °C; wet bulb 20 °C: condensing 35 °C, lift 20 K.
    """
    found = cool(1000.0, hall("air"), outdoors((25.0, 20.0), (26.0, 20.0)))
    assert found.free.tolist() == found.free_air.tolist() == [True, False]
    assert found.kw["fan"].tolist() == [40.0, 40.0]
    assert found.kw["chiller"].tolist() == [0.0, pytest.approx(1000.0 / (0.5 * 288.15 / 20.0))]
    for part in ("pump", "tower", "condenser_pump"):
        assert found.kw[part][0] == 0.0 < found.kw[part][1]


def test_what_liquid_does_not_take_goes_to_air() -> None:
    """Three quarters to liquid: both ways together are two halls of their own."""
    hours = outdoors((35.0, 26.0), (10.0, 8.0), (30.0, 28.0))
    both = cool(800.0, hall("W32", share=0.75), hours)
    liquid = cool(600.0, hall("W32", rated=750.0), hours)
    air = cool(200.0, hall("air", rated=250.0), hours)
    for part in PARTS:
        assert both.kw[part] == pytest.approx(liquid.kw[part] + air.kw[part])
    assert (both.free.tolist(), both.free_air.tolist()) == (
        liquid.free.tolist(),
        air.free_air.tolist(),
    )


def test_a_chiller_compresses_no_less_than_over_the_least_lift() -> None:
    """Hot and dry air: evaporating 15 °C, condensing at wet bulb + 15 K: lifts of 10, 5 and 0 K."""
    found = cool(1000.0, hall("air"), outdoors((30.0, 10.0), (30.0, 5.0), (30.0, 0.0)))
    ten, five, none = found.kw["chiller"].tolist()
    assert ten == pytest.approx(2 * five)
    assert none == five == pytest.approx(1000.0 / (0.5 * 288.15 / 5.0))


@given(
    dry=st.floats(-20, 45),
    below=st.floats(0, 15),
    load=st.floats(0.05, 1.0),
    rejection=st.sampled_from(REJECTIONS),
    share=st.floats(0.1, 1.0),
)
def test_warmer_water_has_no_more_hours_with_a_chiller_and_no_more_energy(
    dry: float, below: float, load: float, rejection: Rejection, share: float
) -> None:
    hours = outdoors((dry, dry - below))
    found = [cool(1000 * load, hall(name, rejection, share), hours, DEFAULTS) for name in LIQUID]
    free = [bool(one.free[0]) for one in found]
    assert free == sorted(free)
    chillers = [float(one.kw["chiller"][0]) for one in found]
    assert chillers == sorted(chillers, reverse=True)
    totals = [float(one.total_kw[0]) for one in found]
    assert all(b <= a + 1e-9 for a, b in pairwise(totals))


@given(dry=st.floats(-20, 40), more=st.floats(0.1, 10), load=st.floats(0.05, 1.0))
def test_a_warmer_day_needs_no_less_and_more_heat_needs_more(
    dry: float, more: float, load: float
) -> None:
    for name in CLASSES:
        share = 0.0 if name == "air" else 0.7
        hours = outdoors((dry, dry - 5), (dry + more, dry + more - 5))
        one, other = cool(1000 * load, hall(name, share=share), hours, DEFAULTS).total_kw
        assert one <= other + 1e-9
        less = cool(900 * load, hall(name, share=share), hours, DEFAULTS).total_kw
        assert less[0] <= one + 1e-9
        assert one > 0


@given(dry=st.floats(-20, 45), below=st.floats(0, 15), load=st.floats(0.05, 1.0))
def test_a_hall_of_twice_the_size_needs_twice_the_power(
    dry: float, below: float, load: float
) -> None:
    hours = outdoors((dry, dry - below))
    for name in CLASSES:
        one = cool(1000 * load, hall(name, share=0.6), hours, DEFAULTS)
        two = cool(2000 * load, hall(name, share=0.6, rated=2000.0), hours, DEFAULTS)
        assert two.total_kw == pytest.approx(2 * one.total_kw)


def test_defaults_follow_from_their_sources() -> None:
    """A gpm is 0.06309 L/s; a L/s of water carries 4.17 kW for a kelvin, a m³/s of air 1.207 kW."""
    k, kw_per_gpm_k = DEFAULTS, 0.06309 * 4.17
    assert k.pump_w_per_kw == pytest.approx(22 / (kw_per_gpm_k * 10.0), rel=0.01)
    assert k.condenser_pump_w_per_kw == pytest.approx(19 / (kw_per_gpm_k * 5.6), rel=0.01)
    assert k.tower_fan_w_per_kw == pytest.approx(745.7 / 38.2 / (kw_per_gpm_k * 5.6), rel=0.01)
    assert k.fan_w_per_kw == pytest.approx(750 / (1.207 * 12.0), rel=0.01)
    evaporating = 6.7 - k.evaporator_approach_k
    lift = 29.4 + k.condenser_approach_k - evaporating
    assert k.carnot_share * (evaporating + 273.15) / lift == pytest.approx(5.9, abs=0.05)
