"""Jobs at the PUE that the building's meters measured, beside a reckoning in fractions."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest

from tests.sql.metering.twohalls import (
    BOARDS,
    HOST_W,
    KWH,
    KWH_OF,
    assert_pue,
    booked,
    borne_nj,
    jobs_of,
    nodes_of,
    site_text,
)
from tests.support.lakes import S
from tests.support.ledger import ask, assert_checks_pass


def test_each_hall_has_its_own_and_its_part_of_what_is_shared(tmp_path: Path) -> None:
    lake = booked(tmp_path, site_text())
    # 40 kWh that go into no hall are shared by IT energy: one part to a, two to b.
    shared = Fraction(390 - 130 - 220, 300)
    found = nodes_of(lake)
    for node in BOARDS:
        own = Fraction(130, 100) if node[0] == "a" else Fraction(220, 200)
        assert_pue(found[node], f"hall:{node[0]}", own + shared)
    assert borne_nj(lake) == 390 * KWH
    assert sum({int(row["metered_nj"]) for row in found.values()}) == 390 * KWH
    assert_checks_pass(lake)


def test_a_hall_has_what_enters_it_and_its_part_of_the_rest(tmp_path: Path) -> None:
    """Feeders say what enters the halls: no hall has a bill of its own."""
    text = site_text().replace('role = "utility"\nplace = "hall', 'role = "feeder"\nplace = "hall')
    lake = booked(tmp_path, text)
    rows = {(r["place"], r["figure"]) for r in lake.read("site_hour").to_pylist()}
    assert {("hall:a", "intake"), ("hall:b", "intake")} <= rows
    assert not {("hall:a", "pue"), ("site", "intake")} & rows
    for node, row in nodes_of(lake).items():
        own = Fraction(130, 100) if node[0] == "a" else Fraction(220, 200)
        assert_pue(row, f"hall:{node[0]}", own + Fraction(390 - 130 - 220, 300))
    assert borne_nj(lake) == 390 * KWH
    assert_checks_pass(lake)


def test_feeders_alone_are_no_pue(tmp_path: Path) -> None:
    """What else the site uses for the hall is not known."""
    text = site_text(grid=False).replace('role = "utility"', 'role = "feeder"')
    lake = booked(tmp_path, text)
    assert {row["facility_method"] for row in nodes_of(lake).values()} == {"none"}


def test_a_hall_whose_it_meters_are_all_that_enters_it_has_no_intake(tmp_path: Path) -> None:
    text = site_text(halls="a").replace('role = "utility"\nplace', 'role = "feeder"\nplace')
    lake = booked(tmp_path, text)
    rows = {(r["place"], r["figure"]) for r in lake.read("site_hour").to_pylist()}
    assert ("hall:a", "intake") in rows
    assert ("hall:b", "intake") not in rows
    assert {row["pue_place"] for row in nodes_of(lake).values()} == {"site"}


def test_a_job_in_two_halls_has_the_pue_of_its_energy(tmp_path: Path) -> None:
    lake = booked(tmp_path, site_text())
    found, jobs = nodes_of(lake), jobs_of(lake)
    parts = {
        # Half an hour of the board, and of the host.
        node: (Fraction(BOARDS[node] + HOST_W) * 1800 * 10**9, found[node]["pue_ppb"])
        for node in ("a1", "b1")
    }
    energy = sum(nj * ppb for nj, ppb in parts.values()) / 10**9
    one = jobs["one"]
    assert abs(int(one["e_facility_nj"]) - energy) < energy / 10**6
    assert int(one["e_facility_nj"]) == (
        (int(one["e_gpu_nj"]) + int(one["e_host_nj"])) * one["pue_ppb"] // 10**9
    )
    assert one["facility_method"] == "measured"
    low, high = (int(one[f"e_facility_{bound}_nj"]) for bound in ("low", "high"))
    assert low <= energy <= high
    lows = [found[node]["pue_low_ppb"] for node in parts]
    highs = [found[node]["pue_high_ppb"] for node in parts]
    assert min(lows) < one["pue_low_ppb"] < max(lows)
    assert min(highs) < one["pue_high_ppb"] < max(highs)
    # `two` holds one board in hall b: exactly its node's.
    assert jobs["two"]["pue_ppb"] == found["b2"]["pue_ppb"]


def test_the_pool_is_borne_by_capacity(tmp_path: Path) -> None:
    """A reckoning of each job's burden in fractions."""
    lake = booked(tmp_path, site_text())
    found, jobs = nodes_of(lake), jobs_of(lake)
    half_j = {node: Fraction(watts + HOST_W) * 1800 for node, watts in BOARDS.items()}
    pue = {node: Fraction(found[node]["pue_ppb"], 10**9) for node in BOARDS}
    held = {"one": ("a1", "b1"), "two": ("b2",)}
    # a2 idles all hour, the others half of it.
    idle_j = {node: half_j[node] * (2 if node == "a2" else 1) for node in BOARDS}
    idle_facility = sum(idle_j[node] * pue[node] for node in BOARDS)
    weight = {
        job: sum(half_j[node] * pue[node] for node in nodes) + idle_facility * len(nodes) / 8
        for job, nodes in held.items()
    }
    whole = sum(weight.values()) + idle_facility * Fraction(5, 8)
    for job in held:
        expected_nj = 390 * KWH * weight[job] / whole
        burdened_nj = int(jobs[job]["e_facility_burdened_nj"])
        assert abs(burdened_nj - expected_nj) < expected_nj / 10**6


def test_one_hall_without_a_meter_takes_the_sites_pue_for_all(tmp_path: Path) -> None:
    lake = booked(tmp_path, site_text(halls="a"))
    for row in nodes_of(lake).values():
        assert_pue(row, "site", Fraction(390, 300))
    assert borne_nj(lake) == 390 * KWH
    assert_checks_pass(lake)


def test_without_a_site_meter_each_hall_speaks_for_itself(tmp_path: Path) -> None:
    lake = booked(tmp_path, site_text(grid=False, halls="a", declared=1.5))
    found = nodes_of(lake)
    assert_pue(found["a1"], "hall:a", Fraction(130, 100))
    assert (found["b1"]["facility_method"], found["b1"]["pue_ppb"]) == ("declared", 1_500_000_000)
    jobs = jobs_of(lake)
    assert jobs["one"]["facility_method"] == "declared+measured"
    assert jobs["two"]["facility_method"] == "declared"
    # Hall a has what its meter shows, hall b what is declared.
    declared_nj = sum(BOARDS[node] + HOST_W for node in ("b1", "b2")) * 3600 * 10**9 * 3 // 2
    assert abs(borne_nj(lake) - (130 * KWH + declared_nj)) <= 10**4
    assert_checks_pass(lake)


def test_halls_alone_add_up_to_their_meters(tmp_path: Path) -> None:
    lake = booked(tmp_path, site_text(grid=False))
    assert_pue(nodes_of(lake)["b2"], "hall:b", Fraction(220, 200))
    assert borne_nj(lake) == 350 * KWH
    assert_checks_pass(lake)


@pytest.mark.parametrize("lost", ["grid", "it-b"])
def test_an_hour_whose_meters_are_hardly_known_has_the_declared_pue(
    tmp_path: Path, lost: str
) -> None:
    text = site_text(halls="", declared=1.25)
    lake = booked(tmp_path, text, lost={lost: (10, 61)})
    row = nodes_of(lake)["a1"]
    assert (row["facility_method"], row["pue_ppb"]) == ("declared", 1_250_000_000)
    assert (row["pue_place"], row["metered_nj"]) == (None, None)
    one = jobs_of(lake)["one"]
    assert int(one["e_facility_nj"]) == (int(one["e_gpu_nj"]) + int(one["e_host_nj"])) * 5 // 4
    assert_checks_pass(lake)


def test_of_an_hour_known_in_part_the_rest_is_as_that_part(tmp_path: Path) -> None:
    lake = booked(tmp_path, site_text(halls=""), lost={"it-b": (41, 61)})
    row = nodes_of(lake)["a1"]
    assert_pue(row, "site", Fraction(390, 300))
    assert row["pue_covered_us"] == 40 * 60 * S
    # The meter of what comes in is known for the whole hour.
    assert int(row["metered_nj"]) == 390 * KWH == borne_nj(lake)
    assert "partial_pue" in jobs_of(lake)["one"]["reason_codes"].split(",")
    assert_checks_pass(lake)


def test_neither_measured_nor_declared_is_null(tmp_path: Path) -> None:
    lake = booked(tmp_path, site_text(halls=""), lost={"grid": (0, 61)})
    assert nodes_of(lake)["a1"]["facility_method"] == "none"
    for job in jobs_of(lake).values():
        assert (job["e_facility_nj"], job["e_facility_burdened_nj"]) == (None, None)
        assert job["facility_method"] == "none"
        assert "no_pue" in job["reason_codes"].split(",")


def test_meters_that_say_less_than_the_it_energy_are_not_believed(tmp_path: Path) -> None:
    text = site_text(halls="", declared=1.25)
    lake = booked(tmp_path, text, kwh_of={**KWH_OF, "grid": 299})
    assert nodes_of(lake)["a1"]["facility_method"] == "declared"


def test_halls_that_hold_more_than_the_site_bear_the_difference(tmp_path: Path) -> None:
    """Meters differ by their errors: the site's is the law, and no hall falls below 1."""
    lake = booked(tmp_path, site_text(), kwh_of={**KWH_OF, "grid": 347})
    assert borne_nj(lake) == 347 * KWH
    assert_pue(nodes_of(lake)["a1"], "hall:a", Fraction(130, 100) - Fraction(3, 300))
    assert_checks_pass(lake)


def test_meters_without_an_accuracy_leave_the_upper_bound_unknown(tmp_path: Path) -> None:
    text = site_text(halls="").replace("accuracy_percent = 0.5\n", "")
    lake = booked(tmp_path, text)
    row = nodes_of(lake)["a1"]
    assert (row["pue_low_ppb"], row["pue_high_ppb"]) == (10**9, None)
    one = jobs_of(lake)["one"]
    assert int(one["e_facility_nj"]) > 0
    assert one["e_facility_high_nj"] is None
    assert int(one["e_facility_low_nj"]) <= int(one["e_facility_nj"])
    codes = one["reason_codes"].split(",")
    assert "no_pue_bound" in codes
    assert "no_host_power" not in codes
    (job,) = ask(lake, "FROM job_index WHERE job_id = 'one'")
    assert job["e_facility_nj"] == one["e_facility_nj"]
    assert job["facility_method"] == "measured"
    assert_checks_pass(lake)


def test_a_site_file_speaks_of_the_nodes_that_it_places_where_boards_name_two_sites(
    tmp_path: Path,
) -> None:
    site_of = {"a1": "here", "a2": "here", "b1": "here", "b2": "there"}
    text = site_text(halls="", declared=2.0).replace('nodes = ["b1", "b2"]', 'nodes = ["b1"]')
    lake = booked(tmp_path, text, site_of=site_of)
    found = nodes_of(lake)
    assert [found[node]["facility_method"] for node in ("a1", "b1", "b2")] == [
        *("measured", "measured", "declared")
    ]
    declared_nj = (BOARDS["b2"] + HOST_W) * 3600 * 10**9 * 2
    assert abs(borne_nj(lake) - (390 * KWH + declared_nj)) <= 10**4
    assert_checks_pass(lake)


def test_two_sites_that_share_a_place_share_what_it_metered(tmp_path: Path) -> None:
    site_of = {"a1": "here", "a2": "there", "b1": "here", "b2": "there"}
    lake = booked(tmp_path, site_text(), site_of=site_of)
    assert {row["facility_method"] for row in nodes_of(lake).values()} == {"measured"}
    assert borne_nj(lake) == 390 * KWH
    assert_checks_pass(lake)


def test_a_node_that_moved_is_where_it_stood_longest(tmp_path: Path) -> None:
    text = site_text().replace(
        'nodes = ["a1", "a2"]\nrack = "a-r1"',
        'nodes = ["a2"]\nrack = "a-r1"\n'
        '[[placed]]\nnodes = ["a1"]\nrack = "a-r1"\nuntil = 2026-01-15T08:20:00Z\n'
        '[[placed]]\nnodes = ["a1"]\nrack = "b-r1"\nfrom = 2026-01-15T08:21:00Z',
    )
    lake = booked(tmp_path, text)
    found = nodes_of(lake)
    assert [found[node]["pue_place"] for node in ("a1", "a2")] == ["hall:b", "hall:a"]
    assert borne_nj(lake) == 390 * KWH
