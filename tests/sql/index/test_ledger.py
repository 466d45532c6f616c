"""The ledger: every account and method once, by hand, and the law on random fleets."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.lakes import HOUR_US, T0, LakeBuilder, S, level
from tests.support.ledger import J, ask, assert_checks_pass, booked
from tokenergy_sql.checks.checking import run_checks
from tokenergy_sql.index.pipeline import index
from tokenergy_sql.index.site import Site
from tokenergy_transforms.aggregate import aggregate


@pytest.fixture
def builder(tmp_path: Path) -> LakeBuilder:
    return LakeBuilder(tmp_path / "lake")


def counter(start_us: int, end_us: int, mw: float, *, base_mj: int = 5_000) -> dict[int, int]:
    """A counter read once a second that grows with a constant power."""
    return {t: base_mj + round(mw * (t - start_us) / 1e6) for t in range(start_us, end_us + 1, S)}


def test_no_counter_books_the_integral(builder: LakeBuilder) -> None:
    builder.device("A")
    builder.power("A", level(200_000, T0, T0 + 10 * S))
    builder.job("j", "A", T0 + 2 * S, T0 + 5 * S)
    lake = builder.build()
    assert booked(lake) == {
        ("active", "j", "samples"): 600 * J,
        ("free_idle", None, "samples"): 1400 * J,
    }
    assert_checks_pass(lake)


def test_the_counter_is_the_total_and_samples_are_its_shape(builder: LakeBuilder) -> None:
    """The counter says 1 % more than the samples; each segment gets its share of that."""
    builder.device("A")
    builder.power("A", level(200_000, T0, T0 + 60 * S), counters=counter(T0, T0 + 60 * S, 202_000))
    lake = builder.build()
    assert booked(lake) == {("free_idle", None, "counter"): 12_120 * J}
    rows = ask(lake, "SELECT energy_nj, k FROM ledger")
    assert {r["energy_nj"] for r in rows} == {202 * J}
    assert {round(r["k"], 9) for r in rows} == {1.01}
    assert_checks_pass(lake)


@pytest.mark.parametrize(
    ("factor", "method"),
    [(1.019, "counter"), (1.03, "counter_flagged"), (0.96, "counter_flagged"), (0.5, "disputed")],
)
def test_disagreement_is_graded(builder: LakeBuilder, factor: float, method: str) -> None:
    builder.device("A")
    counters = counter(T0, T0 + 60 * S, 200_000 * factor)
    builder.power("A", level(200_000, T0, T0 + 60 * S), counters=counters)
    lake = builder.build()
    (row,) = ask(
        lake, "SELECT method, sum(low_nj) low, sum(high_nj) high FROM ledger GROUP BY method"
    )
    assert row["method"] == method
    assert row["low"] <= 12_000 * J * factor <= row["high"]
    if method == "disputed":  # the bounds hold both values
        assert row["low"] <= 12_000 * J * min(1, factor)
        assert row["high"] >= 12_000 * J * max(1, factor)
    assert_checks_pass(lake)


def test_a_counter_read_at_a_job_edge_divides_the_energy_there(builder: LakeBuilder) -> None:
    """The sensor lags behind a step at the job's start; the counter does not."""
    start, end = T0 + 12_345_678, T0 + 40 * S
    late = [(t, 500_000 if t > start + 90_000 else 100_000) for t, _ in level(0, T0, end)]
    counters = {t: (t - T0) * 100_000 // S for t in range(T0, start, S)}
    at_start = (start - T0) * 100_000 // S
    counters |= {start: at_start}
    counters |= {t: at_start + (t - start) * 500_000 // S for t in range(T0 + 13 * S, end + 1, S)}
    builder.device("A")
    builder.power("A", late, counters=counters)
    builder.job("j", "A", start, end)
    lake = builder.build()
    true_nj = (end - start) * 500_000
    found = booked(lake)[("active", "j", "counter")]
    assert found is not None
    assert abs(found - true_nj) <= 2_000_000  # 2 mJ: the counter's own steps
    assert_checks_pass(lake)


def test_a_gap_with_a_counter_is_booked_by_the_counter(builder: LakeBuilder) -> None:
    readings = level(300_000, T0, T0 + 10 * S) + level(300_000, T0 + 30 * S, T0 + 40 * S)
    all_counters = counter(T0, T0 + 40 * S, 300_000)
    kept = {t: mj for t, mj in all_counters.items() if not T0 + 10 * S < t < T0 + 30 * S}
    builder.device("A")
    builder.power("A", readings, counters=kept)
    builder.job("j", "A", T0, T0 + 40 * S)
    lake = builder.build()
    assert booked(lake) == {
        ("active", "j", "counter"): 6_000 * J,
        ("active", "j", "counter_gap"): 6_000 * J,
    }
    (row,) = ask(lake, "SELECT coverage, max_gap_s, reason_codes FROM job_index")
    assert row == {
        "coverage": 0.5,
        "max_gap_s": 20.0,
        "reason_codes": "gap,no_tokens,no_host_power",
    }
    assert_checks_pass(lake)


def test_a_gap_without_a_counter_is_unknown_and_bounded(builder: LakeBuilder) -> None:
    readings = level(300_000, T0, T0 + 10 * S) + level(300_000, T0 + 30 * S, T0 + 40 * S)
    builder.device("A", limit_mw=700_000)
    builder.power("A", readings)
    builder.job("j", "A", T0, T0 + 40 * S)
    lake = builder.build()
    assert booked(lake) == {
        ("active", "j", "samples"): 6_000 * J,
        ("gap", "j", "missing"): None,
    }
    (gap,) = ask(
        lake, "SELECT sum(low_nj) low, sum(high_nj) high FROM ledger WHERE account = 'gap'"
    )
    assert gap == {"low": 0, "high": 20 * 700 * J}
    (job,) = ask(lake, "SELECT e_gpu_j, e_gpu_low_nj, e_gpu_high_nj FROM job_index")
    assert job["e_gpu_j"] == 6_000
    assert job["e_gpu_high_nj"] >= 6_000 * J + 20 * 700 * J
    assert_checks_pass(lake)


def test_a_counter_reset_gives_no_negative_energy(builder: LakeBuilder) -> None:
    counters = counter(T0, T0 + 30 * S, 200_000, base_mj=10**9)
    counters |= counter(T0 + 31 * S, T0 + 60 * S, 200_000, base_mj=0)
    builder.device("A")
    builder.power("A", level(200_000, T0, T0 + 60 * S), counters=counters)
    lake = builder.build()
    total = sum(nj or 0 for nj in booked(lake).values())
    assert total == 12_000 * J
    assert ("free_idle", None, "samples") in booked(lake)  # the second in which it fell
    assert_checks_pass(lake)


def test_shares_split_to_the_unit(builder: LakeBuilder) -> None:
    """Three jobs with a third each of an odd number of nanojoules, and a device held in part."""
    builder.device("A")
    builder.device("B", index=1)
    odd = [(t, mw + 1) for t, mw in level(100_000, T0, T0 + 10 * S, 333_333)]
    builder.power("A", odd)
    builder.power("B", level(100_000, T0, T0 + 10 * S))
    for name in ("j1", "j2", "j3"):
        builder.job(name, "A", T0, T0 + 9 * S, share_ppm=333_333)
    builder.job("part", "B", T0, T0 + 10 * S, share_ppm=250_000)
    lake = builder.build()
    shares = ask(lake, "SELECT job_id, energy_nj AS nj FROM ledger WHERE device_id = 'B'")
    assert {r["job_id"]: r["nj"] for r in shares} == {"part": 25 * J, None: 75 * J}
    estimates = ask(
        lake, "SELECT DISTINCT job_id, attribution FROM ledger WHERE job_id IS NOT NULL"
    )
    assert {r["attribution"] for r in estimates} == {"shared_estimate"}
    assert_checks_pass(lake)


def test_contending_jobs_share_and_are_flagged(builder: LakeBuilder) -> None:
    builder.device("A")
    builder.power("A", level(100_000, T0, T0 + 10 * S))
    builder.job("j1", "A", T0, T0 + 10 * S)
    builder.job("j2", "A", T0 + 5 * S, T0 + 10 * S)
    lake = builder.build()
    found = booked(lake)
    assert found[("active", "j1", "samples")] == 750 * J
    assert found[("active", "j2", "samples")] == 250 * J
    warned = {f.name: f.rows for f in run_checks(lake) if not f.fatal}
    assert [row[0] for row in warned["jobs_do_not_contend"]] == ["A"]
    assert_checks_pass(lake)


def gauges(device_id: str, start_us: int, end_us: int, **values: Any) -> list[dict[str, Any]]:
    return [{"ts_us": t, "device_id": device_id, **values} for t in range(start_us, end_us + 1, S)]


def test_accounts(builder: LakeBuilder) -> None:
    """Active by SM, active by tokens alone, resident idle, unattributed by process, free idle."""
    for number, name in enumerate("ABCD"):
        builder.device(name, index=number)
        builder.power(name, level(100_000, T0, T0 + 60 * S))
    builder.job("busy", "A", T0, T0 + 60 * S)
    builder.add("state", gauges("A", T0, T0 + 30 * S - 1, sm_util=80))
    builder.add("state", gauges("A", T0 + 30 * S, T0 + 60 * S, sm_util=0))
    builder.job("talks", "B", T0, T0 + 60 * S)
    builder.add("state", gauges("B", T0, T0 + 60 * S, sm_util=0))
    builder.tokens("talks", [(T0, 0), (T0 + 20 * S, 100), (T0 + 60 * S, 100)])
    builder.add("state", gauges("C", T0, T0 + 20 * S - 1, sm_util=50, pids=[7]))
    builder.add("state", gauges("C", T0 + 20 * S, T0 + 60 * S, sm_util=0, pids=[]))
    lake = builder.build()
    rows = ask(
        lake,
        "SELECT device_id, account, sum(device_us)::BIGINT // 1000000 AS s "
        "FROM ledger GROUP BY ALL ORDER BY ALL",
    )
    assert [(r["device_id"], r["account"], r["s"]) for r in rows] == [
        ("A", "active", 30),
        ("A", "resident_idle", 30),
        ("B", "active", 20),
        ("B", "resident_idle", 40),
        ("C", "free_idle", 40),
        ("C", "unattributed", 20),
        ("D", "free_idle", 60),
    ]
    assert_checks_pass(lake)


def test_one_unit_too_many_is_named(builder: LakeBuilder) -> None:
    import pyarrow as pa

    builder.device("A")
    builder.power("A", level(200_000, T0, T0 + 9 * S), counters=counter(T0, T0 + 9 * S, 200_000))
    builder.device("B", index=1)
    builder.power("B", level(200_000, T0, T0 + 9 * S))
    lake = builder.build()
    assert_checks_pass(lake)
    for device in ("A", "B"):
        ledger = lake.read("ledger")
        hit = ledger["device_id"].to_pylist().index(device) + 4
        energy = ledger["energy_nj"].to_pylist()
        energy[hit] += 1
        place = ledger.column_names.index("energy_nj")
        altered = ledger.set_column(place, ledger.schema.field(place), pa.array(energy))
        lake.replace("ledger", altered, T0, "ledger")
        (law,) = run_checks(lake, only=["law"])
        assert law.rows[-1][:2] == (device, "2026-01-15T08:00Z")
        assert law.rows[-1][-1] == 1
        lake.replace("ledger", ledger, T0, "ledger")


def random_fleet(builder: LakeBuilder, seed: int) -> None:
    """Two hours of devices with gaps, resets, lone counters, odd edges, overlapping shares."""
    rng = np.random.default_rng(seed)
    begin = T0 + HOUR_US - 40 * S
    for d in range(4):
        name = f"D{d}"
        builder.device(
            name,
            index=d,
            name=str(rng.choice(["NVIDIA H100", "board"])),
            update_us=int(rng.choice([100_000, 1_000_000])),
            sensor_kind=[None, "instant", "average_1s"][rng.integers(3)],
            learned_us=[None, 20_000, 100_000][rng.integers(3)],
            counter_us=[None, 0, 100_000, 2_000_000][rng.integers(4)],
        )
        count = int(rng.integers(2, 500))
        spacing = rng.integers(1, 400_000, count)
        spacing[rng.random(count) < 0.02] += int(rng.integers(1_500_000, 9_000_000))
        ts = begin + np.cumsum(spacing)
        power = rng.integers(0, 700_001, count)
        energy = np.cumsum(power * spacing // S) * int(rng.integers(90, 111)) // 100
        if rng.random() < 0.5:
            energy[count // 2 :] -= energy[count // 2]
        kept = rng.random(count) < rng.choice([0.0, 0.1, 0.5])
        builder.power(
            name,
            list(zip(ts.tolist(), power.tolist(), strict=True)),
            counters=dict(zip(ts[kept].tolist(), energy[kept].tolist(), strict=True)),
        )
        for j in range(int(rng.integers(0, 4))):
            start, end = sorted(rng.integers(begin - 20 * S, ts[-1] + 20 * S, 2).tolist())
            share = int(rng.choice([1_000_000, 300_000, 1]))
            last = None if rng.random() < 0.2 else end + 1
            builder.job(f"job{rng.integers(0, 5)}", name, start, last, share_ppm=share, name=str(j))


@pytest.mark.parametrize("seed", range(12))
def test_the_books_close_on_random_fleets(builder: LakeBuilder, seed: int) -> None:
    random_fleet(builder, seed)
    lake = builder.build(window_us=[S, 500_000, 60 * S][seed % 3])
    assert_checks_pass(lake)
    (row,) = ask(lake, "SELECT count(*) AS n, count(DISTINCT meter) AS meters FROM ledger")
    assert row["n"] > 0


def test_checks_of_one_hour_see_that_hour_alone(builder: LakeBuilder) -> None:
    import pyarrow as pa

    edge = T0 + HOUR_US
    builder.device("A")
    builder.power("A", level(200_000, edge - 9 * S, edge + 9 * S))
    lake = builder.build()
    rows = lake.read("ledger", [edge])
    place = rows.column_names.index("energy_nj")
    energy = [nj + 1 for nj in rows["energy_nj"].to_pylist()]
    lake.replace(
        "ledger", rows.set_column(place, rows.schema.field(place), pa.array(energy)), edge, "ledger"
    )
    assert [f.name for f in run_checks(lake, [T0]) if f.breach] == []
    found = [f.name for f in run_checks(lake, [edge]) if f.breach]
    # What jobs and nodes bore was derived from the ledger as it was before.
    assert found == ["burden_adds_up", "law", "ledger_hour_adds_up"]
    assert [f.name for f in run_checks(lake, [edge])] == [f.name for f in run_checks(lake)]


def test_a_frozen_counter_is_no_counter(builder: LakeBuilder) -> None:
    """It moves for a minute, then stands still while the board goes on drawing 200 W."""
    counters = counter(T0, T0 + 60 * S, 200_000)
    counters |= dict.fromkeys(range(T0 + 61 * S, T0 + 121 * S, S), counters[T0 + 60 * S])
    builder.device("A")
    builder.power("A", level(200_000, T0, T0 + 120 * S), counters=counters)
    lake = builder.build()
    assert booked(lake) == {
        ("free_idle", None, "counter"): 12_000 * J,
        ("free_idle", None, "samples"): 12_000 * J,
    }
    assert_checks_pass(lake)


@pytest.mark.parametrize("again", [False, True])
def test_a_period_that_is_learned_later_leaves_earlier_hours_alone(
    builder: LakeBuilder, again: bool
) -> None:
    """Readings 4 s apart: no power is known at 100 ms a period, all of it at 5 s."""
    builder.device("A", update_us=100_000, ts_us=T0 - HOUR_US)
    builder.power(
        "A", level(200_000, T0, T0 + 500_000) + level(200_000, T0 + 4 * S, T0 + 8 * S, 4 * S)
    )
    builder.build()
    later = T0 + HOUR_US
    builder.device("A", update_us=5 * S, ts_us=later)
    builder.device("A", update_us=None, ts_us=later + S)
    builder.power("A", level(200_000, later, later + 8 * S, 4 * S))
    if again:
        lake = builder.build()
    else:
        aggregate(builder.lake, later, "n1", S, "cpu")
        index(builder.lake, Site(None, None, {}), [later], progress=lambda _: None)
        lake = builder.lake
    sql = "SELECT start_us // 3600000000 AS hour, sum(energy_nj) AS nj FROM ledger GROUP BY 1"
    found = {r["hour"] - T0 // HOUR_US: r["nj"] for r in ask(lake, sql)}
    assert found == {0: 100 * J, 1: 1600 * J}
    assert_checks_pass(lake)
