"""The writer: what stands in a file depends on the rows alone."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tokenergy_collectors.lake import writing as parquetfile
from tokenergy_collectors.lake.contract import SEGMENT
from tokenergy_collectors.lake.writing import ParquetWriter


def _rows(first: int, count: int) -> pa.Table:
    """Return rows first.. of one and the same table: texts, numbers, some of them NULL."""
    places = np.arange(first, first + count)
    columns = {}
    for field in SEGMENT.schema():
        if field.type == pa.string():
            columns[field.name] = pa.array([f"{field.name} {place // 50:04d}" for place in places])
        else:
            missing = (places % 7 == 0) if field.nullable else None
            columns[field.name] = pa.array(places * 3, mask=missing).cast(field.type)
    return pa.table(columns, schema=SEGMENT.schema())


def _as_dictionaries(rows: pa.Table) -> pa.Table:
    """Return rows with texts as dictionaries that hold others too, and in another order."""
    for name in ("device_id", "node"):
        texts = pa.array(["other", *reversed(rows[name].unique().to_pylist())])
        places = pa.compute.index_in(rows[name].combine_chunks(), value_set=texts)
        column = pa.DictionaryArray.from_arrays(places, texts)
        rows = rows.set_column(rows.column_names.index(name), name, column)
    return rows


@pytest.mark.parametrize("pieces", [[1_000], [1, 999], [333] * 3 + [1], [10] * 100])
@pytest.mark.parametrize("texts", [lambda rows: rows, _as_dictionaries])
def test_bytes_depend_on_rows_alone(tmp_path, monkeypatch, pieces, texts):
    monkeypatch.setattr(parquetfile, "GROUP_ROWS", 300)
    whole, cut = tmp_path / "whole.parquet", tmp_path / "cut.parquet"
    with ParquetWriter(whole, SEGMENT) as file:
        file.write(_rows(0, 1_000))
    first = 0
    with ParquetWriter(cut, SEGMENT) as file:
        for count in pieces:
            file.write(texts(_rows(first, count)))
            first += count
    assert cut.read_bytes() == whole.read_bytes()
    with pq.ParquetFile(cut) as file:
        assert [file.metadata.row_group(k).num_rows for k in range(4)] == [300, 300, 300, 100]
        assert file.read().cast(SEGMENT.schema()) == _rows(0, 1_000)


def test_extremes_are_noted_of_what_rows_are_sorted_by(tmp_path):
    path = tmp_path / "file.parquet"
    with ParquetWriter(path, SEGMENT) as file:
        file.write(_rows(5, 100))
    group = pq.read_metadata(path).row_group(0)
    noted = {
        group.column(place).path_in_schema: group.column(place).statistics
        for place in range(group.num_columns)
    }
    assert (noted["start_us"].min, noted["start_us"].max) == (15, 312)
    assert noted["device_id"].min == "device_id 0000"
    assert noted["energy_nj"] is None or not noted["energy_nj"].has_min_max
