"""The law of the ledger: on random fleets, hour by hour, and whatever is learned later."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.support.lakes import HOUR_US, T0, LakeBuilder, S, level
from tests.support.ledger import J, ask, assert_checks_pass
from tests.support.long import pairs, seeds
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
        hit = ledger["device_id"].to_pylist().index(device)
        energy = ledger["energy_nj"].to_pylist()
        energy[hit] += 1
        place = ledger.column_names.index("energy_nj")
        altered = ledger.set_column(place, ledger.schema.field(place), pa.array(energy))
        lake.replace("ledger", altered, T0, "ledger")
        (law,) = run_checks(lake, only=["law"])
        assert law.rows[-1][:2] == (device, "2026-01-15T08:00Z")
        assert law.rows[-1][-1] == 1
        lake.replace("ledger", ledger, T0, "ledger")


def random_fleet(builder: LakeBuilder, seed: int, node: str) -> None:
    """Two hours of devices with gaps, resets, lone counters, odd edges, overlapping shares."""
    rng = np.random.default_rng(seed)
    begin = T0 + HOUR_US - 40 * S
    for d in range(4):
        name = f"{node}-D{d}"
        builder.device(
            name,
            node=node,
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
            node=node,
        )
        for j in range(int(rng.integers(0, 4))):
            start, end = sorted(rng.integers(begin - 20 * S, ts[-1] + 20 * S, 2).tolist())
            share = int(rng.choice([1_000_000, 300_000, 1]))
            last = None if rng.random() < 0.2 else end + 1
            job = f"{node}-job{rng.integers(0, 5)}"
            builder.job(job, name, start, last, share_ppm=share, name=str(j), node=node)


WINDOWS_US = (S, 500_000, 60 * S)
SEEDS = range(12)


@pytest.mark.parametrize("place", seeds(len(WINDOWS_US)))
def test_the_books_close_on_random_fleets(builder: LakeBuilder, place: int) -> None:
    """A node for each fleet, all of one window in one lake."""
    nodes = [f"n{seed}" for seed in SEEDS if seed % len(WINDOWS_US) == place]
    for node in nodes:
        random_fleet(builder, int(node[1:]), node)
    lake = builder.build(window_us=WINDOWS_US[place])
    assert_checks_pass(lake)
    rows = ask(lake, "SELECT node, count(*) AS n FROM ledger GROUP BY node")
    assert {row["node"] for row in rows} == {*nodes}


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


@pytest.mark.parametrize("again", pairs([True, False], always=1))
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
