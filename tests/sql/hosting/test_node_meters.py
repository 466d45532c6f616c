"""Which meters are a node's, and for which time they are known together with its boards."""

from __future__ import annotations

import random

from tests.sql.hosting.planted import SITE, meter
from tests.support.lakes import HOUR_US, T0, S
from tokenergy_collectors.base.strict import load_toml
from tokenergy_sql.hosting.nodemeters import (
    BoardSpans,
    are_metered,
    board_spans,
    known_input,
    meters_of,
    parts_of,
    without,
)
from tokenergy_sql.index.site import SiteFile
from tokenergy_sql.metering.amount import Amount
from tokenergy_sql.metering.course import Course
from tokenergy_sql.metering.intervals import joined
from tokenergy_sql.metering.stretch import Bridge
from tokenergy_sql.places import Places, build

INTERVAL = T0, T0 + HOUR_US
WHOLE = BoardSpans([INTERVAL], [INTERVAL])


def places(tmp_path, text: str) -> Places:
    path = tmp_path / "site.toml"
    path.write_text(SITE + text, "utf-8")
    return build(load_toml(path, SiteFile), "site.toml")


def course(from_us: int = T0, until_us: int = T0 + HOUR_US, value: int = HOUR_US) -> Course:
    return Course([Bridge((from_us, until_us), Amount(value, value, value))])


def ids(found: Places, node: str = "n1") -> list[tuple[str, ...]]:
    return [meters_of(node, tree, moment) for _, tree, moment in parts_of(found, INTERVAL)]


def test_a_meter_that_feeds_another_counts_alone(tmp_path) -> None:
    text = meter("node:n1", "in", feeds='["psu"]') + meter("node:n1", "psu")
    assert ids(places(tmp_path, text)) == [("in",)]


def test_a_further_register_of_a_circuit_is_not_added(tmp_path) -> None:
    kwh = meter("node:n1", "kwh", quantity='"energy"', unit='"kWh"')
    assert ids(places(tmp_path, kwh + meter("node:n1", same_circuit_as='"kwh"'))) == [("kwh",)]


def test_meters_of_other_sums_and_places_are_not_a_nodes(tmp_path) -> None:
    text = meter("node:n1", "fan", role='"fan"') + meter("node:n2") + meter("hall:a", "hall")
    found = places(tmp_path, text)
    assert (ids(found), ids(found, "n2"), ids(found, "n9")) == ([()], [("bmc",)], [()])
    assert are_metered(found)
    assert not are_metered(
        places(tmp_path, meter("hall:a", "hall") + meter("node:n1", role='"fan"'))
    )


def test_the_nodes_own_meter_comes_before_that_of_its_rack(tmp_path) -> None:
    rack = meter("rack:alone", "rack", role='"rack_in"')
    assert ids(places(tmp_path, rack), "n3") == [("rack",)]
    fed = meter("rack:alone", "rack", role='"rack_in"', feeds='["bmc"]') + meter("node:n3")
    assert ids(places(tmp_path, fed), "n3") == [("bmc",)]


def test_a_meter_that_is_replaced_within_the_hour(tmp_path) -> None:
    at = "2026-01-15T08:30:00Z"
    text = meter("node:n1", "old", until=at) + meter("node:n1", "new", **{"from": at})
    found = places(tmp_path, text)
    assert ids(found) == [("old",), ("new",)]
    half = T0 + HOUR_US // 2
    courses = {"old": course(until_us=half, value=30), "new": course(half, value=50)}
    known = known_input("n1", parts_of(found, INTERVAL), courses, WHOLE)
    assert known is not None
    assert (known.amount, known.ids) == (Amount(80, 80, 80), ("new", "old"))
    assert joined(known.spans) == [INTERVAL]


def test_both_meters_and_all_boards_must_be_known(tmp_path) -> None:
    found = places(tmp_path, meter("node:n1", "a") + meter("node:n1", "b"))
    courses = {"a": course(T0 + 600 * S), "b": course(until_us=T0 + 3_000 * S, value=3_000 * S)}
    boards = BoardSpans([INTERVAL], [(T0, T0 + 1_000 * S), (T0 + 2_000 * S, T0 + HOUR_US)])
    known = known_input("n1", parts_of(found, INTERVAL), courses, boards)
    assert known is not None
    assert known.spans == [
        (T0 + 600 * S, T0 + 1_000 * S),
        (T0 + 2_000 * S, T0 + 3_000 * S),
    ]
    assert known_input("n2", parts_of(found, INTERVAL), courses, boards) is None
    missing = known_input("n1", parts_of(found, INTERVAL), {"a": course()}, boards)
    assert missing is not None
    assert missing.spans == []


def test_boards_are_known_while_all_of_them_are() -> None:
    rows = [("a", False, 0, 60), ("a", True, 20, 30), ("b", False, 10, 50), ("b", True, 55, 60)]
    assert board_spans(rows, [(0, 60)]) == BoardSpans([(0, 60)], [(10, 20), (30, 50)])
    assert board_spans([("a", True, 0, 60)], [(0, 60)]).known == []


def test_what_is_not_in_another_set_against_single_microseconds() -> None:
    chance = random.Random(3)
    for _ in range(300):
        sets = [
            joined((a, a + chance.randrange(1, 9)) for a in chance.sample(range(40), 4))
            for _ in range(2)
        ]
        one, other = ({k for a, b in spans for k in range(a, b)} for spans in sets)
        assert {k for a, b in without(*sets) for k in range(a, b)} == one - other
