"""Shipped boards and named sensors: they load, they are explained, and a profile's own keys win."""

import re
import tomllib
from pathlib import Path

import pytest

from tests.support.emulated import SMALL
from tokenergy_collectors.emulate.profile import blueprint, catalogue
from tokenergy_collectors.emulate.profile.catalogue import SENSORS, shipped
from tokenergy_collectors.emulate.profile.hardware import BoardSpec, NodeSpec
from tokenergy_collectors.emulate.profile.profile import Profile

WHY = Path(catalogue.__file__).with_name("boards.md").read_text("utf-8")


def profile_with(node, **boards):
    values = tomllib.loads(SMALL)
    values["nodes"]["n1"]["boards"] = node
    values["boards"] = boards
    return Profile.model_validate(values)


@pytest.mark.parametrize("name", shipped())
def test_every_shipped_board_can_be_named_without_a_table(name):
    profile = profile_with(name)
    spec = profile.boards[name]
    assert spec.name == shipped()[name]["name"]
    assert blueprint.identity(profile, "n1", 0).limit_mw == shipped()[name]["limit_w"] * 1_000
    assert f"| `{name}` | {spec.limit_w:g}" in WHY


def test_every_number_of_the_boards_has_a_source():
    explained = set(re.findall(r"`([a-z_]+)`", WHY)) | {"limit_w", "idle_w", "memory_gib"}
    plain = {"name", "min_limit_w"}
    for name, table in shipped().items():
        assert set(table) - plain <= explained, name


def test_kinds_of_sensor():
    values = {name: BoardSpec(name="b", idle_w=1.0, limit_w=2.0, sensor=name) for name in SENSORS}
    periods = {name: (spec.window_us, spec.update_us) for name, spec in values.items()}
    assert periods["20 ms"] == (20_000, 20_000)
    assert periods["100/100"] == (100_000, 100_000)
    assert periods["25/100"] == (25_000, 100_000)
    assert values["1 s average"].average_window_us == 1_000_000
    assert values["1 s average"].unsupported == ["instant"]
    assert {name: spec.unsupported for name, spec in values.items() if spec.unsupported} == {
        "1 s average": ["instant"]
    }


def test_what_a_profile_says_itself_wins():
    own = {"like": "a100", "name": "mine", "limit_w": 350, "unsupported": ["counter"]}
    spec = profile_with("x", x=own).boards["x"]
    assert (spec.name, spec.limit_w, spec.update_us, spec.window_us) == (
        "mine",
        350,
        101_000,
        25_000,
    )
    assert spec.unsupported == ["counter"]
    averaged = profile_with("x", x={**own, "sensor": "1 s average"}).boards["x"]
    assert averaged.unsupported == ["counter", "instant"]
    table = {"name": "another", "idle_w": 10, "limit_w": 20}
    assert profile_with("h100", h100=table).boards["h100"].name == "another"


def test_a_profile_read_again_from_its_own_values_is_the_same():
    profile = profile_with("v100")
    assert Profile.model_validate(profile.model_dump()) == profile


@pytest.mark.parametrize(
    ("node", "boards", "parts"),
    [
        ("tpu", {}, ["nodes.n1.boards = 'tpu'", "v100, a100, h100"]),
        ("x", {"x": {"like": "tpu"}}, ["boards.x.like = 'tpu'", "v100, a100, h100"]),
        ("x", {"x": {"like": "a100", "sensor": "fast"}}, ["'20 ms', '100/100'", "'fast'"]),
    ],
)
def test_unknown_names_are_reported_with_the_known_ones(node, boards, parts):
    with pytest.raises(ValueError, match="boards") as caught:
        profile_with(node, **boards)
    for part in parts:
        assert part in str(caught.value)


def test_cards_of_a_kind_differ_within_the_spread():
    profile = profile_with("h100")
    values = profile.model_dump()
    values["nodes"]["n1"]["count"] = 64
    profile = Profile.model_validate(values)
    assert isinstance(profile.nodes["n1"], NodeSpec)
    cards = [blueprint.sensor(profile, "n1", index) for index in range(64)]
    for found, most in (
        ([card.gain_ppm for card in cards], 20_000),
        ([card.offset_mw for card in cards], 1_200),
    ):
        assert most / 2 < max(found) <= most
        assert -most <= min(found) < -most / 2
    assert all(0 <= card.counter_phase_us < 100_000 for card in cards)
    assert {card.counter_gain_ppm for card in cards} == {0}
