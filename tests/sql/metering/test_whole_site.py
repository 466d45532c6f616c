"""A whole site with everything that can happen to its meters: figures, jobs, and their sum."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tests.sql.metering.test_planted_site import again
from tests.sql.metering.wholesite import (
    HALLS,
    MODULES,
    MOVED,
    RACKS,
    REPLACED,
    ROLLED,
    STUCK,
    Site,
    site_text,
)
from tests.support.lakes import HOUR_US, T0, LakeBuilder
from tests.support.ledger import ask, assert_checks_pass
from tokenergy_collectors.lake import Lake
from tokenergy_sql.index.site import load_site
from tokenergy_sql.places.problems import PlacesError


def booked(root: Path, *, lost: tuple[str, ...] = (), declared: str = "") -> tuple[Lake, Site]:
    builder, site = LakeBuilder(root / "lake"), Site()
    site.write(builder, lost)
    (root / "lake" / "site.toml").write_text(site_text(declared=declared), "utf-8")
    again(builder.lake)
    return builder.lake, site


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> tuple[Lake, Site]:
    return booked(tmp_path_factory.mktemp("whole"))


def figures(lake: Lake) -> dict[tuple[str, str], dict[str, Any]]:
    rows = lake.read("site_hour", [T0]).to_pylist()
    return {(row["place"], row["figure"]): row for row in rows}


def holds(row: dict[str, Any], side: str, true: float) -> None:
    """The truth is inside the bounds, and the figure within 1 % of it."""
    low, value, high = (int(row[f"{side}{end}"]) for end in ("_low", "", "_high"))
    assert low <= true <= high, row
    assert abs(value - true) < 0.01 * true, row


def test_every_figure_of_the_site_and_its_halls(sound: tuple[Lake, Site]) -> None:
    lake, site = sound
    rows = figures(lake)
    it = [f"pdu-{module}" for module in MODULES]
    halls = [f"cool-{hall}" for hall in HALLS]
    holds(rows["site", "pue"], "above", site.nj("grid", "diesel"))
    holds(rows["site", "pue"], "below", site.nj(*it))
    holds(rows["site", "cooling"], "above", site.nj("chillers", *halls))
    holds(rows["site", "other"], "above", site.nj("lights"))
    for hall in HALLS:
        holds(rows[f"hall:{hall}", "it"], "above", site.nj(*site.of_hall(hall)))
        holds(rows[f"hall:{hall}", "intake"], "above", site.nj(f"hall-{hall}", f"cool-{hall}"))
        holds(rows[f"hall:{hall}", "cooling"], "above", site.nj(f"cool-{hall}"))
    for module in MODULES:
        holds(rows[f"module:{module}", "it"], "above", site.nj(f"pdu-{module}"))
    assert {row["covered_us"] for row in rows.values()} == {HOUR_US}


def test_what_happened_to_the_meters_is_in_their_rows(sound: tuple[Lake, Site]) -> None:
    lake, _ = sound
    rows = {row["meter_id"]: row for row in lake.read("meter_hour", [T0]).to_pylist()}
    assert rows[STUCK]["doubts"] == "stale"
    assert rows[ROLLED]["doubts"] is None
    assert not rows[REPLACED]["one_entry"]
    raw = [r["value_n"] for r in lake.read("meter", [T0]).to_pylist() if r["meter_id"] == ROLLED]
    assert any(after < before for before, after in pairwise(raw))


def true_pue(site: Site, hall: str) -> float:
    it = {one: site.nj(*site.of_hall(one)) for one in HALLS}
    intake = {one: site.nj(f"hall-{one}", f"cool-{one}") for one in HALLS}
    shared = site.nj("grid", "diesel") - sum(intake.values())
    return (intake[hall] + shared * it[hall] / sum(it.values())) / it[hall]


def test_every_node_has_the_pue_of_its_hall(sound: tuple[Lake, Site]) -> None:
    lake, site = sound
    nodes = {row["node"]: row for row in ask(lake, f"FROM node_hour WHERE hour_us = {T0}")}
    assert len(nodes) == len(RACKS)
    for rack in RACKS:
        row = nodes[f"n-{rack}"]
        # The moved rack stood longest in hall c.
        hall = "c" if rack == MOVED else rack[0]
        assert row["pue_place"] == f"hall:{hall}"
        true = true_pue(site, hall)
        assert row["pue_low_ppb"] <= true * 1e9 <= row["pue_high_ppb"]
        assert abs(row["pue_ppb"] / 1e9 - true) < 0.01 * true


def test_jobs_at_every_boundary(sound: tuple[Lake, Site]) -> None:
    lake, site = sound
    jobs = {row["job_id"]: row for row in ask(lake, f"FROM job_hour_index WHERE hour_us = {T0}")}
    for hall in HALLS:
        job = jobs[f"in-{hall}"]
        racks = [r for r in RACKS if r[0] == hall and r[1] in "12" and not r.endswith("r1")]
        gpu = sum(float(site.boards[rack].sum()) for rack in racks) * 1e9
        it = site.nj(*(f"bmc-{rack}" for rack in racks))
        for name, true in (("gpu", gpu), ("facility", it * true_pue(site, hall))):
            low, value, high = (int(job[f"e_{name}{end}_nj"]) for end in ("_low", "", "_high"))
            assert low <= true <= high
            assert abs(value - true) < 0.01 * true
        assert (job["host_method"], job["facility_method"]) == ("measured", "measured")
        assert abs(int(job["e_host_nj"]) - (it - gpu)) < 0.01 * it


def test_burdened_jobs_and_what_nobody_bore_are_the_sites_meters(
    sound: tuple[Lake, Site],
) -> None:
    lake, _ = sound
    amounts = {r["meter_id"]: int(r["amount"]) for r in lake.read("meter_hour", [T0]).to_pylist()}
    nodes = ask(lake, f"FROM node_hour WHERE hour_us = {T0}")
    jobs = ask(lake, f"FROM job_hour_index WHERE hour_us = {T0}")
    borne = sum(int(row["e_facility_burdened_nj"]) for row in jobs)
    unborne = sum(int(row["unborne_facility_nj"]) for row in nodes)
    assert borne + unborne == amounts["grid"] + amounts["diesel"]
    assert_checks_pass(lake)


def test_a_meter_that_is_missing_leaves_null_above_it(tmp_path: Path) -> None:
    lake, site = booked(tmp_path, lost=("pdu-c2",))
    rows = figures(lake)
    for key in (("site", "pue"), ("hall:c", "intake"), ("hall:c", "it"), ("module:c2", "it")):
        assert (rows[key]["covered_us"], rows[key]["above"]) == (0, None)
        assert "pdu-c2" in rows[key]["missing"]
    holds(rows["hall:a", "intake"], "above", site.nj("hall-a", "cool-a"))
    holds(rows["site", "facility"], "above", site.nj("grid", "diesel"))
    jobs = ask(lake, f"FROM job_hour_index WHERE hour_us = {T0}")
    # No guess: what the halls share cannot be told from what hall c needs.
    assert {(j["facility_method"], j["e_facility_nj"]) for j in jobs} == {("none", None)}
    assert {"no_pue"} <= set.intersection(*({*j["reason_codes"].split(",")} for j in jobs))
    assert_checks_pass(lake)


@pytest.mark.parametrize(
    ("more", "declared"),
    [
        (
            '[[loss]]\nname = "ups"\nplace = "hall:a"\npoints = [[0, 1], [50, 3]]\n'
            'between = ["hall-a", "pdu-a1"]\n',
            "",
        ),
        (
            '[[loss]]\nname = "ups"\nplace = "hall:a"\npoints = [[0, 1], [50, 3]]\n'
            'between = ["hall-a"]\n',
            "pue = 1.3\n",
        ),
    ],
)
def test_a_loss_is_not_counted_a_second_time(tmp_path: Path, more: str, declared: str) -> None:
    path = tmp_path / "site.toml"
    path.write_text(site_text(declared=declared) + more, "utf-8")
    with pytest.raises(PlacesError, match="ups"):
        load_site(path, tmp_path)
