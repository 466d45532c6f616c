"""DuckDB uses no more memory than the user allows, and writes what it lacks to a folder."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

from tokenergy_collectors.base.errors import UserError
from tokenergy_sql.catalog.duck import MEMORY_VARIABLE, open_memory

ROWS = 6_000_000
"""As a table they take 90 MiB, and sorted by text twice as much."""


@pytest.fixture
def spill(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "gettempdir", lambda: str(tmp_path))
    return tmp_path


def test_what_does_not_fit_goes_to_a_folder_that_is_removed(
    spill: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(MEMORY_VARIABLE, "64MiB")
    with open_memory() as con, open_memory() as other:
        for one in (con, other):  # at once: each has a folder of its own
            text = "CREATE TABLE t AS SELECT hash(i) AS h, i FROM range($1::BIGINT) AS r (i)"
            one.execute(text, [ROWS])
        assert len([*spill.iterdir()]) == 2
        for one in (con, other):
            assert one.execute("SELECT count(*), sum(i)::BIGINT FROM t").fetchall() == [
                (ROWS, ROWS * (ROWS - 1) // 2)
            ]
    assert [*spill.iterdir()] == []


def test_without_a_limit_nothing_is_set(spill: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(MEMORY_VARIABLE, raising=False)
    with open_memory() as con:
        ((folder,),) = con.execute("SELECT current_setting('temp_directory')").fetchall()
    assert str(spill) not in folder


@pytest.mark.parametrize("given", ["0GiB", "2", "2GB", "-1GiB", "1.5GiB", " 2GiB", "much"])
def test_a_wrong_amount_is_an_error(given: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(MEMORY_VARIABLE, given)
    with pytest.raises(UserError, match=r"\$TOKENERGY_SQL_MEMORY: .* such as 800MiB or 4GiB"):
        open_memory()
