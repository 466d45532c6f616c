"""An import that goes on: what is new, a store that is away for a while, and its end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.collectors.importers.prometheus.boards import T0, board, every
from tests.collectors.importers.prometheus.conftest import Run
from tests.support.store import Store
from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.importers.prometheus.rounds import Rounds, Stopped
from tokenergy_collectors.lake import Lake

MINUTE_US = 60_000_000


def test_each_round_imports_what_is_new(store: Store, lake: Lake, run: Run) -> None:
    """The store is away in the third round; the fourth imports what that one missed."""
    board(store, every(15, 1, 3600))
    ends = iter(["08:10", "08:20", "away", "08:40"])
    rows: list[int] = []
    said: list[str] = []

    def one() -> None:
        end = next(ends)
        if end == "away":
            raise UserError("http://store: cannot be reached")
        run(end=f"2026-01-15T{end}:00Z")
        rows.append(lake.read("power").num_rows)

    rounds = Rounds(MINUTE_US, said.append, wait=lambda _s: rounds.stop.set() if rounds.done == 4
                    else None)  # fmt: skip
    rounds.run(one)
    assert rows == [40, 80, 160]
    assert said == [
        "warning: http://store: cannot be reached; trying again every 60 s",
        "the store answers again",
    ]


def test_a_first_round_that_fails_ends_them() -> None:
    def one() -> None:
        raise UserError("no such store")

    with pytest.raises(UserError, match="no such store"):
        Rounds(MINUTE_US, print).run(one)


def test_a_round_ends_after_the_chunk_in_which_it_was_asked() -> None:
    rounds = Rounds(MINUTE_US, print)

    def one() -> None:
        rounds.go_on()
        rounds.stop.set()
        rounds.go_on()
        pytest.fail("went on")

    rounds.run(one)
    assert rounds.done == 0
    with pytest.raises(Stopped):
        rounds.go_on()


def test_rounds_need_ten_seconds() -> None:
    with pytest.raises(UserError, match="expected 10 s or more"):
        Rounds(9_999_999, print)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_command_ends_well_when_it_is_told_to(
    store: Store, tmp_path: Path, number: signal.Signals
) -> None:
    # Up to now: the command imports the last hour.
    begin = int(time.time()) - 1800 - T0
    board(store, every(15, begin, begin + 1200))
    given = (*("import", "prometheus", "--url", store.url, "--from", "1h", "--every", "1h"),
             *("--lake", str(tmp_path / "lake")))  # fmt: skip
    with subprocess.Popen(
        [sys.executable, "-m", "tokenergy_collectors", *given],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    ) as process:  # fmt: skip
        assert process.stdout is not None
        assert "of 1 device" in process.stdout.readline()
        assert process.stdout.readline().startswith("wrote ")
        process.send_signal(number)
        out, err = process.communicate()
    assert (process.returncode, out, err) == (0, "", "")


def test_rounds_import_up_to_now(store: Store, tmp_path: Path) -> None:
    from tests.support.commands import command

    code, _, err = command(
        "tokenergy-collect",
        *("import", "prometheus", "--url", store.url, "--from", "1h", "--every", "1h"),
        *("--to", "2026-01-15", "--lake", str(tmp_path / "lake")),
    )
    assert (code, len(err.splitlines())) == (2, 1)
    assert "leave --to and --again out" in err
