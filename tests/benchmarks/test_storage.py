"""The storage benchmark: what is stored is what the collector writes, and costs what is claimed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from benchmarks.storage import __main__ as command
from benchmarks.storage import data, derived

from tokenergy_collectors.lake.contract import POWER, TABLES


@pytest.fixture(scope="module")
def recordings() -> dict[str, pa.Table]:
    return data.recordings(minutes=20)


@pytest.mark.long
def test_recordings_fit_the_contract_and_are_sorted(recordings: dict[str, pa.Table]) -> None:
    for name, rows in recordings.items():
        assert rows.schema == POWER.schema(), name
        assert rows.num_rows > 1_000
        by_device = rows.group_by("device_id", use_threads=False).aggregate([("ts_us", "list")])
        for stamps in by_device["ts_us_list"].to_pylist():
            assert (np.diff(stamps) > 0).all(), name
    assert recordings[data.EVERY_ROW]["energy_mj"].null_count == 0
    shares = [
        recordings[name]["energy_mj"].null_count / recordings[name].num_rows
        for name in (data.COLLECTED, data.FAST, data.METER)
    ]
    assert 0.88 < shares[0] < 0.92
    assert 0.9 < shares[1] < shares[2] == 1
    sealed = recordings[data.SEALED]
    assert len(sealed["device_id"].unique()) == 8
    assert 0.95 * 24_000 < sealed.num_rows <= 24_010


def test_stamps_are_late_as_on_a_host(recordings: dict[str, pa.Table]) -> None:
    rows = recordings[data.COLLECTED]
    one = rows.filter(pc.equal(rows["device_id"], rows["device_id"][0]))
    off_us = np.abs(np.diff(one["ts_us"].to_numpy()) - 100_000)
    near, far = np.percentile(off_us, [80, 98])
    assert 40 < near < 75
    assert 150 < far < 400


@pytest.mark.parametrize("name", command.TARGETS)
def test_a_reading_costs_no_more_than_its_target(
    recordings: dict[str, pa.Table], name: str, tmp_path: Path
) -> None:
    found = command._measure(recordings[name], tmp_path, command.OURS, "its own", "sorted", 1)
    assert 1 < found["bytes_a_row"] <= command.TARGETS[name]
    assert found["needed_rows_per_s"] > 0
    assert pq.read_table(tmp_path / "rows.parquet").equals(recordings[name])


def test_every_layout_gives_the_rows_back(recordings: dict[str, pa.Table], tmp_path: Path) -> None:
    rows = recordings[data.FAST].slice(0, 2_000)
    path = tmp_path / "rows.parquet"
    for encoding, codec, _ in command._layouts():
        command._writer(encoding, codec)(rows, path)
        assert pq.read_table(path).equals(rows), (encoding, codec)
    assert data.arrival(rows)["ts_us"].to_numpy().tolist() == sorted(rows["ts_us"].to_pylist())


@pytest.fixture(scope="module")
def derived_tables() -> dict[str, pa.Table]:
    return derived.tables(minutes=4)


@pytest.mark.parametrize("name", derived.NAMES)
def test_derived_rows_are_the_pipelines_and_every_codec_gives_them_back(
    derived_tables: dict[str, pa.Table], name: str, tmp_path: Path
) -> None:
    rows, spec = derived_tables[name], TABLES[name]
    plain = rows.cast(spec.schema())
    assert plain.equals(plain.sort_by([(column, "ascending") for column in spec.sort]))
    least = {"segment": 960 * 4, "ledger": 960 * 4 // 30}[name]
    assert least <= rows.num_rows < least + 50
    assert len(rows["energy_nj"].unique()) > 0.9 * rows.num_rows
    assert pc.max(rows["max_gap_us"]).as_py() > 100_000
    path = tmp_path / "rows.parquet"
    for layout in derived.LAYOUTS:
        derived.writer(*layout, spec)(rows, path)
        assert pq.read_table(path).cast(spec.schema()).equals(plain), layout


@pytest.mark.parametrize("name", derived.NAMES)
def test_lz4_packs_derived_rows_about_as_well_as_zstd(
    derived_tables: dict[str, pa.Table], name: str, tmp_path: Path
) -> None:
    rows = derived_tables[name]
    found = derived.measure(name, rows, tmp_path, 1)
    size = {each["codec"]: each["bytes_a_row"] for each in found}
    assert size["its own"] == pytest.approx(size["lz4"], rel=0.01)
    assert size["zstd 1"] < size["lz4"] < 1.05 * size["zstd 1"]
    assert size["lz4"] < size["none"]
    assert min(each["encoded_rows_per_s"] for each in found) > 0
    assert min(each["decoded_rows_per_s"] for each in found) > 0
    printed = derived.text(name, rows.num_rows, found).splitlines()
    assert len(printed) == 3 + len(derived.LAYOUTS)
    assert f"{size['its own']:.2f}" in printed[3]
