"""Work units: the segments are the same bytes however an hour is cut, by devices or by time."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from tests.support.lakes import HOUR_US, T0, LakeBuilder, S
from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.lake import Lake
from tokenergy_collectors.lake.contract import POWER
from tokenergy_transforms import workunits
from tokenergy_transforms.aggregate import Aggregator, aggregate
from tokenergy_transforms.inventory import read_inventory
from tokenergy_transforms.powerfiles import RowGroupRef
from tokenergy_transforms.workunits import Budget, WorkUnit, memory_budget, parse_memory, plan_units

MINUTE_US = 60 * S


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    """Three devices with gaps, duplicates, a reset, overlapping files, jobs, across two edges."""
    builder = LakeBuilder(tmp_path / "lake")
    rng = np.random.default_rng(4)
    for number, device in enumerate("ABC"):
        builder.device(device, index=number)
        count = 4_000
        spacing = rng.integers(1, 2 * S, count)
        spacing[rng.random(count) < 0.02] = 40 * S
        ts = T0 - 120 * S + np.cumsum(spacing)
        energy = 10**6 + np.cumsum(rng.integers(0, 900, count))
        energy[count // 2 :] -= int(energy[count // 2])  # the counter restarts
        read = rng.random(count) < 0.3
        for rows in (slice(0, 2_500), slice(2_300, count)):
            builder.lake.append("power", _rows(device, ts, rng, energy, read, rows), "n1")
    builder.job("j", "A", T0 - 5 * S, T0 + 1_234_567_890)
    builder.job("k", "B", T0 + 10 * S + 7, None)
    builder.job("held", "D", T0, T0 + HOUR_US)
    builder.device("D", index=9)
    return builder.lake


def _rows(
    device: str,
    ts: np.ndarray,
    rng: np.random.Generator,
    energy: np.ndarray,
    read: np.ndarray,
    rows: slice,
) -> pa.Table:
    count = len(ts[rows])
    columns = {
        "ts_us": ts[rows],
        "device_id": [device] * count,
        "power_mw": pa.array(rng.integers(60_000, 700_000, count).astype(np.int32)),
        "sensor": ["instant"] * count,
        "energy_mj": pa.array(energy[rows], mask=~read[rows]),
        "epoch": np.zeros(count, np.int32),
    }
    return pa.table(columns, schema=POWER.schema())


def _bytes(lake: Lake) -> dict[str, bytes]:
    return {path.parent.name + path.name: path.read_bytes() for path in lake.files("segment")}


def _aggregator(lake: Lake, budget: Budget | None) -> Aggregator:
    with pytest.MonkeyPatch.context() as patch:
        if budget:
            patch.setattr("tokenergy_transforms.aggregate.memory_budget", lambda _: budget)
        return Aggregator(lake, S, "cpu", read_inventory(lake))


def _aggregated(lake: Lake, budget: Budget | None) -> dict[str, bytes]:
    aggregator = _aggregator(lake, budget)
    for hour in (T0 - HOUR_US, T0, T0 + HOUR_US):
        list(aggregator.run([(hour, "n1")]))
    found = _bytes(lake)
    for path in lake.files("segment"):
        path.unlink()
    return found


@pytest.mark.parametrize("unit_bytes", [10_000_000, 2_000_000, 500_000, 60_000])
def test_cutting_changes_no_byte(lake: Lake, unit_bytes: int) -> None:
    whole = _aggregated(lake, None)
    assert len(whole) >= 2
    assert _aggregated(lake, Budget(2, unit_bytes)) == whole


def test_a_file_found_broken_midway_is_given_up_and_the_hour_done_without_it(lake: Lake) -> None:
    for path in lake.files("power")[:1]:
        data = bytearray(path.read_bytes())
        data[200:260] = bytes(60)
        path.write_bytes(bytes(data))
    aggregator = _aggregator(lake, Budget(2, 500_000))
    done = [d for hour in (T0 - HOUR_US, T0) for d in aggregator.run([(hour, "n1")])]
    assert len(list((lake.root / "quarantine").rglob("*.parquet"))) == 1
    cut = _bytes(lake)
    for path in lake.files("segment"):
        path.unlink()
    again = [aggregate(lake, hour, "n1", S, "cpu") for hour in (T0 - HOUR_US, T0)]
    assert _bytes(lake) == cut
    assert [d.readings for d in done] == [d.readings for d in again]


def test_small_devices_share_a_unit_and_large_ones_are_cut_in_time() -> None:
    hour, window = (T0, T0 + HOUR_US), 60 * S
    base = 60 * workunits.SEGMENT_BYTES
    rows = {"a": 10, "b": 10, "c": 100_000, "d": 10}
    size = 3 * base + 100 * workunits.ROW_BYTES
    found = plan_units(rows, ["a", "b", "c", "d", "held"], T0, window, size)
    assert found[0] == WorkUnit(("a", "b"), *hour)
    assert found[-1] == WorkUnit(("d", "held"), *hour)
    of_c = [unit for unit in found if unit.devices == ("c",)]
    assert len(of_c) == 60  # a window is never cut
    assert [s.begin_us for s in of_c] == [T0 + k * MINUTE_US for k in range(60)]
    assert of_c[-1].end_us == T0 + HOUR_US


def test_units_end_where_no_row_group_goes_on() -> None:
    """Two files, of a to c and of d to f: the unit of five devices that would fit ends after c."""
    parts = [
        RowGroupRef(Path(f"{n}.parquet"), 0, 30, *span, 0, 1) for n, span in enumerate(("ac", "df"))
    ]
    size = 5 * (60 * workunits.SEGMENT_BYTES + 10 * workunits.ROW_BYTES)
    rows = dict.fromkeys("abcdef", 10)
    found = plan_units(rows, list("abcdef"), T0, 60 * S, size, parts)
    assert [unit.devices for unit in found] == [("a", "b", "c"), ("d", "e", "f")]
    found = plan_units(rows, list("abcdef"), T0, 60 * S, size)
    assert [len(unit.devices) for unit in found] == [5, 1]


def test_memory_bounds_workers_and_units() -> None:
    assert memory_budget(2 << 30).unit_bytes <= workunits.UNIT_BYTES
    small = memory_budget(512 << 20)
    assert small.workers >= 1
    assert (small.workers + 1) * small.unit_bytes + workunits.BASE_BYTES <= 512 << 20


@pytest.mark.parametrize(
    ("text", "amount"),
    [("512MiB", 512 << 20), ("2GiB", 2 << 30), ("1.5G", 3 << 29), ("600m", 600 << 20)],
)
def test_memory_is_read(text: str, amount: int) -> None:
    assert parse_memory(text) == amount


@pytest.mark.parametrize("text", ["", "2", "GiB", "256MiB", "-2GiB", "two", "2 GiBs", "nanG"])
def test_other_amounts_are_refused(text: str) -> None:
    with pytest.raises(UserError, match="at least 512 MiB, such as 800MiB"):
        parse_memory(text)
