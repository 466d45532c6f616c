"""Fits of a hall from readings: planted coefficients come back through meters with noise."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from tests.sql.cooling import plantedhalls as planted
from tests.sql.cooling.sitefile import known_of, meter
from tests.support.lakes import HOUR_US, T0
from tokenergy_sql.cooling.coefficients import DEFAULTS
from tokenergy_sql.cooling.fit import Fit
from tokenergy_sql.cooling.fithall import fits_of
from tokenergy_sql.cooling.hours import CoolingHour, cooling_hours
from tokenergy_sql.places import SITE, Place

S = 1_000_000
HOURS, EVERY_S = 500, 300
NOISE = 0.01
"""Of each reading of power, a standard deviation; 0.5 % of flow, 0.05 K of temperatures."""

A, B = Place("hall", "a"), Place("hall", "b")
Shows = Mapping[str, Callable[[float], float]]


def hours_of(
    place: Place, shows: Shows, seed: int | None = None, text: str = planted.SITE_TOML
) -> list[CoolingHour]:
    """Return the hours of a place; a seed gives each reading an error of its own."""
    places, declared = known_of(text)
    chance = np.random.default_rng(seed)
    seconds = np.arange(0, HOURS * 3_600 + 1, EVERY_S)
    shown: dict[str, np.ndarray] = {}
    for one, of in shows.items():
        values = np.array([of(float(s)) for s in seconds])
        if seed is not None:
            noise = chance.standard_normal(len(values))
            kelvin = one in ("outdoor", "chilled-a", "supply-b", "return-b")
            share = 0.0 if kelvin or one == "humidity" else NOISE / (2 if "flow" in one else 1)
            values = values * (1 + share * noise) + (0.05 * noise if kelvin else 0.0)
        shown[one] = np.round(values * 1e9).astype(np.int64)

    def read(ids: Sequence[str], from_us: int, until_us: int) -> pa.Table:
        stamps = T0 + seconds * S
        inside = (stamps >= from_us) & (stamps < until_us)
        there = [one for one in ids if one in shown]
        return pa.table(
            {
                "meter_id": np.repeat(there, inside.sum()),
                "ts_us": np.tile(stamps[inside], len(there)),
                "value_n": pa.array(np.concatenate([shown[one][inside] for one in there])).cast(
                    pa.decimal128(38)
                ),
            }
        )

    wanted = [T0 + hour * HOUR_US for hour in range(HOURS)]
    return [*cooling_hours(places, declared, read, [place], wanted, powers=True)]


def fits(
    hours: list[CoolingHour], rated_kw: float | None, supply_c: float | None = None
) -> dict[str, Fit]:
    found = fits_of(hours, "tower", supply_c, rated_kw, 0.0, DEFAULTS)
    return {one.machine: one for one in found}


def values(fit: Fit) -> dict[str, float]:
    assert fit.refused is None
    return {one.name: one.value for one in fit.found}


CHILLER = {
    "carnot_share": planted.SHARE,
    "standing_share": planted.STANDING,
    "condenser_approach_k": planted.CONDENSER_K,
}


@pytest.mark.parametrize("seed", [None, *range(5)])
def test_planted_coefficients_come_back_through_noisy_meters(seed: int | None) -> None:
    of_a = fits(hours_of(A, planted.METERS, seed), planted.RATED_KW, planted.SUPPLY_C)
    assert sorted(of_a) == ["chiller", "fan"]
    assert values(of_a["chiller"]) == pytest.approx(CHILLER, rel=0.02)
    fan = {"fan_w_per_kw": planted.FAN_W_PER_KW, "fan_exponent": planted.FAN_EXPONENT}
    assert values(of_a["fan"]) == pytest.approx(fan, rel=0.02)
    of_b = fits(hours_of(B, planted.METERS, seed), 800.0)
    pump = {"pump_w_per_kw": planted.PUMP_W_PER_KW, "pump_exponent": planted.PUMP_EXPONENT}
    assert values(of_b["pump"]) == pytest.approx(pump, rel=0.02)


def test_without_a_rating_that_of_the_hour_with_most_holds() -> None:
    hours = hours_of(B, planted.METERS)
    found = values(fits(hours, None)["pump"])
    most = max(one.power_nj["heat"] for one in hours) / 3.6e15
    full = planted.PUMP_W_PER_KW * planted.LIQUID_KW / 1000
    full *= (most / planted.LIQUID_KW) ** planted.PUMP_EXPONENT
    assert found["pump_w_per_kw"] == pytest.approx(full / most * 1000, rel=0.01)


def test_hours_in_which_a_chiller_starts_or_stops_are_left_out() -> None:
    """It stands for five hours of twelve and starts and stops within an hour."""

    def runs(s: float) -> bool:
        return (s / 3_600) % 12.0 < 6.5

    shows = dict(planted.METERS)
    shows["chiller-a"] = lambda s: planted.chiller_a(s) if runs(s) else 0.0
    found = fits(hours_of(A, shows), planted.RATED_KW, planted.SUPPLY_C)["chiller"]
    assert values(found) == pytest.approx(CHILLER, rel=0.01)
    assert HOURS * 4 / 12 < found.hours < HOURS * 6 / 12


def test_hours_at_the_least_speed_are_left_out() -> None:
    """Fans that turn no slower than at 75 % of full speed, told so."""
    least = 0.75
    shows = dict(planted.METERS)

    def fans(s: float) -> float:
        speed = max(planted.it_a(s) / planted.RATED_KW, least)
        full = planted.FAN_W_PER_KW / 1000 * planted.RATED_KW
        return float(full * speed**planted.FAN_EXPONENT)

    shows["fans-a"] = fans
    hours = hours_of(A, shows)
    k = replace(DEFAULTS, least_speed=least + 0.02)
    (found,) = (
        one
        for one in fits_of(hours, "tower", planted.SUPPLY_C, planted.RATED_KW, 0.0, k)
        if one.machine == "fan"
    )
    assert values(found)["fan_exponent"] == pytest.approx(planted.FAN_EXPONENT, rel=0.01)
    assert found.hours < HOURS * 0.6


def test_what_a_loop_takes_does_not_reach_the_fans() -> None:
    """Fans of hall b that follow what is left to air."""
    share = 1 - planted.LIQUID_SHARE
    text = planted.SITE_TOML + meter("fans-b", "power", "kW", "fan", "hall:b", **planted.EXACT)
    full = 4.0
    shows = dict(planted.METERS)
    shows["fans-b"] = lambda s: full * (share * planted.it_b(s) / (800.0 * share)) ** 2.8
    found = values(fits(hours_of(B, shows, None, text), 800.0)["fan"])
    expected = {"fan_w_per_kw": full / (800.0 * share) * 1000, "fan_exponent": 2.8}
    assert found == pytest.approx(expected, rel=0.01)


@pytest.mark.parametrize(
    ("meters", "supply_c", "told"),
    [
        (("outdoor",), 19.0, "no hour has the outdoor temperature, and for a tower the humidity"),
        (("humidity",), 19.0, "no hour has the outdoor temperature, and for a tower the humidity"),
        ((), None, "no hour has the supply temperature; give the place a class"),
        (("chiller-a",), 19.0, "no hour has all meters of the role chiller"),
    ],
)
def test_a_chiller_without_what_it_needs_is_refused(
    meters: tuple[str, ...], supply_c: float | None, told: str
) -> None:
    shows = {one: of for one, of in planted.METERS.items() if one not in meters}
    found = fits(hours_of(A, shows), planted.RATED_KW, supply_c)["chiller"]
    assert found.found == ()
    assert found.refused == told


def test_machines_of_halls_are_not_those_of_the_site() -> None:
    assert sorted(fits(hours_of(SITE, planted.METERS), None)) == ["tower"]
    assert sorted(fits(hours_of(B, planted.METERS), None)) == ["pump"]


def test_machines_of_the_site_carry_all_its_heat_not_that_of_its_halls_loops() -> None:
    text = planted.SITE_TOML + meter("pumps", "power", "kW", "pump", "site", **planted.EXACT)

    def heat(s: float) -> float:
        return planted.it_a(s) + planted.it_b(s)

    shows = {**planted.METERS, "pumps": lambda s: 9.0 * (heat(s) / 1_400.0) ** 2.6}
    found = values(fits(hours_of(SITE, shows, None, text), 1_400.0)["pump"])
    expected = {"pump_w_per_kw": 9.0 / 1_400.0 * 1_000, "pump_exponent": 2.6}
    assert found == pytest.approx(expected, rel=0.01)
