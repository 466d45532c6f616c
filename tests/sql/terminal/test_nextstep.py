"""What commands say of a lake that lacks readings or books, and `run`, which makes the books."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from tests.support.lakes import T0, LakeBuilder, S, level
from tokenergy_collectors.lake import Lake
from tokenergy_sql.cli import app

JOBS = "SELECT job_id FROM job_index"


@pytest.fixture
def unbooked(tmp_path: Path) -> Path:
    """A lake with readings of one board and a job, and nothing derived."""
    builder = LakeBuilder(tmp_path / "it's new")
    builder.device("A")
    builder.power("A", level(100_000, T0, T0 + 2 * S))
    builder.job("j", "A", T0, T0 + S)
    return builder.lake.root


def run(*words: str, lake: Path) -> Result:
    return CliRunner().invoke(app, [*words, "--lake", str(lake)])


def test_a_question_to_a_lake_without_books_names_the_next_command(unbooked: Path) -> None:
    for sql in (JOBS, "SELECT count(*) FROM ledger", "FROM tokenergy_by('model')"):
        for output_format in ("table", "csv", "json"):
            done = run("query", sql, "--format", output_format, lake=unbooked)
            assert done.exit_code == 0
            assert "the lake has readings but no books yet: run `tokenergy run" in done.stderr
            assert "no books" not in done.stdout


def test_an_empty_answer_of_a_booked_lake_is_an_answer(unbooked: Path) -> None:
    assert run("run", lake=unbooked).exit_code == 0
    done = run("query", f"{JOBS} WHERE false", lake=unbooked)
    assert (done.exit_code, done.stderr) == (0, "")
    assert "0 rows" in done.stdout


def test_a_question_to_raw_tables_needs_no_books(unbooked: Path) -> None:
    done = run("query", "SELECT * FROM power WHERE false", lake=unbooked)
    assert done.stderr == ""


def test_a_lake_without_readings_has_nothing_to_run(tmp_path: Path) -> None:
    done = run("run", lake=tmp_path)
    assert done.exit_code != 0
    assert "has no readings yet. `tokenergy-collect run --lake" in str(done.exception)


def test_a_check_of_nothing_says_so(tmp_path: Path) -> None:
    done = run("check", lake=tmp_path)
    assert done.exit_code == 0
    assert done.stdout.startswith("nothing to check: the lake has no readings yet.")
    assert "ok " not in done.stdout


def test_a_lake_whose_readings_have_expired_is_checked(unbooked: Path) -> None:
    assert run("run", lake=unbooked).exit_code == 0
    for table in ("power", "segment"):
        shutil.rmtree(unbooked / table)
    done = run("check", "--only", "bounds_hold", lake=unbooked)
    assert done.exit_code == 0
    assert "ok   bounds_hold" in done.stdout


def test_run_does_what_the_three_commands_do(unbooked: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    shutil.copytree(unbooked, other)
    done = run("run", lake=unbooked)
    assert done.exit_code == 0
    assert "derived (new 1)" in done.stdout
    assert ", 0 FAIL" in done.stdout
    assert "Energy per token by job" in done.stdout
    for command in ("aggregate", "index", "check"):
        assert run(command, lake=other).exit_code == 0
    books = [
        sorted(path.relative_to(root) for path in root.rglob("books/*/date=*/**/*.parquet"))
        for root in (unbooked, other)
    ]
    assert books[0] == books[1] != []
    for path in books[0]:
        assert (unbooked / path).read_bytes() == (other / path).read_bytes()


def test_a_second_run_finds_nothing_to_do(unbooked: Path) -> None:
    run("run", lake=unbooked)
    files = sorted(unbooked.rglob("books/**/*.parquet"))
    done = run("run", lake=unbooked)
    assert "nothing has changed in 1 hour" in done.stdout
    assert "check: nothing new to check" in done.stdout
    assert sorted(unbooked.rglob("books/**/*.parquet")) == files


def test_run_shows_the_jobs_that_were_asked_for(unbooked: Path) -> None:
    done = run("run", "--jobs", "0", lake=unbooked)
    assert "0 of 1 jobs: those with most energy" in done.stdout
    assert "j  " not in done.stdout


def test_run_fails_where_a_check_fails(unbooked: Path) -> None:
    """A device that a job list names and nothing metered."""
    builder = LakeBuilder(unbooked)
    builder.job("k", "never-seen", T0, T0 + S)
    done = run("run", lake=unbooked)
    check = run("check", lake=unbooked)
    assert done.exit_code == check.exit_code
    assert ("FAIL" in check.stdout) == (done.exit_code == 1)
    assert "claims_are_booked" in done.stdout


def test_a_lake_without_revisions_says_how_to_make_one(unbooked: Path) -> None:
    done = run("revisions", lake=unbooked)
    assert done.stdout == "no revisions yet: `tokenergy index` makes the first one\n"
    assert not Lake(unbooked).has("ledger_hour")


def test_summaries_of_commands_are_not_cut() -> None:
    from tokenergy_collectors.cli import app as collect_app

    for one in (app, collect_app):
        text = CliRunner().invoke(one, ["--help"]).stdout
        assert "Commands:" in text
        assert "..." not in text.split("Commands:")[1]
