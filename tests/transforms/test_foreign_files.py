"""However the same readings are stored, the segments are the same."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.support.lakes import T0, LakeBuilder, S
from tokenergy_collectors.lake import Lake
from tokenergy_collectors.lake.contract import POWER
from tokenergy_transforms.aggregate import aggregate

DEVICES = 40
ROWS = 500


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    """Forty devices in one file, most with one epoch of their counter, some with two."""
    builder = LakeBuilder(tmp_path / "lake")
    names = [f"GPU-{number:02d}" for number in range(DEVICES)]
    for number, name in enumerate(names):
        builder.device(name, index=number)
    rng = np.random.default_rng(8)
    shape = (DEVICES, ROWS)
    ts = T0 + np.cumsum(rng.integers(S // 10, S, shape), axis=1)
    epoch = np.zeros(shape, np.int32)
    epoch[DEVICES // 2 :, ROWS // 3 :] = 1
    rows = {
        "ts_us": ts.reshape(-1),
        "device_id": np.repeat(names, ROWS),
        "power_mw": pa.array(
            rng.integers(60_000, 700_000, ts.size).astype(np.int32), mask=rng.random(ts.size) < 0.1
        ),
        "sensor": ["instant"] * ts.size,
        "energy_mj": pa.array(
            np.cumsum(rng.integers(0, 900, shape), axis=1).reshape(-1),
            mask=rng.random(ts.size) < 0.7,
        ),
        "epoch": epoch.reshape(-1),
    }
    builder.lake.append("power", pa.table(rows, schema=POWER.schema()), "n1")
    return builder.lake


def _shuffled(rows: pa.Table) -> pa.Table:
    return rows.take(np.random.default_rng(1).permutation(len(rows)))


def _dictionaries(rows: pa.Table) -> pa.Table:
    return rows.set_column(1, "device_id", rows["device_id"].dictionary_encode())


def _wide(rows: pa.Table) -> pa.Table:
    return rows.set_column(5, "epoch", rows["epoch"].cast(pa.int64()))


WAYS: dict[str, Callable[[pa.Table, Path], None]] = {
    "without statistics": lambda rows, path: pq.write_table(rows, path, write_statistics=False),
    "small row groups": lambda rows, path: pq.write_table(rows, path, row_group_size=77),
    "one row group": lambda rows, path: pq.write_table(rows, path),
    "in any order": lambda rows, path: pq.write_table(_shuffled(rows), path),
    "names as dictionaries": lambda rows, path: pq.write_table(_dictionaries(rows), path),
    "wide epochs": lambda rows, path: pq.write_table(_wide(rows), path, row_group_size=2_000),
}


@pytest.mark.parametrize("way", WAYS)
def test_the_segments_are_the_same(lake: Lake, way: str) -> None:
    aggregate(lake, T0, "n1", S)
    (before,) = [path.read_bytes() for path in lake.files("segment")]
    (path,) = lake.files("power", [T0])
    rows = lake.read("power")
    assert rows["epoch"].unique().to_pylist() == [0, 1]
    WAYS[way](rows, path)
    aggregate(lake, T0, "n1", S)
    assert [path.read_bytes() for path in lake.files("segment")] == [before]


def test_epochs_count(lake: Lake) -> None:
    aggregate(lake, T0, "n1", S)
    before = lake.read("segment")["counter_nj"].null_count
    (path,) = lake.files("power", [T0])
    rows = lake.read("power")
    pq.write_table(rows.set_column(5, "epoch", pa.array(np.zeros(len(rows), np.int32))), path)
    aggregate(lake, T0, "n1", S)
    assert lake.read("segment")["counter_nj"].null_count < before


def test_an_epoch_that_is_no_counters_sends_the_file_to_quarantine(lake: Lake) -> None:
    (path,) = lake.files("power", [T0])
    rows = _wide(lake.read("power"))
    beyond = pa.array(np.full(len(rows), 2**40))
    pq.write_table(rows.set_column(5, "epoch", beyond), path)
    done = aggregate(lake, T0, "n1", S)
    assert done.segments == 0
    assert not lake.files("power", [T0])
    assert lake.hours("power") == []
