"""The lake as DuckDB sees it: every table of the contract as a view, and two derived ones.

In: a lake. Out: a connection with a view a table (empty where the lake has no rows), `allocation`
(who held what, resolved), `device_now` (the latest row of each device) and the macro `utc(us)`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tokenergy_collectors.allocations import allocations
from tokenergy_collectors.contract import TABLES, Table, Type
from tokenergy_collectors.lake import Lake

if TYPE_CHECKING:
    import duckdb

_DUCKDB_TYPES: dict[Type, str] = {
    "int16": "SMALLINT",
    "int32": "INTEGER",
    "int64": "BIGINT",
    "int128": "DECIMAL(38, 0)",
    "float64": "DOUBLE",
    "string": "VARCHAR",
    "bool": "BOOLEAN",
    "list<int32>": "INTEGER[]",
}


def connect(
    lake: Lake, hours: Mapping[str, Sequence[int]] | None = None
) -> duckdb.DuckDBPyConnection:
    """Return an in-memory DuckDB connection over a lake.

    Args:
        lake: the lake.
        hours: of these tables, only these hours; of all others, everything.
    """
    import duckdb

    con = duckdb.connect()
    con.execute("SET TimeZone = 'UTC'")
    con.execute("CREATE MACRO utc(us) AS make_timestamp(us)")
    for name, table in TABLES.items():
        files = lake.files(name, (hours or {}).get(name))
        con.execute(f"CREATE VIEW {quoted(name)} AS {select_from(table, files)}")
    con.register("allocation", allocations(lake))
    con.execute(
        "CREATE VIEW device_now AS SELECT * FROM device QUALIFY row_number() OVER "
        "(PARTITION BY device_id ORDER BY ts_us DESC, node) = 1"
    )
    return con


def select_from(table: Table, files: Sequence[Path]) -> str:
    """Return a SELECT over some files of a table, typed by the contract even without files."""
    columns = ", ".join(
        f"{quoted(c.name)}::{_DUCKDB_TYPES[c.type]} AS {quoted(c.name)}" for c in table.columns
    )
    if files:
        names = ", ".join(literal(str(path)) for path in files)
        return f"SELECT {columns} FROM read_parquet([{names}], hive_partitioning = false)"  # noqa: S608 - names are escaped
    nulls = ", ".join(f"NULL AS {quoted(c.name)}" for c in table.columns)
    return f"SELECT {columns} FROM (SELECT {nulls}) WHERE false"  # noqa: S608 - the contract's own names


def quoted(name: str) -> str:
    """Return an SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """Return an SQL string literal."""
    return "'" + text.replace("'", "''") + "'"
