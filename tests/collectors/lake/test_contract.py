"""The contract: every table has a schema, and everything in it a meaning."""

import pyarrow as pa
import pytest

from tokenergy_collectors.lake.contract import TABLES

UNITS = ("_us", "_mw", "_mj", "_nj", "_uj", "_j", "_ppm", "_mhz", "_c", "_s")

every_table = pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)


@every_table
def test_schema_follows_the_columns(table):
    schema = table.schema()
    assert schema.names == table.column_names
    assert [field.nullable for field in schema] == [c.nullable for c in table.columns]
    assert schema.empty_table().num_rows == 0


@every_table
def test_names_are_unique_and_have_meanings(table):
    assert len(set(table.column_names)) == len(table.columns)
    assert table.row.strip()
    assert all(column.meaning.strip() for column in table.columns)
    assert TABLES[table.name] is table


@every_table
def test_time_and_sort_columns_exist_and_are_never_null(table):
    columns = {column.name: column for column in table.columns}
    assert columns[table.time].type == "int64"
    assert not columns[table.time].nullable
    assert table.time.endswith("_us")
    assert set(table.sort) <= set(columns)


@every_table
def test_energy_and_power_carry_their_unit(table):
    for column in table.columns:
        if column.name.startswith(("energy", "power")):
            assert column.name.endswith(UNITS), column.name


def test_exact_sums_are_wide():
    assert TABLES["job_index"].schema().field("e_gpu_nj").type == pa.decimal128(38, 0)


def test_a_row_is_made_by_name():
    host = TABLES["host"]
    row = host.make_row(power_mw=5, node="n", ts_us=1, domain="package")
    assert row == (1, "n", "package", None, 5, None, None, None, None)
    with pytest.raises(TypeError, match="host has no column watts"):
        host.make_row(ts_us=1, node="n", domain="package", watts=5)
    with pytest.raises(TypeError, match=r"host\.node needs a value"):
        host.make_row(ts_us=1, domain="package", power_mw=5)
