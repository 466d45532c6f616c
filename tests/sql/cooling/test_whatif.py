"""What-ifs: what leaving fans move, by hand; PUE and J/token side by side; nothing from nothing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenergy_sql.cooling.classes import CLASSES
from tokenergy_sql.cooling.coefficients import DEFAULTS, Coefficients
from tokenergy_sql.cooling.plant import PARTS, Outdoors
from tokenergy_sql.cooling.weather import Weather
from tokenergy_sql.cooling.whatif import Modelled, Now, it_over_compute, j_per_token, year_of

AIR, W32, W45 = (CLASSES[name] for name in ("air", "W32", "W45"))


def weather(*dry: float) -> Weather:
    found = np.array(dry, np.float64)
    return Weather("here", Outdoors(found, found - 4.0), 0)


MILD = weather(*np.linspace(-5, 35, 100))
NOW = Now(it_kw=800.0, rated_kw=1000.0, liquid_share=0.0, rest_per_it=0.06)


def at(
    now: Now, name: str, share: float, k: Coefficients = DEFAULTS, year: Weather = MILD
) -> Modelled:
    supply = CLASSES[name]
    return year_of(now, supply, supply.rejection, share, year, k)


def test_what_leaving_fans_move_by_hand() -> None:
    """Fans draw 100 of 1000 kW in air. Half of the heat to liquid: half of the fans stay."""
    k = replace(DEFAULTS, server_fan_share=0.1)
    assert it_over_compute(0.0, k) == pytest.approx(1000 / 900)
    assert it_over_compute(0.5, k) == pytest.approx(950 / 900)
    assert it_over_compute(1.0, k) == 1.0
    now = Now(1000.0, 1000.0, 0.0, 0.05)
    liquid = at(now, "W32", 0.5, k)
    assert liquid.it_kwh == pytest.approx(950.0 * 100)
    # And back: a hall with half of its heat in liquid that goes to air.
    back = at(Now(950.0, 950.0, 0.5, 0.05), "air", 0.0, k)
    assert back.it_kwh == pytest.approx(1000.0 * 100)


def test_the_plant_is_made_for_the_heat_that_there_is() -> None:
    """A hall that becomes one of liquid is like one that was built so, with the same load."""
    k = replace(DEFAULTS, server_fan_share=0.2)
    change = it_over_compute(0.7, k) / it_over_compute(0.0, k)
    became = at(NOW, "W32", 0.7, k)
    built = at(Now(800.0 * change, 1000.0 * change, 0.7, 0.06), "W32", 0.7, k)
    assert became.parts_kwh == pytest.approx(built.parts_kwh)
    assert became.pue == pytest.approx(built.pue)


def test_it_energy_stays_where_the_share_now_is_not_known() -> None:
    unknown = at(replace(NOW, liquid_share=None), "W32", 0.7)
    assert unknown.it_kwh == pytest.approx(800.0 * 100)


def test_pue_and_energy_are_those_of_the_parts() -> None:
    found = at(NOW, "W32", 0.7)
    assert found.cooling_kwh == pytest.approx(sum(found.parts_kwh[part] for part in PARTS))
    assert found.cooling_per_it == pytest.approx(found.cooling_kwh / found.it_kwh)
    assert found.pue == pytest.approx(1 + found.cooling_per_it + 0.06)
    assert found.facility_kwh == pytest.approx(found.it_kwh * 1.06 + found.cooling_kwh)
    assert (found.hours, found.liquid_share) == (100, 0.7)


def test_j_per_token_follows_the_energy_of_the_facility_by_hand() -> None:
    before = replace(at(NOW, "air", 0.0), it_kwh=1000.0, cooling_kwh=200.0, rest_per_it=0.1)
    after = replace(at(NOW, "W32", 0.7), it_kwh=900.0, cooling_kwh=90.0, rest_per_it=0.1)
    # (900 + 90 + 90) / (1000 + 200 + 100)
    assert j_per_token(2.6, before, after) == pytest.approx(2.6 * 1080 / 1300)
    assert j_per_token(2.6, before, before) == pytest.approx(2.6)


def test_pue_may_rise_while_j_per_token_falls() -> None:
    """Fans that leave take 20 % of IT with them; cooling hardly changes."""
    k = replace(DEFAULTS, server_fan_share=0.25, fan_w_per_kw=1.0)
    cold = weather(*[-10.0] * 24)
    before, after = at(NOW, "air", 0.0, k, cold), at(NOW, "W32", 0.9, k, cold)
    assert before.pue is not None
    assert after.pue is not None
    assert after.pue > before.pue
    told = j_per_token(1.0, before, after)
    assert told is not None
    assert told < 0.85


@pytest.mark.parametrize("missing", ["measured", "before", "rest"])
def test_what_is_unknown_stays_unknown(missing: str) -> None:
    now = replace(NOW, rest_per_it=None) if missing == "rest" else NOW
    before, after = at(now, "air", 0.0), at(now, "W32", 0.7)
    measured = None if missing == "measured" else 2.0
    assert j_per_token(measured, None if missing == "before" else before, after) is None
    if missing == "rest":
        assert (after.pue, after.facility_kwh) == (None, None)
        assert after.cooling_per_it > 0


@given(share=st.floats(0.05, 1.0), load=st.floats(0.1, 1.0), fans=st.floats(0.0, 0.3))
def test_classes_in_order(share: float, load: float, fans: float) -> None:
    """Warmer water never has fewer hours without a chiller; fans that leave never add IT energy."""
    k = replace(DEFAULTS, server_fan_share=fans)
    now = replace(NOW, it_kw=1000.0 * load)
    names = ("W17", "W27", "W32", "W40", "W45")
    found = [year_of(now, CLASSES[one], "dry", share, MILD, k) for one in names]
    hours = [one.free_hours for one in found]
    assert hours == sorted(hours)
    cooling = [one.cooling_kwh for one in found]
    assert cooling == sorted(cooling, reverse=True) or max(cooling) - min(cooling) < 1e-6
    assert all(one.it_kwh <= now.it_kw * 100 * (1 + 1e-9) for one in found)
    assert len({one.free_air_hours for one in found}) == 1
