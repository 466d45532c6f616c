"""Jobs, boards and nodes keep their identity in the index, whatever is learned later."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.support.lakes import HOUR_US, T0, LakeBuilder, S, level
from tests.support.ledger import J, ask, assert_checks_pass
from tokenergy_sql.index.pipeline import index
from tokenergy_sql.index.site import Site
from tokenergy_transforms.aggregate import aggregate, worklist

DAY = 24 * HOUR_US


@pytest.fixture
def builder(tmp_path: Path) -> LakeBuilder:
    """Two boards of n1 that draw 100 W and 300 W for a minute."""
    builder = LakeBuilder(tmp_path / "lake")
    boards(builder, T0, ("GPU-a", 100_000), ("GPU-b", 300_000))
    return builder


def boards(builder: LakeBuilder, at_us: int, *found: tuple[str, int], node: str = "n1") -> None:
    for place, (name, power_mw) in enumerate(found):
        builder.device(name, index=place, ts_us=at_us, node=node)
        builder.power(name, level(power_mw, at_us, at_us + 60 * S), node=node)


def energy(builder: LakeBuilder) -> dict[str, Any]:
    lake = builder.build()
    assert_checks_pass(lake)
    return {row["job_id"]: row["e_gpu_nj"] for row in ask(lake, "SELECT * FROM job_index")}


def test_a_board_that_is_renumbered_later_moves_no_earlier_job(builder: LakeBuilder) -> None:
    builder.job("past", "0", T0, T0 + 60 * S)
    assert energy(builder) == {"past": 6_000 * J}
    boards(builder, T0 + DAY, ("GPU-b", 300_000), ("GPU-a", 100_000))
    builder.job("new", "0", T0 + DAY, T0 + DAY + 60 * S)
    assert energy(builder) == {"past": 6_000 * J, "new": 18_000 * J}


def test_job_17_of_two_clusters_is_two_jobs(builder: LakeBuilder) -> None:
    builder.job("17", "GPU-a", T0, T0 + 60 * S, cluster="x")
    builder.job("17", "GPU-b", T0, T0 + 60 * S, cluster="y")
    assert energy(builder) == {"x/17": 6_000 * J, "y/17": 18_000 * J}
    rows = ask(builder.lake, "SELECT job_id, cluster FROM job_index ORDER BY 1")
    assert [(row["job_id"], row["cluster"]) for row in rows] == [("x/17", "x"), ("y/17", "y")]
    ask(builder.lake, "SELECT job_id FROM job_hour_index WHERE job_id = 'x/17'")


@pytest.mark.parametrize(("node", "listed"), [("g.example.org", "g"), ("g", "g.example.org")])
def test_a_job_on_a_node_of_another_name_is_cut_at_its_edges(
    tmp_path: Path, node: str, listed: str
) -> None:
    builder = LakeBuilder(tmp_path / "lake")
    boards(builder, T0, ("GPU-a", 100_000), node=node)
    builder.job("short", "GPU-a", T0 + 20_100_000, T0 + 20_900_000, node=listed)
    assert energy(builder) == {"short": 80 * J}


def test_a_corrected_start_counts_once(builder: LakeBuilder) -> None:
    builder.job("j", "GPU-a", T0, T0 + 60 * S)
    builder.job("j", "GPU-a", T0 + 30 * S, T0 + 60 * S, recorded_us=T0 + 1)
    assert energy(builder) == {"j": 3_000 * J}


def test_the_partition_of_the_time_and_a_share_that_was_not_recorded(builder: LakeBuilder) -> None:
    builder.device("MIG-1", index=None, mig_parent="GPU-a")
    builder.job("whole", "MIG-1", T0, T0 + 60 * S)
    builder.device("MIG-7", index=None, mig_parent="GPU-b")
    builder.device("MIG-8", index=None, mig_parent="GPU-b")
    builder.job("half", "MIG-7", T0, T0 + 60 * S)
    found = {"whole": 6_000 * J, "half": 9_000 * J}
    assert energy(builder) == found
    reasons = ask(builder.lake, "SELECT reason_codes FROM job_index")
    assert all("shared_estimate" in row["reason_codes"] for row in reasons)
    for name in "abcd":
        builder.device(f"MIG-{name}", index=None, mig_parent="GPU-b", ts_us=T0 + DAY)
    assert energy(builder) == found


def derived(builder: LakeBuilder) -> dict[int, list[str]]:
    """Return the hours that a run of the index derives, from T0 on, and why."""
    for hour, node in worklist(builder.lake):
        aggregate(builder.lake, hour, node, 10 * S, "cpu")
    site = Site(None, None, {})
    causes = index(builder.lake, site, progress=lambda _: None, catalog=False).causes
    return {(hour - T0) // HOUR_US: kinds for hour, kinds in causes.items()}


def test_a_correction_makes_the_hours_stale_that_it_touches_and_no_other(
    tmp_path: Path,
) -> None:
    builder = LakeBuilder(tmp_path / "lake")
    builder.device("GPU-a", index=0)
    builder.power("GPU-a", level(100_000, T0, T0 + 5 * HOUR_US, 10 * S))
    ids = {"allocation_id": "7"}
    builder.job("j", "0", T0 + HOUR_US // 2, T0 + 4 * HOUR_US + HOUR_US // 2, **ids)
    assert sorted(derived(builder)) == [0, 1, 2, 3, 4]
    assert derived(builder) == {}
    later = {**ids, "recorded_us": T0 + 1}
    builder.job("j", "0", T0 + HOUR_US // 2, T0 + 3 * HOUR_US + HOUR_US // 2, **later)
    assert sorted(derived(builder)) == [3, 4]
    # Renumbered, with an index that the list names: its allocation is that of its start.
    builder.device("GPU-b", index=0, ts_us=T0 + 5 * HOUR_US)
    assert not any("jobs" in kinds for kinds in derived(builder).values())
    builder.job("j", "0", T0, T0, **{**ids, "recorded_us": T0 + 2})
    assert sorted(derived(builder)) == [0, 1, 2, 3]
    assert ask(builder.lake, "SELECT * FROM job_index") == []


def test_a_board_with_readings_and_no_row_of_its_own_is_cut_at_edges_too(tmp_path: Path) -> None:
    builder = LakeBuilder(tmp_path / "lake")
    builder.power("GPU-x", level(100_000, T0, T0 + 60 * S))
    builder.job("j", "GPU-x", T0 + 20_100_000, T0 + 20_900_000)
    assert energy(builder) == {"j": 80 * J}
