"""How long tables are kept: what options and a file may say."""

from __future__ import annotations

from pathlib import Path

import pytest

from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.lake.contract import HOUR_US
from tokenergy_sql.scheduled.retention import load_retention, of_texts, parse_time, raw_tables

DAY_US = 24 * HOUR_US


def test_options_and_a_file_say_the_same(tmp_path: Path) -> None:
    wanted = {"power": 90 * DAY_US, "state": 90 * DAY_US}
    assert of_texts(["power=90d", "state=2160h"]).keep_us == wanted
    (tmp_path / "retention.toml").write_text('power = "90d"\nstate = "2160h"\n')
    assert load_retention(None, tmp_path).keep_us == wanted
    assert load_retention(tmp_path / "retention.toml", tmp_path / "other").keep_us == wanted


def test_without_a_file_nothing_expires(tmp_path: Path) -> None:
    assert load_retention(None, tmp_path).keep_us == {}
    with pytest.raises(UserError, match="no such file"):
        load_retention(tmp_path / "other.toml", tmp_path)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("jobs=90d", "table 'jobs' does not expire; expected one of power, state"),
        ("tokens=90d", "table 'tokens' does not expire"),
        ("power", "expected TABLE=TIME, for example power=90d"),
        ("power=90", "power '90': expected a time such as 30m, 6h or 90d"),
        ("power=1d", "power = 1d: expected at least 2d"),
    ],
)
def test_what_cannot_be_used_is_named(text: str, why: str) -> None:
    with pytest.raises(UserError, match=why):
        of_texts([text])


def test_power_is_not_kept_longer_than_what_hours_are_derived_from() -> None:
    with pytest.raises(UserError, match="power is kept longer than state: expected at most 30d"):
        of_texts(["power=90d", "state=30d"])
    assert of_texts(["power=30d", "state=90d"]).keep_us["power"] == 30 * DAY_US


@pytest.mark.parametrize("text", ["power = 90", "power =", '[power]\nkeep = "90d"'])
def test_a_bad_file_is_named(text: str, tmp_path: Path) -> None:
    (tmp_path / "retention.toml").write_text(text)
    with pytest.raises(UserError, match=r"retention\.toml: "):
        load_retention(None, tmp_path)


def test_times_and_tables() -> None:
    assert [parse_time("grace", text) for text in ("0s", "30m", "1.5h")] == [
        *(0, HOUR_US // 2, 3 * HOUR_US // 2)
    ]
    assert raw_tables(["power", "power"]) == ("power",)
    with pytest.raises(UserError, match="table 'segment': expected one of power"):
        raw_tables(["segment"])
