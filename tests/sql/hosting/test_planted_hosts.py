"""Hosts of lakes with a known truth, from readings to the index; all checks pass on each."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.sql.hosting.planted import (
    BOARD_W,
    CPU_W,
    DRAM_W,
    HOST_W,
    SITE,
    Node,
    add_meter,
    add_processors,
    again,
    build,
    host,
    job,
    lake_of,
    meter,
    processors,
)
from tests.support.lakes import HOUR_US, T0, LakeBuilder, S, level
from tests.support.ledger import J, ask, assert_checks_pass
from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.lake import Lake
from tokenergy_sql.checks.checking import run_checks
from tokenergy_sql.index.site import load_site

HOUR_S = 3_600
MODEL = """
[[host_model]]
{more}
base_w = 300
per_cpu = 1.1
per_gpu = 0.03
below_w = 10
above_w = 12
cpu_w = [50, 500]
gpu_w = [100, 1000]
"""
MODELLED_J = (
    300 * HOUR_S * 100 + 110 * (CPU_W + DRAM_W) * HOUR_S + 3 * 2 * BOARD_W * HOUR_S
) // 100


def declared(host_w: int | None = None, pue: float = 1.25) -> str:
    return f"[site]\npue = {pue}\n" + ("" if host_w is None else f"host_w = {host_w}\n")


def findings(lake: Lake, name: str) -> list[tuple[object, ...]]:
    (finding,) = run_checks(lake, only=[name])
    return finding.rows


def test_a_metered_node_has_what_its_meter_shows_less_its_boards(tmp_path: Path) -> None:
    builder = lake_of(tmp_path, "", Node(boards=3))
    add_meter(builder, Node(boards=3))
    lake = build(builder, declared(900) + SITE + meter("node:n1"))
    row = host(lake)
    assert (row["method"], row["host_nj"]) == ("measured", HOST_W * HOUR_S * J)
    assert (row["meters"], row["covered_us"], row["doubts"]) == ('["bmc"]', HOUR_US, None)
    assert row["input_nj"] == (3 * BOARD_W + HOST_W) * HOUR_S * J
    # 1 % of the meter, and what the boards' sensors may be off.
    assert row["host_low_nj"] < 500 * HOUR_S * J < 540 * HOUR_S * J < row["host_high_nj"]
    # Two of the three boards have a job.
    mine = job(lake)
    assert mine["e_host_nj"] == HOST_W * HOUR_S * J * 2 // 3
    assert mine["e_host_low_nj"] == row["host_low_nj"] * 2 // 3
    assert mine["e_host_high_nj"] == row["host_high_nj"] * 2 // 3
    assert (mine["host_method"], mine["reason_codes"]) == ("measured", "no_tokens")
    assert mine["e_facility_j"] == pytest.approx((2 * BOARD_W + HOST_W * 2 / 3) * HOUR_S * 1.25)
    (node,) = lake.read("node_hour").to_pylist()
    assert (node["e_host_nj"], node["host_method"]) == (row["host_nj"], "measured")
    assert_checks_pass(lake)


def test_two_power_supplies_are_added(tmp_path: Path) -> None:
    builder = lake_of(tmp_path, "")
    for number, watts in enumerate((700, 2 * BOARD_W + HOST_W - 700)):
        add_meter(builder, Node(meter_w=watts), f"psu-{number}")
    site = SITE + meter("node:n1", "psu-0") + meter("node:n1", "psu-1")
    row = host(build(builder, site))
    assert (row["host_nj"], row["meters"]) == (HOST_W * HOUR_S * J, '["psu-0", "psu-1"]')


def test_the_meter_of_a_rack_is_a_nodes_only_if_it_stands_there_alone(tmp_path: Path) -> None:
    builder = lake_of(tmp_path, "", Node("n1"), Node("n3"))
    for name, meter_id in (("n1", "r1"), ("n3", "alone")):
        add_meter(builder, Node(name), meter_id)
    site = SITE + meter("rack:r1", "r1", role='"rack_in"')
    lake = build(builder, site + meter("rack:alone", "alone", role='"rack_in"'))
    assert host(lake, "n3")["host_nj"] == HOST_W * HOUR_S * J
    assert (host(lake, "n1")["method"], host(lake, "n1")["meters"]) == ("none", None)
    assert_checks_pass(lake)


def test_a_node_may_be_placed_by_its_full_name(tmp_path: Path) -> None:
    builder = lake_of(tmp_path, "")
    add_meter(builder, Node())
    site = SITE.replace('"n1"', '"n1.example.org"') + meter("node:n1.example.org")
    assert host(build(builder, site))["method"] == "measured"


def test_a_meter_that_pauses_is_scaled_and_the_bounds_say_so(tmp_path: Path) -> None:
    """190 s without readings, which cut two rows of 30 s, and a minute without one of a board."""
    node = Node(boards=1)
    builder = LakeBuilder(tmp_path / "lake")
    builder.device("n1-0", update_us=S)
    readings = level(BOARD_W * 1_000, T0, T0 + HOUR_US, S)
    builder.power("n1-0", [r for r in readings if not 900 * S < r[0] - T0 < 960 * S])
    add_meter(builder, node, but=lambda s: 1_810 < s < 2_000)
    lake = build(builder, SITE + meter("node:n1"))
    row = host(lake)
    known_s = HOUR_S - 190 - 60
    assert (row["covered_us"], row["input_us"]) == (known_s * S, known_s * S)
    assert row["input_boards_nj"] == BOARD_W * known_s * J
    assert (row["method"], row["host_nj"]) == ("measured", HOST_W * HOUR_S * J)
    whole = host(build(lake_of_whole(tmp_path / "whole"), SITE + meter("node:n1")))
    per_s = row["input_high_nj"] / known_s
    of_known = whole["host_high_nj"] * known_s / HOUR_S
    # Of the rows that are cut, 10 s each are known, and the boards may have drawn nothing in those.
    cut = 20 * BOARD_W * J / 1.05
    more = row["host_high_nj"] - of_known - per_s * 250
    assert 0.5 * cut < more < 1.1 * cut
    # In the rest nothing is sure; in the known 10 s boards may have drawn all of the row.
    least = whole["host_low_nj"] * known_s / HOUR_S
    assert row["host_low_nj"] == pytest.approx(least - 40 * BOARD_W * J * 1.1, rel=2e-3)
    assert_checks_pass(lake)


def lake_of_whole(root: Path) -> LakeBuilder:
    builder = lake_of(root, "", Node(boards=1))
    add_meter(builder, Node(boards=1))
    return builder


def test_a_meter_known_for_too_little_is_not_used(tmp_path: Path) -> None:
    builder = lake_of(tmp_path, "")
    add_meter(builder, Node(), but=lambda s: s > 3_000)
    row = host(build(builder, declared(500) + SITE + meter("node:n1")))
    assert (row["method"], row["host_nj"]) == ("declared", 500 * HOUR_S * J)
    assert (row["doubts"], row["input_us"]) == ("meter_in_part", 3_000 * S)


def test_a_watched_time_of_minutes_is_measured_too(tmp_path: Path) -> None:
    node = Node(from_s=600, until_s=1_200)
    builder = lake_of(tmp_path, "", node)
    add_meter(builder, node)
    lake = build(builder, declared() + SITE + meter("node:n1"))
    row = host(lake)
    assert (row["watched_us"], row["host_nj"]) == (600 * S, HOST_W * 600 * J)
    assert_checks_pass(lake)


def test_a_meter_that_shows_less_than_its_boards_is_a_finding(tmp_path: Path) -> None:
    builder = lake_of(tmp_path, "")
    add_meter(builder, Node(meter_w=2 * BOARD_W - 10))
    lake = build(builder, declared(500) + SITE + meter("node:n1"))
    row = host(lake)
    assert (row["method"], row["doubts"]) == ("declared", "below_boards")
    (found,) = findings(lake, "hosts_are_plausible")
    assert found[:5] == ("n1", "2026-01-15T08:00Z", "below_boards", "declared", -10.0 * HOUR_S)
    assert_checks_pass(lake)


def test_a_meter_of_one_of_two_supplies_is_a_finding(tmp_path: Path) -> None:
    """It leaves the host something, but less than its processors counted."""
    builder = lake_of(tmp_path, "")
    add_meter(builder, Node(meter_w=2 * BOARD_W + 150))
    add_processors(builder, processors())
    lake = build(builder, declared(500) + SITE + meter("node:n1"))
    assert host(lake)["doubts"] == "measured_below_cpu"
    assert len(findings(lake, "hosts_are_plausible")) == 1
    assert_checks_pass(lake)


def test_without_an_accuracy_a_job_says_that_nothing_bounds_its_host(tmp_path: Path) -> None:
    builder = lake_of(tmp_path, "")
    add_meter(builder, Node())
    lake = build(builder, declared() + SITE + meter("node:n1", accuracy_percent=None))
    mine = job(lake)
    assert mine["e_host_nj"] == HOST_W * HOUR_S * J // 2
    assert (mine["e_host_low_nj"], mine["e_host_high_nj"]) == (0, None)
    assert "unbounded_host" in mine["reason_codes"].split(",")
    assert "no_host_power" not in mine["reason_codes"].split(",")
    assert host(lake)["doubts"] == "no_accuracy"
    assert_checks_pass(lake)


def test_a_modelled_node_beside_a_metered_and_a_declared_one(tmp_path: Path) -> None:
    builder = lake_of(tmp_path, "", Node("n1"), Node("n2"), Node("n3"))
    add_meter(builder, Node("n1"))
    for name in ("n1", "n2"):
        add_processors(builder, processors(name))
    ends_us = T0 + HOUR_US
    for name in ("n1", "n2", "n3"):
        builder.job("wide", f"{name}-1", T0, ends_us, node=name)
    site = declared(500) + MODEL.format(more='nodes = ["n{1..2}"]') + SITE + meter("node:n1")
    lake = build(builder, site)
    rows = {name: host(lake, name) for name in ("n1", "n2", "n3")}
    assert [row["method"] for row in rows.values()] == ["measured", "modelled", "declared"]
    assert rows["n2"]["host_nj"] == MODELLED_J * J
    assert rows["n2"]["cpu_nj"] == (CPU_W + DRAM_W) * HOUR_S * J
    assert rows["n2"]["host_low_nj"] < (MODELLED_J - 10 * HOUR_S) * J
    assert rows["n3"]["host_low_nj"] == rows["n3"]["host_high_nj"] == 500 * HOUR_S * J
    (wide,) = ask(lake, "FROM job_index WHERE job_id = 'wide'")
    assert wide["host_method"] == "measured+modelled+declared"
    assert wide["e_host_nj"] == sum(row["host_nj"] // 2 for row in rows.values())
    assert_checks_pass(lake)


def test_processors_alone_leave_a_least_and_no_value(tmp_path: Path) -> None:
    builder = lake_of(tmp_path, "")
    add_processors(builder, processors())
    lake = build(builder, declared())
    row = host(lake)
    assert (row["method"], row["host_nj"], row["host_high_nj"]) == ("none", None, None)
    assert row["host_low_nj"] == pytest.approx((CPU_W + DRAM_W) * HOUR_S * J, rel=1e-3)
    mine = job(lake)
    assert (mine["e_host_nj"], mine["e_host_low_nj"], mine["host_method"]) == (None, None, "none")
    assert mine["e_facility_j"] is None
    assert "no_host_power" in mine["reason_codes"]
    assert_checks_pass(lake)


def test_a_declared_power_below_the_processors_is_a_finding(tmp_path: Path) -> None:
    builder = lake_of(tmp_path, "")
    add_processors(builder, processors())
    lake = build(builder, declared(100))
    row = host(lake)
    assert (row["method"], row["doubts"]) == ("declared", "declared_below_cpu")
    assert row["host_nj"] == row["host_low_nj"] == row["cpu_low_nj"]
    assert job(lake)["e_host_high_nj"] is None
    assert findings(lake, "hosts_are_plausible")[0][7] == 100.0
    assert_checks_pass(lake)


def test_late_readings_restate_their_hour_alone(tmp_path: Path) -> None:
    builder = lake_of(tmp_path, "")
    later = T0 + 5 * HOUR_US
    builder.power("n1-0", level(BOARD_W * 1_000, later, later + 60 * S, S))
    lake = build(builder, declared(500) + SITE + meter("node:n1"))
    assert host(lake)["method"] == "declared"
    add_meter(builder, Node())
    assert again(lake).causes == {T0: ["meters"]}
    assert host(lake)["method"] == "measured"
    assert host(lake, hour_us=later)["method"] == "declared"
    add_processors(builder, processors())
    assert again(lake).causes == {T0: ["host"]}
    before = lake.read("host_hour").to_pylist()
    assert again(lake).revision is None
    index_again(lake)
    assert lake.read("host_hour").to_pylist() == before


def index_again(lake: Lake) -> None:
    from tokenergy_sql.index.pipeline import index

    site = load_site(None, lake.root)
    done = index(lake, site, progress=lambda _: None, catalog=False, rebuild_all=True)
    assert done.revision is None  # the same bytes


def test_a_model_without_a_date_leaves_the_past_alone_and_a_dated_one_does_not(
    tmp_path: Path,
) -> None:
    builder = lake_of(tmp_path, "")
    add_processors(builder, processors())
    lake = build(builder, declared(500) + MODEL.format(more=""))
    assert host(lake)["host_nj"] == MODELLED_J * J
    other = MODEL.replace("base_w = 300", "base_w = 310")
    site = lake.root / "site.toml"
    site.write_text(declared(500) + other.format(more=""), "utf-8")
    done = again(lake)
    assert done.causes == {}
    (remark,) = done.remarks
    assert "host_model of all nodes = base_mw 310000" in remark
    dated = other.format(more="from = 2026-01-15T08:00:00Z")
    site.write_text(declared(500) + MODEL.format(more="") + dated, "utf-8")
    assert again(lake).causes == {T0: ["site"]}
    assert host(lake)["host_nj"] == (MODELLED_J + 10 * HOUR_S) * J


def test_a_first_model_holds_for_hours_that_had_none(tmp_path: Path) -> None:
    builder = lake_of(tmp_path, "")
    add_processors(builder, processors())
    lake = build(builder, declared(500))
    assert host(lake)["method"] == "declared"
    site = declared(500) + MODEL.format(more='nodes = ["n1.example.org"]')
    (lake.root / "site.toml").write_text(site, "utf-8")
    assert again(lake).causes == {T0: ["site"]}
    assert host(lake)["method"] == "modelled"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (MODEL.format(more="") * 2, "two models"),
        (MODEL.format(more="").replace("cpu_w = [50, 500]", ""), "cpu_w"),
        (MODEL.format(more="").replace("[100, 1000]", "[1000, 100]"), "smaller value first"),
        (MODEL.format(more="").replace("base_w = 300", "base_w = -1"), "base_w"),
        (MODEL.format(more="from = 2026-01-15T08:30:00Z"), "beginning of an hour"),
    ],
)
def test_a_model_that_cannot_be_is_refused(tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "site.toml").write_text(text, "utf-8")
    with pytest.raises(UserError, match=says):
        load_site(None, tmp_path)


def test_a_host_of_unseen_time_draws_no_more_than_it_was_measured_to(tmp_path: Path) -> None:
    """A job claims a board that nothing recorded, on a node without a declared power."""
    builder = lake_of(tmp_path, "")
    builder.job("j-n1", "7", T0, T0 + HOUR_US)
    add_meter(builder, Node())
    lake = build(builder, declared() + SITE + meter("node:n1"))
    mine = job(lake)
    assert mine["e_facility_high_nj"] is not None
    assert "no_host_power" not in mine["reason_codes"]
    assert_checks_pass(lake)
