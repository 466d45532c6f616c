"""The command as a user gives it."""

from __future__ import annotations

from pathlib import Path

from tests.collectors.importers.prometheus.boards import board, every
from tests.collectors.importers.prometheus.test_jobs import POD
from tests.support.commands import command
from tests.support.store import Store


def test_the_command_says_what_it_did(store: Store, tmp_path: Path) -> None:
    board(store, every(15, 1, 600), **POD)
    given = (
        *("import", "prometheus", "--url", store.url, "--lake", str(tmp_path / "lake")),
        *("--from", "2026-01-15T08:00:00Z", "--to", "2026-01-15T08:30:00Z", "--chunk", "10m"),
    )
    code, out, err = command("tokenergy-collect", *given)
    assert (code, err) == (0, "")
    assert out.splitlines() == [
        "read 40 readings of 1 device, 0 counter readings, 1 allocation, "
        "2026-01-15 08:00:00 to 2026-01-15 08:30:00 UTC; edges of jobs are known to a scrape",
        "wrote 1 device, 40 power, 1 jobs rows in 3 files",
    ]
    code, out, err = command("tokenergy-collect", *given)
    assert (code, err) == (0, "")
    assert out.splitlines()[-1] == "already imported: nothing changed"


def test_a_store_that_is_none_ends_with_2_and_one_line(store: Store, tmp_path: Path) -> None:
    store.odd = lambda _path, _of: (200, "text/html", b"<html>")
    at = ("--url", store.url, "--from", "6h", "--lake", str(tmp_path / "lake"))
    code, out, err = command("tokenergy-collect", "import", "prometheus", *at)
    assert (code, out) == (2, "")
    assert len(err.splitlines()) == 1
    assert "answers with a web page" in err


def test_help_has_an_example() -> None:
    code, out, _ = command("tokenergy-collect", "import", "prometheus", "--help")
    assert code == 0
    assert "Example: tokenergy-collect import prometheus" in " ".join(out.split())
