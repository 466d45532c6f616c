"""The kernels that book an hour: their ledger is that of the same rules in SQL alone, to the bit.

The rules in SQL are `block.sql`, `part.sql`, `ledger.sql` and `caps.sql` in `oracles`; every fault
that a record can have is in the fleets (`lawfleets.py`).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.sql.oracles import caps_by_sql, ledger_by_sql
from tests.support.lakes import LakeBuilder, S
from tests.support.lawfleets import fleets
from tests.support.long import pairs
from tokenergy_collectors.lake import Lake
from tokenergy_collectors.lake.contract import LEDGER
from tokenergy_sql.index import booking
from tokenergy_sql.index.bookedrows import Piece, caps_schema
from tokenergy_sql.index.models import model_text
from tokenergy_sql.index.pipeline import index
from tokenergy_sql.index.site import Site
from tokenergy_transforms.aggregate import Aggregator, worklist
from tokenergy_transforms.booking import exact
from tokenergy_transforms.booking.activity import covered

FLEETS = 60


@pytest.mark.parametrize("window_us", pairs([10 * S, S, 60 * S], always=1))
def test_the_ledger_is_that_of_sql_alone(
    window_us: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    builder = LakeBuilder(tmp_path / "lake")
    fleets(range(window_us // S, window_us // S + FLEETS)).write(builder)
    list(Aggregator(builder.lake, window_us, "cpu").run(worklist(builder.lake)))
    by_kernels = booking.ledger
    rows = []

    def both(con: duckdb.DuckDBPyConnection, lake: Lake, hour_us: int) -> Iterator[Piece]:
        expected, by_segment = ledger_by_sql(con)
        pieces = list(by_kernels(con, lake, hour_us))
        found = pa.concat_tables(p.ledger.cast(LEDGER.schema()) for p in pieces).combine_chunks()
        for name in LEDGER.column_names:
            assert found[name].equals(expected[name]), name
        assert _caps(con, pieces) == caps_by_sql(con, by_segment)
        rows.append(len(found))
        yield from pieces

    monkeypatch.setattr(booking, "ledger", both)
    monkeypatch.setattr(booking, "PIECE_ROWS", 1_000)
    index(builder.lake, Site(None, None, {}), progress=lambda _: None, catalog=False)
    assert sum(rows) > 1_000
    assert len(rows) > 1


def _caps(con: duckdb.DuckDBPyConnection, pieces: list[Piece]) -> list[tuple[object, ...]]:
    parts = [caps_schema().empty_table(), *(piece.caps for piece in pieces)]
    con.register("job_cap_part", pa.concat_tables(parts))
    found = con.sql(model_text("job_caps")).order("job_id").fetchall()
    con.unregister("job_cap_part")
    return found


once = settings(deadline=None)  # the first call compiles
wide = st.integers(0, 2**63 - 1)


@once
@given(st.integers(1, 2**63 - 1), wide, st.data())
def test_scaled_is_exact(d: int, b: int, data: st.DataObject) -> None:
    a = data.draw(st.integers(0, d))
    if a * b // d < 2**63:
        assert exact.scaled(a, b, d) == a * b // d


@once
@given(st.integers(-(2**62), 2**62), st.integers(1, 2**31 - 1), st.data())
def test_share_rounds_toward_zero(x: int, whole: int, data: st.DataObject) -> None:
    part = data.draw(st.integers(0, whole))
    expected = abs(x) * part // whole
    assert exact.share(x, part, whole) == (-expected if x < 0 else expected)


ppm = st.integers(0, 3_000_000)


@once
@given(st.integers(0, 2**60), ppm, st.integers(0, 2**60), ppm)
def test_mixed_is_exact(a: int, s: int, b: int, t: int) -> None:
    assert exact.mixed(a, s, b, t) == (a * s + b * t) // 1_000_000


def test_intervals_that_touch_become_one() -> None:
    job = np.array([0, 0, 0, 2, 2], np.int32)
    from_us = np.array([0, 5, 30, 7, 8], np.int64)
    to_us = np.array([10, 20, 40, 9, 9], np.int64)
    found = covered(job, from_us, to_us, 3)
    assert found.offsets.tolist() == [0, 2, 2, 3]
    assert found.from_us.tolist() == [0, 30, 7]
    assert found.to_us.tolist() == [20, 40, 9]
