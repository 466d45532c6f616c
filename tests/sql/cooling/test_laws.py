"""The model's formulas against hand calculations and the limits of physics."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenergy_sql.cooling.coolants import COOLANTS, water_density
from tokenergy_sql.cooling.laws import affinity_kw, carnot_cop, chiller_kw, rejection_flow

SHARE = st.floats(0.01, 1.0)


def test_half_the_flow_is_an_eighth_of_the_power() -> None:
    assert affinity_kw(80.0, [1.0, 0.5, 0.25], 3.0).tolist() == [80.0, 10.0, 1.25]


@given(flow=SHARE, factor=st.floats(0.05, 1.0), full=st.floats(0.1, 1e4))
def test_fans_follow_the_cube_of_flow(flow: float, factor: float, full: float) -> None:
    one, other = affinity_kw(full, [flow, flow * factor], 3.0)
    assert other == pytest.approx(one * factor**3)


def test_a_machine_that_runs_turns_at_least_at_its_least_speed_and_stands_without_flow() -> None:
    assert affinity_kw(1000.0, [0.0, 0.1, 0.2, 0.5], 3.0, 0.2).tolist() == pytest.approx(
        [0.0, 8.0, 8.0, 125.0]
    )


def test_a_chiller_by_hand() -> None:
    """Carnot at 7 °C over 28.015 K: 280.15 / 28.015 = 10; six tenths of it: COP 6."""
    assert carnot_cop(7.0, 28.015) == pytest.approx(10.0)
    full = chiller_kw(600.0, 600.0, 7.0, 28.015, 0.6, 0.2)
    assert full == pytest.approx(100.0)
    # Half the heat: a fifth stays, and half of the rest: 20 + 40.
    assert chiller_kw(300.0, 600.0, 7.0, 28.015, 0.6, 0.2) == pytest.approx(60.0)
    assert chiller_kw(0.0, 600.0, 7.0, 28.015, 0.6, 0.2) == 0.0


@given(
    lift=st.floats(1.0, 60.0),
    more=st.floats(0.01, 30.0),
    evaporating=st.floats(-10.0, 40.0),
    load=SHARE,
    share=st.floats(0.1, 0.95),
    standing=st.floats(0.0, 0.9),
)
def test_cop_falls_with_lift_and_stays_below_carnot(
    lift: float, more: float, evaporating: float, load: float, share: float, standing: float
) -> None:
    heat = 1000.0 * load

    def cop(lift_k: float) -> float:
        return heat / float(chiller_kw(heat, 1000.0, evaporating, lift_k, share, standing))

    assert cop(lift + more) < cop(lift) < float(carnot_cop(evaporating, lift))


@given(load=st.floats(0.01, 0.99), standing=st.floats(0.01, 0.9))
def test_part_load_needs_less_power_but_more_for_each_kw(load: float, standing: float) -> None:
    full = float(chiller_kw(1000.0, 1000.0, 7.0, 30.0, 0.6, standing))
    part = float(chiller_kw(1000.0 * load, 1000.0, 7.0, 30.0, 0.6, standing))
    assert full * load < part < full


def test_fans_outdoors_slow_down_in_the_cold() -> None:
    """At full heat and 8 K they turn at full speed; at 16 K at half; never below the least."""
    found = rejection_flow([1.0, 1.0, 0.5, 1.0, 0.0], 8.0, [8.0, 16.0, 16.0, 800.0, 8.0], 0.3)
    assert found.tolist() == [1.0, 0.5, 0.3, 0.3, 0.0]
    # Warmer than they can hold, they turn at full speed and no faster.
    assert rejection_flow([1.2], 8.0, [2.0], 0.3).tolist() == [1.0]


def test_water_by_the_tables() -> None:
    """Density at 4, 25 and 50 °C: 999.97, 997.05 and 988.04 kg/m³."""
    assert water_density([4.0, 25.0, 50.0]) == pytest.approx([999.97, 997.05, 988.04], abs=0.05)
    carries = COOLANTS["water"].j_per_m3_k(np.array([20.0, 40.0]))
    # From tables: 998.2 x 4184 and 992.2 x 4179.
    for found, table in zip(carries, (998.2 * 4_184, 992.2 * 4_179), strict=True):
        assert abs(found / table - 1) < COOLANTS["water"].share
