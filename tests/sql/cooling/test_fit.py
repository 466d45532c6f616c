"""Fits recover planted coefficients; they refuse, and say why, what hours cannot tell.

The plants are written out here, not with the model's own functions.
"""

from __future__ import annotations

import numpy as np
import pytest

from tokenergy_sql.cooling.fit import LEAST_HOURS, Fit, fit_affinity, fit_chiller

SEEDS = range(12)
METER, FLOW, KELVIN = 0.01, 0.005, 0.1
"""Noise of an hour: 1 % of power, 0.5 % of heat or flow, 0.1 K (standard deviations)."""


class Chiller:
    """A planted chiller, and hours of it."""

    def __init__(self, seed: int, hours: int = 1_500, noise: float = 1.0) -> None:
        chance = np.random.default_rng(seed)
        self.share = chance.uniform(0.45, 0.75)
        self.standing = chance.uniform(0.1, 0.3)
        self.approach = chance.uniform(10.0, 18.0)
        self.rated, self.supply = 1_000.0, 18.0
        self.heat = chance.uniform(300.0, 1_000.0, hours)
        self.outdoor = chance.uniform(4.0, 28.0, hours)
        evaporating = self.supply - 2.0
        self.lift = np.maximum(self.outdoor + self.approach - evaporating, 6.0)
        carnot = (evaporating + 273.15) / self.lift
        full = self.rated / (self.share * carnot)
        part = self.standing + (1 - self.standing) * self.heat / self.rated
        self.power = full * part

        def near(values: np.ndarray, share: float) -> np.ndarray:
            return values * (1 + noise * share * chance.standard_normal(hours))

        self.power, self.heat = near(self.power, METER), near(self.heat, FLOW)
        self.outdoor = self.outdoor + noise * KELVIN * chance.standard_normal(hours)

    def fit(self) -> Fit:
        supply = np.full(len(self.heat), self.supply)
        return fit_chiller(self.heat, self.power, self.outdoor, supply, self.rated, 2.0, 6.0)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_chillers_coefficients_come_back_within_2_per_cent(seed: int) -> None:
    plant = Chiller(seed)
    found = plant.fit()
    assert found.refused is None
    planted = {
        "carnot_share": plant.share,
        "standing_share": plant.standing,
        "lift_approach_k": plant.approach,
    }
    assert {one.name: one.value for one in found.found} == pytest.approx(planted, rel=0.02)
    # Standard errors are told, of the size of the noise, and hours at the least lift left out.
    for one in found.found:
        assert abs(one.value - planted[one.name]) < 5 * one.error
        assert one.error < 0.02 * one.value
    assert found.residual == pytest.approx(0.0125, abs=0.006)
    # Two kelvin above the least lift an hour counts, give or take the noise.
    assert found.hours == pytest.approx(np.sum(plant.lift > 8.0), rel=0.02)
    assert found.hours < 1_500


def test_without_noise_they_come_back_exactly() -> None:
    plant = Chiller(3, noise=0.0)
    found = {one.name: one.value for one in plant.fit().found}
    assert found == pytest.approx(
        {
            "carnot_share": plant.share,
            "standing_share": plant.standing,
            "lift_approach_k": plant.approach,
        },
        rel=1e-6,
    )


@pytest.mark.parametrize("seed", SEEDS)
def test_full_power_and_exponent_come_back_within_2_per_cent(seed: int) -> None:
    chance = np.random.default_rng(seed)
    w_per_kw, exponent = chance.uniform(5.0, 60.0), chance.uniform(2.2, 3.0)
    flow = chance.uniform(0.4, 1.0, 600)
    power = 800.0 * w_per_kw / 1000 * flow**exponent * (1 + METER * chance.standard_normal(600))
    shown = flow * (1 + FLOW * chance.standard_normal(600))
    found = fit_affinity("pump", ("pump_w_per_kw", "pump_exponent"), shown, power, 800.0)
    planted = {"pump_w_per_kw": w_per_kw, "pump_exponent": exponent}
    assert {one.name: one.value for one in found.found} == pytest.approx(planted, rel=0.02)
    assert (found.hours, found.refused) == (600, None)


def test_standard_errors_are_those_of_many_fits() -> None:
    """Over 200 noisy histories of one pump the estimates scatter as the errors say."""
    estimates, errors = [], []
    flow = np.linspace(0.4, 1.0, 200)
    for seed in range(200):
        noise = 1 + METER * np.random.default_rng(seed).standard_normal(200)
        found = fit_affinity("pump", ("w", "n"), flow, 20.0 * flow**2.5 * noise, 1000.0).found
        estimates.append([one.value for one in found])
        errors.append([one.error for one in found])
    assert np.std(estimates, axis=0) == pytest.approx(np.mean(errors, axis=0), rel=0.15)


def test_twice_the_hours_have_smaller_errors() -> None:
    few, many = (Chiller(1, hours).fit() for hours in (400, 6_400))
    for one, other in zip(few.found, many.found, strict=True):
        assert other.error == pytest.approx(one.error / 4, rel=0.3)


def refused(fit: Fit) -> str:
    assert (fit.found, fit.residual) == ((), None)
    assert fit.refused is not None
    return fit.refused


def test_too_few_hours_are_refused() -> None:
    flow = np.linspace(0.4, 1.0, LEAST_HOURS)
    power = 20.0 * flow**2.5
    assert fit_affinity("pump", ("w", "n"), flow, power, 1000.0).refused is None
    text = refused(fit_affinity("pump", ("w", "n"), flow[1:], power[1:], 1000.0))
    assert f"{LEAST_HOURS - 1} hours can be used, at least {LEAST_HOURS} are needed" in text
    assert "well above its least lift" in refused(Chiller(1, LEAST_HOURS - 1).fit())


def test_unknown_hours_are_left_out() -> None:
    plant = Chiller(1, 400)
    known = plant.fit().hours
    plant.heat[:10], plant.power[10:20], plant.outdoor[20:30] = np.nan, np.nan, np.nan
    assert known - 30 <= plant.fit().hours < known
    plant.heat[:] = np.nan
    assert "0 hours" in refused(plant.fit())


def test_an_even_load_is_refused() -> None:
    plant = Chiller(2)
    plant.heat[:] = 700.0 + np.arange(len(plant.heat)) % 7
    assert "the heat varies by only 0.9 %" in refused(plant.fit())
    flow = np.full(100, 0.8)
    assert "the flow varies by only 0.0 %" in refused(
        fit_affinity("fan", ("w", "n"), flow, flow * 3, 100.0)
    )


def test_one_weather_is_refused() -> None:
    plant = Chiller(2)
    plant.outdoor = 20.0 + np.sin(np.arange(len(plant.heat)))
    assert "varies by only 2.0 K" in refused(plant.fit())


def test_noise_that_hides_a_coefficient_is_refused_with_its_name() -> None:
    plant = Chiller(4, 80, noise=8.0)
    assert "would have a standard error of" in refused(plant.fit())


def test_what_is_no_chiller_is_refused() -> None:
    """Power that falls with heat, as of a meter at the wrong place."""
    plant = Chiller(5)
    plant.power = 400.0 - 0.3 * plant.heat
    text = refused(plant.fit())
    assert "no chiller is like" in text or "told apart" in text


def test_a_chiller_better_than_carnot_is_refused() -> None:
    plant = Chiller(5)
    plant.power = plant.power / 3
    assert "no chiller is like the best fit (carnot_share" in refused(plant.fit())


def test_a_machine_that_stands_is_left_out() -> None:
    flow = np.tile([0.0, 0.5, 0.7, 0.9, 1.0], 30)
    found = fit_affinity("fan", ("w", "n"), flow, 50.0 * flow**3, 1000.0)
    assert found.hours == 120
    assert [one.value for one in found.found] == pytest.approx([50.0, 3.0])
