"""`host_counters_follow`: the sum of a host's counter is done anew from what the meter showed."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.lakes import HOUR_US, T0, LakeBuilder, S, level
from tokenergy_collectors.lake import Lake
from tokenergy_collectors.sources.rapl.unwrap import Unwrapped
from tokenergy_sql.checks.checking import Finding, run_checks

HOUR = "2026-01-15T08:00Z"
RANGE_UJ = 3_000 * S
Row = dict[str, Any]


def rows(domain: str = "package-0", run: int = 1, start_us: int = T0) -> list[Row]:
    """A minute of a counter that begins again every few seconds."""
    rng, counter, true_uj, found = random.Random(run), Unwrapped(1_000), 2_000 * S, []
    for second in range(60):
        shown_uj = true_uj % RANGE_UJ
        assert counter.take(second * S, shown_uj, RANGE_UJ) is None
        found.append(
            {
                "ts_us": start_us + second * S,
                "node": "n1",
                "domain": domain,
                "energy_uj": counter.energy_uj,
                "epoch": counter.epoch,
                "run": run,
                "counter_uj": shown_uj,
                "range_uj": RANGE_UJ,
            }
        )
        true_uj += rng.randrange(900 * S)
    return found


def checked(folder: Path, *parts: list[Row]) -> Finding:
    builder = LakeBuilder(folder / "lake")
    builder.device("A")
    for start_us in (T0, T0 + HOUR_US):
        builder.power("A", level(100_000, start_us, start_us + 3 * S))
    for part in parts:
        builder.add("host", part)
    return found(builder.build())


def found(lake: Lake, hours: list[int] | None = None) -> Finding:
    (finding,) = run_checks(lake, hours, only=["host_counters_follow"])
    return finding


def test_what_the_collector_records_follows(tmp_path: Path) -> None:
    other = {"ts_us": T0, "node": "n1", "domain": "psu", "energy_uj": 5}
    fallen = {"ts_us": T0 + 1, "node": "n1", "domain": "psu", "energy_uj": 3}
    finding = checked(
        tmp_path,
        rows(),
        rows("psys-0"),
        rows(run=2, start_us=T0 + 30 * S),  # another run is another counter
        rows(run=3, start_us=T0 + HOUR_US - 30 * S),  # and an hour is no edge of one
        [other, fallen],  # meters without ranges
    )
    assert finding.rows == []


def more_energy(row: Row) -> None:
    row["energy_uj"] += 1


def another_range(row: Row) -> None:
    row["range_uj"] += 1


def a_range_too_much(row: Row) -> None:
    row["energy_uj"] += RANGE_UJ


@pytest.mark.parametrize("change", [more_energy, another_range, a_range_too_much])
def test_what_does_not_follow_is_named(tmp_path: Path, change: Callable[[Row], None]) -> None:
    wrong = rows()
    change(wrong[20])
    finding = checked(tmp_path, wrong, rows("psys-0"))
    [(node, domain, hour, readings, first, rose_uj, counter_rose_uj)] = finding.rows
    assert (node, domain, hour, readings) == ("n1", "package-0", HOUR, 2)
    assert first == "2026-01-15T08:00:20.000000Z"
    assert rose_uj == wrong[20]["energy_uj"] - wrong[19]["energy_uj"]
    assert counter_rose_uj == wrong[20]["counter_uj"] - wrong[19]["counter_uj"]
    assert not finding.breach


def test_only_the_chosen_hour_is_looked_at(tmp_path: Path) -> None:
    wrong = rows(start_us=T0 + HOUR_US)
    more_energy(wrong[5])
    checked(tmp_path, rows(), wrong)
    lake = Lake(tmp_path / "lake")
    assert [len(found(lake, hours).rows) for hours in ([T0], [T0 + HOUR_US], None)] == [0, 1, 1]


def test_files_from_before_the_columns_have_nothing_to_check(tmp_path: Path) -> None:
    old = [{k: row[k] for k in ("ts_us", "node", "domain", "energy_uj")} for row in rows()]
    assert checked(tmp_path, old).rows == []
