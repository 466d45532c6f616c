"""Bad input to the books: NULL and a reason code, or one clear line; never a traceback."""

from __future__ import annotations

import json
import logging
import shutil
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from tests.support.lakes import HOUR_US, T0, LakeBuilder, S, level
from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.lake import Lake
from tokenergy_sql.cli import app
from tokenergy_sql.index import tokens
from tokenergy_transforms.aggregate import aggregate, worklist

JOBS = (
    "SELECT job_id, e_gpu_j, tokenergy, te_gpu_out, n_generated, reason_codes FROM job_index "
    "ORDER BY job_id"
)


def run(lake: Path, *arguments: str) -> tuple[int, list[str]]:
    """Run a command; return its exit code and lines, those of an error included."""
    result = CliRunner().invoke(app, [*arguments, "--lake", str(lake)])
    if isinstance(result.exception, UserError):
        assert "\n" not in str(result.exception)
        return 2, [f"error: {result.exception}"]
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.output.splitlines()


def books(lake: Lake) -> dict[str, dict[str, Any]]:
    """Index and check a lake, neither may fail; return job_index by job."""
    for hour, node in worklist(lake):
        aggregate(lake, hour, node, S, "cpu")
    assert run(lake.root, "index")[0] == 0
    code, lines = run(lake.root, "check")
    assert code == 0, lines
    code, lines = run(lake.root, "query", "--format", "json", JOBS)
    assert code == 0
    return {row.pop("job_id"): row for row in json.loads("\n".join(lines))}


def look_at(lake: Lake) -> None:
    """Run the commands that show a lake; none may fail."""
    assert run(lake.root, "report", "--out", str(lake.root.parent / "report.html"))[0] == 0
    assert run(lake.root, "revisions")[0] == 0
    assert run(lake.root, "diff")[0] == 0


def codes(row: dict[str, Any]) -> set[str]:
    return set(row["reason_codes"].split(",")) - {"no_host_power"}


@pytest.fixture
def builder(tmp_path: Path) -> LakeBuilder:
    """One board that draws 100 W for 100 s."""
    found = LakeBuilder(tmp_path / "lake")
    found.device("A")
    found.power("A", level(100_000, T0, T0 + 100 * S, S))
    return found


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["index"], 0, "index: 0 jobs; nothing has changed in 0 hours"),
        (["check"], 0, "ok"),
        (["query", "SELECT * FROM job_index WHERE job_id = 'nobody'"], 0, "0 rows"),
        (["report", "--out", "{}/report.html"], 2, "job_index"),
        (["revisions"], 0, "revision"),
        (["diff"], 2, "has no revisions yet"),
        (["diff", "--from", "3", "--to", "4"], 2, "revision"),
        (["score", "--truth", "{}"], 2, "no truth files"),
    ],
)
def test_an_empty_lake(tmp_path: Path, arguments: list[str], code: int, says: str) -> None:
    got, lines = run(tmp_path, *(a.replace("{}", str(tmp_path)) for a in arguments))
    assert got == code, lines
    assert says in "\n".join(lines)


def test_a_job_on_a_board_that_nobody_knows(builder: LakeBuilder) -> None:
    builder.job("j", "nowhere", T0, T0 + 50 * S)
    builder.tokens("j", [(T0, 0), (T0 + 50 * S, 900)])
    row = books(builder.lake)["j"]
    assert codes(row) == {"no_energy"}
    assert (row["e_gpu_j"], row["te_gpu_out"], row["n_generated"]) == (None, None, 900)


def test_tokens_of_a_job_that_nobody_knows(builder: LakeBuilder) -> None:
    builder.tokens("j", [(T0, 0), (T0 + 50 * S, 900)])
    row = books(builder.lake)["j"]
    assert codes(row) == {"no_energy"}
    assert (row["e_gpu_j"], row["te_gpu_out"], row["n_generated"]) == (None, None, 900)
    look_at(builder.lake)


def test_energy_without_tokens(builder: LakeBuilder) -> None:
    builder.job("j", "A", T0, T0 + 50 * S)
    row = books(builder.lake)["j"]
    assert codes(row) == {"no_tokens"}
    assert (row["e_gpu_j"], row["te_gpu_out"], row["n_generated"]) == (5000.0, None, None)


def test_jobs_alone(tmp_path: Path) -> None:
    builder = LakeBuilder(tmp_path / "lake")
    builder.job("j", "A", T0, T0 + 50 * S)
    assert codes(books(builder.lake)["j"]) == {"no_energy", "no_tokens"}
    look_at(builder.lake)


def test_two_jobs_that_claim_a_whole_board(builder: LakeBuilder) -> None:
    """While both hold it each bears a half; before and after, the one that holds it."""
    builder.job("j", "A", T0, T0 + 80 * S)
    builder.job("k", "A", T0 + 20 * S, T0 + 90 * S)
    builder.job("after", "A", T0 + 90 * S, T0 + 100 * S)
    found = books(builder.lake)
    assert {job: row["e_gpu_j"] for job, row in found.items()} == {
        "j": 2000.0 + 3000.0,
        "k": 3000.0 + 1000.0,
        "after": 1000.0,
    }
    assert codes(found["j"]) == codes(found["k"]) == {"contended", "shared_estimate", "no_tokens"}
    assert codes(found["after"]) == {"no_tokens"}
    look_at(builder.lake)
    code, lines = run(
        builder.lake.root, "query", "--format", "csv", "SELECT reason_codes FROM job_hour_index"
    )
    assert code == 0
    assert sum("contended" in line for line in lines) == 2


def test_only_the_hour_of_the_contradiction_is_flagged(builder: LakeBuilder) -> None:
    builder.power("A", level(100_000, T0 + HOUR_US, T0 + HOUR_US + 100 * S, S))
    builder.job("j", "A", T0 + 50 * S, T0 + HOUR_US + 100 * S)
    builder.job("k", "A", T0 + HOUR_US + 50 * S, T0 + HOUR_US + 60 * S, share_ppm=1)
    assert "contended" in codes(books(builder.lake)["j"])
    text = (
        "SELECT hour(utc(hour_us)), reason_codes FROM job_hour_index WHERE job_id = 'j' ORDER BY 1"
    )
    _, lines = run(builder.lake.root, "query", "--format", "csv", text)
    assert [line.partition(",")[0] for line in lines if "contended" in line] == ["9"]


def test_shares_that_fill_the_board_do_not_contend(builder: LakeBuilder) -> None:
    builder.job("j", "A", T0, T0 + 80 * S, share_ppm=600_000)
    builder.job("k", "A", T0, T0 + 80 * S, share_ppm=400_000)
    found = books(builder.lake)
    assert codes(found["j"]) == codes(found["k"]) == {"shared_estimate", "no_tokens"}


def test_the_same_job_twice_with_other_shares(builder: LakeBuilder) -> None:
    """Of one allocation the latest record counts; two that overlap hold the larger share once."""
    builder.job("j", "A", T0, T0 + 50 * S)
    builder.job("j", "A", T0, T0 + 50 * S, share_ppm=500_000, recorded_us=T0 + 5)
    builder.job("j", "A", T0 + 10 * S, T0 + 50 * S, share_ppm=800_000, recorded_us=T0 + 5)
    row = books(builder.lake)["j"]
    assert codes(row) == {"shared_estimate", "no_tokens"}
    assert row["e_gpu_j"] == pytest.approx(500 + 3200)


def test_a_job_that_ends_before_it_starts(builder: LakeBuilder) -> None:
    builder.job("j", "A", T0 + 50 * S, T0 + 20 * S)
    builder.job("k", "A", T0, T0 + 100 * S)
    builder.tokens("j", [(T0, 0), (T0 + 80 * S, 900)])
    found = books(builder.lake)
    # It holds nothing, as a job of which there are counters alone.
    assert codes(found["j"]) == {"no_energy"}
    assert found["j"]["e_gpu_j"] is None
    assert codes(found["k"]) == {"no_tokens"}
    assert found["k"]["e_gpu_j"] == 10_000.0
    look_at(builder.lake)


@pytest.mark.parametrize("share_ppm", [0, -5, 1_000_001])
def test_a_share_that_is_none(builder: LakeBuilder, share_ppm: int) -> None:
    """The file breaks the contract: it goes to quarantine, and the check says so."""
    builder.job("j", "A", T0, T0 + 50 * S, share_ppm=share_ppm)
    builder.job("k", "A", T0, T0 + 50 * S)
    assert books(builder.lake).keys() == {"k"}
    _, lines = run(builder.lake.root, "check")
    assert any(line.startswith("warn") and "nothing_is_quarantined" in line for line in lines)
    assert any("share_ppm" in line for line in lines)


def test_stamps_that_mean_none(builder: LakeBuilder) -> None:
    """Neither 1970 as a start nor the end of time as an end makes rows for every hour.

    A start in 1970 is no instant: its file goes to quarantine, so j has counters and no allocation.
    """
    builder.job("j", "A", 0, T0 + 50 * S)
    builder.job("k", "A", T0 + 50 * S, 253_402_300_799_000_000)
    for job in ("j", "k"):
        builder.tokens(job, [(T0, 0), (T0 + 100 * S, 900)])
    rows = tokens.usage(builder.lake).to_pylist()
    assert sorted((row["job_id"], row["hour_us"], row["tokens"]) for row in rows) == [
        ("j", T0, 900),
        ("k", T0, 450),
    ]


def test_counters_that_cannot_be(builder: LakeBuilder, caplog: pytest.LogCaptureFixture) -> None:
    builder.job("j", "A", T0, T0 + 50 * S)
    values = [(T0, 0), (T0 + 10 * S, 2**63 - 1), (T0 + 20 * S, -7), (T0 + 50 * S, 900)]
    builder.tokens("j", values)
    with caplog.at_level(logging.WARNING):
        (row,) = tokens.usage(builder.lake).to_pylist()
    assert row["tokens"] == 900
    assert [r.getMessage() for r in caplog.records] == [
        "tokens date=2026-01-15/hour=08: 2 readings are below 0 or above 9007199254740992, ignored"
    ]


def _whole(builder: LakeBuilder) -> Path:
    builder.power("A", level(100_000, T0 + HOUR_US, T0 + HOUR_US + 100 * S, S))
    builder.job("j", "A", T0, T0 + HOUR_US + 50 * S)
    builder.tokens("j", [(T0, 0), (T0 + 50 * S, 900), (T0 + HOUR_US + 50 * S, 950)])
    books(builder.lake)
    return builder.lake.root


@pytest.mark.parametrize("table", ["ledger", "ledger_hour", "job_index"])
def test_a_derived_table_that_is_gone_is_made_again(builder: LakeBuilder, table: str) -> None:
    root = _whole(builder)
    _, before = run(root, "query", JOBS)
    shutil.rmtree(root / table)
    code, lines = run(root, "check")
    assert code in (0, 1)
    assert all(line.startswith(("ok", "warn", "FAIL", "     ")) for line in lines)
    assert run(root, "index")[0] == 0
    assert run(root, "query", JOBS)[1] == before
    assert run(root, "check")[0] == 0


@pytest.mark.parametrize("table", ["job_hour_index", "token_usage"])
def test_all_can_be_asked_for_anew(builder: LakeBuilder, table: str) -> None:
    root = _whole(builder)
    _, before = run(root, "query", JOBS)
    shutil.rmtree(root / table)
    assert run(root, "check")[0] == 1, "a missing table is no silence"
    assert run(root, "index", "--all")[0] == 0
    assert run(root, "query", JOBS)[1] == before
    assert run(root, "check")[0] == 0


@pytest.mark.parametrize("table", ["segment", "device", "jobs", "tokens", "power"])
def test_an_input_that_is_gone(builder: LakeBuilder, table: str) -> None:
    """Every command still ends well or in one line, and what is not known any more is NULL."""
    root = _whole(builder)
    shutil.rmtree(root / table)
    assert run(root, "index")[0] == 0
    for arguments in (
        ["check"],
        ["report", "--out", str(root / "r.html")],
        ["diff"],
        ["revisions"],
    ):
        code, lines = run(root, *arguments)
        assert code in (0, 1, 2)
        assert lines
    _, lines = run(root, "query", "--format", "json", JOBS)
    (row,) = json.loads("\n".join(lines))
    missing = {"jobs": "no_energy", "tokens": "no_tokens"}.get(table)
    assert missing is None or missing in codes(row)
    # readings of 150 s of the job's 3,650: too little for a ratio, whatever is gone
    assert row["te_gpu_out"] is None
    assert missing is not None or "low_joint_coverage" in codes(row)


def test_an_hour_that_is_gone(builder: LakeBuilder) -> None:
    root = _whole(builder)
    for table in ("segment", "tokens", "power"):
        shutil.rmtree(root / table / "date=2026-01-15" / "hour=09")
    assert run(root, "index")[0] == 0
    assert run(root, "check")[0] == 0
    _, lines = run(root, "query", "--format", "json", JOBS)
    (row,) = json.loads("\n".join(lines))
    assert row["n_generated"] == 900


def test_damaged_notes_of_revisions(builder: LakeBuilder) -> None:
    root = _whole(builder)
    (root / "revisions" / "000001" / "manifest.json").write_text("{")
    for command in ("revisions", "diff"):
        code, lines = run(root, command)
        assert (code, len(lines)) == (2, 1)
        assert "manifest.json: is damaged" in lines[0]
    (root / "revisions" / "hours.json").write_text("[")
    assert run(root, "index")[0] == 0


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"jobs": 5}'])
def test_truth_that_is_none(builder: LakeBuilder, tmp_path: Path, text: str) -> None:
    root = _whole(builder)
    (tmp_path / "truth.json").write_text(text)
    code, lines = run(root, "score", "--truth", str(tmp_path))
    assert (code, len(lines)) == (2, 1)
    assert "truth.json" in lines[0]
