"""`tokenergy compact` and `tokenergy expire` as a user gives them."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.support.commands import command
from tests.support.late import books, derived, fleet
from tokenergy_collectors.lake import Lake
from tokenergy_collectors.lake.compaction import locked


@pytest.fixture(scope="module")
def booked(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    lake = fleet(tmp_path_factory.mktemp("keeping") / "lake").lake
    books(lake)
    return lake


@pytest.fixture
def lake(booked: Lake, tmp_path: Path) -> Lake:
    return Lake(shutil.copytree(booked.root, tmp_path / "lake"))


def tokenergy(lake: Lake, name: str, *more: str) -> tuple[int, str, str]:
    return command("tokenergy", name, "--lake", str(lake.root), *more)


def test_compact(lake: Lake) -> None:
    before = derived(lake)
    code, said, _ = tokenergy(lake, "compact", "--dry-run")
    assert code == 0
    assert said.startswith("compact: 34 files would become 12, ")
    code, said, _ = tokenergy(lake, "compact")
    assert (code, "a run after the grace time removes them" in said) == (0, True)
    code, said, _ = tokenergy(lake, "compact", "--grace", "0s")
    assert (code, "34 files removed" in said) == (0, True)
    assert tokenergy(lake, "stale")[0] == 0
    assert "nothing has changed" in tokenergy(lake, "index")[1]
    assert derived(lake) == before


def test_expire(lake: Lake) -> None:
    before, before_by = derived(lake), tokenergy(lake, "by", "model")
    assert tokenergy(lake, "expire")[0] == 2
    keep = ("--keep", "power=30d")
    code, said, _ = tokenergy(lake, "expire", *keep, "--dry-run")
    assert code == 0
    assert "hours, " in said
    assert said.endswith("would be removed\n")
    assert tokenergy(lake, "expire", *keep)[0] == 0
    assert lake.hours("power") == []
    assert tokenergy(lake, "stale")[0] == 0
    assert tokenergy(lake, "check")[0] == 0
    assert derived(lake) == before
    assert tokenergy(lake, "expire", *keep)[1] == "expire: nothing to do\n"
    (lake.root / "retention.toml").write_text('segment = "30d"\n')
    assert tokenergy(lake, "expire")[0] == 0
    for name in ("index", "heal", "aggregate"):
        code, _, error = tokenergy(lake, name, "--hour", "2026-01-15T08")
        assert (code, "expired, so it cannot be derived again" in error) == (2, True)
    # What people ask of jobs and days has the same answers; the readings are not there to list.
    assert tokenergy(lake, "by", "model") == before_by
    code, said, _ = tokenergy(lake, "explain", "job n1")
    assert (code, "power: no rows" in said, "segments: no rows" in said) == (0, True, True)
    assert tokenergy(lake, "report", "--out", str(lake.root / "report.html"))[0] == 0
    assert tokenergy(lake, "check")[0] == 0


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("compact", "--grace", "soon"), "--grace 'soon': expected a time such as 30m, 6h or 90d"),
        (("compact", "--table", "ledger"), "table 'ledger': expected one of power"),
        (("expire", "--keep", "ledger=90d"), "table 'ledger' does not expire"),
    ],
)
def test_what_cannot_be_used_is_one_line(lake: Lake, arguments: tuple[str, ...], why: str) -> None:
    code, _, error = tokenergy(lake, *arguments)
    assert code == 2
    assert why in error
    assert error.count("\n") == 1


def test_a_second_one_at_the_same_time_is_refused(lake: Lake) -> None:
    with locked(lake):
        for arguments in (("compact",), ("expire", "--keep", "power=30d")):
            code, _, error = tokenergy(lake, *arguments)
            assert (code, "another run compacts it" in error) == (2, True)
