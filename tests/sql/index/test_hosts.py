"""Hosts by watched time, idle energy by capacity: boards that go and come, edges moved by 1 us."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.lakes import HOUR_US, T0, LakeBuilder, S, level
from tests.support.ledger import J, ask, assert_checks_pass
from tokenergy_collectors.lake import Lake
from tokenergy_sql.index.site import Site
from tokenergy_sql.index.watched import watched
from tokenergy_transforms.booking.hour import Hour

SITE = Site(pue_ppm=1_000_000, host_mw=200_000, node_host_mw={})
EDGE = T0 + HOUR_US


@pytest.fixture
def builder(tmp_path: Path) -> LakeBuilder:
    return LakeBuilder(tmp_path / "lake")


def burdened(lake: Lake, job_id: str = "j") -> dict[str, Any]:
    (job,) = ask(lake, f"FROM job_index WHERE job_id = '{job_id}'")
    return job


def board(builder: LakeBuilder, name: str, start: int, end: int, **of: Any) -> None:
    """A board of 100 W, read from start to end."""
    builder.device(name, ts_us=start, **of)
    builder.power(name, level(100_000, start, end, S), **{k: of[k] for k in of if k == "node"})


LATER = T0 + 24 * HOUR_US


def add_replaced(builder: LakeBuilder) -> None:
    """A new board in the place of an old one, a day later."""
    of = {"index": 0, "node": "replaced", "site": "replaced"}
    board(builder, "old", T0, T0 + 60 * S, **of)
    board(builder, "new", LATER, LATER + 60 * S, **of)
    builder.job("on new", "new", LATER, LATER + 60 * S, node="replaced")


def add_unread(builder: LakeBuilder) -> None:
    """A board that is not read any more in the hour of a job on the other one."""
    of = {"node": "unread", "site": "unread"}
    board(builder, "read on", EDGE - 60 * S, EDGE + 60 * S, index=0, **of)
    board(builder, "unread", EDGE - 60 * S, EDGE - 1 * S, index=1, **of)
    builder.job("beside unread", "read on", EDGE, EDGE + 60 * S, node="unread")


def add_following(builder: LakeBuilder) -> None:
    """B replaces A after 60 s, with 10 s of both."""
    of = {"node": "following", "site": "following"}
    board(builder, "first", T0, T0 + 60 * S, index=0, **of)
    board(builder, "second", T0 + 50 * S, T0 + 110 * S, index=1, **of)
    builder.job("a", "first", T0, T0 + 60 * S, node="following")
    builder.job("b", "second", T0 + 50 * S, T0 + 110 * S, node="following")


def add_moving(builder: LakeBuilder) -> None:
    """A board moves to another node in mid-hour; a job holds the one that stays."""
    board(builder, "moves", T0, T0 + 60 * S, index=0, node="from", site="moving")
    board(builder, "stays", T0, T0 + 100 * S, index=1, node="from", site="moving")
    board(builder, "moves", T0 + 60 * S, T0 + 100 * S, index=0, node="to", site="moving")
    builder.job("on stays", "stays", T0, T0 + 100 * S, node="from")


def add_idle(builder: LakeBuilder) -> None:
    """Of three boards two are idle, one of them on another node."""
    for index, (name, node) in enumerate((("A", "n1"), ("B", "n1"), ("C", "n2"))):
        board(builder, name, T0, T0 + 60 * S, index=index, node=node, site="idle")
    builder.job("on A", "A", T0, T0 + 60 * S)


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """Sites of their own: nobody who takes them changes them."""
    builder = LakeBuilder(tmp_path_factory.mktemp("sites") / "lake")
    for add in (add_replaced, add_unread, add_following, add_moving, add_idle):
        add(builder)
    lake = builder.build(SITE)
    assert_checks_pass(lake)
    return lake


def node_hours(lake: Lake, site: str) -> list[dict[str, Any]]:
    return [row for row in ask(lake, "FROM node_hour ORDER BY node") if row["site"] == site]


def test_a_replaced_board_takes_no_part_of_the_host_with_it(lake: Lake) -> None:
    job = burdened(lake, "on new")
    assert (job["e_host_nj"], job["e_facility_nj"]) == (12_000 * J, 18_000 * J)
    assert job["e_facility_burdened_nj"] == 18_000 * J


def test_a_board_that_was_not_read_in_the_hour_takes_none_either(lake: Lake) -> None:
    job = burdened(lake, "beside unread")
    assert job["e_facility_burdened_nj"] - job["e_gpu_burdened_nj"] == 12_000 * J


def test_boards_that_follow_each_other_share_one_host(lake: Lake) -> None:
    """The host draws 200 W for 110 s, no more."""
    (node,) = node_hours(lake, "following")
    assert (node["watched_us"], node["capacity_us"], node["idle_us"]) == (110 * S, 120 * S, 0)
    assert node["e_host_nj"] == 22_000 * J
    assert [burdened(lake, job)["e_host_nj"] for job in "ab"] == [11_000 * J, 11_000 * J]


def test_a_board_that_moves_in_mid_hour(lake: Lake) -> None:
    """Each node's host draws its power while it is watched, whichever board was there."""
    nodes = {row["node"]: row for row in node_hours(lake, "moving")}
    assert nodes["from"]["e_host_nj"] == 20_000 * J
    assert nodes["to"]["e_host_nj"] == 8_000 * J
    assert burdened(lake, "on stays")["e_host_nj"] == 20_000 * J * 100 // 160


def test_idle_capacity_has_a_line_of_its_own(lake: Lake) -> None:
    """Each node has its own part of what is idle."""
    rows = node_hours(lake, "idle")
    # Of the pool, 12 kJ of boards and 6 + 12 kJ of hosts, each board stands for a third.
    assert [row["unborne_gpu_nj"] for row in rows] == [4_000 * J, 4_000 * J]
    assert [row["unborne_facility_nj"] for row in rows] == [10_000 * J, 10_000 * J]
    job = burdened(lake, "on A")
    assert job["e_gpu_burdened_nj"] == 10_000 * J
    assert job["e_facility_burdened_nj"] == 6_000 * J + 6_000 * J + 10_000 * J


SHARES_PPM = (1_000_000, 500_000, 1)
ENDS_US = (EDGE - 1, EDGE, EDGE + 1, EDGE + 2)


@pytest.fixture(scope="module")
def held_to_the_edge(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """One of two boards is held until 1 us before, at, and 1 us after the hour's edge.

    Each job has a node and a site of its own, so that it bears all that nobody else does.
    """
    builder = LakeBuilder(tmp_path_factory.mktemp("edge") / "lake")
    for share_ppm in SHARES_PPM:
        for end_us in ENDS_US:
            name = f"{share_ppm}-{end_us}"
            for index, one in enumerate(("A", "B")):
                of = {"index": index, "node": name, "site": name}
                board(builder, f"{one} {name}", EDGE - 60 * S, EDGE + 600 * S, **of)
            held_us = (EDGE - 60 * S, end_us)
            builder.job(name, f"A {name}", *held_us, share_ppm=share_ppm, node=name)
    lake = builder.build(SITE, 60 * S)
    assert_checks_pass(lake)
    return lake


@pytest.mark.parametrize("share_ppm", SHARES_PPM)
def test_burdens_are_continuous_across_an_hour(held_to_the_edge: Lake, share_ppm: int) -> None:
    # Its own, and of what is left of 12 kJ its part of two boards.
    own, part = 6_000 * J * share_ppm // 1_000_000, share_ppm / 2_000_000
    whole = own + (12_000 * J - own) * part
    for end_us in ENDS_US:
        job = burdened(held_to_the_edge, f"{share_ppm}-{end_us}")
        # 1 us of two boards and a host is 0.4 mJ; of the meter's edge a little more.
        assert abs(int(job["e_gpu_burdened_nj"]) - whole) < 10**7
        assert abs(int(job["e_facility_burdened_nj"]) - 2 * whole) < 10**7


def test_no_device_time_is_no_energy_of_an_undeclared_host(builder: LakeBuilder) -> None:
    board(builder, "A", EDGE - 60 * S, EDGE + 60 * S, index=0)
    builder.job("j", "A", EDGE - 60 * S, EDGE + 1, share_ppm=500_000)
    lake = builder.build(Site(1_000_000, None, {}))
    hours = ask(lake, "SELECT device_us, e_host_nj FROM job_hour_index ORDER BY hour_us")
    assert [(h["device_us"], h["e_host_nj"]) for h in hours] == [(30 * S, None), (1, 0)]
    assert burdened(lake)["e_host_nj"] is None


def test_watched_time_is_a_union() -> None:
    """Random times of boards on nodes, against a set of microseconds."""
    random = np.random.default_rng(7)
    for _ in range(200):
        devices, nodes = int(random.integers(1, 5)), int(random.integers(1, 4))
        seen: list[set[int]] = [set() for _ in range(nodes)]
        rows: list[tuple[int, int, int, int]] = []
        for device in range(devices):
            cuts = np.unique(random.integers(0, 40, random.integers(2, 9)))
            for start, end in pairwise(cuts):
                if random.random() < 0.7:
                    node = int(random.integers(0, nodes))
                    rows.append((device, node, int(start), int(end)))
                    seen[node] |= set(range(start, end))
        assert watched(_hour(devices, nodes, rows)) == {
            "node": [f"n{k}" for k in range(nodes)],
            "watched_us": pytest.approx([len(times) for times in seen], abs=0),
        }


def _hour(devices: int, nodes: int, rows: list[tuple[int, int, int, int]]) -> Hour:
    device, node, start, end = np.array(rows, np.int64).reshape(-1, 4).T
    offsets = np.searchsorted(device, np.arange(devices + 1)).astype(np.int64)
    none = {name: np.zeros(len(rows), np.int64) for name in Hour.__slots__[6:]}
    names = [f"GPU-{k}" for k in range(devices)], [f"n{k}" for k in range(nodes)]
    times = {"start_us": T0 + start, "end_us": T0 + end}
    return Hour(*names, offsets, node.astype(np.int32), **{**none, **times})
