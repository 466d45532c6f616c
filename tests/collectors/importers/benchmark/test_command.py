"""The command: what it prints, and what it refuses."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.collectors.importers.benchmark.files import PLAIN, RECORDS, changed
from tests.support.commands import command


def collect(*arguments: object) -> tuple[int, str, str]:
    return command("tokenergy-collect", "import", "benchmark", *map(str, arguments))


def test_what_it_prints(tmp_path: Path) -> None:
    args = [RECORDS, "--lake", tmp_path / "lake", "--node", "n1", "--device", "0-3"]
    code, out, err = collect(*args)
    assert (code, out.splitlines()) == (
        0,
        [
            "read a run on 4 devices, 18 token readings, 2026-01-15 09:00:00 to "
            "2026-01-15 09:00:12 UTC",
            "wrote 4 jobs, 18 tokens, 8 requests rows in 3 files",
        ],
    )
    assert err.startswith("warning: 1 of 5 requests failed: the boards worked on them too")
    code, out, _ = collect(*args)
    assert (code, out.splitlines()[1:]) == (0, ["already imported: nothing changed"])


def test_several_files_are_several_jobs(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    other = changed(PLAIN, tmp_path / "b", date="20260115-092000")
    other = other.rename(other.with_name("second.json"))
    where = ["--lake", tmp_path / "lake", "--node", "n1", "--device", "0"]
    code, out, _ = collect(PLAIN, other, *where, "--tz", "UTC")
    assert (code, out.count("wrote 1 jobs, 4 tokens, 2 requests rows")) == (0, 2)
    code, _, err = collect(PLAIN, other, *where, "--end", "2026-01-15T09:10:02Z")
    assert (code, err) == (2, "error: --end: is of one run, and there are 2 files\n")


@pytest.mark.parametrize("missing", ["--node", "--device", "--lake"])
def test_what_no_file_says_must_be_said(tmp_path: Path, missing: str) -> None:
    options = {"--lake": str(tmp_path / "lake"), "--node": "n1", "--device": "0"}
    options.pop(missing)
    code, _, err = collect(RECORDS, *(text for pair in options.items() for text in pair))
    assert code == 2
    assert missing in err
    assert not (tmp_path / "lake").exists()


def test_tokens_only_needs_a_job_and_no_devices(tmp_path: Path) -> None:
    where = ["--lake", tmp_path / "lake", "--node", "n1", "--tokens-only"]
    for more in ([], ["--job-id", "a", "--device", "0"]):
        code, _, err = collect(RECORDS, *where, *more)
        assert (code, err.startswith("error: --tokens-only: needs the --job-id")) == (2, True)
    code, out, _ = collect(RECORDS, *where, "--job-id", "a")
    assert (code, out.splitlines()[0][:37]) == (0, "read a run of job a, 18 token reading")


def test_a_file_without_a_start_names_the_option(tmp_path: Path) -> None:
    code, out, err = collect(PLAIN, "--lake", tmp_path, "--node", "n1", "--device", "0")
    assert (code, out) == (2, "")
    assert err == (
        f"error: {PLAIN}: the file does not say when the run began; its date "
        "2026-01-15T09:10:02 is local time of an unknown zone, a moment after the end: give --end "
        "(or --start) as an instant, or the client's --tz\n"
    )


def test_help_has_an_example() -> None:
    code, out, _ = collect("--help")
    assert (code, "Example: tokenergy-collect import benchmark" in out) == (0, True)
