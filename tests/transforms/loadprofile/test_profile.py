"""One hour of a lake: who is added up, what is NULL and why, what is written again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.support.lakes import HOUR_US, T0, LakeBuilder, S, level
from tests.support.swings import swinging
from tokenergy_collectors.lake import Lake
from tokenergy_transforms.aggregate import aggregate, worklist
from tokenergy_transforms.loadprofile import profile
from tokenergy_transforms.loadprofile.groups import KINDS
from tokenergy_transforms.loadprofile.profile import profile_hour

TABLES = ("load_profile", "load_spectrum")


@pytest.fixture
def builder(tmp_path: Path) -> LakeBuilder:
    return LakeBuilder(tmp_path / "lake")


def profiles(lake: Lake, kinds: tuple[str, ...] = KINDS, **more: Any) -> dict[str, dict[str, Any]]:
    """Profiles by `kind group_id`, each with its bands by lower edge."""
    profile_hour(lake, T0, kinds, **more)
    found = {f"{r['kind']} {r['group_id']}": r for r in lake.read("load_profile").to_pylist()}
    for row in found.values():
        row["bands"] = {}
    for band in lake.read("load_spectrum").to_pylist():
        found[f"{band['kind']} {band['group_id']}"]["bands"][band["low_hz"]] = band
    return found


def test_a_job_is_its_allocations_cut_at_their_edges_times_their_shares(
    builder: LakeBuilder,
) -> None:
    """A whole at 300 W for 100 s, and a quarter of B at 400 W in the last 40 s of them."""
    for k, (name, mw) in enumerate((("A", 300_000), ("B", 400_000))):
        builder.device(name, index=k, update_us=100_000)
        builder.power(name, level(mw, T0, T0 + 200 * S))
    builder.job("j", "A", T0 + 50 * S + 10_000, T0 + 150 * S + 10_000)
    builder.job("j", "1", T0 + 110 * S + 10_000, T0 + 150 * S + 10_000, share_ppm=250_000)
    job = profiles(builder.lake)["job j"]
    assert job["energy_nj"] == (100 * 300_000 + 40 * 100_000) * S
    assert (job["min_mw"], job["max_mw"]) == (300_000, 400_000)
    assert job["cells"] == 100 * 20 - 1  # the cells at both edges are held in part
    assert job["up_1s_mw"] == 100_000
    assert job["down_1s_mw"] == 0
    assert (job["devices"], job["metered"], job["coverage"]) == (2, 2, 1.0)
    assert "shared_estimate" in job["reason_codes"]
    assert job["battery_nj"] > 0


def test_racks_of_one_name_are_told_apart_and_the_place_in_force_counts(
    builder: LakeBuilder,
) -> None:
    place = {"update_us": 100_000, "site": "s"}
    builder.device("A", node="n1", hall="h1", rack="r1", **place)
    builder.device("B", node="n2", hall="h2", rack="r1", **place)
    builder.device("C", node="n3", hall="h1", rack="r9", **place)
    builder.device("C", node="n3", hall="h1", rack="r1", ts_us=T0 + 7 * S, **place)
    builder.device("C", node="n3", hall="h1", rack="later", ts_us=T0 + HOUR_US, **place)
    builder.device("D", node="n4", update_us=100_000)
    for name, node in zip("ABCD", ("n1", "n2", "n3", "n4"), strict=True):
        builder.power(name, level(100_000, T0, T0 + HOUR_US), node=node)
    found = profiles(builder.lake)
    racks = {k: r["mean_mw"] for k, r in found.items() if r["kind"] != "node"}
    assert racks == {"rack s/h1/r1": 200_000, "rack s/h2/r1": 100_000, "site s": 300_000}
    assert sorted(k for k in found if k.startswith("node")) == [f"node n{k}" for k in (1, 2, 3, 4)]
    assert set(profiles(builder.lake, ("site",))) == {"site s"}


def test_a_planted_swing_is_found_and_what_is_faster_is_null(builder: LakeBuilder) -> None:
    builder.device("A", update_us=100_000)
    builder.power("A", swinging(0.7, 900))
    node = profiles(builder.lake)["node n1"]
    assert node["dominant_hz"] == pytest.approx(0.7, abs=0.002)
    assert node["dominant_period_s"] == pytest.approx(1 / 0.7, rel=0.003)
    assert node["dominant_amplitude_mw"] == pytest.approx(75_000, rel=0.01)
    assert node["dominant_swing_share"] == pytest.approx(0.30, rel=0.01)
    assert node["limit_hz"] == pytest.approx(5.0, rel=0.01)
    bands = node["bands"]
    assert bands[0.5]["rms_mw"] == pytest.approx(75_000 / 2**0.5, rel=0.01)
    assert {low for low, b in bands.items() if b["reason"] == "above_nyquist"} == {5.0, 10.0}
    for band in bands.values():
        assert (band["rms_mw"] is None) == (band["variance_mw2"] is None) == bool(band["reason"])
    assert node["up_100ms_mw"] is not None


def test_an_image_is_not_told_nor_is_its_band(builder: LakeBuilder) -> None:
    builder.device("A", update_us=100_000)
    builder.power("A", swinging(7.0, 900, jitter_us=10_000))
    node = profiles(builder.lake)["node n1"]
    assert {"aliased", "above_nyquist"} <= set(node["reason_codes"].split(","))
    assert {name: v for name, v in node.items() if name.startswith("dominant") and v} == {}
    assert node["bands"][2.5]["reason"] == "aliased"
    assert node["bands"][2.5]["rms_mw"] is None
    assert node["bands"][5.0]["reason"] == "above_nyquist"


def test_the_slowest_sensor_sets_the_limit(builder: LakeBuilder) -> None:
    builder.device("A", update_us=100_000, site="s")
    builder.power("A", swinging(0.7, 600))
    builder.device("B", index=1, update_us=1_000_000, site="s", node="n2")
    builder.power("B", level(100_000, T0, T0 + 700 * S, S), node="n2")
    found = profiles(builder.lake)
    assert found["node n1"]["dominant_hz"] is not None
    site = found["site s"]
    assert (site["period_us"], site["step_us"], site["limit_hz"]) == (1_000_000, 500_000, 0.5)
    assert site["dominant_hz"] is None
    assert (site["up_100ms_mw"], site["bands"][0.5]["reason"]) == (None, "above_nyquist")
    assert site["up_1s_mw"] is not None


def test_a_device_without_readings_is_said_to_be_missing(builder: LakeBuilder) -> None:
    for k, name in enumerate("ABC"):
        builder.device(name, index=k, update_us=100_000)
    builder.power("A", level(100_000, T0, T0 + 60 * S))
    for name in "AB":
        builder.job("j", name, T0, T0 + 60 * S)
    builder.job("dark", "C", T0, T0 + 60 * S)
    builder.job("gone", "B", T0 - HOUR_US, None)
    found = profiles(builder.lake)
    assert (found["job j"]["devices"], found["job j"]["metered"]) == (2, 1)
    assert (found["job j"]["coverage"], found["job j"]["mean_mw"]) == (0.5, 100_000)
    assert "unmetered_devices" in found["job j"]["reason_codes"]
    dark = found["job dark"]
    assert "not_metered" in dark["reason_codes"]
    assert (dark["metered"], dark["coverage"], dark["energy_nj"]) == (0, 0.0, 0)
    given = ("kind", "group_id", "hour_us", "devices", "emulated", "reason_codes", "bands")
    rest = {k: v for k, v in dark.items() if k not in given and k != "step_us"}
    assert not any(rest.values())
    assert dark["mean_mw"] is None
    assert {b["reason"] for b in dark["bands"].values()} == {"not_metered"}
    assert "job gone" not in found


def test_a_device_that_nobody_has_seen_is_claimed_all_the_same(builder: LakeBuilder) -> None:
    builder.device("A", update_us=100_000)
    builder.power("A", level(100_000, T0, T0 + 60 * S))
    for job, end_us in (("j", T0 + 60 * S), ("running", None)):
        builder.job(job, "A", T0, end_us, share_ppm=500_000)
        builder.job(job, "7", T0, end_us)
    found = profiles(builder.lake)
    for job in ("j", "running"):
        row = found[f"job {job}"]
        assert (row["devices"], row["metered"], row["coverage"]) == (2, 1, 0.5)
        assert "unmetered_devices" in row["reason_codes"]


def test_a_running_job_is_covered_up_to_its_last_reading(builder: LakeBuilder) -> None:
    builder.device("A", update_us=100_000)
    builder.power("A", level(100_000, T0, T0 + 60 * S))
    builder.job("j", "A", T0 + 10 * S, None)
    assert profiles(builder.lake)["job j"]["coverage"] == 1.0
    builder.power("A", level(100_000, T0 + HOUR_US + S, T0 + HOUR_US + 2 * S))
    assert profiles(builder.lake)["job j"]["coverage"] == pytest.approx(50 / 3590)


def test_one_reading(builder: LakeBuilder) -> None:
    builder.device("A")
    builder.power("A", [(T0 + S, 100_000)])
    node = profiles(builder.lake)["node n1"]
    assert (node["cells"], node["energy_nj"], node["mean_mw"]) == (0, 0, None)
    assert {"no_cells", "no_segment"} <= set(node["reason_codes"].split(","))


def test_a_level_load_has_no_line(builder: LakeBuilder) -> None:
    builder.device("A", update_us=100_000)
    builder.power("A", level(123_457, T0, T0 + 600 * S))
    node = profiles(builder.lake)["node n1"]
    assert (node["swing_mw"], node["battery_nj"], node["dominant_hz"]) == (0, 0, None)
    assert "no_line" in node["reason_codes"]
    assert node["bands"][0.5]["rms_mw"] == pytest.approx(0, abs=1e-3)


def test_an_empty_lake(builder: LakeBuilder) -> None:
    assert profile.worklist(builder.lake) == []
    assert profile_hour(builder.lake, T0, KINDS).groups == 0
    assert not builder.lake.files("load_profile")


def test_again_gives_the_same_bytes_and_nothing_is_removed(builder: LakeBuilder) -> None:
    for k, node in enumerate(("n1", "n2")):
        builder.device(f"G{k}", node=node, site="s", update_us=100_000)
        builder.power(f"G{k}", swinging(0.7, 300, seed=k), node=node)
    builder.job("j", "G0", T0 + 10 * S, T0 + 200 * S)
    profiles(builder.lake)
    before = [(p.read_bytes(), p.stat().st_ino) for t in TABLES for p in builder.lake.files(t)]
    assert len(before) == 2
    profiles(builder.lake)
    assert before == [
        (p.read_bytes(), p.stat().st_ino) for t in TABLES for p in builder.lake.files(t)
    ]
    for raw in builder.lake.files("power"):
        raw.unlink()
    assert profile.worklist(builder.lake) == [T0]
    profile_hour(builder.lake, T0, KINDS)
    assert [builder.lake.files(t) for t in TABLES] == [[], []]
    assert profile.worklist(builder.lake) == []


def test_nodes_that_are_not_kept_are_read_again(
    builder: LakeBuilder, monkeypatch: pytest.MonkeyPatch
) -> None:
    for k, node in enumerate(("n1", "n2", "n3")):
        builder.device(f"G{k}", node=node, site="s", update_us=100_000)
        builder.power(f"G{k}", swinging(0.7, 300, seed=k), node=node)
    first = profiles(builder.lake)
    monkeypatch.setattr("tokenergy_transforms.loadprofile.hourreadings.CACHE_BYTES", 0)
    assert profiles(builder.lake) == first


def test_the_tables_do_not_disturb_the_others(builder: LakeBuilder) -> None:
    builder.device("A", update_us=100_000)
    builder.power("A", level(100_000, T0, T0 + 60 * S))
    profiles(builder.lake)
    assert worklist(builder.lake) == [(T0, "n1")]
    aggregate(builder.lake, T0, "n1", S, "cpu")
    assert builder.lake.nodes("segment", T0) == ["n1"]


@pytest.mark.parametrize(
    ("period_us", "step_us"),
    [(1_000, 10_000), (20_000, 10_000), (100_000, 50_000), (99_000, 50_000), (1_000_000, 500_000),
     (5_000_000, 1_000_000)],
)  # fmt: skip
def test_the_step_that_auto_picks(period_us: int, step_us: int) -> None:
    assert profile.auto_step(period_us) == step_us
