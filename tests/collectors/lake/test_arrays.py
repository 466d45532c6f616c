"""Arrow arrays from plain buffers: the same as Arrow's own, without pandas."""

import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.lakes import T0
from tokenergy_collectors.lake.arrays import column, to_batch
from tokenergy_collectors.lake.contract import TABLES

VALUES = {
    pa.bool_(): st.booleans(),
    pa.int16(): st.integers(-(2**15), 2**15 - 1),
    pa.int32(): st.integers(-(2**31), 2**31 - 1),
    pa.int64(): st.integers(-(2**63), 2**63 - 1),
    pa.decimal128(38, 0): st.integers(-(10**38) + 1, 10**38 - 1),
    pa.string(): st.text(st.characters(exclude_categories=("Cs",))),
    pa.list_(pa.int32()): st.lists(st.integers(-(2**31), 2**31 - 1), max_size=5),
}


@settings(deadline=None)  # the first call imports half of Arrow
@given(st.sampled_from(list(VALUES)), st.data())
def test_a_column_is_what_arrow_makes_of_it(type_: pa.DataType, data: st.DataObject) -> None:
    values = data.draw(st.lists(st.none() | VALUES[type_], max_size=40))
    made = column(values, type_)
    made.validate(full=True)
    assert made.equals(pa.array(values, type_))
    assert made.null_count == values.count(None)


@pytest.mark.parametrize(
    ("value", "type_"),
    [
        (2**31, pa.int32()),
        (-(2**63) - 1, pa.int64()),
        (1.5, pa.int64()),
        ("7", pa.int64()),
        (10**38, pa.decimal128(38, 0)),
        (-(10**38), pa.decimal128(38, 0)),
        (1.0, pa.decimal128(38, 0)),
        (True, pa.decimal128(38, 0)),
        (7, pa.string()),
        (b"x", pa.string()),
        ("\ud800", pa.string()),
        ([2**31], pa.list_(pa.int32())),
    ],
)
def test_a_value_that_does_not_fit_is_refused(value: object, type_: pa.DataType) -> None:
    with pytest.raises((TypeError, ValueError, OverflowError)):
        column([value], type_)


def test_rows_of_different_lengths_are_refused() -> None:
    with pytest.raises(ValueError, match="zip"):
        to_batch([(1, "n", None, "start", "x"), (1, "n")], TABLES["event"].schema())


def test_pandas_is_not_imported(tmp_path: Path) -> None:
    """It would cost the daemon 60 MB wherever it is installed, as it is here."""
    pytest.importorskip("pandas", reason="pandas is not installed: nothing to keep out")
    program = (
        "import sys\n"
        "from tokenergy_collectors.lake import Lake\n"
        "from tokenergy_collectors.spool.spool import Spool\n"
        "spool = Spool(Lake(sys.argv[1], create=True), 'n', print)\n"
        f"spool.add('event', [({T0}, 'n', None, 'start', 'x')])\n"
        f"spool.add('state', [({T0}, 'd', 1, None, 3, 4, 5, [6, 7])])\n"
        "assert spool.seal() == {'event': 1, 'state': 1}\n"
        "assert Lake(sys.argv[1]).read('state').num_rows == 1\n"
        "assert 'pandas' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", program, tmp_path], check=True)


@pytest.mark.parametrize("name", TABLES)
def test_no_rows_of_any_table(name: str) -> None:
    schema = TABLES[name].schema()
    found = to_batch([], schema)
    assert (found.num_rows, found.schema) == (0, schema)
