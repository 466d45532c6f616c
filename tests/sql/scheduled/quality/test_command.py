"""`tokenergy quality` and its limits: text, JSON, exit codes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.books import run
from tests.support.lakes import T0, LakeBuilder, S, level
from tokenergy_collectors.base.errors import UserError
from tokenergy_sql.scheduled.quality.limits import Limits, limits_of, texts_of
from tokenergy_sql.scheduled.quality.looking import LOOKS


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Path:
    builder = LakeBuilder(tmp_path_factory.mktemp("lake") / "lake")
    builder.device("GPU-1")
    builder.power("GPU-1", level(100_000, T0, T0 + 3600 * S, S))
    return builder.build().root


EVER = ("--silent", "100000h", "--forget", "1000000h")
"""The readings of the test are of one day, and the command looks at the time."""


def test_without_a_finding_it_exits_with_0(lake: Path) -> None:
    code, lines = run(lake, "quality", *EVER)
    assert code == 0, lines
    assert [line[:5] for line in lines] == ["ok   "] * len(lines)
    assert lines[0].startswith("ok   freshness: ")


def test_with_a_finding_it_exits_with_1_and_shows_it(lake: Path) -> None:
    code, lines = run(lake, "quality", "--forget", "1000000h", "--only", "freshness")
    assert code == 1
    assert lines[0].startswith("FAIL freshness: ")
    assert "node=n1 last_reading=2026-01-15T09:00:00Z" in lines[1]


def test_as_json(lake: Path) -> None:
    code, lines = run(lake, "quality", *EVER, "--format", "json")
    told = json.loads("\n".join(lines))
    assert code == 0
    assert [*dict.fromkeys(one["look"] for one in told)] == [*LOOKS]
    assert {one["verdict"] for one in told} == {"ok"}
    code, lines = run(lake, "quality", "--forget", "1000000h", "--format", "json")
    assert code == 1
    first = json.loads("\n".join(lines))[0]
    assert first["verdict"] == "fail"
    assert first["rows"][0]["node"] == "n1"


def test_the_environment_sets_limits(lake: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOKENERGY_QUALITY_SILENT", "100000h")
    monkeypatch.setenv("TOKENERGY_QUALITY_FORGET", "1000000h")
    assert run(lake, "quality", "--only", "freshness")[0] == 0


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["--format", "xml"], "expected text or json"),
        (["--only", "x"], "they are: freshness, coverage, law, columns, clocks"),
        (["--last", "90m"], "expected whole hours"),
        (["--silent", "soon"], "silent 'soon': expected a time"),
        (["--silent", "200h"], "forget 168h: expected more than silent, 200h"),
        (["--coverage", "90"], "coverage '90': expected a number from 0 to 1"),
        (["--coverage", "nan"], "expected a number from 0 to 1"),
    ],
)
def test_a_bad_option_is_one_line_and_exits_with_2(
    arguments: list[str], why: str, lake: Path
) -> None:
    code, lines = run(lake, "quality", *arguments)
    assert code == 2
    assert why in lines[0]


def test_a_missing_lake_exits_with_2(tmp_path: Path) -> None:
    assert run(tmp_path / "nowhere", "quality")[0] == 2


def test_limits() -> None:
    hour = 3_600_000_000
    assert limits_of({}) == Limits(2 * hour, 168 * hour, 0.9, 1_000_000)
    assert limits_of({"coverage": 0.5, "clock": "0.25s"}).clock_us == 250_000
    with pytest.raises(UserError, match="clock '1': expected a time"):
        limits_of({"clock": "1"})


def test_a_bad_variable_is_named() -> None:
    assert texts_of({"TOKENERGY_QUALITY_SILENT": "30m", "TOKENERGY_QUALITY_CLOCK": ""}) == {
        "silent": "30m",
        "forget": "168h",
        "coverage": "0.9",
        "clock": "1s",
    }
    for name in ("SILENT", "FORGET", "COVERAGE", "CLOCK"):
        with pytest.raises(ValueError, match=f"^TOKENERGY_QUALITY_{name}='-1': "):
            texts_of({f"TOKENERGY_QUALITY_{name}": "-1"})
