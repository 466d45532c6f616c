"""What processors counted, from rows of `host`, beside the energy that counters alone give."""

from __future__ import annotations

import random
from typing import Any

import pyarrow as pa
import pytest

from tests.sql.hosting.planted import CPU_W, DRAM_W, HOUR_US, T0, S, processors
from tokenergy_collectors.lake.contract import HOST
from tokenergy_sql.hosting.cpu import COLUMNS, Cpu, cpu_energy
from tokenergy_transforms.hostenergy import cpu_energy_between

SPAN = [(T0, T0 + HOUR_US)]
NJ = 10**9


def table(rows: list[dict[str, Any]]) -> pa.Table:
    full = [{name: row.get(name) for name in HOST.column_names} for row in rows]
    return pa.Table.from_pylist(full, schema=HOST.schema()).select(COLUMNS)


def found(rows: list[dict[str, Any]], spans: list[tuple[int, int]] = SPAN) -> Cpu:
    cpu = cpu_energy(table(rows), spans)
    assert cpu is not None
    return cpu


def test_packages_and_memory_are_added_and_their_parts_are_not() -> None:
    cpu = found(processors())
    assert cpu.nj == (CPU_W + DRAM_W) * 3_600 * NJ
    assert cpu.domains == ("dram-0", "package-0")
    assert cpu.covered_us == HOUR_US
    assert cpu.surely_nj == cpu.low_nj <= cpu.nj
    assert cpu.high_nj is not None
    assert cpu.nj <= cpu.high_nj


def test_the_platform_stands_in_only_where_there_is_no_package() -> None:
    both = found(processors(powers_w={"package-0": 150, "psys-0": 400}))
    assert (both.nj, both.domains) == (150 * 3_600 * NJ, ("package-0",))
    alone = found(processors(powers_w={"psys-0": 400, "dram-0": 30}))
    assert (alone.nj, alone.domains) == (400 * 3_600 * NJ, ("psys-0",))
    # It may hold boards: nothing is sure of the host.
    assert alone.surely_nj == 0
    assert cpu_energy(table(processors(powers_w={"core-0": 9, "dram-0": 9})), SPAN) is None


@pytest.mark.parametrize("seed", range(20))
def test_thinned_readings_say_what_all_of_them_say(seed: int) -> None:
    """Counters of several runs with holes, over several intervals."""
    chance = random.Random(seed)
    rows: list[dict[str, Any]] = []
    at = -600
    for run in range(1, chance.randrange(2, 5)):
        length = chance.randrange(600, 2_400)
        seconds = [s for s in range(at, at + length) if chance.random() < 0.9]
        rows += processors(seconds=[seconds[0], *seconds[1:]], run=run)
        at += length + chance.randrange(0, 30)
    edges = sorted(chance.sample(range(0, HOUR_US), 4))
    spans = [(T0 + edges[0], T0 + edges[1]), (T0 + edges[2], T0 + edges[3])]
    cpu = found(rows, spans)
    parts = [cpu_energy_between(rows, *span) for span in spans]
    assert cpu.low_nj == sum(part.low_nj for part in parts if part)
    covered = sum(part.covered_us for part in parts if part)
    assert cpu.covered_us == covered
    if covered == sum(b - a for a, b in spans):
        assert cpu.nj == sum(part.energy_nj or 0 for part in parts if part)


def test_a_hole_between_two_runs_is_filled_in_up_to_the_highest_power_seen() -> None:
    rows = processors(seconds=range(-5, 1_800), powers_w={"package-0": 100})
    rows += processors(seconds=range(1_979, 3_606), powers_w={"package-0": 100}, run=2)
    cpu = found(rows)
    known_s = 3_600 - 180
    assert cpu.covered_us == known_s * S
    assert cpu.nj == 100 * 3_600 * NJ
    # At each edge of what is known a second more or less.
    assert cpu.low_nj == pytest.approx(100 * known_s * NJ, abs=600 * NJ)
    assert cpu.high_nj == pytest.approx(100 * 3_600 * NJ, abs=600 * NJ)


def test_of_less_than_nine_tenths_there_is_a_least_and_no_value() -> None:
    cpu = found(processors(seconds=range(-5, 3_000), powers_w={"package-0": 100}))
    assert (cpu.nj, cpu.covered_us) == (None, 2_999 * S)
    assert cpu.surely_nj == pytest.approx(100 * 2_999 * NJ, abs=200 * NJ)


def test_one_domain_of_which_too_little_is_known_leaves_none() -> None:
    rows = processors(powers_w={"package-0": 100})
    rows += processors(powers_w={"package-1": 100}, seconds=range(-5, 600))
    assert found(rows).nj is None


def test_without_an_epoch_a_fall_ends_what_is_known() -> None:
    rows = [{**row, "epoch": None, "run": None} for row in processors(powers_w={"package-0": 100})]
    for row in rows:
        if row["ts_us"] >= T0 + 1_000 * S:
            row["energy_uj"] -= 1_005 * 100 * S
    cpu = found(rows)
    assert cpu.covered_us == HOUR_US - S
    assert cpu.nj == 100 * 3_600 * NJ


def test_rows_without_a_counter_say_nothing() -> None:
    rows = [{**row, "energy_uj": None} for row in processors()]
    assert cpu_energy(table(rows), SPAN) is None
    assert cpu_energy(table(processors()), []) is None
