"""Files of the lake that cannot be used: told from those that cannot be reached, and moved away."""

import errno
import itertools
import random

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.support.lakes import T0, LakeBuilder, S, level
from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.lake.contract import POWER, SEGMENT, TABLES
from tokenergy_collectors.lake.quarantine import quarantined
from tokenergy_collectors.lake.reading import BrokenFileError, RawFile, columns_of, read_columns


@pytest.fixture
def builder(tmp_path):
    builder = LakeBuilder(tmp_path / "lake")
    builder.power("A", level(100_000, T0, T0 + 5 * S), counters={T0: 1})
    builder.power("B", level(200_000, T0, T0 + 5 * S))
    return builder


def of_a(builder):
    """The file of device A."""
    paths = builder.lake.files("power")
    return next(p for p in paths if pq.read_table(p)["device_id"][0].as_py() == "A")


def rewrite(path, change):
    pq.write_table(change(pq.read_table(path, partitioning=None)), path)


def retyped(name, type_):
    def change(rows):
        place = rows.column_names.index(name)
        return rows.set_column(place, name, rows[name].cast(type_))

    return change


def with_value(name, value):
    def change(rows):
        place = rows.column_names.index(name)
        values = [value, *rows[name].to_pylist()[1:]]
        return rows.set_column(place, name, pa.array(values, rows.schema.field(name).type))

    return change


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda rows: rows.drop_columns(["ts_us"]), "column ts_us is missing"),
        (retyped("power_mw", pa.float64()), "column power_mw is double, not int32"),
        (retyped("epoch", pa.string()), "column epoch is string, not int32"),
        (lambda rows: rows.append_column("epoch", rows["epoch"]), "column epoch occurs 2 times"),
        (with_value("device_id", None), "column device_id has 1 NULLs; expected none"),
        (with_value("power_mw", -5), "column power_mw goes from -5 to 100000; expected 0 to"),
    ],
)
def test_what_breaks_the_contract_is_moved_and_the_rest_is_read(builder, caplog, change, words):
    path = of_a(builder)
    rewrite(path, change)
    rows = builder.lake.read("power")
    assert set(rows["device_id"].to_pylist()) == {"B"}
    assert not path.exists()
    moved = builder.lake.root / "quarantine" / path.relative_to(builder.lake.root)
    assert moved.exists()
    [entry] = quarantined(builder.lake.root)
    assert (entry["table"], entry["hour_us"]) == ("power", T0)
    assert entry["file"] == f"power/date=2026-01-15/hour=08/{path.name}"
    assert words in entry["reason"]
    [record] = caplog.records
    assert record.getMessage() == f"{path}: {entry['reason']}; moved to {moved}"
    builder.lake.read("power")
    assert len(caplog.records) == 1


def test_what_does_no_harm_is_read(builder):
    path = of_a(builder)
    rewrite(path, lambda rows: rows.drop_columns(["energy_mj"]))
    rewrite(path, retyped("power_mw", pa.int64()))
    rewrite(path, retyped("device_id", pa.large_string()))
    rewrite(path, lambda rows: rows.append_column("more", rows["ts_us"]))
    rows = builder.lake.read("power", columns=["device_id", "power_mw", "energy_mj"])
    assert rows.schema == pa.schema(
        [POWER.schema().field(name) for name in ("device_id", "power_mw", "energy_mj")]
    )
    both = rows.to_pylist()
    assert {r["device_id"] for r in both} == {"A", "B"}
    assert {r["energy_mj"] for r in both if r["device_id"] == "A"} == {None}
    assert columns_of(path, POWER) == set(POWER.column_names) - {"energy_mj"}


def test_too_large_for_its_column_is_broken(builder):
    path = of_a(builder)
    rewrite(path, retyped("power_mw", pa.int64()))
    rewrite(path, with_value("power_mw", 2**40))
    with pytest.raises(BrokenFileError, match="1099511627776"):
        read_columns(path, POWER, ["power_mw"])


def test_cut_anywhere_it_is_moved(builder):
    path = of_a(builder)
    whole = path.read_bytes()
    rng = random.Random(7)
    for length in [0, 1, 4, 8, len(whole) - 1, *rng.sample(range(len(whole)), 20)]:
        path.write_bytes(whole[:length])
        assert set(builder.lake.read("power")["device_id"].to_pylist()) == {"B"}
        assert not path.exists()
    places = [entry["file"] for entry in quarantined(builder.lake.root)]
    assert len(set(places)) == 25
    path.write_bytes(whole)
    assert len(builder.lake.read("power")) == 102


def test_a_byte_turned_among_the_rows_is_never_read_as_a_row(builder):
    """Pages carry checksums: what is read is what was written, or the file is moved."""
    path = of_a(builder)
    whole, rows = path.read_bytes(), builder.lake.read("power")
    footer = int.from_bytes(whole[-8:-4], "little")
    moved = 0
    for at in range(4, len(whole) - footer - 8, 3):
        damaged = bytearray(whole)
        damaged[at] ^= 0x10
        path.write_bytes(damaged)
        found = builder.lake.read("power")
        if path.exists():
            assert found == rows
        else:
            moved += 1
            assert set(found["device_id"].to_pylist()) == {"B"}
    assert moved > 50


@pytest.mark.parametrize("code", [errno.EACCES, errno.EIO])
def test_what_cannot_be_reached_stays_where_it_is(builder, monkeypatch, code):
    path = of_a(builder)

    def refuse(*args, **more):
        raise OSError(code, "no way")

    for name, read in (("read_schema", "valid_files"), ("ParquetFile", "read")):
        with monkeypatch.context() as patch:
            patch.setattr(pq, name, refuse)
            with pytest.raises(UserError, match=r"\.parquet: cannot be read: no way"):
                getattr(builder.lake, read)("power")
    assert path.exists()
    assert list(quarantined(builder.lake.root)) == []


def test_a_file_that_has_gone_meanwhile_has_no_rows(builder, monkeypatch):
    gone = of_a(builder)
    listed = sorted(builder.lake.files("power"), key=lambda path: path != gone)
    gone.unlink()
    monkeypatch.setattr(type(builder.lake), "files", lambda *args: listed)
    assert set(builder.lake.read("power")["device_id"].to_pylist()) == {"B"}
    assert [path for path, _ in builder.lake.valid_files("power")] == listed[1:]
    assert builder.lake.quarantine_damaged(["power"]) == 0


def test_what_is_being_written_is_not_looked_at(builder):
    folder = of_a(builder).parent
    half = [folder / ".n1-5-x.parquet.77.tmp", folder / ".n1-5-x.parquet"]
    for path in half:
        path.write_bytes(b"PAR1 half")
    assert len(builder.lake.read("power")) == 102
    assert all(path.exists() for path in half)


def test_a_lake_that_cannot_be_written_leaves_the_file_out(builder, monkeypatch, caplog):
    path = of_a(builder)
    path.write_bytes(b"rubbish")

    def refuse(*args):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr("tokenergy_collectors.lake.lake.move_to_quarantine", refuse)
    assert set(builder.lake.read("power")["device_id"].to_pylist()) == {"B"}
    assert path.exists()
    assert "ignored; it cannot be moved to quarantine: Permission denied" in caplog.text


def test_a_derived_file_is_not_moved(builder):
    path = builder.lake.root / "segment" / "date=2026-01-15" / "hour=08" / "n1.parquet"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"rubbish")
    with pytest.raises(UserError, match=r"n1\.parquet: is damaged: .*derives it again"):
        builder.lake.read("segment")
    with pytest.raises(UserError, match="is damaged"):
        builder.lake.valid_files("segment")
    assert path.exists()


def test_every_raw_table_is_read_as_it_was_written(tmp_path):
    builder = LakeBuilder(tmp_path / "lake")
    builder.device("A", mig_ppm=5, smoothing="{}")
    builder.add("state", [{"ts_us": T0, "device_id": "A", "pids": [1, 2]}])
    builder.tokens("j", [(T0, 1)])
    for name in ("device", "state", "tokens"):
        rows = builder.lake.read(name)
        assert rows.schema == TABLES[name].schema()
        assert len(rows) == 1
        assert builder.lake.quarantine_damaged([name]) == 0
    assert list(itertools.chain(*builder.lake.read("state")["pids"].to_pylist())) == [1, 2]


def test_columns_without_a_value_are_named(tmp_path):
    path = tmp_path / "segment.parquet"
    rows = [{"device_id": "A", "node": "n", "start_us": 1, "end_us": 2, "covered_us": 0}] * 2
    none = ("readings", "max_gap_us", "energy_nj", "rise_mw_s", "fall_mw_s")
    some = {**dict.fromkeys(none, 0), "min_mw": 7}
    schema = SEGMENT.schema()
    full = [{name: {**row, **some}.get(name) for name in schema.names} for row in rows]
    full[1]["min_mw"] = None
    table = pa.Table.from_pylist(full, schema=schema).drop_columns(["doubt_nj"])
    pq.write_table(table, path)
    with RawFile(path, SEGMENT) as file:
        (group,) = file.groups(("min_mw", "reasons", "sparse_us", "doubt_nj", "start_us"))
        assert group.empty == {"reasons", "sparse_us", "doubt_nj"}
        assert group.constant == {"start_us"}
        assert file.read(0, ["doubt_nj"])["doubt_nj"].null_count == 2
