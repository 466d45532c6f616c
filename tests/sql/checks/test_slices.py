"""Checks of a large hour look at some devices at a time, and find what they would find at once."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from tests.support.lakes import HOUR_US, T0, LakeBuilder, S, level
from tests.support.long import pairs
from tokenergy_collectors.lake import Lake
from tokenergy_sql.checks import slices
from tokenergy_sql.checks.checking import Finding, run_checks
from tokenergy_sql.checks.texts import checks_by_name

BOARDS = "ABCDE"
BY_DEVICE = [name for name, check in checks_by_name().items() if check.by_device]


def added(rows: pa.Table, column: str, more: pa.ChunkedArray) -> pa.Table:
    """Return rows with something added to a column."""
    place = rows.column_names.index(column)
    field = rows.schema.field(place)
    return rows.set_column(place, field, pc.add(rows[column], more).cast(field.type))


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """Five boards on two nodes. B's energy and D's segments are wrong, F is in no book."""
    builder = LakeBuilder(tmp_path_factory.mktemp("lakes") / "lake")
    for number, name in enumerate(BOARDS):
        node = "n1" if number < 3 else "n2"
        builder.device(name, node=node, index=number)
        for start_us in (T0, T0 + HOUR_US):
            readings = level(200_000 + number, start_us, start_us + 20 * S, S)
            builder.power(name, readings, node=node)
    lake = builder.build()
    ledger = lake.read("ledger", [T0])
    of_b = pc.equal(ledger["device_id"], "B").cast(pa.int64())
    lake.replace("ledger", added(ledger, "energy_nj", of_b), T0, "ledger")
    segments = lake.read("segment", [T0], node="n2")
    begins = pc.equal(segments["start_us"], T0)
    of_d = pc.and_(pc.equal(segments["device_id"], "D"), begins).cast(pa.int64())
    lake.replace("segment", added(segments, "end_us", pc.multiply(of_d, S)), T0, "n2")
    builder.power("F", level(100_000, T0, T0 + 9 * S, S), node="n2")
    for path in lake.files("power", [T0 + HOUR_US], node="n2")[:1]:
        path.unlink()  # as the disk limit does
    return lake


def found(lake: Lake, hours: list[int] | None, only: list[str]) -> list[Finding]:
    return run_checks(lake, hours, only)


@pytest.mark.parametrize(
    ("rows", "only", "hours"),
    pairs(
        [1, 60],
        [BY_DEVICE, *([name] for name in BY_DEVICE), ["law", "limits"]],
        [[T0], [T0 + HOUR_US], None],
    ),
)
def test_slices_find_the_same(
    hours: list[int] | None,
    only: list[str],
    rows: int,
    lake: Lake,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    whole = found(lake, hours, only)
    monkeypatch.setattr(slices, "SLICE_ROWS", rows)
    assert found(lake, hours, only) == whole


def test_there_is_something_to_find(lake: Lake) -> None:
    by_name = {one.name: one for one in found(lake, [T0], BY_DEVICE)}
    assert {row[0] for row in by_name["law"].rows} == {"B", "F"}
    assert {row[0] for row in by_name["ledger_is_complete"].rows} == {"D"}
    assert {row[0] for row in by_name["segments_do_not_overlap"].rows} == {"D"}
    (law,) = found(lake, [T0 + HOUR_US], ["law"])
    assert law.left_out > 0


def test_every_device_is_in_one_slice() -> None:
    assert [*slices._ranges([])] == ["true"]
    assert [*slices._ranges(["b", "it's"])] == [
        "true AND device_id < 'b'",
        "device_id >= 'b' AND device_id < 'it''s'",
        "device_id >= 'it''s'",
    ]
