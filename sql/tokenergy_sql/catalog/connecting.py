"""Connects DuckDB to a lake: every table of the contract as a view, with derived views and macros.

In: a lake. Out: a connection with a view for each table (empty if the lake has no rows),
`allocation` (who held what, resolved), `quarantined` (files that could not be used), and the views
and macros of `views/`. `file.py` gives the same to any DuckDB client.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tokenergy_collectors.lake import Lake
from tokenergy_collectors.lake.allocations import allocation_schema, allocations
from tokenergy_collectors.lake.contract import TABLES, Table, Type
from tokenergy_collectors.lake.paths import PARTITIONS, SUFFIX
from tokenergy_collectors.lake.quarantine import quarantined
from tokenergy_sql.catalog import views
from tokenergy_sql.catalog.duck import literal, open_memory, pattern, patterns, quoted

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

DUCKDB_TYPES: dict[Type, str] = {
    "int16": "SMALLINT",
    "int32": "INTEGER",
    "int64": "BIGINT",
    "int128": "DECIMAL(38, 0)",
    "float64": "DOUBLE",
    "string": "VARCHAR",
    "bool": "BOOLEAN",
    "list<int32>": "INTEGER[]",
}


UNNAMED = "was not named, so its files were not looked at"
"""What the error of a statement says that reads a table which nobody named: see `connect`."""


class _Allocation:
    """`allocations(lake)` as an Arrow stream, computed when it is first read."""

    def __init__(self, lake: Lake) -> None:
        self._lake = lake
        self._rows: pa.Table | None = None

    def _batches(self) -> Iterator[pa.RecordBatch]:
        if self._rows is None:
            self._rows = allocations(self._lake)
        yield from self._rows.to_batches()

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        """Return a stream of the rows; DuckDB asks for one at every scan."""
        import pyarrow as pa

        reader = pa.RecordBatchReader.from_batches(allocation_schema(), self._batches())
        return reader.__arrow_c_stream__(requested_schema)


def connect(
    lake: Lake,
    hours: Mapping[str, Sequence[int]] | None = None,
    *,
    adhoc: bool = False,
    named: frozenset[str] | None = None,
    allocation: pa.Table | None = None,
    without: Collection[str] = (),
    given: Mapping[str, pa.Table] | None = None,
) -> duckdb.DuckDBPyConnection:
    """Return an in-memory DuckDB connection over a lake.

    Args:
        lake: the lake.
        hours: of these tables, only these hours; of all others, everything.
        adhoc: whether to add the views and macros for ad-hoc queries instead of our own. Derived
            files, of which a large lake has thousands, are then not opened one by one beforehand.
        named: the tables that will be read, if known; all if None. To read another one is an error
            that says `UNNAMED`. See `views.tables_named`.
        allocation: `allocations(lake)`, if the caller has it.
        without: tables that get no view, and so none of our own views that read them.
        given: rows of tables, if the caller has them; their files are not read.
    """
    con = open_memory()
    with lake.books.held():  # all tables of one revision
        for name, table in TABLES.items():
            if name in without:
                continue
            if given and name in given:
                con.register(name, given[name])
                continue
            if named is not None and name not in named:
                text = _select_unnamed(table)
            else:
                text = _select(lake, table, (hours or {}).get(name), validated=not adhoc)
            con.execute(f"CREATE VIEW {quoted(name)} AS {text}")
    con.register("allocation", _Allocation(lake) if allocation is None else allocation)
    con.register("quarantined", quarantined_table(lake, (hours or {}).get("quarantined")))
    if adhoc:
        views.define(con, (*views.BASIC, *views.ADHOC))
    else:
        there = frozenset({*TABLES, *views.PYTHON_TABLES}.difference(without))
        own = _own_views(there if named is None else named & there)
        views.define(con, (*views.UNITS, *own, *views.BASIC))
    return con


def _own_views(read: frozenset[str]) -> list[str]:
    """Return our own views of the tables that will be read: to create one looks at its files."""
    return [name for name in views.OWN if read.issuperset(views.definition(name).sources)]


def _select(lake: Lake, table: Table, hours: Sequence[int] | None, *, validated: bool) -> str:
    """Return a SELECT over the files of a table, of some hours if given."""
    if table.layer == "raw":
        return select_from(table, lake.valid_files(table.name, hours))
    if validated:
        paths = [path for path, _ in lake.valid_files(table.name, hours)]
    elif hours is None:
        paths = lake.whole_files(table.name, 0)
    else:
        paths = lake.files(table.name, hours)
    return select_listed(table, patterns(paths))


def _select_unnamed(table: Table) -> str:
    """Return a SELECT of the columns of a table that nobody named: to run it is an error.

    It looks at no file: the views of a year of tables would list its 80,000.
    """
    why = f"table {table.name}: {UNNAMED}"
    return select_unread(table, f"WHERE error({literal(why)})::BOOLEAN")


def select_unread(table: Table, rest: str) -> str:
    """Return a SELECT of the columns of a table, all NULL: no file is read.

    Args:
        table: the table.
        rest: what follows the columns: a FROM gives the number of rows.
    """
    columns = ", ".join(f"NULL::{DUCKDB_TYPES[c.type]} AS {quoted(c.name)}" for c in table.columns)
    return f"SELECT {columns} {rest}"


def files_of(root: str, folder: str) -> str:
    """Return the pattern of the files of a table.

    Args:
        root: the lake.
        folder: the name of a table, or a pattern of names.
    """
    return pattern(root, f"/{folder}/{PARTITIONS}/[!.]*{SUFFIX}")


def select_from(table: Table, files: Sequence[tuple[Path, frozenset[str]]]) -> str:
    """Return a SELECT over some files of a table, typed by the contract even without files.

    Only for files that nobody replaces meanwhile: raw ones, and those of a lake that is locked.
    DuckDB opens each file for its footer and again for its rows, so it can read rows of a new file
    with the footer of the old one and give a wrong answer.

    Args:
        table: the table.
        files: its files, each with the columns that it has; missing columns are NULL.
    """
    some = frozenset[str]().union(*(names for _, names in files))
    every = some.intersection(*(names for _, names in files))
    columns = ", ".join(
        f"{quoted(c.name) if c.name in some else 'NULL'}::{DUCKDB_TYPES[c.type]}"
        f" AS {quoted(c.name)}"
        for c in table.columns
    )
    if files:
        paths = ", ".join(literal(pattern(path)) for path, _ in files)
        by_name = str(some != every).lower()
        return (
            f"SELECT {columns} FROM read_parquet([{paths}], "  # noqa: S608 - names are escaped
            f"hive_partitioning = false, union_by_name = {by_name})"
        )
    return f"SELECT {columns} WHERE false"


def select_listed(table: Table, paths: Sequence[str]) -> str:
    """Return a SELECT over files of a table that have not been opened, or may be replaced.

    DuckDB opens each file once, since its columns are given here. If a file is replaced between the
    look at its size and that, the statement fails; it never mixes the two.

    A column that a file lacks is NULL. Rows without a timestamp are left out, and so all rows of a
    file that belongs to no table.

    Args:
        table: the table.
        paths: patterns of files, see `duck.pattern`; each must match one.
    """
    if not paths:
        return select_from(table, [])
    columns = ", ".join(
        f"{literal(c.name)}: {{name: {literal(c.name)}, type: {literal(DUCKDB_TYPES[c.type])}, "
        "default_value: NULL}"
        for c in table.columns
    )
    return (
        f"SELECT * FROM read_parquet([{', '.join(map(literal, paths))}], "  # noqa: S608 - escaped
        f"hive_partitioning = false, schema = MAP {{{columns}}}) "
        f"WHERE {quoted(table.time)} IS NOT NULL"
    )


def quarantined_table(lake: Lake, hours: Sequence[int] | None = None) -> pa.Table:
    """Return the quarantined files of a lake, of some hours if given.

    Files of no hour that a lake may have are moved to quarantine before: whoever asks for all of
    them, as the checks do, sees these too.
    """
    import pyarrow as pa

    if hours is None:
        lake.quarantine_misplaced()

    names = ("table", "file", "reason")
    schema = pa.schema([("hour_us", pa.int64()), *((name, pa.string()) for name in names)])
    rows = [row for row in quarantined(lake.root) if hours is None or row["hour_us"] in hours]
    return pa.Table.from_pylist(rows, schema=schema)
