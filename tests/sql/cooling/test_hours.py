"""What meters say of cooling hour by hour: sums of the same time, weather, power, changes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import pyarrow as pa
import pytest

from tests.sql.cooling.sitefile import HALLS, known_of, loop, meter
from tokenergy_sql.cooling.hours import CoolingHour, Read, column, cooling_hours
from tokenergy_sql.places import SITE, Place

S = 1_000_000
HOUR = 3_600 * S
BEGIN = 1_768_464_000 * S
B = Place("hall", "b")
KWH = 3.6e15

Shows = Mapping[str, Callable[[float], float]]
"""What each meter shows at a second."""

ACCURATE = {"accuracy_percent": 1}
EXACT = {"accuracy_percent": 0, "resolution": 0.001}

TEXT = (
    HALLS
    + loop("b", "hall:b", flow_keys=ACCURATE, degree_keys=EXACT)
    + meter("it-b", "power", "kW", "it", "hall:b", resolution=0.001, **ACCURATE)
    + meter("fans", "power", "kW", "fan", "hall:b", resolution=0.001, **ACCURATE)
    + meter("air", "temperature", "°C", "outdoor_temp", "site", resolution=0.1)
    + meter("wet", "ratio", "%", "humidity", "site", resolution=0.1)
)

SHOWS: Shows = {
    "flow-b": lambda _: 10.0,
    "supply-b": lambda _: 30.0,
    "return-b": lambda _: 40.0,
    "it-b": lambda _: 500.0,
    "fans": lambda _: 12.0,
    "air": lambda s: 10.0 + s / 3_600,
    "wet": lambda _: 60.0,
}
HEAT_KW = 415.5
"""As in test_heat."""


def reader(
    shows: Shows, hours: int, but: Callable[[str, int], bool] = lambda _id, _s: False
) -> tuple[Read, list[Sequence[str]]]:
    """Return a reader of what meters show every 60 s, and the ids that it was asked for."""
    asked: list[Sequence[str]] = []

    def read(ids: Sequence[str], from_us: int, until_us: int) -> pa.Table:
        asked.append(ids)
        rows = [
            {"meter_id": one, "ts_us": BEGIN + s * S, "value_n": round(shows[one](s) * 1e9)}
            for one in ids
            if one in shows
            for s in range(0, hours * 3_600 + 1, 60)
            if from_us <= BEGIN + s * S < until_us and not but(one, s)
        ]
        fields = [("meter_id", pa.string()), ("ts_us", pa.int64()), ("value_n", pa.decimal128(38))]
        return pa.Table.from_pylist(rows, schema=pa.schema(fields))

    return read, asked


def hours_of(
    text: str = TEXT,
    shows: Shows = SHOWS,
    hours: int = 2,
    place: Place = B,
    but: Callable[[str, int], bool] = lambda _id, _s: False,
    powers: bool = True,
) -> list[CoolingHour]:
    places, declared = known_of(text)
    read, _ = reader(shows, hours, but)
    wanted = [BEGIN + hour * HOUR for hour in range(hours)]
    return [*cooling_hours(places, declared, read, [place], wanted, powers)]


def test_heat_beside_it_weather_and_power() -> None:
    first, second = hours_of()
    assert (first.hour_us, second.hour_us) == (BEGIN, BEGIN + HOUR)
    for one in (first, second):
        assert one.heat is not None
        assert one.it is not None
        assert one.heat.value / KWH == pytest.approx(HEAT_KW, rel=2e-4)
        assert one.it.value / KWH == pytest.approx(500.0)
        assert one.covered_us == HOUR
        assert (one.loops, one.missing) == (1, ())
        assert one.heat.low is not None
        assert one.it.high is not None
        assert one.mean("humidity") == pytest.approx(600_000)
        assert one.mean("supply_temp") == pytest.approx(303_150)
    assert first.mean("outdoor_temp") == pytest.approx(283_150 + 500)
    assert second.mean("outdoor_temp") == pytest.approx(283_150 + 1_500)
    assert column([first, second], "fan").tolist() == pytest.approx([12.0, 12.0])
    assert column([first, second], "heat").tolist() == pytest.approx([HEAT_KW] * 2, rel=2e-4)
    assert column([first], "chiller").tolist() != column([first], "chiller").tolist()  # NaN


def test_heat_and_it_are_of_the_same_time() -> None:
    """IT is not read for the first half, the loop not for the last quarter of an hour."""

    def dark(one: str, s: int) -> bool:
        return (one == "it-b" and s < 1_800) or (one == "return-b" and s > 2_700)

    (found,) = hours_of(hours=1, but=dark)
    assert found.covered_us == 900 * S
    assert found.heat is not None
    assert found.it is not None
    assert found.it.value / KWH == pytest.approx(500.0 / 4)
    assert found.heat.value / found.it.value == pytest.approx(HEAT_KW / 500, rel=2e-4)
    assert found.missing == ("it-b", "loop:flow-b")
    # What is not known for the whole hour has no power.
    assert sorted(found.power_nj) == ["fan"]


def test_without_a_loop_or_without_it_there_is_no_heat() -> None:
    for text in (
        TEXT.replace('role = "return_temp"', 'role = "supply_temp"'),
        TEXT.replace('role = "it"', 'role = "feeder"'),
    ):
        (found,) = hours_of(text, hours=1)
        assert (found.heat, found.it, found.covered_us) == (None, None, 0)
        assert found.mean("outdoor_temp") is not None
    (found,) = hours_of(hours=1, place=Place("hall", "a"))
    assert (found.loops, found.heat, found.missing) == (0, None, ())


def test_a_loop_without_readings_is_missing_not_0() -> None:
    shows = {one: of for one, of in SHOWS.items() if one != "flow-b"}
    (found,) = hours_of(hours=1, shows=shows)
    assert (found.loops, found.heat, found.missing) == (1, None, ("loop:flow-b",))
    assert "heat" not in found.power_nj


def test_chilled_water_of_a_hall_with_air_is_no_heat_to_liquid() -> None:
    """It is the heat that a chiller takes away, though."""
    text = TEXT.replace('name = "b"\ncooling = "liquid"', 'name = "b"\ncooling = "air"')
    (found,) = hours_of(text, hours=1)
    assert (found.loops, found.own_loops, found.heat, found.missing) == (0, 1, None, ())
    assert column([found], "heat") == pytest.approx([HEAT_KW], rel=2e-4)
    assert "liquid" not in found.power_nj
    assert found.mean("supply_temp") == pytest.approx(303_150)
    (liquid,) = hours_of(hours=1)
    assert (liquid.loops, liquid.own_loops) == (1, 1)
    assert liquid.power_nj["liquid"] == liquid.power_nj["heat"]
    (site,) = hours_of(hours=1, place=SITE)
    assert (site.loops, site.own_loops) == (1, 0)


def test_the_site_adds_up_its_halls() -> None:
    text = (
        TEXT.replace('name = "a"\ncooling = "air"', 'name = "a"\ncooling = "mixed"')
        + loop("a", "hall:a", flow_keys=ACCURATE, degree_keys=EXACT)
        + meter("it-a", "power", "kW", "it", "hall:a", resolution=0.001, **ACCURATE)
    )
    shows = {
        **SHOWS,
        "flow-a": lambda _: 5.0,
        "supply-a": lambda _: 30.0,
        "return-a": lambda _: 40.0,
        "it-a": lambda _: 300.0,
    }
    (found,) = hours_of(text, shows, 1, SITE)
    assert found.heat is not None
    assert found.it is not None
    assert found.heat.value / KWH == pytest.approx(1.5 * HEAT_KW, rel=2e-4)
    assert found.it.value / KWH == pytest.approx(800.0)
    assert found.loops == 2
    # One hall's loop is dark: the site's heat is not known then, rather than that of one hall.
    (dark,) = hours_of(text, shows, 1, SITE, but=lambda one, _: one == "flow-a")
    assert (dark.heat, dark.missing) == (None, ("loop:flow-a",))


def test_the_nearest_outdoor_meter_counts() -> None:
    text = TEXT + meter("roof-b", "temperature", "°C", "outdoor_temp", "hall:b")
    shows = {**SHOWS, "roof-b": lambda _: -5.0}
    (of_hall,) = hours_of(text, shows, 1)
    (of_site,) = hours_of(text, shows, 1, SITE)
    assert of_hall.mean("outdoor_temp") == pytest.approx(268_150)
    assert of_site.mean("outdoor_temp") == pytest.approx(283_650)


def test_a_change_within_an_hour_is_of_its_parts() -> None:
    """From half past on the coolant is glycol: the hour holds both halves, at a declared change."""
    change = """
[[cooling]]
place = "hall:b"
{when} = 2026-01-15T08:30:00Z
[[cooling.loop]]
flow = "flow-b"
supply = "supply-b"
return = "return-b"
coolant = "{coolant}"
"""
    text = TEXT + change.format(when="until", coolant="water")
    text += change.format(when="from", coolant="pg25")
    (found,) = hours_of(text, hours=1)
    assert found.heat is not None
    assert found.heat.value / KWH == pytest.approx((HEAT_KW + 402.0) / 2, rel=2e-4)
    assert found.covered_us == HOUR
    assert found.power_nj["fan"] / KWH == pytest.approx(12.0)
    assert found.mean("outdoor_temp") == pytest.approx(283_650)


def test_days_are_read_one_by_one_and_join() -> None:
    """Three days: the same as each by itself, and only the meters that are needed are read."""
    places, declared = known_of(TEXT)
    read, asked = reader(SHOWS, 72)
    wanted = [BEGIN + hour * HOUR for hour in range(72)]
    found = [*cooling_hours(places, declared, read, [B], wanted)]
    assert [one.hour_us for one in found] == wanted
    assert all(one.covered_us == HOUR for one in found)
    assert len(asked) == 4  # it begins at eight in the morning
    assert {*asked[0]} == {"flow-b", "supply-b", "return-b", "it-b", "air", "wet"}
    one = [*cooling_hours(places, declared, read, [B], [wanted[30]])]
    assert one == [found[30]]
