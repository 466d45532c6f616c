"""Allocations that are kept: as they were worked out, and never of other files or code."""

import pytest

from tests.support.lakes import T0, LakeBuilder, S
from tokenergy_collectors.lake import Lake, keptallocations
from tokenergy_collectors.lake.allocations import allocations


@pytest.fixture
def builder(tmp_path, monkeypatch):
    """A lake of two boards, one of which is held by a MIG instance's job; all rows are kept."""
    monkeypatch.setattr(keptallocations, "_MANY", 1)
    builder = LakeBuilder(tmp_path / "lake")
    builder.device("GPU-a", index=0)
    builder.device("MIG-1", index=0, mig_parent="GPU-b", mig_ppm=500_000)
    builder.job("j", "0", T0, T0 + S, name="x", cluster="c")
    builder.job("k", "MIG-1", T0 + S, None)
    return builder


def kept(lake):
    return sorted((lake.root / keptallocations.FOLDER).glob("*.parquet"))


def again(lake):
    return allocations(Lake(lake.root))


def test_what_is_kept_is_what_was_worked_out(builder, monkeypatch):
    lake = builder.lake
    first = allocations(lake)
    assert len(kept(lake)) == 1
    monkeypatch.setattr("tokenergy_collectors.lake.allocations._worked_out", None)
    assert again(lake).equals(first)
    assert again(lake).schema.equals(first.schema)
    assert [row["job_id"] for row in first.to_pylist()] == ["c/j", "k"]


def test_another_file_of_either_table_counts(builder):
    lake = builder.lake
    allocations(lake)
    builder.job("l", "GPU-a", T0 + 2 * S, None)
    assert "l" in again(lake)["job_id"].to_pylist()
    builder.device("GPU-c", index=0, ts_us=T0 + 3 * S)
    builder.job("m", "0", T0 + 4 * S, None)
    boards = {row["job_id"]: row["device_id"] for row in again(lake).to_pylist()}
    assert boards["m"] == "GPU-c"
    assert len(kept(lake)) == 3


def test_a_file_that_goes_counts(builder):
    lake = builder.lake
    allocations(lake)
    path = lake.files("jobs")[0]
    path.unlink()
    assert len(again(lake)) == 1


def test_other_code_works_them_out_again(builder, monkeypatch):
    allocations(builder.lake)
    monkeypatch.setattr(keptallocations, "_version", lambda: "another")
    allocations(builder.lake)
    assert len(kept(builder.lake)) == 2


@pytest.mark.parametrize("how", ["cut", "garbage"])
def test_a_damaged_file_is_made_again(builder, how):
    lake = builder.lake
    first = allocations(lake)
    (path,) = kept(lake)
    content = path.read_bytes()
    path.write_bytes(content[:-9] if how == "cut" else b"x" * len(content))
    assert again(lake).equals(first)
    assert path.read_bytes() == content


def test_a_raw_file_that_breaks_the_contract_is_in_none(builder):
    lake = builder.lake
    path = lake.files("jobs")[0]
    path.write_bytes(b"broken")
    assert len(allocations(lake)) == 1
    assert not path.exists()
    assert kept(lake) == []
    assert len(again(lake)) == 1
    assert len(kept(lake)) == 1


def test_few_rows_and_a_lake_that_cannot_be_written_keep_nothing(builder, monkeypatch):
    lake = builder.lake
    monkeypatch.setattr(keptallocations, "_MANY", 3)
    allocations(lake)
    assert kept(lake) == []
    monkeypatch.setattr(keptallocations, "_MANY", 1)
    (lake.root / "cache").write_text("in the way")
    assert len(allocations(lake)) == 2
