"""Weather files: the four counts of a real year, both formats, what is missing, what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.sql.cooling.weatherfile import TMY3_HEAD, Hour, epw, greensboro, tmy3
from tokenergy_collectors.base.errors import UserError
from tokenergy_sql.cooling.classes import CLASSES
from tokenergy_sql.cooling.coefficients import DEFAULTS
from tokenergy_sql.cooling.moistair import standard_pressure_pa, wet_bulb_c
from tokenergy_sql.cooling.plant import free_air, free_liquid
from tokenergy_sql.cooling.weather import Weather, load_weather

HOURS: list[Hour] = [
    (10.0, 6.1, 77.0, 99_300.0),
    (30.0, 18.4, 50.0, 101_325.0),
    (-12.5, -15.0, 81.0, 98_000.0),
]


@pytest.fixture(scope="module")
def year(tmp_path_factory: pytest.TempPathFactory) -> Weather:
    return load_weather(greensboro(tmp_path_factory.mktemp("weather")))


def test_the_four_counts_of_greensboro(year: Weather) -> None:
    k, outdoors = DEFAULTS, year.outdoors
    assert (year.hours, year.left_out) == (8_760, 0)
    assert year.name == "GREENSBORO PIEDMONT TRIAD INT"
    # The class air supplies 27 °C with air 3 K warmer than outdoors: that is outdoors up to 24 °C.
    assert CLASSES["air"].supply_c - k.air_approach_k == 24.0
    assert free_air(outdoors, CLASSES["air"].supply_c, k).sum() == 7_298
    assert free_liquid(outdoors, CLASSES["W32"].supply_c, "tower", k).sum() == 8_746
    assert free_liquid(outdoors, CLASSES["W32"].supply_c, "dry", k).sum() == 7_298
    assert free_liquid(outdoors, CLASSES["W45"].supply_c, "dry", k).sum() == 8_760


def test_both_formats_say_the_same(tmp_path: Path) -> None:
    one, other = (
        load_weather(tmy3(tmp_path / "a.csv", HOURS)),
        load_weather(epw(tmp_path / "b.epw", HOURS)),
    )
    assert one.outdoors.dry_c.tolist() == other.outdoors.dry_c.tolist() == [10.0, 30.0, -12.5]
    assert one.outdoors.wet_c == pytest.approx(other.outdoors.wet_c, abs=1e-9)
    assert (one.name, other.name) == ("SOMEWHERE", "Somewhere")


def test_wet_bulb_is_that_of_the_charts() -> None:
    """30 °C and 50 %: 22.0 °C; 20 °C and 50 %: 13.8 °C (charts at sea level)."""
    found = wet_bulb_c(
        np.array([30.0, 20.0]), np.array([0.5, 0.5]), np.full(2, np.nan), np.full(2, 101_325.0)
    )
    assert found == pytest.approx([22.0, 13.8], abs=0.1)


@given(dry=st.floats(-30, 45), humidity=st.floats(0.05, 1.0), pressure=st.floats(60_000, 105_000))
def test_wet_bulb_is_below_dry_bulb_and_equal_in_fog(
    dry: float, humidity: float, pressure: float
) -> None:
    def one(share: float) -> float:
        columns = ([dry], [share], [np.nan], [pressure])
        return float(wet_bulb_c(*(np.array(one, np.float64) for one in columns))[0])

    assert one(humidity) <= dry + 0.01
    assert one(1.0) == pytest.approx(dry, abs=0.02)
    assert one(humidity) <= one(min(humidity + 0.1, 1.0)) + 0.01


def test_humidity_counts_before_the_dew_point_and_dew_point_where_it_is_missing(
    tmp_path: Path,
) -> None:
    missing = [(t, d, 999.0, p) for t, d, _, p in HOURS]
    by_dew = load_weather(epw(tmp_path / "dew.epw", missing))
    by_humidity = load_weather(epw(tmp_path / "both.epw", HOURS))
    assert by_dew.hours == 3
    assert by_dew.outdoors.wet_c == pytest.approx(by_humidity.outdoors.wet_c, abs=0.2)
    other = [(t, d - 5, h, p) for t, d, h, p in HOURS]
    same = load_weather(epw(tmp_path / "other.epw", other))
    assert same.outdoors.wet_c.tolist() == by_humidity.outdoors.wet_c.tolist()


def test_what_is_missing_is_left_out_and_counted(tmp_path: Path) -> None:
    hours = [*HOURS, (99.9, 5.0, 50.0, 99_000.0), (20.0, 99.9, 999.0, 99_000.0)]
    found = load_weather(epw(tmp_path / "a.epw", hours))
    assert (found.hours, found.left_out) == (3, 2)
    assert found.outdoors.dry_c.tolist() == [10.0, 30.0, -12.5]


def test_missing_pressure_is_that_of_the_elevation(tmp_path: Path) -> None:
    def wet(elevation_m: float, pressure: float) -> float:
        path = epw(tmp_path / "a.epw", [(35.0, 0.0, 20.0, pressure)], elevation_m)
        return float(load_weather(path).outdoors.wet_c[0])

    assert standard_pressure_pa(0) == pytest.approx(101_325, abs=1)
    assert wet(2_000, 999_999) == pytest.approx(wet(0, standard_pressure_pa(2_000)))
    assert wet(2_000, 999_999) < wet(0, 999_999) - 0.5


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "expected an EPW file or a TMY3 CSV file"),
        ("a,b\n1,2\n", "expected an EPW file or a TMY3 CSV file"),
        (TMY3_HEAD, "no hour has a dry bulb"),
        (TMY3_HEAD + "x,y,10,5,50\n", "row 3: expected a number in column 6"),
        (
            TMY3_HEAD + "x,y,10,5,50,990\nx,y,warm,5,50,990\n",
            "row 4: expected a number in column 3",
        ),
        (TMY3_HEAD.replace("RHum", "Hum"), "has no column 'RHum (%)'"),
        ("LOCATION,a\n" * 8 + "1988,1,1\n", "row 9: expected a number in column 7"),
    ],
)
def test_a_wrong_file_is_one_line(tmp_path: Path, text: str, told: str) -> None:
    path = tmp_path / "wrong.csv"
    path.write_text(text, "utf-8")
    with pytest.raises(UserError) as error:
        load_weather(path)
    assert told in str(error.value)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


def test_a_missing_file_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="No such file"):
        load_weather(tmp_path / "none.epw")
