"""`import signal`: files of carbon, prices and shares become rows of `signal`, or an error."""

import itertools
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from zoneinfo import ZoneInfo

import pytest
from typer.testing import CliRunner

from tests.support.snapshot import snapshot
from tokenergy_collectors import cli
from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.importers.signals.asked import import_asked
from tokenergy_collectors.lake import Lake
from tokenergy_collectors.lake.signalunits import unit_of

HOUR = 3_600_000_000
PRICE = {"name": "da", "quantity": "price", "unit": "EUR/MWh"}


def us(text, zone="UTC", fold=0):
    moment = datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone), fold=fold)
    return round(moment.timestamp()) * 1_000_000


@pytest.fixture
def lake(tmp_path):
    return Lake(tmp_path / "lake", create=True)


@pytest.fixture
def load(tmp_path, lake):
    """Import a file's text; return the result and the rows of the lake by start and read."""

    def load(text, **options):
        path = tmp_path / "file.csv"
        path.write_text(text)
        asked = {
            "tz": "UTC", "columns": None, "step": None, "zone": None, "currency": None,
            "lifecycle": None, "read_at": "2027-01-01T00:00:00Z", "node": "grid", **options,
        }  # fmt: skip
        result = import_asked(path, lake.root, **asked)
        rows = lake.read("signal").to_pylist()
        return result, sorted(rows, key=lambda row: (row["ts_us"], row["read_us"]))

    return load


def local_hours(day, zone, minutes=60):
    """Return the local stamps of a day, one an interval, in the order in which they pass."""
    start = datetime.fromisoformat(day).replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)
    end = (datetime.fromisoformat(day) + timedelta(days=1)).replace(tzinfo=ZoneInfo(zone))
    found, at = [], start
    while at < end.astimezone(UTC):
        found.append((at, at.astimezone(ZoneInfo(zone)).strftime("%Y-%m-%d %H:%M")))
        at += timedelta(minutes=minutes)
    return found


@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/Los_Angeles"])
@pytest.mark.parametrize("minutes", [15, 60])
@pytest.mark.parametrize("newest_first", [False, True])
@pytest.mark.parametrize(
    ("berlin", "los_angeles", "hours"),
    [
        ("2026-03-29", "2026-03-08", 23),
        ("2026-10-25", "2026-11-01", 25),
        ("2026-06-01", "2026-06-01", 24),
    ],
)
def test_days_of_summer_time(load, zone, minutes, newest_first, berlin, los_angeles, hours):
    """A day of 23, 24 or 25 hours, as a market writes it: local times in order."""
    day = berlin if zone == "Europe/Berlin" else los_angeles
    stamps = local_hours(day, zone, minutes)
    assert len(stamps) == hours * 60 // minutes
    lines = [f"{text},{number}.5\n" for number, (_, text) in enumerate(stamps)]
    lines = lines[::-1] if newest_first else lines
    _, rows = load("time,value\n" + "".join(lines), tz=zone, **PRICE)
    step = minutes * 60_000_000
    want = [
        (us(at.strftime("%Y-%m-%dT%H:%M")), number * 1000 + 500)
        for number, (at, _) in enumerate(stamps)
    ]
    assert [(row["ts_us"], row["value"]) for row in rows] == want
    assert all(row["until_us"] - row["ts_us"] == step for row in rows)
    assert all(row["ts_us"] == before["until_us"] for before, row in itertools.pairwise(rows))


def test_local_ends_on_the_day_of_25_hours(load):
    text = (
        "from,to,p\n2026-10-25 01:00,2026-10-25 02:00,1\n2026-10-25 02:00,2026-10-25 02:00,2\n"
        "2026-10-25 02:00,2026-10-25 03:00,3\n2026-10-25 03:00,2026-10-25 04:00,4\n"
    )
    columns = "time=from,until=to,value=p"
    _, rows = load(text, tz="Europe/Berlin", columns=columns, **PRICE)
    start = us("2026-10-24T23:00")
    assert [row["ts_us"] for row in rows] == [start + n * HOUR for n in range(4)]
    assert [row["until_us"] for row in rows] == [start + n * HOUR for n in range(1, 5)]


def test_sorted_by_the_clock_each_time_twice(load):
    """Some exports sort by local time: both 02:00, then both 02:30."""
    text = "time,value\n" + "".join(
        f"2026-10-25 {clock},{number}\n"
        for number, clock in enumerate(["01:30", "02:00", "02:00", "02:30", "02:30", "03:00"])
    )
    _, rows = load(text, tz="Europe/Berlin", **PRICE)
    start = us("2026-10-24T23:30")
    assert [((row["ts_us"] - start) // (HOUR // 2), row["value"] // 1000) for row in rows] == [
        (0, 0), (1, 1), (2, 3), (3, 2), (4, 4), (5, 5),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("columns", "cells"),
    [
        ("time=time,value=value,fold=f", ["0", "1"]),
        ("time=time,value=value,offset=f", ["+02:00", "+01:00"]),
    ],
)
def test_a_column_decides_the_hour_that_comes_twice(load, columns, cells):
    text = f"time,value,f\n2026-10-25 02:00,7,{cells[1]}\n2026-10-25 02:00,5,{cells[0]}\n"
    _, rows = load(text, tz="Europe/Berlin", columns=columns, step="1h", **PRICE)
    assert [(row["ts_us"], row["value"]) for row in rows] == [
        (us("2026-10-25T00:00"), 5000),
        (us("2026-10-25T01:00"), 7000),
    ]


@pytest.mark.parametrize(
    ("zone", "lines", "message"),
    [
        (
            "Europe/Berlin",
            ["2026-03-29 01:00", "2026-03-29 02:00", "2026-03-29 03:00"],
            "line 3: time '2026-03-29 02:00' was skipped in Europe/Berlin",
        ),
        (
            "America/Los_Angeles",
            ["2026-03-08 01:00", "2026-03-08 02:00", "2026-03-08 03:00"],
            "line 3: time '2026-03-08 02:00' was skipped in America/Los_Angeles",
        ),
        (
            "Europe/Berlin",
            ["2026-10-25 01:00", "2026-10-25 02:00", "2026-10-25 03:00"],
            "line 3: time '2026-10-25 02:00' came twice in Europe/Berlin, .*`offset` or `fold`",
        ),
        (  # in no order: nothing says which is the first
            "Europe/Berlin",
            ["2026-10-25 04:00", "2026-10-25 02:00", "2026-10-25 02:00", "2026-10-25 01:00",
             "2026-10-25 03:00"],
            "line 3: time '2026-10-25 02:00' came twice",
        ),
    ],
)  # fmt: skip
def test_a_local_time_that_is_not_clear(load, lake, zone, lines, message):
    text = "time,value\n" + "".join(f"{line},1\n" for line in lines)
    with pytest.raises(UserError, match=message):
        load(text, tz=zone, **PRICE)
    assert not lake.hours("signal")


def test_holes_negative_prices_and_an_hour_without_a_row(load):
    text = (
        "time,value\n2026-01-15T00:00Z,-12.345\n2026-01-15T01:00Z,\n2026-01-15T02:00Z,n/a\n"
        "2026-01-15T03:00Z,0\n2026-01-15T06:00Z,1e2\n"
    )
    result, rows = load(text, **PRICE)
    start = us("2026-01-15T00:00")
    assert [((row["ts_us"] - start) // HOUR, row["value"]) for row in rows] == [
        (0, -12345), (1, None), (2, None), (3, 0), (6, 100_000),
    ]  # fmt: skip
    assert all(row["until_us"] - row["ts_us"] == HOUR for row in rows)
    assert result.notes == ["2 of them are holes"]
    assert {(row["currency"], row["source"], row["node"]) for row in rows} == {
        ("EUR", "csv", "grid")
    }


def test_again_changes_nothing_and_other_values_are_a_revision(load, lake):
    first = "time,value\n2026-01-15T00:00Z,1\n2026-01-15T01:00Z,2\n2026-01-15T02:00Z,\n"
    load(first, read_at="2026-01-16T00:00:00Z", **PRICE)
    before = snapshot(lake)
    result, rows = load(first, read_at="2026-01-17T00:00:00Z", **PRICE)
    assert (result.written, len(rows), snapshot(lake)) == ({}, 3, before)

    # One value corrected, one withdrawn, one filled in: three rows more, and the old ones stay.
    second = "time,value\n2026-01-15T00:00Z,3\n2026-01-15T01:00Z,\n2026-01-15T02:00Z,4\n"
    result, rows = load(second, read_at="2026-01-18T00:00:00Z", **PRICE)
    assert result.written == {"signal": 3}
    assert [row["value"] for row in rows] == [1000, 3000, 2000, None, None, 4000]

    # Back to the first value: that is a revision too, although such a row is there already.
    result, rows = load(first, read_at="2026-01-19T00:00:00Z", **PRICE)
    assert result.written == {"signal": 3}
    assert [row["value"] for row in rows[:3]] == [1000, 3000, 1000]


@pytest.mark.parametrize(
    ("quantity", "unit", "currency", "number", "want"),
    [
        ("carbon_average", "gCO2/kWh", None, "425.01605069", 425_016),
        ("carbon_average", "kgCO2/MWh", None, "425.01605069", 425_016),
        ("carbon_marginal", "tCO2e/MWh", None, "0.5", 500_000),
        ("carbon_marginal", "lbCO2/MWh", None, "1000", 453_592),
        ("price", "EUR/MWh", None, "-5", -5000),
        ("price", "USD/kWh", None, "0.12", 120_000),
        ("price", "ct/kWh", "EUR", "31.5", 315_000),
        ("renewable_share", "%", None, "43.21", 432_100_000),
        ("cfe_share", "1", None, "1", 1_000_000_000),
        ("clean_power", "MW", None, "2.5", 2_500_000_000),
    ],
)
def test_units(quantity, unit, currency, number, want):
    assert unit_of(quantity, unit, currency).whole(Fraction(number)) == want


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"quantity": "carbon"}, "an average says what the grid emits .* say which it is"),
        ({"unit": "MWh"}, "unit 'MWh' is none of price: expected EUR/MWh"),
        ({"unit": "ct/kWh"}, "unit 'ct/kWh' needs a currency"),
        ({"unit": "EUR/MWh", "currency": "USD"}, "name two currencies"),
        ({"quantity": "cfe_share", "unit": "%"}, "line 2: value 150 is a share of more than all"),
        ({"quantity": "carbon_average", "unit": "g/kWh", "currency": "EUR"}, "only a price"),
        ({"step": "2h"}, "at most an hour"),
        ({"columns": "time=t,value=value"}, "has no column 't'"),
        ({"columns": "Zeit"}, "expected KEY=COLUMN"),
        ({"name": " "}, "expected a name"),
        ({"tz": "Berlin"}, "unknown time zone"),
    ],
)
def test_what_is_refused(load, lake, options, message):
    text = "time,value\n2026-01-15T00:00Z,150\n2026-01-15T01:00Z,2\n"
    with pytest.raises(UserError, match=f"(?i){message}"):
        load(text, **{**PRICE, **options})
    assert not lake.hours("signal")


def test_average_and_marginal_never_share_a_name(load):
    text = "time,value\n2026-01-15T00:00Z,150\n2026-01-15T01:00Z,2\n"
    carbon = {"name": "caiso", "unit": "g/kWh"}
    load(text, quantity="carbon_average", **carbon)
    with pytest.raises(UserError, match="answer different questions and are never mixed"):
        load(text, quantity="carbon_marginal", **carbon)
    with pytest.raises(UserError, match="lifecycle = None in the lake, and this has True"):
        load(text, quantity="carbon_average", lifecycle=True, **carbon)


def test_two_values_at_a_time(load):
    text = "time,value\n2026-01-15T00:00Z,1\n2026-01-15T01:00Z,2\n2026-01-15T01:00Z,3\n"
    with pytest.raises(UserError, match="line 4: its interval overlaps that of line 3"):
        load(text, **PRICE)


def test_the_command_and_a_map_file(tmp_path):
    (tmp_path / "map.toml").write_text(
        'time = "Zeit"\nvalue = "Wert"\nformat = "%d.%m.%Y %H:%M"\ndecimal = ","\n'
        'thousands = "."\nstatus = "Art"\n'
    )
    (tmp_path / "p.csv").write_text(
        "Zeit;Wert;Art\n15.01.2026 01:00;1.234,5;actual\n15.01.2026 02:00;-;forecast\n"
    )
    options = ["signal", "p.csv", "--name", "da", "--quantity", "price", "--unit", "EUR/MWh"]
    options += ["--column-map", str(tmp_path / "map.toml"), "--timezone", "Europe/Berlin"]
    options[1] = str(tmp_path / "p.csv")
    done = CliRunner().invoke(cli.app, ["import", *options, "--lake", str(tmp_path / "lake")])
    assert done.exit_code == 0, done.output
    assert done.output == (
        "read 2 values of da (price), 2026-01-15 00:00:00 to 2026-01-15 01:00:00 UTC; "
        "1 of them are holes\nwrote 2 signal rows in 2 files\n"
    )
    rows = Lake(tmp_path / "lake").read("signal").to_pylist()
    assert [(row["value"], row["status"]) for row in rows] == [
        (1_234_500, "actual"), (None, "forecast"),
    ]  # fmt: skip
