"""Bad input to the books: NULL and a reason code, or one clear line; never a traceback."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest

from tests.support.books import books, codes, look_at, run, watched
from tests.support.lakes import HOUR_US, T0, LakeBuilder, S, level
from tokenergy_sql.index import tokens


@pytest.fixture
def builder(tmp_path: Path) -> LakeBuilder:
    return watched(tmp_path / "lake")


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["index"], 0, "index: 0 jobs; nothing has changed in 0 hours"),
        (["run"], 2, "has no readings yet"),
        (["check"], 0, "nothing to check: the lake has no readings yet"),
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


def test_tokens_of_a_job_that_nobody_knows(builder: LakeBuilder) -> None:
    builder.tokens("j", [(T0, 0), (T0 + 50 * S, 900)])
    row = books(builder.lake)["j"]
    assert codes(row) == {"no_allocation"}
    assert (row["e_gpu_j"], row["te_gpu_out"], row["n_generated"]) == (None, None, 900)
    look_at(builder.lake)


def test_jobs_alone(tmp_path: Path) -> None:
    builder = LakeBuilder(tmp_path / "lake")
    builder.job("j", "A", T0, T0 + 50 * S)
    assert codes(books(builder.lake)["j"]) == {"no_energy", "no_tokens"}
    look_at(builder.lake)


Claims = tuple[Path, dict[str, dict[str, Any]]]


@pytest.fixture(scope="module")
def claims(tmp_path_factory: pytest.TempPathFactory) -> Claims:
    """A lake in which each board, A to G, has jobs of another kind; its index by job."""
    builder = watched(tmp_path_factory.mktemp("claims") / "lake", *"ABCDEFG")
    builder.job("lost", "nowhere", T0, T0 + 50 * S)
    builder.tokens("lost", [(T0, 0), (T0 + 50 * S, 900)])
    builder.job("mute", "A", T0, T0 + 50 * S)
    builder.job("first", "B", T0, T0 + 80 * S)
    builder.job("second", "B", T0 + 20 * S, T0 + 90 * S)
    builder.job("after", "B", T0 + 90 * S, T0 + 100 * S)
    builder.power("C", level(100_000, T0 + HOUR_US, T0 + HOUR_US + 100 * S, S))
    builder.job("long", "C", T0 + 50 * S, T0 + HOUR_US + 100 * S)
    builder.job("short", "C", T0 + HOUR_US + 50 * S, T0 + HOUR_US + 60 * S, share_ppm=1)
    builder.job("most", "D", T0, T0 + 80 * S, share_ppm=600_000)
    builder.job("least", "D", T0, T0 + 80 * S, share_ppm=400_000)
    builder.job("twice", "E", T0, T0 + 50 * S)
    builder.job("twice", "E", T0, T0 + 50 * S, share_ppm=500_000, recorded_us=T0 + 5)
    builder.job("twice", "E", T0 + 10 * S, T0 + 50 * S, share_ppm=800_000, recorded_us=T0 + 5)
    builder.job("backwards", "F", T0 + 50 * S, T0 + 20 * S)
    builder.job("forwards", "F", T0, T0 + 100 * S)
    builder.tokens("backwards", [(T0, 0), (T0 + 80 * S, 900)], source_id="other")
    found = books(builder.lake)
    look_at(builder.lake)
    return builder.lake.root, found


def test_a_job_on_a_board_that_nobody_knows(claims: Claims) -> None:
    row = claims[1]["lost"]
    assert codes(row) == {"no_energy"}
    assert (row["e_gpu_j"], row["te_gpu_out"], row["n_generated"]) == (None, None, 900)


def test_energy_without_tokens(claims: Claims) -> None:
    row = claims[1]["mute"]
    assert codes(row) == {"no_tokens"}
    assert (row["e_gpu_j"], row["te_gpu_out"], row["n_generated"]) == (5000.0, None, None)


def contended_hours(root: Path, *jobs: str) -> list[str]:
    """Return the jobs and hours of the day that are flagged."""
    text = "SELECT job_id, hour(utc(hour_us)), reason_codes FROM job_hour_index ORDER BY ALL"
    code, lines = run(root, "query", "--format", "csv", text)
    assert code == 0
    flagged = [",".join(line.split(",")[:2]) for line in lines if "contended" in line]
    return [line for line in flagged if line.startswith(jobs)]


def test_two_jobs_that_claim_a_whole_board(claims: Claims) -> None:
    """While both hold it each bears a half; before and after, the one that holds it."""
    root, found = claims
    assert {job: found[job]["e_gpu_j"] for job in ("first", "second", "after")} == {
        "first": 2000.0 + 3000.0,
        "second": 3000.0 + 1000.0,
        "after": 1000.0,
    }
    contended = {"contended", "shared_estimate", "no_tokens"}
    assert codes(found["first"]) == codes(found["second"]) == contended
    assert codes(found["after"]) == {"no_tokens"}
    assert contended_hours(root, "first", "second", "after") == ["first,8", "second,8"]


def test_only_the_hour_of_the_contradiction_is_flagged(claims: Claims) -> None:
    root, found = claims
    assert "contended" in codes(found["long"])
    assert contended_hours(root, "long") == ["long,9"]


def test_shares_that_fill_the_board_do_not_contend(claims: Claims) -> None:
    _, found = claims
    assert codes(found["most"]) == codes(found["least"]) == {"shared_estimate", "no_tokens"}


def test_the_same_job_twice_with_other_shares(claims: Claims) -> None:
    """Of one allocation the latest record counts; two that overlap hold the larger share once."""
    row = claims[1]["twice"]
    assert codes(row) == {"shared_estimate", "no_tokens"}
    assert row["e_gpu_j"] == pytest.approx(500 + 3200)


def test_a_job_that_ends_before_it_starts(claims: Claims) -> None:
    """It holds nothing, as a job of which there are counters alone."""
    _, found = claims
    assert codes(found["backwards"]) == {"no_allocation"}
    assert found["backwards"]["e_gpu_j"] is None
    assert codes(found["forwards"]) == {"no_tokens"}
    assert found["forwards"]["e_gpu_j"] == 10_000.0


def test_shares_that_are_none(builder: LakeBuilder) -> None:
    """Each file breaks the contract: it goes to quarantine, and the check says so."""
    shares_ppm = (0, -5, 1_000_001)
    for share_ppm in shares_ppm:
        builder.job(f"of {share_ppm}", "A", T0, T0 + 50 * S, share_ppm=share_ppm)
    builder.job("k", "A", T0, T0 + 50 * S)
    assert books(builder.lake).keys() == {"k"}
    _, lines = run(builder.lake.root, "check")
    assert any(line.startswith("warn") and "nothing_is_quarantined" in line for line in lines)
    assert sum("share_ppm" in line for line in lines) == len(shares_ppm)


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
