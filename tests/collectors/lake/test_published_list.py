"""The list of published books is changed where hours changed, and is as if written whole."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.support.lakes import HOUR_US, T0
from tokenergy_collectors.lake import Lake, books
from tokenergy_collectors.lake.published import BOOKS, by_date, list_path, parse_list

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
        assert json.loads(data) == {
            "revision": revision,
            "tables": {table: by_date(hours) for table, hours in tags.items()},
            "rows": {
                table: by_date({hour: rows[table, tag] for hour, tag in hours.items()})
                for table, hours in tags.items()
            },
        }
        assert [*json.loads(data)["tables"]] == sorted(tags)


def test_hours_that_have_not_changed_are_not_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "lake").mkdir()
    lake = Lake(tmp_path / "lake", create=True)
    tags = {table: {T0 + n * HOUR_US: "a" * 16 for n in range(500)} for table in BOOKS[:2]}
    lake.books.publish(1, tags)
    seen: list[int] = []
    redated = books.redated

    def seeing(dated: Any, changes: Mapping[int, Any]) -> Any:
        seen.extend(changes)
        return redated(dated, changes)

    monkeypatch.setattr(books, "redated", seeing)
    tags[BOOKS[0]][T0 + 500 * HOUR_US] = "b" * 16
    tags[BOOKS[1]][T0 + 3 * HOUR_US] = "c" * 16
    lake.books.publish(2, tags)
    assert {*seen} == {T0 + 500 * HOUR_US, T0 + 3 * HOUR_US}
    assert parse_list(list_path(lake.root).read_bytes()).tags == tags
