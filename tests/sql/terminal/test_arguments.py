"""Hours and nodes as arguments: what is none, or not in the lake, is refused."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from tests.support.lakes import HOUR_US, T0, LakeBuilder, S, level
from tests.support.snapshot import snapshot
from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.lake import Lake
from tokenergy_sql.cli import app
from tokenergy_sql.terminal.arguments import parse_hours, parse_window, require_nodes, show_hour


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    builder = LakeBuilder(tmp_path_factory.mktemp("arguments") / "lake")
    builder.device("A")
    builder.power("A", level(100_000, T0, T0 + 2 * S))
    builder.job("j", "A", T0, T0 + 2 * S)
    return builder.build().root


@pytest.fixture
def lake(built: Path, tmp_path: Path) -> Lake:
    """A copy: commands change it."""
    return Lake(shutil.copytree(built, tmp_path / "lake"))


@pytest.mark.parametrize(
    "text",
    ["2026-01-15T08", "2026-01-15 08", "2026-01-15T08:00", "2026-01-15T08:00:00.000Z",
     "2026-01-15T08Z", "2026-01-15T13:00+05:00", "2026-01-15T13:30+0530", "2026-01-15T03-05"],
)  # fmt: skip
def test_an_hour_in_many_forms(text: str) -> None:
    assert parse_hours([text]) == [T0]


def test_no_hours_are_all_hours() -> None:
    assert parse_hours(None) is None
    assert parse_hours([]) is None
    assert show_hour(T0 + HOUR_US) == "2026-01-15T09"


@pytest.mark.parametrize(
    "text",
    ["", "eight", "2026-01-15", "2026-W03-4", "2026-W03-4T08", "20260115T08", "2026-015T08", "08",
     "2026-01-15T08:30", "2026-01-15T08:00:01", "2026-01-15T08:00:00.5", "2026-01-15T24",
     "2026-02-30T08", "2026-01-15T08:00+05:30", "2026-01-15T08+5", "1768464000", " 2026-01-15T08",
     "1999-12-31T23", "2100-01-01T00", "0001-01-01T00", "9999-12-31T23", "2000-01-01T00+01:00",
     "0001-01-01T00:00+05:00", "9999-12-31T23:00-05:00", "2026-01-15T08+99:00", "２026-01-15T08"],
)  # fmt: skip
def test_what_is_no_hour_is_one_line(text: str) -> None:
    with pytest.raises(
        UserError, match="expected the start of an hour, such as 2026-01-15T08"
    ) as e:
        parse_hours([text])
    assert "\n" not in str(e.value)
    assert repr(text) in str(e.value)


COMMANDS = (
    ("aggregate", "--device", "cpu"),
    ("index",),
    ("check",),
    ("load-profile", "--device", "cpu"),
)


@pytest.mark.parametrize("command", COMMANDS)
def test_an_hour_that_the_lake_does_not_have(lake: Lake, command: tuple[str, ...]) -> None:
    before = snapshot(lake), sorted(lake.root.rglob("*"))
    for hour in ("2031-05-05T05", "2026-01-15T09", "2026-01-15T07"):
        hours = ["--hour", "2026-01-15T08", "--hour", hour]
        run = CliRunner().invoke(app, [*command, "--lake", str(lake.root), *hours])
        assert isinstance(run.exception, UserError), run.output
        there = f"hour {hour}: not in the lake {lake.root}; it has 2026-01-15T08"
        assert str(run.exception) == there
    assert (snapshot(lake), sorted(lake.root.rglob("*"))) == before
    run = CliRunner().invoke(app, [*command, "--lake", str(lake.root), "--hour", "2026-01-15T08"])
    assert run.exit_code == 0, run.output


@pytest.mark.parametrize("command", COMMANDS)
def test_a_lake_without_hours(tmp_path: Path, command: tuple[str, ...]) -> None:
    arguments = [*command, "--lake", str(tmp_path), "--hour", "2026-01-15T08"]
    run = CliRunner().invoke(app, arguments)
    assert "it has no hours yet" in str(run.exception)
    assert list(tmp_path.iterdir()) == []


def test_an_hour_that_is_not_yet_aggregated(lake: Lake) -> None:
    LakeBuilder(lake.root).power("A", level(100_000, T0 + HOUR_US, T0 + HOUR_US + S))
    arguments = ["--lake", str(lake.root), "--hour", "2026-01-15T09"]
    run = CliRunner().invoke(app, ["check", *arguments])
    assert "2026-01-15T09: has readings but no segments yet; run `tok" in str(run.exception)
    assert CliRunner().invoke(app, ["index", *arguments]).exit_code == 0
    assert CliRunner().invoke(app, ["check", *arguments]).exit_code == 0


def test_an_hour_that_a_job_held_without_readings(lake: Lake) -> None:
    """It is work of the aggregation: such an hour is a gap, not a mistake."""
    builder, later_us = LakeBuilder(lake.root), T0 + 2 * HOUR_US
    builder.job("k", "A", T0 + HOUR_US, later_us)
    builder.power("A", level(100_000, later_us, later_us + 10 * S, S))
    arguments = ["aggregate", "--lake", str(lake.root), "--hour", "2026-01-15T09"]
    assert CliRunner().invoke(app, [*arguments, "--device", "cpu"]).exit_code == 0


def test_a_node_that_the_lake_does_not_have(lake: Lake) -> None:
    before = snapshot(lake)
    arguments = ["aggregate", "--lake", str(lake.root), "--device", "cpu", "--node"]
    run = CliRunner().invoke(app, [*arguments, "n2"])
    assert str(run.exception) == f"node 'n2': not in the lake {lake.root}; it has n1"
    run = CliRunner().invoke(app, [*arguments, "n1", "--node", ""])
    assert "node ''" in str(run.exception)
    assert snapshot(lake) == before
    assert CliRunner().invoke(app, [*arguments, "n1"]).exit_code == 0


def test_nodes_that_are_alike_are_named(lake: Lake) -> None:
    many = {f"gpu-{n:03d}" for n in range(200)}
    with pytest.raises(UserError, match="did you mean gpu-1"):
        require_nodes(lake, ["gpu-1o7"], many)
    with pytest.raises(UserError, match="it has 200 others"):
        require_nodes(lake, ["zzz"], many)
    with pytest.raises(UserError, match="no nodes yet"):
        require_nodes(lake, ["zzz"], set())


def test_a_job_that_the_lake_does_not_have(lake: Lake) -> None:
    for arguments in (["efficiency", "--job", "nosuch"], ["explain", "nosuch"]):
        run = CliRunner().invoke(app, [*arguments, "--lake", str(lake.root)])
        assert "job 'nosuch': not in the lake" in str(run.exception)


@pytest.mark.parametrize("limit", ["-1", "x", "1.5"])
def test_a_limit_that_is_none(lake: Lake, limit: str) -> None:
    run = CliRunner().invoke(app, ["check", "--lake", str(lake.root), "--limit", limit])
    assert run.exit_code == 2


@pytest.mark.parametrize(
    ("last", "start", "end", "hours"),
    [
        (None, None, None, None),
        ("1h", None, None, (0, 1)),
        ("24h", None, None, (-23, 1)),
        ("120m", None, "2026-01-15T06", (-4, -2)),
        (None, "2026-01-14T08", None, (-24, 1)),
        (None, "2026-01-15T05", "2026-01-15T07", (-3, -1)),
    ],
)
def test_hours_of_a_window_end_with_the_latest_or_where_told(
    lake: Lake, last: str | None, start: str | None, end: str | None, hours: Any
) -> None:
    found = parse_window(lake, last, start, end)
    if hours is None:
        assert found is None
    else:
        assert found == range(T0 + hours[0] * HOUR_US, T0 + hours[1] * HOUR_US, HOUR_US)


@pytest.mark.parametrize(
    ("options", "line"),
    [
        (["--last", "90m"], "--last '90m': expected whole hours, such as 24h"),
        (["--last", "1d"], "duration '1d': expected a positive time such as 90s, 2m or 1h"),
        (["--to", "2026-01-15T08"], "expected one of --last and --from; --to may be added"),
        (["--last", "1h", "--from", "2026-01-15T08"], "expected one of --last and --from"),
        (["--from", "2026-01-15T09"], "--from 2026-01-15T09: is not before the end, 2026-01-15T09"),
        (["--from", "2026-01-15"], "expected the start of an hour, such as 2026-01-15T08"),
        (["--last", "999999999h"], "--last 999999999h: begins before the year 2000"),
        (["--last", "1h", "--to", "2026-01-14T08"], "has no books of the hours 2026-01-14T07"),
    ],
)
def test_a_report_of_hours_that_are_none_is_one_line(
    lake: Lake, tmp_path: Path, options: list[str], line: str
) -> None:
    out = tmp_path / "x.html"
    result = CliRunner().invoke(
        app, ["report", "--lake", str(lake.root), "--out", str(out), *options]
    )
    assert isinstance(result.exception, UserError)
    assert line in str(result.exception)
    assert not out.exists()


def test_a_window_of_a_lake_without_books_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"^lake .*: has no ledger_hour; run .*$"):
        parse_window(Lake(tmp_path / "new", create=True), "1h", None, None)
