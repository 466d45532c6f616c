"""DuckDB uses the cores that the process may use, and no more threads than the user allows."""

from __future__ import annotations

import os

import pytest

from tests.support.commands import command
from tokenergy_collectors.base.errors import UserError
from tokenergy_sql.catalog.duck import THREADS_VARIABLE, open_memory


def used() -> int:
    with open_memory() as con:
        ((found,),) = con.execute("SELECT current_setting('threads')").fetchall()
    assert isinstance(found, int)
    return found


def test_cores_that_are_kept_for_others_are_left_to_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(THREADS_VARIABLE)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _process: {2, 5, 7})
    assert used() == 3


def test_the_user_sets_the_most_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _process: set(range(8)))
    for given, expected in (("1", 1), ("5", 5), ("64", 8), ("", 8)):
        monkeypatch.setenv(THREADS_VARIABLE, given)
        assert used() == expected, given


@pytest.mark.parametrize("given", ["0", "-1", "two", "1.5", " 2", "²"])
def test_a_wrong_number_of_threads_is_an_error(given: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(THREADS_VARIABLE, given)
    with pytest.raises(UserError, match=r"\$TOKENERGY_SQL_THREADS: .* give a whole number above 0"):
        open_memory()


def test_a_command_says_so_and_ends(
    tmp_path: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(THREADS_VARIABLE, "many")
    code, out, err = command("tokenergy", "query", "SELECT 1", "--lake", str(tmp_path))
    assert (code, out) == (2, ""), err
    assert "$TOKENERGY_SQL_THREADS: 'many' is not a number of threads" in " ".join(err.split())
