"""Which meters make up a sum, and which places are metered."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tests.sql.places.files import BASE, at, meter, places_of, problems_of
from tokenergy_sql.places import ROLES, Place, parse_place, roles_of
from tokenergy_sql.places.metered import metered

NOW = at("2026-07-01T00:00:00")


def test_a_sum_takes_the_highest_of_its_meters() -> None:
    meters = places_of(
        meter("grid", 'feeds = ["ups", "cool"]', role="utility")
        + meter("ups", 'feeds = ["pdu", "other-pdu"]', role="ups_out")
        + meter("pdu", 'feeds = ["server"]', role="pdu_out")
        + meter("other-pdu", role="pdu_out")
        + meter("server", role="it")
        + meter("cool", 'feeds = ["pump"]', role="cooling")
        + meter("pump", role="pump")
        + meter("fan", role="fan")
    ).meters.at(NOW)

    def ids(roles: frozenset[str]) -> list[str]:
        return [one.id for one in meters.counted(roles)]

    assert ids(roles_of("facility")) == ["grid"]
    assert ids(roles_of("it")) == ["ups"]
    assert ids(roles_of("it", 2)) == ["other-pdu", "pdu"]
    assert ids(roles_of("it", 3)) == ["server"]
    assert ids(roles_of("cooling")) == ["cool", "fan"]
    assert meters.below("ups") == ["pdu", "other-pdu"]
    assert meters.above("pump") == ["cool"]
    assert meters.all_above("server") == {"pdu", "ups", "grid"}


@given(st.lists(st.tuples(st.integers(0, 19), st.booleans()), min_size=1, max_size=20))
def test_every_chosen_meter_counts_once(above: list[tuple[int, bool]]) -> None:
    """In a random tree each chosen meter is below, or is, exactly one that is counted."""
    parents = {n: parent % n if n else None for n, (parent, _) in enumerate(above)}
    text = ""
    for number, (_, chosen) in enumerate(above):
        below = ", ".join(f'"{n}"' for n, parent in parents.items() if parent == number)
        text += meter(str(number), f"feeds = [{below}]", role="it" if chosen else "feeder")
    counted = {one.id for one in places_of(text).meters.at(NOW).counted({"it"})}
    for number, (_, chosen) in enumerate(above):
        way = []
        one: int | None = number
        while one is not None:
            way.append(str(one))
            one = parents[one]
        assert len(counted & set(way)) == (1 if chosen or counted & set(way[1:]) else 0)


Feeds = list[set[int]]
"""What each meter feeds, by number."""

_FEEDS = st.lists(st.sets(st.integers(0, 5), max_size=3), min_size=6, max_size=6)


def is_right(feeds: Feeds) -> bool:
    """Return whether at most one way leads from any meter to another, and none to itself."""

    def ways(start: int, depth: int = 0) -> list[int]:
        if depth > len(feeds):
            return [start, start]  # a circle: the same meter again and again
        return [start, *(end for below in feeds[start] for end in ways(below, depth + 1))]

    return all(len(ways(n)) == len(set(ways(n))) for n in range(len(feeds)))


@given(_FEEDS, _FEEDS)
def test_circles_and_double_counting_against_all_ways(before: Feeds, after: Feeds) -> None:
    edge = "2026-07-01T00:00:00Z"
    for split in (False, True):
        text = ""
        for number, (first, second) in enumerate(zip(before, after, strict=True)):
            old, new = (", ".join(f'"{n}"' for n in sorted(below)) for below in (first, second))
            if split:
                text += meter(str(number), f"feeds = [{old}]\nuntil = {edge}", role="feeder")
                text += meter(str(number), f"feeds = [{new}]\nfrom = {edge}", role="feeder")
            else:
                text += meter(str(number), f"feeds = [{old}]", role="feeder")
        expected = is_right(before) and (not split or is_right(after))
        assert (problems_of(text) == []) == expected


@given(st.permutations(range(6)), st.lists(st.integers(0, 5), min_size=6, max_size=6))
def test_a_forest_of_meters_is_right(names: list[int], above: list[int]) -> None:
    """Random forests, with the names in any order: graphs at random are seldom right."""
    feeds: Feeds = [set() for _ in names]
    for number in range(1, 6):
        if above[number] < number:
            feeds[names[above[number]]].add(names[number])
    assert is_right(feeds)
    text = "".join(
        meter(str(n), f"feeds = [{', '.join(repr(str(b)) for b in sorted(below))}]")
        for n, below in enumerate(feeds)
    )
    assert problems_of(text) == []


def test_how_each_place_is_metered() -> None:
    places = places_of(
        BASE
        + meter("one", 'place = "rack:r1"', role="rack_in")
        + meter("two", 'place = "rack:r2"', role="rack_in")
        + meter("light", 'place = "hall:b"', role="lighting")
    )
    known = metered(places.at(NOW), places.meters.at(NOW))
    how = {str(place): (found.how, found.by) for place, found in known.items()}
    assert how["rack:r1"] == ("itself", ("one",))
    assert how["module:a1"] == how["hall:a"] == ("parts", ())
    assert how["node:gpu-3"] == ("around", ("one",))
    # A meter of its lights does not meter a hall.
    assert how["hall:b"] == how["rack:r9"] == how["site"] == ("not", ())
    assert known[Place("node", "gpu-3")].place == Place("rack", "r1")


def test_cooling_and_rating_of_a_place() -> None:
    tree = places_of(BASE).at(NOW)

    def about(kind: str, name: str) -> tuple[object, object]:
        spot = tree.spot(parse_place(f"{kind}:{name}"))
        assert spot is not None
        return spot.cooling, spot.rated_mw

    assert about("module", "a1") == ("air", 80_000_000)
    assert about("rack", "r2") == ("air", None)
    assert about("rack", "r9") == ("liquid", 132_500_000)
    assert about("node", "gpu-1") == ("air", None)


def test_a_node_by_its_short_and_its_full_name() -> None:
    text = BASE.replace('"gpu-{1..4}"', '"gpu-{1..4}.example.org"')
    places = places_of(text + meter("m", 'place = "node:gpu-2"'))
    tree = places.at(NOW)
    full = Place("node", "gpu-2.example.org")
    assert tree.path(Place("node", "gpu-2")) == tree.path(full) != ()
    assert [one.id for one in places.meters.at(NOW).at_place(full)] == ["m"]


def test_roles_have_a_sum_that_fits() -> None:
    for role in ROLES.values():
        assert (role.pue_category is not None) == (role.sum == "it")
        assert (role.sum == "water") <= (role.quantities == {"volume", "flow"})
