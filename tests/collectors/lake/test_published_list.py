"""The list of published books is changed where hours changed, and is as if written whole."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest

from tests.support.lakes import HOUR_US, T0
from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.lake import Lake
from tokenergy_collectors.lake.monthly import Monthly, by_date
from tokenergy_collectors.lake.published import BOOKS, list_path, parse_list

Tags = dict[str, dict[int, str]]


def changed(tags: Tags, rng: random.Random) -> Tags:
    """Return tags with some hours of some tables new, restated or gone."""
    found = {table: {**hours} for table, hours in tags.items()}
    for _ in range(rng.randrange(1, 8)):
        of_table = found.setdefault(rng.choice(BOOKS[:4]), {})
        hour_us = T0 + rng.randrange(-60, 60) * HOUR_US
        if rng.random() < 0.3:
            of_table.pop(hour_us, None)
        else:
            of_table[hour_us] = f"{rng.getrandbits(64):016x}"
    return found


@pytest.mark.parametrize("seed", range(20))
def test_it_is_as_if_written_whole(tmp_path: Path, seed: int) -> None:
    rng, tags, rows = random.Random(seed), dict[str, dict[int, str]](), dict[tuple[str, str], int]()
    (tmp_path / "lake").mkdir()
    lake = Lake(tmp_path / "lake", create=True)
    for revision in range(1, 8):
        tags = changed(tags, rng)
        for table, hours in tags.items():
            for tag in hours.values():
                rows.setdefault((table, tag), rng.randrange(9))
                lake.books._wrote(table, tag, rows[table, tag])
        writer = lake.books
        if rng.random() < 0.3:  # another process goes on
            writer = Lake(lake.root).books
            writer._rows.update(lake.books._rows)
        writer.publish(revision, tags)
        data = list_path(lake.root).read_bytes()
        assert parse_list(data).tags == lake.books.current().tags == tags
        assert writer.latest() == parse_list(data)
        assert writer.latest().tags == tags
        content = json.loads(data)
        assert len(content.pop("digest")) == 32
        assert content == {
            "revision": revision,
            "tables": {table: by_date(hours) for table, hours in tags.items()},
            "rows": {
                table: by_date({hour: rows[table, tag] for hour, tag in hours.items()})
                for table, hours in tags.items()
            },
        }
        assert [*json.loads(data)["tables"]] == sorted(tags)

        again = {table: {hour: of[hour] for hour in [*of][::-1]} for table, of in tags.items()}
        Lake(lake.root).books.publish(revision, again)
        assert list_path(lake.root).read_bytes() == data


def test_months_that_have_not_changed_are_not_parsed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "lake").mkdir()
    lake = Lake(tmp_path / "lake", create=True)
    first, hours = T0 - T0 % (24 * HOUR_US), 100 * 24
    tags = {table: {first + n * HOUR_US: "a" * 16 for n in range(hours)} for table in BOOKS[:2]}
    lake.books.publish(1, tags)
    seen: list[int] = []
    values = Monthly._values

    def seeing(self: Any, month: Any) -> Any:
        if month.values is None:
            found = values(self, month)
            seen.extend(found)
            return found
        return values(self, month)

    monkeypatch.setattr(Monthly, "_values", seeing)
    other = Lake(lake.root)
    changed = other.books.current().copied()
    assert not seen
    last = first + hours * HOUR_US
    changed[BOOKS[0]][last] = "b" * 16
    assert other.hours(BOOKS[0]) == sorted(tags[BOOKS[0]])
    other.books.publish(2, changed)
    assert seen
    assert min(seen) >= last - 31 * 24 * HOUR_US
    tags[BOOKS[0]][last] = "b" * 16
    assert parse_list(list_path(lake.root).read_bytes()).tags == tags


def test_a_list_that_somebody_changed_is_read_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "lake").mkdir()
    lake = Lake(tmp_path / "lake", create=True)
    tags = {BOOKS[0]: {T0 + n * HOUR_US: "a" * 16 for n in range(50)}, BOOKS[1]: {T0: "c" * 16}}
    lake.books.publish(4, tags)
    data = list_path(lake.root).read_bytes()
    list_path(lake.root).write_bytes(data.replace(b"c" * 16, b"d" * 16))
    tags[BOOKS[1]][T0] = "d" * 16
    assert Lake(lake.root).books.current().tags == tags
    list_path(lake.root).write_text(json.dumps(json.loads(data), indent=1))
    found = Lake(lake.root).books.current()
    assert (found.revision, found.tags[BOOKS[1]][T0]) == (4, "c" * 16)
    for damage in (data[:-40], data.replace(b'"c', b"7"), data.replace(b"2026-", b"2026_")):
        list_path(lake.root).write_bytes(damage)
        with pytest.raises(UserError, match="run `tokenergy index`"):
            Lake(lake.root).books.current()


def test_days_with_hours_missing_are_as_they_are(tmp_path: Path) -> None:
    (tmp_path / "lake").mkdir()
    lake = Lake(tmp_path / "lake", create=True)
    for gone in (0, 1, 23, 24, 25):
        tags = {BOOKS[0]: {T0 + n * HOUR_US: "a" * 16 for n in range(72) if n != gone}}
        lake.books.publish(1, tags)
        assert Lake(lake.root).hours(BOOKS[0]) == [*tags[BOOKS[0]]]
