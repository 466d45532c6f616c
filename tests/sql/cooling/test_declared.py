"""`[[cooling]]` of the site file: what holds where and when, which loops add up, what is wrong."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from tests.sql.cooling.sitefile import HALLS, known_of, loop, meter
from tests.sql.places.files import at, problems_of
from tokenergy_sql.cooling.classes import CLASSES
from tokenergy_sql.cooling.coefficients import ABOUT, DEFAULTS
from tokenergy_sql.cooling.coolants import COOLANTS
from tokenergy_sql.cooling.declared import Loop, counted, of_equipment
from tokenergy_sql.cooling.keys import CoolingKeys, LoopKeys
from tokenergy_sql.places import SITE, Place

NOW = at("2026-01-15T08:00:00")
B, B1 = Place("hall", "b"), Place("module", "b1")
PAGE = Path(__file__).parents[3] / "docs" / "cooling.md"


def test_a_hall_says_what_the_site_does_not() -> None:
    places, declared = known_of(
        HALLS
        + """
[[cooling]]
class = "W27"
rejection = "tower"
coefficients = { carnot_share = 0.6, dry_approach_k = 9 }
[[cooling]]
place = "hall:b"
class = "W32"
[cooling.coefficients]
carnot_share = 0.5
"""
    )
    path = places.at(NOW).path(B)
    assert [one.class_ for one in declared.at(path, NOW)] == ["W32", "W27"]
    k = declared.coefficients(path, NOW)
    assert (k.carnot_share, k.dry_approach_k) == (0.5, 9.0)
    assert k.tower_approach_k == DEFAULTS.tower_approach_k
    other = declared.coefficients(places.at(NOW).path(Place("hall", "a")), NOW)
    assert (other.carnot_share, other.dry_approach_k) == (0.6, 9.0)
    assert declared.coefficients((SITE,), NOW) == other


def test_an_entry_holds_for_its_time() -> None:
    places, declared = known_of(
        HALLS
        + """
[[cooling]]
place = "hall:b"
class = "W27"
until = 2026-01-15T08:00:00Z
[[cooling]]
place = "hall:b"
class = "W45"
from = 2026-01-15T08:00:00Z
"""
    )
    path = places.at(NOW).path(B)
    assert [one.class_ for one in declared.at(path, NOW - 1)] == ["W27"]
    assert [one.class_ for one in declared.at(path, NOW)] == ["W45"]


def loops_of(text: str, place: Place = SITE) -> tuple[list[Loop], list[Loop]]:
    places, declared = known_of(text)
    tree, meters = places.at(NOW), places.meters.at(NOW)
    loops = declared.loops(tree, meters, NOW)
    return loops, counted(loops, tree, place)


def test_one_meter_of_each_role_at_a_place_is_a_loop() -> None:
    loops, of_site = loops_of(HALLS + loop("b", "hall:b"))
    assert loops == of_site == [Loop(B, "flow-b", "supply-b", "return-b")]
    # Two flows: which one belongs to the temperatures is not told.
    more = meter("flow-2", "flow", "L/s", "coolant_flow", "hall:b")
    assert loops_of(HALLS + loop("b", "hall:b") + more)[0] == []
    # A temperature is missing.
    assert loops_of(HALLS + loop("b", "hall:b").split('\n[[meter]]\nid = "return')[0])[0] == []


def test_declared_loops_take_the_place_of_those_that_follow_from_roles() -> None:
    text = (
        HALLS
        + loop("b", "hall:b")
        + loop("c", "hall:b")
        + """
[[cooling]]
place = "hall:b"
[[cooling.loop]]
flow = "flow-b"
supply = "supply-b"
return = "return-b"
[[cooling.loop]]
flow = "flow-c"
supply = "supply-b"
return = "return-c"
coolant = "pg25"
"""
    )
    loops, of_site = loops_of(text)
    assert (
        loops
        == of_site
        == [
            Loop(B, "flow-b", "supply-b", "return-b"),
            Loop(B, "flow-c", "supply-b", "return-c", "pg25"),
        ]
    )
    # Declared at the site for the hall's meters: the same heat is not counted twice.
    of_the_site = text.replace('place = "hall:b"\n[[cooling.loop]]', "[[cooling.loop]]")
    assert [one.place for one in loops_of(of_the_site)[1]] == [SITE, SITE]


def test_the_outermost_loops_of_a_place_add_up() -> None:
    """Distribution units in both modules, and the hall's loop that carries their heat."""
    text = HALLS + loop("1", "module:b1") + loop("2", "module:b2")
    assert [one.flow for one in loops_of(text, B)[1]] == ["flow-1", "flow-2"]
    assert [one.flow for one in loops_of(text)[1]] == ["flow-1", "flow-2"]
    assert [one.flow for one in loops_of(text, B1)[1]] == ["flow-1"]
    with_hall = text + loop("b", "hall:b")
    assert [one.flow for one in loops_of(with_hall, B)[1]] == ["flow-b"]
    assert [one.flow for one in loops_of(with_hall)[1]] == ["flow-b"]
    assert [one.flow for one in loops_of(with_hall, B1)[1]] == ["flow-1"]
    assert loops_of(with_hall, Place("hall", "a"))[1] == []


@pytest.mark.parametrize(
    ("place", "more", "counts"),
    [
        ("hall:b", "", True),
        ("module:b1", "", True),
        ("hall:a", "", False),  # cooled by air: its water cools air
        ("hall:a", '[[cooling]]\nplace = "hall:a"\nclass = "W32"\n', True),
        ("hall:b", '[[cooling]]\nplace = "hall:b"\nclass = "air"\n', False),
        ("hall:a", '[[cooling]]\nclass = "W32"\n', False),  # of the site, not of the hall
        ("site", "", False),
        ("site", '[[cooling]]\nclass = "W27"\n', True),
    ],
)
def test_which_loops_take_heat_from_the_equipment(place: str, more: str, counts: bool) -> None:
    places, declared = known_of(HALLS + loop("x", place) + more)
    tree = places.at(NOW)
    loops = declared.loops(tree, places.meters.at(NOW), NOW)
    assert len(loops) == 1
    assert of_equipment(loops, declared, tree, NOW) == (loops if counts else [])


LOOP = '[[cooling.loop]]\nflow = "flow-b"\nsupply = "supply-b"\nreturn = "return-b"\n'


@pytest.mark.parametrize(
    ("tables", "told"),
    [
        ('[[cooling]]\nclass = "W99"\n', "expected one of W17, W27, W32, W40, W45, air"),
        ('[[cooling]]\nplace = "rack:r1"\n', 'expected "site", "hall:NAME" or "module:NAME"'),
        ('[[cooling]]\nplace = "hall:z"\n', "no [[hall]] is called 'z'; there are: a, b"),
        ('[[cooling]]\nrejection = "river"\n', "'tower' or 'dry'"),
        ("[[cooling]]\nrated_kw = 0\n", "greater than 0"),
        (
            "[[cooling]]\ncoefficients = { carnot = 0.5 }\n",
            "unknown coefficient 'carnot'; allowed:",
        ),
        (
            "[[cooling]]\ncoefficients = { carnot_share = 1.5 }\n",
            "carnot_share: expected 0.1 to 0.95 1",
        ),
        (
            '[[cooling]]\ncoefficients = { carnot_share = "high" }\n',
            "carnot_share: expected 0.1 to 0.95 1",
        ),
        ("[[cooling]]\nwater = 1\n", "unknown key 'water'"),
        ("[[cooling]]\n[[cooling]]\n", "'site' is there twice (always)"),
        (
            "[[cooling]]\n" + LOOP.replace('"flow-b"', '"flow-z"'),
            "flow = 'flow-z' is no meter's id",
        ),
        (
            "[[cooling]]\n" + LOOP.replace('"flow-b"', '"return-b"'),
            "flow = 'return-b' has not the role coolant_flow",
        ),
        ("[[cooling]]\n" + LOOP + LOOP, "loop.1: is there twice and would be added twice"),
        ("[[cooling]]\n" + LOOP + 'coolant = "oil"\n', "expected one of water, pg25"),
    ],
)
def test_what_does_not_fit_is_refused(tables: str, told: str) -> None:
    found = problems_of(HALLS + loop("b", "hall:b") + tables)
    assert len(found) == 1
    assert told in found[0]
    assert "cooling" in found[0]


def test_the_page_has_every_coefficient_class_coolant_and_key() -> None:
    page = PAGE.read_text("utf-8")
    for name, about in ABOUT.items():
        row = rf"^\| `{name}` \| {getattr(DEFAULTS, name):g} \| {about.unit} \|.*$"
        (line,) = re.findall(row, page, re.MULTILINE)
        assert about.meaning in line, name
        assert about.source in line, name
    for name, one in CLASSES.items():
        assert re.search(rf"^\| `{name}` \| {one.supply_c:g} \|.*{one.rejection}", page, re.M), name
    keys = {*CoolingKeys.model_fields, *LoopKeys.model_fields}
    usual = {"start": "from", "end": "until", "class_": "class", "return_": "return"}
    for name in (*(usual.get(key, key) for key in keys), *COOLANTS):
        assert f"`{name}`" in page, name


def test_the_examples_of_the_page_are_right() -> None:
    blocks = re.findall(r"```toml\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    assert len(blocks) >= 2
    for block in blocks:
        assert tomllib.loads(block)
        assert problems_of(HALLS + loop("b", "hall:b") + block) == []


def test_defaults_are_within_their_limits() -> None:
    for name, about in ABOUT.items():
        assert about.least <= getattr(DEFAULTS, name) <= about.most, name
        assert about.source, name
