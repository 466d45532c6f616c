"""`tokenergy cooling` on planted halls: measured, modelled and fitted; formats; what is refused."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.sql.cooling import plantedhalls as planted
from tests.sql.cooling.weatherfile import epw, greensboro
from tests.support.commands import command
from tests.support.lakes import HOUR_US, T0
from tests.support.once import once
from tokenergy_collectors.lake import Lake
from tokenergy_sql.cooling.coefficients import DEFAULTS
from tokenergy_sql.cooling.whatif import it_over_compute

HOURS, LONG = 3, 100


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three hours with a job in each hall."""
    made = once(tmp_path_factory, "halls", lambda to: planted.build_lake(to / "lake", HOURS))
    return made / "lake"


@pytest.fixture(scope="module")
def long_lake(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A hundred hours of meters alone."""
    made = once(
        tmp_path_factory,
        "long-halls",
        lambda to: planted.build_lake(to / "lake", LONG, 300, jobs=False),
    )
    return made / "lake"


@pytest.fixture(scope="module")
def year(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return greensboro(tmp_path_factory.mktemp("weather"))


def cooling(lake: Path, *more: str) -> tuple[int, str, str]:
    return command("tokenergy", "cooling", "--lake", str(lake), *more)


def rows(lake: Path, *more: str) -> list[dict[str, Any]]:
    code, out, err = cooling(lake, *more, "--format", "json")
    assert (code, err) == (0, "")
    found: list[dict[str, Any]] = json.loads(out)
    return found


def by_place(found: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {row["place"]: row for row in found}


@pytest.mark.parametrize("period", ["hour", "all"])
def test_measured_figures_are_the_planted_ones(lake: Path, period: str) -> None:
    found = rows(lake, "--by", period)
    assert len(found) == 3 * (HOURS if period == "hour" else 1)
    for row in found:
        span = ((row["from_us"] - T0) / 1e6, (row["to_us"] - T0) / 1e6)
        kw = {name: planted.mean(of, *span) for name, of in planted.METERS.items()}
        it = {"site": kw["it-a"] + kw["it-b"], "hall:a": kw["it-a"], "hall:b": kw["it-b"]}
        own = {"hall:a": kw["chiller-a"] + kw["fans-a"], "hall:b": kw["pumps-b"]}
        own["site"] = own["hall:a"] + own["hall:b"] + kw["towers"]
        place, hours = row["place"], (row["to_us"] - row["from_us"]) / HOUR_US
        assert row["cooling"] == pytest.approx(own[place] / it[place], rel=1e-3)
        assert row["cooling_low"] < row["cooling"] < row["cooling_high"]
        assert row["it_kwh"] == pytest.approx(it[place] * hours, rel=1e-4)
        assert row["method"] == "measured"
        assert row["outdoor_c"] == pytest.approx(kw["outdoor"], abs=0.02)
        assert row["emulated"] is (period == "all" or row["emulated"])
        heat = planted.LIQUID_SHARE * kw["it-b"] * hours
        shared = None if place == "site" else pytest.approx(kw["towers"] / it["site"], rel=2e-2)
        assert row["cooling_shared"] == shared
        if place == "hall:a":
            assert (row["air_share"], row["liquid_share"], row["heat_liquid_kwh"]) == (None,) * 3
            assert row["heat_coverage_of_period"] is None
            continue
        assert row["heat_liquid_kwh"] == pytest.approx(heat, rel=1e-3)
        assert row["heat_air_kwh"] == pytest.approx(it[place] * hours - heat, rel=4e-3)
        share = heat / it[place] / hours
        assert row["liquid_share_low"] < share < row["liquid_share_high"]
        assert row["liquid_share"] == pytest.approx(share, rel=1e-3)
        for end, other in (("low", "high"), ("high", "low")):
            heat_end, it_end = row[f"heat_liquid_kwh_{end}"], row[f"it_kwh_{other}"]
            assert row[f"liquid_share_{end}"] == pytest.approx(heat_end / it_end, rel=1e-6)
        assert row["air_share"] == pytest.approx(1 - row["liquid_share"], rel=1e-6)
        assert row["air_share_low"] < 1 - share < row["air_share_high"]
        assert row["heat_coverage_of_period"] == pytest.approx(1.0)


def test_pue_and_j_per_token_are_side_by_side(lake: Path) -> None:
    found = by_place(rows(lake))
    for hall, node in (("hall:a", "n1"), ("hall:b", "n2")):
        expected = planted.WATTS[node] / planted.RATE[node]
        assert found[hall]["inference_te_gpu"] == pytest.approx(expected, rel=1e-3)
        # The host's 100 W are of two boards' jobs; and the PUE that its hall has for its jobs.
        facility = (planted.WATTS[node] + 50) * planted.pue_of(hall, HOURS) / planted.RATE[node]
        assert found[hall]["inference_tokenergy"] == pytest.approx(facility, rel=2e-3)
        assert found[hall]["inference_te_low"] < facility < found[hall]["inference_te_high"]
    site = found["site"]
    assert site["pue"] == pytest.approx(1 + planted.PUE_REST + site["cooling"], rel=1e-3)


def test_halls_have_the_jobs_that_are_in_one_hall_alone(lake: Path) -> None:
    """The job with a board in each hall counts for the site, and for neither hall."""
    found = by_place(rows(lake))
    seconds = 3_600 * HOURS
    for hall, node in (("hall:a", "n1"), ("hall:b", "n2")):
        tokens = found[hall]["inference_n_joint"]
        assert tokens == pytest.approx(planted.RATE[node] * seconds, rel=1e-3)
    rate = sum(planted.RATE.values()) + planted.PAIR_RATE
    site = found["site"]
    assert site["inference_n_joint"] == pytest.approx(rate * seconds, rel=1e-3)
    # Energies over tokens, never a mean of ratios.
    watts = sum(planted.WATTS.values()) + 2 * planted.PAIR_WATTS
    assert site["inference_te_gpu"] == pytest.approx(watts / rate, rel=1e-3)
    assert site["training_te_gpu"] is None


def test_a_node_that_moves_takes_its_job_along(lake: Path, tmp_path: Path) -> None:
    """n2 moved into hall a for the second hour and half of the third, of which no hall is told."""
    text = planted.SITE_TOML.replace(
        '[[placed]]\nnode = "n2"\nrack = "rb"\n',
        """[[placed]]
node = "n2"
rack = "rb"
until = 2026-01-15T09:00:00Z
[[placed]]
node = "n2"
rack = "ra"
from = 2026-01-15T09:00:00Z
until = 2026-01-15T10:30:00Z
[[placed]]
node = "n2"
rack = "rb"
from = 2026-01-15T10:30:00Z
""",
    )
    site = tmp_path / "site.toml"
    site.write_text(text, "utf-8")
    found = rows(lake, "--by", "hour", "--site", str(site))
    tokens = {(r["place"], r["period"][-2:]): r["inference_n_joint"] for r in found}
    one, two = (planted.RATE[node] * 3_600 for node in ("n1", "n2"))
    assert tokens["hall:b", "08"] == pytest.approx(two, rel=1e-3)
    # Both of its jobs, and the pair's boards, were in hall a then.
    pair = planted.PAIR_RATE * 3_600
    assert tokens["hall:a", "09"] == pytest.approx(one + two + pair, rel=1e-3)
    assert tokens["hall:a", "10"] == pytest.approx(one, rel=1e-3)
    assert (tokens["hall:b", "09"], tokens["hall:b", "10"]) == (None, None)


def test_the_table_has_dashes_where_nothing_is_known(lake: Path) -> None:
    code, out, err = cooling(lake)
    assert (code, err) == (0, "")
    title, headings, _, site, hall_a, hall_b = out.splitlines()
    assert "Cooling, measured, 2026-01-15T08 to 2026-01-15T11 UTC (emulated)" in title
    names = [one.strip() for one in headings.split("┃")]
    cells = [[one.strip() for one in line.split("│")] for line in (site, hall_a, hall_b)]
    of_a = dict(zip(names, cells[1], strict=True))
    assert (of_a["heat to liquid %"], of_a["to air %"], of_a["PUE"]) == ("-",) * 3
    assert of_a["method"] == "measured"
    of_b = dict(zip(names, cells[2], strict=True))
    assert (of_b["heat to liquid %"], of_b["to air %"], of_b["method"]) == (
        "80.0",
        "20.0",
        "measured",
    )
    of_site = dict(zip(names, cells[0], strict=True))
    assert (of_site["cooled by"], of_site["class"], of_site["shared / IT"]) == ("-",) * 3
    pue = names.index("PUE")
    assert names.index("J/token facility (inference)") - pue == 2
    assert cells[0][pue] == f"{by_place(rows(lake))['site']['pue']:.3f}"


@pytest.mark.parametrize("more", [(), ("--by", "day"), ("--fit",), ("as",)])
def test_csv_and_json_say_the_same(lake: Path, year: Path, more: tuple[str, ...]) -> None:
    if more == ("as",):
        more = ("--as", "W32", "--weather", str(year))
    code, out, _ = cooling(lake, *more, "--format", "csv")
    assert code == 0
    found = rows(lake, *more)
    read = [*csv.DictReader(io.StringIO(out))]
    assert len(read) == len(found)
    for texts, values in zip(read, found, strict=True):
        assert [*texts] == [*values]
        for name, value in values.items():
            assert texts[name] == ("" if value is None else str(value)), name


def modelled(found: list[dict[str, Any]], place: str) -> Mapping[str, dict[str, Any]]:
    return {
        row["class"]: row for row in found if row["place"] == place and row["method"] == "modelled"
    }


def test_halls_at_other_classes(lake: Path, year: Path) -> None:
    words = [word for name in ("W32", "W45", "air") for word in ("--as", name)]
    found = rows(lake, *words, "--weather", str(year))
    assert [row["method"] for row in found] == 2 * [
        "measured",
        "modelled, as it is",
        *3 * ["modelled"],
    ]
    measured = by_place(rows(lake))
    for place, now in (("hall:a", "air"), ("hall:b", "W32")):
        others, own = modelled(found, place), measured[place]
        free = {name: (row["free_hours"], row["hours"]) for name, row in others.items()}
        assert free == {"W32": (8_746, 8_760), "W45": (8_760, 8_760), "air": (7_298, 8_760)}
        # As it is, and the same class again: nothing changes.
        assert others[now]["facility_change"] == others[now]["it_change"] == 0
        assert others[now]["inference_tokenergy"] == pytest.approx(own["inference_tokenergy"])
        assert others[now]["it_kwh"] == pytest.approx(own["it_kwh"] / HOURS * 8_760)
        for row in others.values():
            assert row["pue"] == pytest.approx(1 + row["cooling"] + row["rest_per_it"])
            assert row["rest_per_it"] == pytest.approx(planted.PUE_REST, rel=1e-2)
            assert row["inference_tokenergy"] == pytest.approx(
                own["inference_tokenergy"] * (1 + row["facility_change"])
            )
            assert row["inference_te_gpu"] == own["inference_te_gpu"]
    # Hall a has no liquid yet: the coefficient says how much. Hall b's share is what is metered.
    to_liquid, to_air = modelled(found, "hall:a")["W32"], modelled(found, "hall:b")["air"]
    assert to_liquid["liquid_share"] == DEFAULTS.liquid_share
    assert modelled(found, "hall:b")["W45"]["liquid_share"] == measured["hall:b"]["liquid_share"]
    fans = it_over_compute(DEFAULTS.liquid_share, DEFAULTS) / it_over_compute(0, DEFAULTS)
    assert to_liquid["it_change"] == pytest.approx(fans - 1)
    assert to_liquid["it_change"] < 0 < to_air["it_change"]
    assert to_liquid["pump_kwh"] > 0
    assert to_liquid["inference_tokenergy"] < measured["hall:a"]["inference_tokenergy"]


def test_rejection_and_place_are_chosen(lake: Path, year: Path) -> None:
    words = ("--as", "W32", "--weather", str(year), "--place", "hall:b")
    dry = rows(lake, *words, "--rejection", "dry")
    assert {row["place"] for row in dry} == {"hall:b"}
    assert modelled(dry, "hall:b")["W32"]["free_hours"] == 7_298
    # What it is stays what the site file says.
    assert [row["free_hours"] for row in dry if "as it is" in row["method"]] == [8_746]
    (site,) = {row["place"] for row in rows(lake, *words[:4], "--place", "hall:a")}
    assert site == "hall:a"


def test_hours_without_readings_do_not_lower_the_power(lake: Path, year: Path) -> None:
    """Asked from three hours before the first one on: half of the time is known."""
    words = ("--as", "W32", "--weather", str(year), "--place", "hall:a")
    (known,), (half,) = (
        modelled(rows(lake, *words, *more), "hall:a").values()
        for more in ((), ("--from", "2026-01-15T05"))
    )
    assert half["it_kwh"] == pytest.approx(known["it_kwh"])
    assert half["cooling_kwh"] == pytest.approx(known["cooling_kwh"])


def test_coefficients_of_the_site_file_count(lake: Path, year: Path, tmp_path: Path) -> None:
    site = tmp_path / "site.toml"
    site.write_text(
        planted.SITE_TOML + "\n[[cooling]]\ncoefficients = { tower_approach_k = 12 }\n", "utf-8"
    )
    words = ("--as", "W32", "--weather", str(year), "--place", "hall:b", "--site", str(site))
    (row,) = modelled(rows(lake, *words), "hall:b").values()
    assert row["free_hours"] < 8_746


def test_a_hall_without_a_class_has_nothing_to_compare_with(
    lake: Path, year: Path, tmp_path: Path
) -> None:
    site = tmp_path / "site.toml"
    site.write_text(planted.SITE_TOML.replace('class = "W32"\n', ""), "utf-8")
    words = ("--as", "W45", "--weather", str(year), "--place", "hall:b", "--site", str(site))
    code, out, err = cooling(lake, *words, "--format", "json")
    assert code == 0
    assert "hall:b: the site file does not say its class" in err
    measured, other = json.loads(out)
    assert (measured["method"], other["method"]) == ("measured", "modelled")
    assert other["free_hours"] == 8_760
    assert (other["inference_tokenergy"], other["facility_change"], other["it_change"]) == (
        None,
    ) * 3


def test_hours_that_a_weather_file_lacks_are_told(lake: Path, tmp_path: Path) -> None:
    hours = [(20.0, 10.0, 50.0, 99_000.0)] * 5 + [(99.9, 10.0, 50.0, 99_000.0)] * 2
    path = epw(tmp_path / "few.epw", hours)
    code, out, err = cooling(lake, "--as", "W32", "--weather", str(path), "--format", "json")
    assert code == 0
    assert f"2 hours of {path} have no dry bulb or humidity" in err
    assert {row["hours"] for row in json.loads(out) if row["method"] == "modelled"} == {5}


def test_planted_coefficients_come_back_from_a_lake(long_lake: Path) -> None:
    found = rows(long_lake, "--fit")
    told = {(row["place"], row["coefficient"]): row for row in found if row["coefficient"]}
    expected = {
        ("hall:a", "fan_w_per_kw"): planted.FAN_W_PER_KW,
        ("hall:a", "fan_exponent"): planted.FAN_EXPONENT,
        ("hall:a", "carnot_share"): planted.SHARE,
        ("hall:a", "standing_share"): planted.STANDING,
        ("hall:a", "condenser_approach_k"): planted.CONDENSER_K,
        ("hall:b", "pump_w_per_kw"): planted.PUMP_W_PER_KW,
        ("hall:b", "pump_exponent"): planted.PUMP_EXPONENT,
    }
    assert {key: row["value"] for key, row in told.items()} == {
        key: pytest.approx(value, rel=0.01) for key, value in expected.items()
    }
    assert all((row["hours"], row["method"]) == (LONG, "fitted") for row in told.values())
    assert all(0 < row["standard_error"] < 0.01 * row["value"] for row in told.values())
    # The towers' meter follows another law: it is told of no coefficient, and why.
    (towers,) = (row for row in found if row["place"] == "site")
    assert (towers["machine"], towers["value"], towers["method"]) == ("tower", None, None)
    assert "standard error" in towers["refused"]


def test_a_fit_of_few_hours_is_refused(lake: Path) -> None:
    found = rows(lake, "--fit", "--place", "hall:a")
    assert {row["machine"] for row in found} == {"fan", "chiller"}
    assert all(row["value"] is None for row in found)
    assert all("3 hours can be used, at least 48 are needed" in row["refused"] for row in found)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--as", "W32"), "--as and --weather: give both or none"),
        (("--weather", "x.epw"), "--as and --weather: give both or none"),
        (("--as", "W99", "--weather", "x.epw"), "--as 'W99': expected one of W17, W27"),
        (("--as", "W32", "--weather", "none.epw"), "none.epw: No such file"),
        (("--as", "W32", "--weather", "x", "--fit"), "--fit and --as: give one"),
        (("--fit", "--by", "day"), "--by: is of what is measured"),
        (("--rejection", "dry"), "--rejection: goes with --as or --fit"),
        (("--fit", "--rejection", "river"), "--rejection 'river': expected tower or dry"),
        (("--by", "minute"), "--by 'minute': expected hour, day"),
        (("--format", "xml"), "--format 'xml': expected table, json, csv or parquet"),
        (("--place", "hall:z"), "--place 'hall:z': the lake has figures of hall:a, hall:b, site"),
        (("--from", "2027-01-01T00"), "no figures of the building"),
        (("--site", "none.toml"), "none.toml: No such file"),
    ],
)
def test_what_does_not_fit_is_one_line_and_exit_2(
    lake: Path, words: tuple[str, ...], told: str
) -> None:
    code, out, err = cooling(lake, *words)
    assert (code, out) == (2, "")
    assert told in err
    assert len(err.strip().splitlines()) == 1


def test_a_lake_without_meters_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "lake").mkdir()
    Lake(tmp_path / "lake", create=True)
    (tmp_path / "lake" / "site.toml").write_text("[site]\n", "utf-8")
    code, _, err = cooling(tmp_path / "lake")
    assert code == 2
    assert "has no figures of the building" in err


def test_a_lake_without_a_site_file_says_what_to_do(tmp_path: Path) -> None:
    Lake(tmp_path, create=True)
    code, _, err = cooling(tmp_path)
    assert code == 2
    assert "site.toml: not there: declare the meters and [[cooling]]" in err
    code, _, err = cooling(tmp_path / "none")
    assert code == 2
    assert "no such directory" in err
