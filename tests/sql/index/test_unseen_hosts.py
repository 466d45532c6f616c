"""The upper bound of facility energy holds the hosts of nodes that no collector saw."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.support.lakes import HOUR_US, T0, LakeBuilder, S, level
from tokenergy_sql.checks.checking import run_checks
from tokenergy_sql.index.site import Site

J = 1_000_000_000
GAP = {"gap", "no_tokens"}


@pytest.fixture
def builder(tmp_path: Path) -> LakeBuilder:
    """Board A of 100 W on n1 for a minute; nothing was ever recorded of n2."""
    builder = LakeBuilder(tmp_path / "lake")
    builder.device("A", limit_mw=700_000)
    builder.power("A", level(100_000, T0, T0 + 60 * S, S))
    return builder


def job(builder: LakeBuilder, site: Site) -> dict[str, Any]:
    lake = builder.build(site)
    row: dict[str, Any]
    (row,) = lake.read("job_index").to_pylist()
    assert not [f.name for f in run_checks(lake) if f.breach]
    return row


def hosts(**watts: int) -> Site:
    return Site(1_200_000, None, {node: w * 1_000 for node, w in watts.items()})


def more_j(row: dict[str, Any]) -> float:
    """What the upper bound has beyond the GPUs' own and the host that is known, at PUE 1.2."""
    known_nj = int(row["e_gpu_high_nj"]) + int(row["e_host_nj"])
    return round((int(row["e_facility_high_nj"]) / 1.2 - known_nj) / J, 3)


@pytest.mark.parametrize("boards", [1, 4])
def test_a_node_that_nobody_saw(builder: LakeBuilder, boards: int) -> None:
    builder.job("j", "A", T0, T0 + 60 * S)
    for number in range(boards):
        builder.job("j", str(number), T0 + number * S, T0 + 60 * S, node="n2")
    row = job(builder, hosts(n1=500, n2=800))
    assert row["e_host_nj"] == 60 * 500 * J  # what is known stays
    assert more_j(row) == 60 * 800  # a host draws once, for all of its boards
    assert set(row["reason_codes"].split(",")) == GAP


def test_its_host_power_is_unknown(builder: LakeBuilder) -> None:
    builder.job("j", "A", T0, T0 + 60 * S)
    builder.job("j", "0", T0, T0 + 60 * S, node="n2")
    row = job(builder, hosts(n1=500))
    assert row["e_facility_nj"] is not None
    assert row["e_facility_high_nj"] is None
    assert set(row["reason_codes"].split(",")) == GAP | {"no_host_power"}


def test_an_unseen_board_of_a_watched_node_adds_no_second_host(builder: LakeBuilder) -> None:
    """The job bears all of the host already, as the only holder of the boards that were seen."""
    builder.job("j", "A", T0, T0 + 60 * S)
    builder.job("j", "7", T0, T0 + 60 * S)
    assert more_j(job(builder, hosts(n1=500))) == 0


def test_time_on_a_node_that_was_not_watched(builder: LakeBuilder) -> None:
    """The job goes on for 30 s after the last reading of its only board."""
    builder.job("j", "A", T0, T0 + 90 * S)
    row = job(builder, hosts(n1=500))
    assert more_j(row) + int(row["e_host_nj"]) / J == 90 * 500


def test_hours_that_nothing_recorded(builder: LakeBuilder) -> None:
    builder.job("j", "A", T0, T0 + 60 * S)
    for board in ("0", "1"):
        builder.job("j", board, T0 - HOUR_US, T0 + 2 * HOUR_US, node="n2")
    assert more_j(job(builder, hosts(n1=500, n2=800))) == 3 * 3_600 * 800


def test_the_bound_of_a_ratio_has_them_too(builder: LakeBuilder) -> None:
    builder.tokens("j", [(T0 + 10 * n * S, 100 * n) for n in range(7)])
    builder.job("j", "A", T0, T0 + 60 * S)
    builder.job("j", "0", T0, T0 + 60 * S, node="n2")
    row = job(builder, hosts(n1=500, n2=800))
    assert row["n_joint_low"] > 0
    # Boards of n2 may have drawn 700 W, hosts 500 W and 800 W, for a minute.
    assert row["te_high"] >= 1.2 * 60 * (100 + 700 + 500 + 800) / row["n_joint_high"]
