"""Figures of the building by period: sums over sums, calendars, bounds, coverage, interim."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tokenergy_collectors.lake.contract import HOUR_US, SITE_HOUR
from tokenergy_sql.catalog import connecting, views
from tokenergy_sql.catalog.duck import open_memory
from tokenergy_sql.catalog.namedrows import named_rows

PERIODS = ("hour", "day", "week", "month", "year", "all")
NEEDED = ("utc", "stamp_us", "figure_of", "site_figure", "good_period", "site_figure_by")


def us(*moment: int) -> int:
    return round(datetime(*moment, tzinfo=UTC).timestamp()) * 1_000_000


@pytest.fixture(scope="module")
def con() -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection with an empty `site_hour`, without a lake."""
    with open_memory() as found:
        columns = connecting.select_from(SITE_HOUR, [])
        found.execute(f"CREATE TABLE site_hour AS {columns}")
        views.define(found, NEEDED)
        yield found


def put(con: duckdb.DuckDBPyConnection, *rows: dict[str, Any]) -> None:
    """Let these be all rows; what a row does not name is that of a usual hour of PUE."""
    usual = {
        **{"place": "site", "figure": "pue", "covered_us": HOUR_US, "meters": 2},
        **{"above": 12, "above_low": 11, "above_high": 13},
        **{"below": 10, "below_low": 9, "below_high": 11},
        **{"pue_category": 1, "missing": None, "index_version": "1"},
    }
    full = pa.Table.from_pylist([{**usual, **row} for row in rows], schema=SITE_HOUR.schema())
    con.execute("DELETE FROM site_hour")
    con.register("incoming", full)
    con.execute("INSERT INTO site_hour FROM incoming")
    con.unregister("incoming")


def by(con: duckdb.DuckDBPyConnection, period: str, more: str = "") -> list[dict[str, Any]]:
    return named_rows(con, f"FROM site_figure_by('{period}'{more})")


def test_a_period_is_that_of_the_calendar_in_utc(con: duckdb.DuckDBPyConnection) -> None:
    """Friday, 1 January 2027 is in the last week of 2026."""
    put(con, {"hour_us": us(2026, 12, 31, 23)}, {"hour_us": us(2027, 1, 1, 0)})
    found = {p: [(r["name"], r["from_us"], r["to_us"]) for r in by(con, p)] for p in PERIODS}
    new = us(2027, 1, 1)
    assert found == {
        "hour": [
            ("2026-12-31T23", new - HOUR_US, new),
            ("2027-01-01T00", new, new + HOUR_US),
        ],
        "day": [
            ("2026-12-31", us(2026, 12, 31), new),
            ("2027-01-01", new, us(2027, 1, 2)),
        ],
        "week": [("2026-W53", us(2026, 12, 28), us(2027, 1, 4))],
        "month": [
            ("2026-12", us(2026, 12, 1), new),
            ("2027-01", new, us(2027, 2, 1)),
        ],
        "year": [("2026", us(2026, 1, 1), new), ("2027", new, us(2028, 1, 1))],
        "all": [("all", new - HOUR_US, new + HOUR_US)],
    }


NUMBER = st.none() | st.integers(0, 10**20)
SIDE = st.tuples(st.integers(0, 10**20), NUMBER, NUMBER)


@settings(deadline=None, max_examples=60)
@given(
    hours=st.lists(
        st.tuples(st.integers(0, 24 * 80), SIDE, SIDE, st.booleans()),
        min_size=1,
        max_size=8,
        unique_by=lambda hour: hour[0],
    ),
    figure=st.sampled_from(["pue", "wue", "it"]),
    period=st.sampled_from(PERIODS),
)
def test_several_hours_are_the_quotient_of_sums(
    con: duckdb.DuckDBPyConnection, hours: list[Any], figure: str, period: str
) -> None:
    rows = []
    for place, above, below, known in hours:
        names = [f"{side}{end}" for side in ("above", "below") for end in ("", "_low", "_high")]
        sides = [*above, *below] if known else [None] * 6
        row = dict(zip(names, sides, strict=True), hour_us=us(2026, 1, 1) + place * HOUR_US)
        rows.append({**row, "figure": figure, "covered_us": HOUR_US // 2 if known else 0})
    put(con, *rows)
    found = by(con, period)
    assert sum(row["hours"] for row in found) == len(rows)
    for row in found:
        part = [one for one in rows if row["from_us"] <= one["hour_us"] < row["to_us"]]
        known = [one for one in part if one["covered_us"]]
        sums = {
            name: None
            if not known or None in (amounts := [one[name] for one in known])
            else sum(amounts)
            for name in names
        }
        assert {name: row[name] for name in names} == sums
        scale = {"wue": Fraction(3_600_000_000), "it": Fraction(1, 3_600_000_000_000_000)}
        assert row["value"] == quotient(sums, figure, "", "", scale)
        assert row["low"] == quotient(sums, figure, "_low", "_high", scale)
        assert row["high"] == quotient(sums, figure, "_high", "_low", scale)
        assert row["coverage"] == pytest.approx(len(known) / len(part) / 2)
        covered = len(known) * HOUR_US / 2
        assert row["coverage_of_period"] == pytest.approx(covered / (row["to_us"] - row["from_us"]))
        assert row["interim"]


def quotient(sums: Any, figure: str, above: str, below: str, scale: Any) -> Any:
    upper, lower = sums[f"above{above}"], sums[f"below{below}"]
    if upper is None:
        return None
    if figure == "it":
        return pytest.approx(float(upper * scale["it"]))
    if not lower or not sums["below"]:
        return None
    return pytest.approx(float(Fraction(upper, lower) * scale.get(figure, 1)))


def test_the_mean_of_ratios_is_not_the_ratio(con: duckdb.DuckDBPyConnection) -> None:
    """A quiet hour at 2.0 and a busy one at 1.1 are 1.2 together, not 1.55."""
    quiet = {"hour_us": us(2026, 1, 1, 0), "above": 20, "below": 10}
    put(con, quiet, {"hour_us": us(2026, 1, 1, 1), "above": 88, "below": 80})
    (day,) = by(con, "day")
    assert day["value"] == 108 / 90
    (mean,) = named_rows(con, "SELECT avg(value) AS mean FROM site_figure")
    assert mean["mean"] == pytest.approx(1.55)


@pytest.mark.parametrize(("lost", "interim"), [(0, False), (1, True)])
def test_only_a_calendar_year_of_all_hours_is_not_interim(
    con: duckdb.DuckDBPyConnection, lost: int, interim: bool
) -> None:
    hours = [us(2026, 1, 1) + hour * HOUR_US for hour in range(8760 - lost)]
    put(con, *({"hour_us": hour, "covered_us": HOUR_US // 4} for hour in hours))
    assert [row["interim"] for row in by(con, "year")] == [interim]
    (year,) = by(con, "year")
    assert (year["coverage"], year["hours"]) == (0.25, 8760 - lost)
    assert all(row["interim"] for row in by(con, "month"))
    assert all(row["interim"] for row in by(con, "all"))


def test_a_period_says_what_its_hours_lacked(con: duckdb.DuckDBPyConnection) -> None:
    """The lowest category counts; meters of any hour are named once."""
    hours = [us(2026, 1, 1, hour) for hour in range(3)]
    put(
        con,
        {"hour_us": hours[0], "pue_category": 3, "missing": "b,c"},
        {"hour_us": hours[1], "pue_category": 2, "missing": "a,c"},
        {"hour_us": hours[2], "pue_category": 3},
    )
    (day,) = by(con, "day")
    assert (day["pue_category"], day["missing"], day["hours"]) == (2, "a,b,c", 3)
    put(con, {"hour_us": hours[0]})
    assert by(con, "day")[0]["missing"] is None


def test_more_given_back_than_taken_has_bounds_that_hold(con: duckdb.DuckDBPyConnection) -> None:
    sums = {"above": -10, "above_low": -12, "above_high": -8}
    put(con, {"hour_us": us(2026, 1, 1), **sums, "below": 10, "below_low": 8, "below_high": 16})
    (row,) = by(con, "hour")
    assert (row["low"], row["value"], row["high"]) == (-1.5, -1.0, -0.5)


def test_some_hours_only(con: duckdb.DuckDBPyConnection) -> None:
    first = us(2026, 1, 1)
    put(con, *({"hour_us": first + hour * HOUR_US, "above": 10 + hour} for hour in range(4)))
    more = ", since := '2026-01-01T01', until := TIMESTAMP '2026-01-01 03:00'"
    (row,) = by(con, "all", more)
    assert (row["above"], row["below"], row["hours"]) == (23, 20, 2)
    assert (row["from_us"], row["to_us"]) == (first + HOUR_US, first + 3 * HOUR_US)


@pytest.mark.parametrize("asked", ["*", "value", "count(*)", "sum(above)"])
@pytest.mark.parametrize("more", ["", "WHERE figure = 'pue'", "WHERE place = 'site'"])
@pytest.mark.parametrize("wrong", ["'decade'", "'Day'", "''", "NULL"])
def test_a_wrong_period_is_an_error(
    con: duckdb.DuckDBPyConnection, wrong: str, more: str, asked: str
) -> None:
    """Whatever is asked of it, with rows and without: never an empty or a NULL row."""
    for rows in ((), ({"hour_us": us(2026, 1, 1)},)):
        put(con, *rows)
        with pytest.raises(duckdb.Error, match="expected hour, day, week, month, year or all"):
            con.execute(f"FROM site_figure_by({wrong}) SELECT {asked} {more}").fetchall()


def test_a_wrong_period_is_an_error_under_any_condition(con: duckdb.DuckDBPyConnection) -> None:
    put(con, {"hour_us": us(2026, 1, 1)})
    for more in ("meters > 0", "coverage > 0.5", "NOT interim"):
        with pytest.raises(duckdb.Error, match="expected hour, day"):
            con.execute(f"FROM site_figure_by('decade') WHERE {more}").fetchall()


def test_a_wrong_instant_is_an_error(con: duckdb.DuckDBPyConnection) -> None:
    put(con)
    for name in ("since", "until"):
        with pytest.raises(duckdb.Error, match=f"{name}: expected a TIMESTAMP"):
            con.execute(f"FROM site_figure_by('day', {name} := 'soon')").fetchall()


def test_every_day_of_some_years_is_in_the_week_of_iso_8601(
    con: duckdb.DuckDBPyConnection,
) -> None:
    days = [date(2024, 12, 20) + timedelta(days=n) for n in range(0, 800, 3)]
    put(con, *({"hour_us": us(one.year, one.month, one.day, 12)} for one in days))
    named = {f"{one:%G-W%V}" for one in days}
    assert {row["name"] for row in by(con, "week")} == named
