"""The ledger by hand: every account and method once."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import Any

import pytest

from tests.support.lakes import T0, LakeBuilder, S, level
from tests.support.ledger import J, ask, assert_checks_pass
from tokenergy_collectors.lake import Lake
from tokenergy_sql.checks.checking import run_checks


def counter(start_us: int, end_us: int, mw: float, *, base_mj: int = 5_000) -> dict[int, int]:
    """A counter read once a second that grows with a constant power."""
    return {t: base_mj + round(mw * (t - start_us) / 1e6) for t in range(start_us, end_us + 1, S)}


def gauges(device_id: str, start_us: int, end_us: int, **values: Any) -> list[dict[str, Any]]:
    return [{"ts_us": t, "device_id": device_id, **values} for t in range(start_us, end_us + 1, S)]


GRADES = {1.019: "counter", 1.03: "counter_flagged", 0.96: "counter_flagged", 0.5: "disputed"}
"""How a counter is graded that says so much of what the samples do."""

STEP_US, STEP_END_US = T0 + 12_345_678, T0 + 40 * S
"""A job at whose start the power steps from 100 W to 500 W; the sensor lags behind."""

GAPPED = level(300_000, T0, T0 + 10 * S) + level(300_000, T0 + 30 * S, T0 + 40 * S)


def add_counted(builder: LakeBuilder) -> None:
    """Add boards with counters."""
    samples = level(200_000, T0, T0 + 60 * S)
    builder.device("shape")
    builder.power("shape", samples, counters=counter(T0, T0 + 60 * S, 202_000))
    for factor in GRADES:
        builder.device(f"graded {factor}")
        counters = counter(T0, T0 + 60 * S, 200_000 * factor)
        builder.power(f"graded {factor}", samples, counters=counters)
    fell = counter(T0, T0 + 30 * S, 200_000, base_mj=10**9)
    fell |= counter(T0 + 31 * S, T0 + 60 * S, 200_000, base_mj=0)
    builder.device("fell")
    builder.power("fell", samples, counters=fell)
    frozen = counter(T0, T0 + 60 * S, 200_000)
    frozen |= dict.fromkeys(range(T0 + 61 * S, T0 + 121 * S, S), frozen[T0 + 60 * S])
    builder.device("frozen")
    builder.power("frozen", level(200_000, T0, T0 + 120 * S), counters=frozen)


def add_step(builder: LakeBuilder) -> None:
    late = [(t, 500_000 if t > STEP_US + 90_000 else 100_000) for t, _ in level(0, T0, STEP_END_US)]
    counters = {t: (t - T0) * 100_000 // S for t in range(T0, STEP_US, S)}
    at_start = (STEP_US - T0) * 100_000 // S
    counters |= {STEP_US: at_start}
    counters |= {
        t: at_start + (t - STEP_US) * 500_000 // S for t in range(T0 + 13 * S, STEP_END_US + 1, S)
    }
    builder.device("step")
    builder.power("step", late, counters=counters)
    builder.job("at step", "step", STEP_US, STEP_END_US)


def add_gaps(builder: LakeBuilder) -> None:
    """Add boards without a reading for 20 s, with a counter and without."""
    counters = counter(T0, T0 + 40 * S, 300_000)
    kept = {t: mj for t, mj in counters.items() if not T0 + 10 * S < t < T0 + 30 * S}
    builder.device("counted gap")
    builder.power("counted gap", GAPPED, counters=kept)
    builder.job("of counted gap", "counted gap", T0, T0 + 40 * S)
    builder.device("gap", limit_mw=700_000)
    builder.power("gap", GAPPED)
    builder.job("of gap", "gap", T0, T0 + 40 * S)


def add_held(builder: LakeBuilder) -> None:
    """Add boards without a counter that jobs hold: for a time, in parts, or too many of them."""
    builder.device("plain")
    builder.power("plain", level(200_000, T0, T0 + 10 * S))
    builder.job("j", "plain", T0 + 2 * S, T0 + 5 * S)
    for name in ("thirds", "part", "contended"):
        builder.device(name)
    builder.power("thirds", [(t, mw + 1) for t, mw in level(100_000, T0, T0 + 10 * S, 333_333)])
    for name in ("third 1", "third 2", "third 3"):
        builder.job(name, "thirds", T0, T0 + 9 * S, share_ppm=333_333)
    builder.power("part", level(100_000, T0, T0 + 10 * S))
    builder.job("quarter", "part", T0, T0 + 10 * S, share_ppm=250_000)
    builder.power("contended", level(100_000, T0, T0 + 10 * S))
    builder.job("j1", "contended", T0, T0 + 10 * S)
    builder.job("j2", "contended", T0 + 5 * S, T0 + 10 * S)


def add_used(builder: LakeBuilder) -> None:
    """Add boards that are used as their gauges, processes and tokens say."""
    for name in "ABCD":
        builder.device(name)
        builder.power(name, level(100_000, T0, T0 + 60 * S))
    builder.job("busy", "A", T0, T0 + 60 * S)
    builder.add("state", gauges("A", T0, T0 + 30 * S - 1, sm_util=80))
    builder.add("state", gauges("A", T0 + 30 * S, T0 + 60 * S, sm_util=0))
    builder.job("talks", "B", T0, T0 + 60 * S)
    builder.add("state", gauges("B", T0, T0 + 60 * S, sm_util=0))
    builder.tokens("talks", [(T0, 0), (T0 + 20 * S, 100), (T0 + 60 * S, 100)])
    builder.add("state", gauges("C", T0, T0 + 20 * S - 1, sm_util=50, pids=[7]))
    builder.add("state", gauges("C", T0 + 20 * S, T0 + 60 * S, sm_util=0, pids=[]))


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """All boards, each with jobs of its own: nobody who takes it changes it."""
    builder = LakeBuilder(tmp_path_factory.mktemp("ledger") / "lake")
    for add in (add_counted, add_step, add_gaps, add_held, add_used):
        add(builder)
    lake = builder.build()
    assert_checks_pass(lake)
    return lake


@pytest.fixture(scope="module")
def ledger(lake: Lake) -> dict[str, list[dict[str, Any]]]:
    """The rows of each board, in order of time."""
    found: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in ask(lake, "FROM ledger ORDER BY start_us"):
        found[row["device_id"]].append(row)
    return found


Ledger = dict[str, list[dict[str, Any]]]


def total(rows: list[dict[str, Any]], column: str = "energy_nj") -> int | None:
    known = [int(row[column]) for row in rows if row[column] is not None]
    return sum(known) if known else None


def accounts(rows: list[dict[str, Any]]) -> dict[tuple[str, str | None, str], int | None]:
    """Energy by (account, job, method), nJ."""
    grouped: dict[tuple[str, str | None, str], list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        grouped[row["account"], row["job_id"], row["method"]].append(row)
    return {key: total(group) for key, group in grouped.items()}


def test_no_counter_books_the_integral(ledger: Ledger) -> None:
    assert accounts(ledger["plain"]) == {
        ("active", "j", "samples"): 600 * J,
        ("free_idle", None, "samples"): 1400 * J,
    }


def test_the_counter_is_the_total_and_samples_are_its_shape(ledger: Ledger) -> None:
    """The counter says 1 % more than the samples; each slot gets its share of that."""
    rows = ledger["shape"]
    assert accounts(rows) == {("free_idle", None, "counter"): 12_120 * J}
    assert [(r["segments"], r["energy_nj"]) for r in rows] == [(30, 30 * 202 * J)] * 2
    assert {round(r["k"], 9) for r in rows} == {1.01}


@pytest.mark.parametrize(("factor", "method"), GRADES.items())
def test_disagreement_is_graded(ledger: Ledger, factor: float, method: str) -> None:
    rows = ledger[f"graded {factor}"]
    low, high = total(rows, "low_nj"), total(rows, "high_nj")
    assert {row["method"] for row in rows} == {method}
    assert low is not None
    assert high is not None
    assert low <= 12_000 * J * factor <= high
    if method == "disputed":  # the bounds hold both values
        assert low <= 12_000 * J * min(1, factor)
        assert high >= 12_000 * J * max(1, factor)


def test_a_counter_read_at_a_job_edge_divides_the_energy_there(ledger: Ledger) -> None:
    """The sensor lags behind a step at the job's start; the counter does not."""
    true_nj = (STEP_END_US - STEP_US) * 500_000
    found = accounts(ledger["step"])[("active", "at step", "counter")]
    assert found is not None
    assert abs(found - true_nj) <= 2_000_000  # 2 mJ: the counter's own steps


def test_a_gap_with_a_counter_is_booked_by_the_counter(lake: Lake, ledger: Ledger) -> None:
    assert accounts(ledger["counted gap"]) == {
        ("active", "of counted gap", "counter"): 6_000 * J,
        ("active", "of counted gap", "counter_gap"): 6_000 * J,
    }
    (row,) = ask(
        lake,
        "SELECT coverage, max_gap_s, reason_codes FROM job_index WHERE job_id = 'of counted gap'",
    )
    assert row == {
        "coverage": 0.5,
        "max_gap_s": 20.0,
        "reason_codes": "gap,no_tokens,no_host_power",
    }


def test_a_gap_without_a_counter_is_unknown_and_bounded(lake: Lake, ledger: Ledger) -> None:
    assert accounts(ledger["gap"]) == {
        ("active", "of gap", "samples"): 6_000 * J,
        ("gap", "of gap", "missing"): None,
    }
    gap = [row for row in ledger["gap"] if row["account"] == "gap"]
    assert (total(gap, "low_nj"), total(gap, "high_nj")) == (0, 20 * 700 * J)
    (job,) = ask(
        lake, "SELECT e_gpu_j, e_gpu_low_nj, e_gpu_high_nj FROM job_index WHERE job_id = 'of gap'"
    )
    assert job["e_gpu_j"] == 6_000
    assert job["e_gpu_high_nj"] >= 6_000 * J + 20 * 700 * J


def test_a_counter_reset_gives_no_negative_energy(ledger: Ledger) -> None:
    assert total(ledger["fell"]) == 12_000 * J
    # the second in which it fell
    assert ("free_idle", None, "samples") in accounts(ledger["fell"])


def test_a_frozen_counter_is_no_counter(ledger: Ledger) -> None:
    """It moves for a minute, then stands still while the board goes on drawing 200 W."""
    assert accounts(ledger["frozen"]) == {
        ("free_idle", None, "counter"): 12_000 * J,
        ("free_idle", None, "samples"): 12_000 * J,
    }


def test_shares_split_to_the_unit(ledger: Ledger) -> None:
    """Three jobs with a third each of an odd number of nanojoules, and a device held in part."""
    assert {r["job_id"]: r["energy_nj"] for r in ledger["part"]} == {
        "quarter": 250 * J,
        None: 750 * J,
    }
    held = [row for name in ("thirds", "part") for row in ledger[name] if row["job_id"]]
    assert {row["attribution"] for row in held} == {"shared_estimate"}
    assert {row["job_id"] for row in held} == {"third 1", "third 2", "third 3", "quarter"}


def test_contending_jobs_share_and_are_flagged(lake: Lake, ledger: Ledger) -> None:
    found = accounts(ledger["contended"])
    assert found[("active", "j1", "samples")] == 750 * J
    assert found[("active", "j2", "samples")] == 250 * J
    (finding,) = run_checks(lake, only=["jobs_do_not_contend"])
    assert not finding.fatal
    assert [row[0] for row in finding.rows] == ["contended"]


def test_accounts(ledger: Ledger) -> None:
    """Active by SM, active by tokens alone, resident idle, unattributed by process, free idle."""
    held_us: Counter[tuple[str, str]] = Counter()
    for name in "ABCD":
        for row in ledger[name]:
            held_us[name, row["account"]] += row["device_us"]
    assert {key: us // S for key, us in held_us.items()} == {
        ("A", "active"): 30,
        ("A", "resident_idle"): 30,
        ("B", "active"): 20,
        ("B", "resident_idle"): 40,
        ("C", "free_idle"): 40,
        ("C", "unattributed"): 20,
        ("D", "free_idle"): 60,
    }
