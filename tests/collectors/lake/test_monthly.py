"""Values by hour and by file: as a dict has them, whatever was parsed, copied or changed before."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest

from tests.support.lakes import HOUR_US, T0
from tokenergy_collectors.lake import monthlyfile
from tokenergy_collectors.lake.monthly import ByFile, ByHour, Monthly, ScalarByHour, by_date
from tokenergy_collectors.lake.paths import partition

KINDS = {"hours": ScalarByHour.of_texts, "inputs": ByHour.of_texts, "files": ByFile.of_texts}
FIRST = T0 - T0 % (24 * HOUR_US)


def key_of(name: str, rng: random.Random) -> Any:
    hour_us = FIRST + rng.randrange(24 * 70) * HOUR_US
    return f"segment/{partition(hour_us)}/n{rng.randrange(3)}" if name == "files" else hour_us


def value_of(name: str, rng: random.Random) -> Any:
    if name == "hours":
        return f"{rng.getrandbits(64):016x}"
    # What looks like a line of the layout, and like a day that has all its hours.
    text = rng.choice(['"},\n"a": {', "plain", '"2026-01-15": {', "\u00fc", '": ": '])
    return {text: {"": 1}} if name == "inputs" else [text, rng.randrange(9)]


@pytest.mark.parametrize("seed", range(15))
def test_it_is_as_a_dict(seed: int) -> None:
    rng = random.Random(seed)
    for name, kind in (("hours", ScalarByHour), ("inputs", ByHour), ("files", ByFile)):
        plain: dict[Any, Any] = {}
        found: Monthly[Any, Any] = kind()
        others: list[tuple[Monthly[Any, Any], dict[Any, Any]]] = []
        for _ in range(60):
            what = rng.random()
            if what < 0.5:
                key, value = key_of(name, rng), value_of(name, rng)
                plain[key] = found[key] = value
            elif what < 0.6 and plain:
                key = rng.choice([*plain])
                del plain[key], found[key]
            elif what < 0.7:
                more = {key_of(name, rng): value_of(name, rng) for _ in range(30)}
                plain.update(more)
                found.update_all(more)
            elif what < 0.8:
                others.append((found, {**plain}))
                found = found.copied()
            else:
                data = monthlyfile.dump({"n": seed}, {name: {"t": found, "empty": kind()}})
                assert json.loads(data)["n"] == seed
                parsed = monthlyfile.parse(data, KINDS)
                assert parsed is not None
                head, sections = parsed
                assert (head, [*sections[name]]) == ({"n": seed}, ["t", "empty"])
                assert not sections[name]["empty"]
                found = sections[name]["t"]
            assert bool(found) == bool(plain)
        assert [*found] == sorted(plain)
        assert (len(found), found) == (len(plain), plain)
        assert [*found.items()] == sorted(plain.items(), key=lambda one: one[0])
        assert [*found.values()] == [plain[key] for key in sorted(plain)]
        for other, was in others:
            assert other == was
            differ = {key for key in {*was, *plain} if was.get(key) != plain.get(key)}
            assert {*found.differing(other)} == {*other.differing(found)} == differ
        assert found.get(FIRST - HOUR_US if name != "files" else "x/date=2020-01-01/y") is None


def test_its_text_follows_from_its_values_alone() -> None:
    rng = random.Random(7)
    items = {key_of("hours", rng): value_of("hours", rng) for _ in range(300)}
    one = ScalarByHour(items)
    two = ScalarByHour[str]()
    for key in reversed(items):
        two[key] = "before"
        two[key] = items[key]
    two[FIRST - HOUR_US] = "gone"
    del two[FIRST - HOUR_US]
    assert [*one.texts()] == [*two.texts()]
    sections: dict[str, dict[str, Monthly[Any, Any]]] = {"hours": {"t": one}}
    data = monthlyfile.dump({}, sections)
    assert data == monthlyfile.dump({}, {"hours": {"t": two}})
    assert json.loads(data)["hours"]["t"] == by_date(items)


def test_a_byte_that_changed_is_noticed() -> None:
    values = ScalarByHour({FIRST + n * HOUR_US: "ab" for n in range(50)})
    data = monthlyfile.dump({"n": 1}, {"hours": {"t": values}})
    assert monthlyfile.parse(data, KINDS) is not None
    for place in range(0, len(data), 7):
        other = data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]
        assert monthlyfile.parse(other, KINDS) is None
    assert monthlyfile.parse(data[:-1], KINDS) is None
    assert monthlyfile.parse(b"", KINDS) is None
