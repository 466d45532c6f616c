"""Readings of meters from raw rows: in any order, doubled, none, too large for int64."""

import pyarrow as pa
import pytest

from tokenergy_sql.metering.readings import by_meter

SCHEMA = pa.schema(
    [("meter_id", pa.string()), ("ts_us", pa.int64()), ("value_n", pa.decimal128(38, 0))]
)


def found(*rows):
    columns = [*zip(*rows, strict=True)] or [[], [], []]
    table = pa.table([pa.array(c, f.type) for c, f in zip(columns, SCHEMA, strict=True)], SCHEMA)
    return {
        meter_id: [tuple(one.at(place)) for place in range(len(one))]
        for meter_id, one in by_meter(table)
    }


@pytest.mark.parametrize("turn", [1, -1])
def test_the_order_of_rows_changes_nothing(turn):
    """Two hosts read `a` in one microsecond, and not the same."""
    rows = [("a", 1, 5), ("b", 1, 9), ("a", 2, 8), ("a", 2, 7), ("a", 3, 9)]
    assert found(*rows[::turn]) == {"a": [(1, 5), (2, 7), (3, 9)], "b": [(1, 9)]}


def test_no_rows_are_no_meters():
    assert found() == {}


def test_a_register_beyond_64_bits_is_exact():
    large = 2**64 * 10**9 - 1
    assert found(("a", 1, large), ("b", 1, 2)) == {"a": [(1, large)], "b": [(1, 2)]}
