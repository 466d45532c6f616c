"""Real Slurm, our hooks, our daemon on emulated boards: allocations, shares, tokens and the ledger.

What the daemon recorded is compared with `scontrol`; what the index says with what the jobs counted
themselves.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.slurm.cluster import Cluster, why_not
from tests.slurm.scenario import Done, S, ended, run_everything
from tests.slurm.work import (
    CACHED,
    CHECKPOINT_EVERY,
    CRASH_AT,
    GENERATED,
    PROMPT,
    REQUESTS,
    STEPS,
    TOKENS_PER_STEP,
)
from tests.support.ledger import ask
from tokenergy_collectors.lake import Lake

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(why_not() is not None, reason=why_not() or ""),
    pytest.mark.skipif(shutil.which("gcc") is None, reason="needs gcc: it compiles the boards"),
]


@pytest.fixture(scope="module")
def done() -> Iterator[Done]:
    """All jobs of the test, from their start to the index."""
    # Not pytest's own folder: its path is too long for a socket.
    root = Path(tempfile.mkdtemp(prefix="te-slurm-"))
    try:
        with Cluster(root / "c") as cluster:
            yield run_everything(root, cluster)
    finally:
        shutil.rmtree(root, ignore_errors=True)


def test_every_edge_is_within_a_second_of_what_scontrol_says(done: Done) -> None:
    rows = sorted(ended(done.lake), key=lambda row: (row["job_id"], row["start_us"]))
    assert len(rows) == sum(len(span.places) for span in done.spans)
    worst_s = 0.0
    for span in done.spans:
        for place in span.places:
            found = [
                row
                for row in rows
                if (row["job_id"], row["device_id"]) == (span.job_id, done.boards[place])
                and abs(row["start_us"] - span.start_s * S) < 3 * S
            ]
            assert len(found) == 1, (span, place, rows)
            [row] = found
            assert row["share_ppm"] == span.share_ppm, (span, row)
            for edge_us, told_s in ((row["start_us"], span.start_s), (row["end_us"], span.end_s)):
                # scontrol prints whole seconds: the instant is somewhere in that one.
                away_s = max(told_s - edge_us / S, edge_us / S - (told_s + 1), 0.0)
                worst_s = max(worst_s, away_s)
                assert away_s <= 1, (span, row)
    print(
        f"{len(rows)} allocations; the worst edge is {worst_s:.3f} s outside of scontrol's second"
    )


def test_names_arrays_and_a_requeue_are_told_apart(done: Done) -> None:
    rows = ended(done.lake)
    for job_id, name in done.names.items():
        assert {row["name"] for row in rows if row["job_id"] == job_id} == {name}
    assert {(row["scheduler"], row["cluster"], row["user"]) for row in rows} == {
        ("slurm", "tok", "root")
    }
    assert {row["account"] for row in rows if row["job_id"] == "101"} == {"physics"}
    again = [row for row in rows if row["name"] == "again"]
    assert len({row["allocation_id"] for row in again}) == 2
    assert len({row["job_id"] for row in again}) == 1


def test_of_a_lost_prolog_slurm_tells_the_start(done: Done) -> None:
    [row] = [row for row in ended(done.lake) if row["name"] == "unseen"]
    assert json.loads(row["labels"])["start"] == "scontrol"


def test_the_lost_epilog_is_closed_with_its_bounds(done: Done) -> None:
    [row] = [row for row in ended(done.lake) if row["job_id"] == done.lost]
    labels = json.loads(row["labels"])
    assert labels["end"] == "scontrol"
    assert labels["end_after_us"] <= row["end_us"] <= labels["end_before_us"]
    assert labels["end_before_us"] - labels["end_after_us"] <= 3 * S
    events = [row["detail"] for row in Lake(done.lake).read("event").to_pylist()]
    about = [text for text in events if text and text.startswith("slurm: ")]
    about = [text for text in about if "0-half.event" not in text]  # told after a minute
    assert [text for text in about if done.lost in text]
    assert len([text for text in about if "0-garbage.event" in text]) == 1
    assert len(about) == 2, about


def test_tokens_are_exact(done: Done) -> None:
    jobs = {row["job_id"]: row for row in done.index}
    again = CRASH_AT - CRASH_AT // CHECKPOINT_EVERY * CHECKPOINT_EVERY
    trained = (STEPS + again) * TOKENS_PER_STEP
    assert done.trained["trained"] == trained
    assert jobs["tok/102"]["n_trained"] == trained
    served = jobs["tok/103"]
    assert (served["n_prompt_computed"], served["n_prompt_cached"], served["n_generated"]) == (
        REQUESTS * PROMPT,
        REQUESTS * CACHED,
        REQUESTS * GENERATED,
    )
    assert done.served["vllm:generation_tokens_total"] == REQUESTS * GENERATED
    print(f"trained {trained}, generated {served['n_generated']}: exact")


def test_the_ledger_is_closed_and_every_job_has_its_energy(done: Done) -> None:
    jobs = {row["job_id"]: row for row in done.index}
    assert set(jobs) == {f"tok/{span.job_id}" for span in done.spans}
    for row in jobs.values():
        assert row["e_gpu_j"] > 0
        assert row["coverage"] > 0.99
    # `tokenergy check` passed, to the nanojoule. Here: the boards' own counters say the same.
    booked = """
        SELECT device_id, sum(energy_nj)::DOUBLE / 1e9 AS joules FROM ledger GROUP BY device_id
    """
    counted = """
        SELECT device_id, (max(energy_mj) - min(energy_mj)) / 1e3 AS joules
        FROM power GROUP BY device_id
    """
    lake = Lake(done.lake)
    meters = {row["device_id"]: row["joules"] for row in ask(lake, counted)}
    found = {row["device_id"]: row["joules"] for row in ask(lake, booked)}
    assert found.keys() == meters.keys() == set(done.boards)
    for device_id, joules in meters.items():
        assert found[device_id] == pytest.approx(joules, rel=5e-3)


def test_half_a_file_is_left_as_it_is(done: Done) -> None:
    assert "0-half.event" in done.files
