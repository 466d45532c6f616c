"""The upper bound of facility energy holds the hosts of nodes that no collector saw."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.lakes import HOUR_US, T0, LakeBuilder, S, level
from tokenergy_sql.checks.checking import run_checks
from tokenergy_sql.index.site import Site

J = 1_000_000_000
GAP = {"gap", "no_tokens"}


MINUTE = (T0, T0 + 60 * S)

HOSTS_W = {
    **dict.fromkeys(("seen-1", "seen-4", "unknown", "watched", "late", "long", "te"), 500),
    **dict.fromkeys(("seen-1-other", "seen-4-other", "long-other", "te-other"), 800),
}
"""The power of each host, W, as the site file has it."""

SITE = Site(1_200_000, None, {node: w * 1_000 for node, w in HOSTS_W.items()})


def add_seen(builder: LakeBuilder, name: str, end_us: int = T0 + 60 * S) -> None:
    """Add a node with a board of 100 W that is read for a minute, and its job; all of one name."""
    builder.device(name, node=name, limit_mw=700_000)
    builder.power(name, level(100_000, *MINUTE, S), node=name)
    builder.job(name, name, T0, end_us, node=name)


@pytest.fixture(scope="module")
def jobs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """The index of each job; of the nodes whose name ends in `-other` nothing was recorded."""
    builder = LakeBuilder(tmp_path_factory.mktemp("hosts") / "lake")
    for boards in (1, 4):
        name = f"seen-{boards}"
        add_seen(builder, name)
        for number in range(boards):
            since_us = T0 + number * S
            builder.job(name, str(number), since_us, T0 + 60 * S, node=f"{name}-other")
    add_seen(builder, "unknown")
    builder.job("unknown", "0", *MINUTE, node="unknown-other")
    add_seen(builder, "watched")
    builder.job("watched", "7", *MINUTE, node="watched")
    add_seen(builder, "late", T0 + 90 * S)
    add_seen(builder, "long")
    for board in ("0", "1"):
        builder.job("long", board, T0 - HOUR_US, T0 + 2 * HOUR_US, node="long-other")
    add_seen(builder, "te")
    builder.job("te", "0", *MINUTE, node="te-other")
    builder.tokens("te", [(T0 + 10 * n * S, 100 * n) for n in range(7)], node="te")
    lake = builder.build(SITE)
    assert not [f.name for f in run_checks(lake) if f.breach]
    return {row["job_id"]: row for row in lake.read("job_index").to_pylist()}


Jobs = dict[str, dict[str, Any]]


def more_j(row: dict[str, Any]) -> float:
    """What the upper bound has beyond the GPUs' own and the host that is known, at PUE 1.2."""
    known_nj = int(row["e_gpu_high_nj"]) + int(row["e_host_nj"])
    return round((int(row["e_facility_high_nj"]) / 1.2 - known_nj) / J, 3)


@pytest.mark.parametrize("boards", [1, 4])
def test_a_node_that_nobody_saw(jobs: Jobs, boards: int) -> None:
    row = jobs[f"seen-{boards}"]
    assert row["e_host_nj"] == 60 * 500 * J  # what is known stays
    assert more_j(row) == 60 * 800  # a host draws once, for all of its boards
    assert set(row["reason_codes"].split(",")) == GAP


def test_its_host_power_is_unknown(jobs: Jobs) -> None:
    row = jobs["unknown"]
    assert row["e_facility_nj"] is not None
    assert row["e_facility_high_nj"] is None
    assert set(row["reason_codes"].split(",")) == GAP | {"no_host_power"}


def test_an_unseen_board_of_a_watched_node_adds_no_second_host(jobs: Jobs) -> None:
    """The job bears all of the host already, as the only holder of the boards that were seen."""
    assert more_j(jobs["watched"]) == 0


def test_time_on_a_node_that_was_not_watched(jobs: Jobs) -> None:
    """The job goes on for 30 s after the last reading of its only board."""
    row = jobs["late"]
    assert more_j(row) + int(row["e_host_nj"]) / J == 90 * 500


def test_hours_that_nothing_recorded(jobs: Jobs) -> None:
    assert more_j(jobs["long"]) == 3 * 3_600 * 800


def test_the_bound_of_a_ratio_has_them_too(jobs: Jobs) -> None:
    row = jobs["te"]
    assert row["n_joint_low"] > 0
    # The other node's board may have drawn 700 W, hosts 500 W and 800 W, for a minute.
    assert row["te_high"] >= 1.2 * 60 * (100 + 700 + 500 + 800) / row["n_joint_high"]
