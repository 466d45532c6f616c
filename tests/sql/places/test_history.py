"""Random sites and moves: what stood where at an instant is what a slow reading of it says."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from tests.sql.places.files import at, places_of, problems_of
from tokenergy_sql.places import Place, Places, Tree, parse_place
from tokenergy_sql.places.paths import Paths
from tokenergy_sql.places.timeline import show_instant

T0 = at("2026-01-01T00:00:00")
STEP_US = 1_234_567_891
"""Not a whole number of hours, minutes or seconds."""

STEPS = 12
HALLS = ("a", "b")


@dataclass(frozen=True)
class Stay:
    """A thing, what it is in, and for which steps; the first step and the last are open ends."""

    table: str
    name: str
    inside: str
    first: int
    last: int

    def text(self) -> str:
        kind = {"module": "hall", "rack": "module", "placed": "rack"}[self.table]
        name = "node" if self.table == "placed" else "name"
        lines = [f"[[{self.table}]]", f'{name} = "{self.name}"', f'{kind} = "{self.inside}"']
        if self.first > 0:
            lines.append(f"from = {show_instant(T0 + self.first * STEP_US)}")
        if self.last < STEPS:
            lines.append(f"until = {show_instant(T0 + self.last * STEP_US)}")
        return "\n".join(lines)

    def holds(self, step: int) -> bool:
        return self.first <= step < self.last


@st.composite
def stays(draw: st.DrawFn, table: str, names: list[str], homes: list[Stay]) -> list[Stay]:
    """Return stays of each name, one after the other, each inside a home that is there for it."""
    found = []
    for name in names:
        edges = sorted(draw(st.sets(st.integers(0, STEPS), min_size=2, max_size=5)))
        for first, last in pairwise(edges):
            right = [home for home in homes if home.first <= first and last <= home.last]
            if right and draw(st.booleans()):
                home = draw(st.sampled_from(right))
                found.append(Stay(table, name, home.name, first, last))
    return found


@st.composite
def sites(draw: st.DrawFn) -> list[Stay]:
    halls = [Stay("hall", name, "", 0, STEPS) for name in HALLS]
    modules = draw(stays("module", ["m1", "m2", "m3"], halls))
    racks = draw(stays("rack", ["r1", "r2", "r3", "r4"], modules))
    nodes = draw(stays("placed", ["n1", "n2", "n3", "n4"], racks))
    return draw(st.permutations([*modules, *racks, *nodes]))


def built(site: list[Stay]) -> Places:
    halls = "".join(f'[[hall]]\nname = "{name}"\n' for name in HALLS)
    return places_of(halls + "\n".join(stay.text() for stay in site))


def slowly(site: list[Stay], step: int) -> dict[Place, tuple[Place, ...]]:
    """Return the way to every place at a step, by looking at each entry."""
    found = {Place("site", ""): (Place("site", ""),)}
    for name in HALLS:
        found[Place("hall", name)] = (Place("site", ""), Place("hall", name))
    for table, kind, around in (
        ("module", "module", "hall"), ("rack", "rack", "module"), ("placed", "node", "rack"),
    ):  # fmt: skip
        for stay in site:
            if stay.table == table and stay.holds(step):
                place = parse_place(f"{kind}:{stay.name}")
                found[place] = (*found[parse_place(f"{around}:{stay.inside}")], place)
    return found


def paths_of(tree: Tree) -> dict[Place, tuple[Place, ...]]:
    return {spot.place: tree.path(spot.place) for spot in tree.root.walk()}


@given(sites())
def test_the_tree_of_every_instant(site: list[Stay]) -> None:
    places = built(site)
    for step in range(-1, STEPS + 1):
        expected = slowly(site, min(max(step, 0), STEPS - 1))
        for ts_us in (T0 + step * STEP_US, T0 + (step + 1) * STEP_US - 1):
            assert paths_of(places.at(ts_us)) == expected
    assert places.at(T0).spot(Place("rack", "r9")) is None
    assert places.at(T0).path(Place("rack", "r9")) == ()


@given(sites())
def test_the_way_to_a_place_over_time(site: list[Stay]) -> None:
    places = built(site)
    paths = Paths(places.structure)
    named = {("node" if s.table == "placed" else s.table, s.name) for s in site}
    for kind, name in named:
        place = parse_place(f"{kind}:{name}")
        for step in range(STEPS):
            middle = T0 + step * STEP_US + STEP_US // 2
            assert paths.of(place).at(middle) == slowly(site, step).get(place)


@given(sites(), st.integers(-1, STEPS), st.integers(1, STEPS))
def test_nothing_changes_between_edges(site: list[Stay], first: int, length: int) -> None:
    places = built(site)
    from_us, until_us = T0 + first * STEP_US - 1, T0 + (first + length) * STEP_US + 1
    edges = places.edges(from_us, until_us)
    ends = {(stay.first, stay.last) for stay in site}
    expected = {T0 + step * STEP_US for pair in ends for step in pair if 0 < step < STEPS}
    assert edges == sorted(edge for edge in expected if from_us < edge < until_us)
    bounds = [from_us, *edges, until_us]
    for since, until in pairwise(bounds):
        assert paths_of(places.at(since)) == paths_of(places.at(until - 1))


def test_an_edge_at_the_end_of_an_interval_is_not_inside() -> None:
    places = built([Stay("module", "m1", "a", 0, 5), Stay("module", "m1", "b", 5, STEPS)])
    edge = T0 + 5 * STEP_US
    assert places.edges(edge - 1, edge + 1) == [edge]
    assert places.edges(edge, edge + 1) == places.edges(edge - 1, edge) == []


@given(sites(), st.data())
def test_a_second_place_at_the_same_time_is_refused(site: list[Stay], data: st.DataObject) -> None:
    if not site:
        return
    twice = data.draw(st.sampled_from(site))
    halls = "".join(f'[[hall]]\nname = "{name}"\n' for name in HALLS)
    found = problems_of(halls + "\n".join(stay.text() for stay in [*site, twice]))
    assert any(f"{twice.name!r} is there twice" in line for line in found)
