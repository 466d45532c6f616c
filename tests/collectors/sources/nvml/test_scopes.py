"""Power scopes: the module's power is kept apart, and a counter that covers it is no board's."""

import threading
import tomllib

import pytest
from pydantic import ValidationError

from tests.support.emulated import SMALL, Walk, small_profile
from tokenergy_collectors.daemon.control import Control
from tokenergy_collectors.emulate.profile.profile import Profile
from tokenergy_collectors.lake import Lake
from tokenergy_collectors.sources.nvml.boards import close_boards, open_boards
from tokenergy_collectors.sources.nvml.scopes import ScopeReader, learn_scopes
from tokenergy_collectors.start import run_collector

S = 1_000_000
MODULE = {"module_rest_w": 300.0, "counter_scope": "module"}


@pytest.fixture
def walk_of():
    opened = []

    def walk_of(**board):
        walk = Walk(small_profile(**board))
        opened.append(walk.node.__enter__())
        walk.boards, _ = open_boards()
        return walk

    yield walk_of
    for node in opened:
        close_boards()
        node.__exit__(None, None, None)


def learn(walk, learn_s=1.5):
    learn_scopes(walk.boards, walk.clock, learn_s, threading.Event())
    return walk.boards[0]


@pytest.mark.parametrize(
    ("board", "scopes", "counter"),
    [
        ({}, {}, None),
        ({"module_rest_w": 300.0}, {"module": (186, 1)}, "gpu"),
        (MODULE, {"module": (186, 1)}, "module"),
        ({**MODULE, "unsupported": ["instant"]}, {"module": (185, 1)}, "module"),
        ({"module_rest_w": 300.0, "unsupported": ["counter"]}, {"module": (186, 1)}, None),
        ({"module_rest_w": 2.0}, {"module": (186, 1)}, None),  # too little to tell them apart
    ],
)
def test_what_the_counter_covers_is_learned(walk_of, board, scopes, counter):
    walk = walk_of(**board)
    before_us = walk.clock.monotonic_us()
    found = learn(walk)
    assert found.scopes == scopes
    assert found.counter_scope == counter
    told = scopes and counter is not None
    if not scopes:
        assert walk.clock.monotonic_us() == before_us  # nothing to learn takes no time
    assert found.counts_itself == (counter != "module")
    if told:
        assert (found.read(energy=True)[1] is None) == (counter == "module")


def test_power_is_always_the_gpus(walk_of):
    walk = walk_of(**MODULE)
    board = learn(walk)
    walk.to(20 * S)
    assert board.read(energy=False)[0] == walk.node.boards[0].power_instant_mw(20 * S)
    board.probe()  # a board that is probed again stays without a counter
    assert board.read(energy=True)[1] is None


def test_a_counter_that_agrees_with_neither_is_left_as_it_is(walk_of, monkeypatch):
    from tokenergy_collectors.emulate.physics.board import Board

    real = Board.energy_mj
    walk = walk_of(module_rest_w=300.0)
    for board in walk.node.boards:
        walk.node._library._fields[board][83, 0] = (3, lambda b, t: 20 * real(b, t))
    assert learn(walk).counter_scope is None
    assert walk.boards[0].read(energy=True)[1] is not None


def test_not_learning_finds_the_scopes_all_the_same(walk_of):
    walk = walk_of(**MODULE)
    before_us = walk.clock.monotonic_us()
    board = learn(walk, 0)
    assert (board.scopes, board.counter_scope) == ({"module": (186, 1)}, None)
    assert walk.clock.monotonic_us() == before_us


def test_a_board_that_is_lost_has_no_rows(walk_of):
    walk = walk_of(**MODULE)
    learn(walk)
    rows = []
    reader = ScopeReader(walk.boards, "n1", lambda: 7, rows.extend)
    assert reader.needed
    reader.read()
    assert [row[:3] for row in rows] == [
        (7, "n1", f"module:{board.device_id}") for board in walk.boards
    ]
    walk.node.fail(0, 15)
    walk.boards[1].failure = 15
    rows.clear()
    reader.read()
    assert len(rows) == 2
    assert not ScopeReader([], "n1", lambda: 7, rows.extend).needed


def test_a_module_counter_needs_a_module():
    with pytest.raises(ValidationError, match="needs module_rest_w above 0"):
        small_profile(counter_scope="module")


def test_the_module_goes_to_host_and_never_into_the_gpus_energy(tmp_path):
    """The whole way: learned on a twin, collected, indexed, held against the truth."""
    import json

    from tokenergy_sql.catalog import connecting as catalog
    from tokenergy_sql.checks.checking import run_checks
    from tokenergy_sql.index.pipeline import index
    from tokenergy_sql.index.site import Site
    from tokenergy_transforms.aggregate import aggregate, worklist

    values = tomllib.loads(SMALL)
    values["boards"]["h100"] |= MODULE
    Profile.model_validate(values)
    profile = tmp_path / "module.toml"
    extra = "module_rest_w = 300.0\ncounter_scope = 'module'\n"
    profile.write_text(SMALL.replace("load_spread = 0.015\n", f"load_spread = 0.015\n{extra}"))
    root, truth = tmp_path / "lake", tmp_path / "truth.json"
    run_collector(
        None, control=Control(), lake=str(root), node="n1", emulate=str(profile), truth=truth
    )
    lake = Lake(root)
    assert set(lake.read("device")["counter_scope"].to_pylist()) == {"module"}
    assert set(lake.read("power")["energy_mj"].to_pylist()) == {None}
    host = lake.read("host").to_pylist()
    boards = {row["device_id"] for row in lake.read("device").to_pylist()}
    assert {row["domain"] for row in host} == {f"module:{device_id}" for device_id in boards}
    assert len(host) == 4 * 61
    for hour, node in worklist(lake):
        aggregate(lake, hour, node, S, "cpu")
    index(lake, Site(None, None, {}), progress=lambda _: None)
    assert [f.name for f in run_checks(lake) if f.breach] == []
    with catalog.connect(lake) as con:
        booked = dict(
            con.sql("SELECT device_id, sum(energy_nj)::BIGINT FROM ledger GROUP BY 1").fetchall()
        )
        sql = "SELECT DISTINCT method FROM ledger WHERE energy_nj IS NOT NULL"
        assert con.sql(sql).fetchall() == [("samples",)]
    rows = json.loads(truth.read_text())["rows"]
    for row in (row for row in rows if row["row"] == "board"):
        assert booked[row["device_id"]] == pytest.approx(row["energy_nj"], rel=0.02)
        ours = [r for r in host if r["domain"].endswith(row["device_id"])]
        ours.sort(key=lambda r: r["ts_us"])
        counted_nj = 1_000 * (ours[-1]["energy_uj"] - ours[0]["energy_uj"])
        assert counted_nj == pytest.approx(row["energy_nj"] + 60 * 300 * 10**9, abs=2_000_000)
        mean_mw = sum(r["power_mw"] for r in ours) / len(ours)
        assert mean_mw > 300_000
