"""The lake for any DuckDB client: `catalog.duckdb`, views and macros over the files of the lake.

In: a lake. Out: `<lake>/catalog.duckdb`. It has no rows of the lake. Its views name the files of
the books, so whoever opens it sees one revision, and the next one after opening it again. Of other
tables they find the files by a pattern, so the next statement sees files that were added. Only two
small tables are stored in it, and renewed by every run of the index: `allocation` and
`quarantined`.

- It is made in a temporary folder, since DuckDB can neither write to a path with a `?` nor lock on
  every shared file system; then copied next to its place and renamed. A client that has it open
  keeps the version that it opened; nobody waits.
- Paths in it are absolute, so that it can be opened from anywhere; after moving a lake, run
  `tokenergy catalog` once.
- Its format can be read by DuckDB 1.x and 2.x; tried with 1.4, 1.5 and 2.0.
- In DuckDB a pattern without a match is an error. So each pattern also matches an empty file of
  the table, `<lake>/.empty-TABLE/...`; nothing else reads that.
"""

from __future__ import annotations

import filecmp
import hashlib
import itertools
import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.base.instants import FIRST_US
from tokenergy_collectors.lake import Lake
from tokenergy_collectors.lake.allocations import allocations
from tokenergy_collectors.lake.arrays import digest_of
from tokenergy_collectors.lake.contract import TABLES, Table
from tokenergy_collectors.lake.keptallocations import key_now, key_of
from tokenergy_collectors.lake.paths import partition
from tokenergy_collectors.lake.published import BOOKS, list_path
from tokenergy_collectors.lake.reading import BrokenFileError, columns_of
from tokenergy_collectors.lake.unfinished import remove_left, replacing
from tokenergy_collectors.lake.writing import write_parquet
from tokenergy_sql.catalog import views
from tokenergy_sql.catalog.connecting import files_of, quarantined_table, select_listed
from tokenergy_sql.catalog.duck import literal, open_memory, pattern, quoted

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

NAME = "catalog.duckdb"
"""Name of the file, at the root of the lake."""

_STORAGE = "v1.0.0"

_DAYS_AT_ONCE = 7
"""Days of a table that are packed into one file at a time: see `lake.packed`."""

Books = Mapping[str, Sequence[str]]
"""The paths of the files of each table of the books."""

_BY_PATTERN = tuple(table for name, table in TABLES.items() if name not in BOOKS)
"""Tables whose files the views find by a pattern."""

_MODE = 0o666
"""Of the catalog; the umask decides."""

_NOTE = "cache/catalog.json"
"""What the catalog was made of; it need not be made again while that is the same."""


def write_catalog(lake: Lake, held: pa.Table | None = None) -> Path:
    """Write the catalog of a lake and return its path; an identical one is left untouched.

    Args:
        lake: the lake.
        held: `allocations(lake)`, if the caller has it.

    Raises:
        UserError: it cannot be written, or DuckDB could not open it: see `unusable`.
    """
    path = lake.root / NAME
    if why := unusable(lake):
        raise UserError(f"{path}: {why}")
    with lake.books.held():
        quarantined = quarantined_table(lake)
        books = {name: lake.whole_places(name, _DAYS_AT_ONCE) for name in BOOKS}
        # Allocations that are kept need not be read to see that they are the same.
        if held is None and _is_made(lake, _of_what(lake, books, key_now(lake), quarantined)):
            return path
        if held is None:
            held = allocations(lake)
            quarantined = quarantined_table(lake)  # what could not be read is there now
        of_what = _of_what(lake, books, key_of(held) or digest_of(held), quarantined)
        if not _is_made(lake, of_what):
            _write(lake, path, books, held, quarantined)
            _write_note(lake, _noted(path, of_what))
    return path


def catch_up(lake: Lake) -> None:
    """Write the catalog of a lake again if it has one, and a run was killed that had published.

    Raises:
        UserError: it cannot be written.
    """
    try:
        made_ns = (lake.root / NAME).stat().st_mtime_ns
        published_ns = list_path(lake.root).stat().st_mtime_ns
    except FileNotFoundError:
        return
    if made_ns < published_ns and not unusable(lake):
        write_catalog(lake)


def _is_made(lake: Lake, of_what: str) -> bool:
    """Return whether the catalog of a lake is there and was made of that."""
    noted = _noted(lake.root / NAME, of_what)
    return noted == _read_note(lake) and all(_has_empty(lake.root, table) for table in _BY_PATTERN)


def _write(lake: Lake, path: Path, books: Books, held: pa.Table, quarantined: pa.Table) -> None:
    import duckdb

    try:
        for table in _BY_PATTERN:
            _write_empty(lake.root, table)
        with (
            TemporaryDirectory() as scratch,
            open_memory() as con,
            replacing(path, _MODE) as aside,
        ):
            made = Path(scratch) / NAME
            con.execute(f"ATTACH {literal(str(made))} AS aside (STORAGE_VERSION '{_STORAGE}')")
            con.execute("USE aside")
            con.execute("BEGIN")
            _fill(con, lake, books, held, quarantined)
            con.execute("COMMIT")
            con.execute("USE memory")
            con.execute("DETACH aside")
            shutil.copyfile(made, aside)
            with aside.open("rb") as handle:
                os.fsync(handle.fileno())
            if not path.exists() or not filecmp.cmp(path, aside, shallow=False):
                # A write-ahead log left by a writer of the former file does not belong to this one.
                path.with_name(f"{NAME}.wal").unlink(missing_ok=True)
                aside.replace(path)
    except (OSError, duckdb.IOException) as error:
        raise UserError(f"{path}: cannot be written: {' '.join(str(error).split())}") from None


def unusable(lake: Lake) -> str | None:
    """Return why DuckDB could not open the catalog of a lake; None if it can."""
    if "\\" not in str(lake.root.resolve()):
        return None
    return (
        "DuckDB cannot open a database below a folder with a backslash in its name; "
        "use `tokenergy query`, or move the lake"
    )


def _of_what(lake: Lake, books: Books, held: str, quarantined: pa.Table) -> str:
    """Return a digest of all that a catalog depends on; `held` says which allocations."""
    import duckdb

    names = (*views.BASIC, *views.ADHOC)
    parts = [
        str(lake.root.resolve()), duckdb.__version__, repr(TABLES), repr(views.PYTHON_TABLES),
        *itertools.chain.from_iterable(books.values()),
        *(repr(views.definition(name)) for name in names), held, digest_of(quarantined),
    ]  # fmt: skip
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def _noted(path: Path, of_what: str) -> list[Any] | None:
    """Return what is remembered of a catalog that was written; None if it is not there."""
    try:
        stat = path.stat()
    except FileNotFoundError:
        return None
    return [of_what, stat.st_size, stat.st_mtime_ns]


def _read_note(lake: Lake) -> Any:
    try:
        return json.loads((lake.root / _NOTE).read_text("utf-8"))
    except (OSError, ValueError):
        return ()


def _write_note(lake: Lake, noted: list[Any] | None) -> None:
    with suppress(OSError):  # then the catalog is made again next time
        (lake.root / _NOTE).parent.mkdir(exist_ok=True)
        (lake.root / _NOTE).write_text(json.dumps(noted), "utf-8")


def _fill(
    con: duckdb.DuckDBPyConnection,
    lake: Lake,
    books: Books,
    held: pa.Table,
    quarantined: pa.Table,
) -> None:
    """Create the tables, views and macros, with comments."""
    root = str(lake.root.resolve())
    for name, table in TABLES.items():
        # Each view that reads one of the books would look at all its files, 8,760 a year.
        text = select_listed(table, []) if name in BOOKS else select_pattern(root, table)
        con.execute(f"CREATE VIEW {quoted(name)} AS {text}")
    for name, rows in (("allocation", held), ("quarantined", quarantined)):
        con.register("incoming", rows)
        con.execute(f"CREATE TABLE {name} AS FROM incoming")
        con.unregister("incoming")
    views.define(con, (*views.BASIC, *views.ADHOC))
    comments = [*_comments(con)]
    for name in BOOKS:
        text = _select_book(lake, TABLES[name], books[name])
        con.execute(f"CREATE OR REPLACE VIEW {quoted(name)} AS {text}")
    # As one script: starting a statement takes longer than what these do.
    con.execute(";\n".join(comments))


def _select_book(lake: Lake, table: Table, files: Sequence[str]) -> str:
    """Return a SELECT over the published files of a table."""
    # As text, of which only the lake's own path may have wildcards: a year has 8,760 files.
    base, begin = pattern(lake.root.resolve()), len(str(lake.root))
    return select_listed(table, [base + path[begin:] for path in files])


def select_pattern(root: str, table: Table) -> str:
    """Return a SELECT over all files that a table has when it is run.

    Args:
        root: path of the lake, as the SELECT is to name it.
        table: the table.
    """
    first, rest = table.name[0], table.name[1:]
    return select_listed(table, [files_of(root, f"[{first}.]*{rest}")])


def _write_empty(root: Path, table: Table) -> None:
    """Write the empty file that a table's pattern always matches, unless there is a sound one."""
    if not _has_empty(root, table):
        remove_left(_empty_of(root, table).parent)
        write_parquet(table.schema().empty_table(), _empty_of(root, table), table)


def _has_empty(root: Path, table: Table) -> bool:
    try:
        columns_of(_empty_of(root, table), table)
    except (FileNotFoundError, BrokenFileError):
        return False
    return True


def _empty_of(root: Path, table: Table) -> Path:
    return root / f".empty-{table.name}" / partition(FIRST_US) / f"{table.name}.parquet"


def _comments(con: duckdb.DuckDBPyConnection) -> Iterator[str]:
    """Yield the statements that describe tables, views, macros and columns."""
    about = {
        **{("VIEW", name): f"{table.layer}: {table.row}" for name, table in TABLES.items()},
        **{("TABLE", name): words for name, words in views.PYTHON_TABLES.items()},
    }
    for name in (*views.BASIC, *views.ADHOC):
        found = views.definition(name)
        about[found.kind, name] = f"{found.about} {found.reach}"
    for (kind, name), words in about.items():
        yield f"COMMENT ON {kind} {quoted(name)} IS {literal(words)}"
        if "MACRO" in kind:
            continue
        meanings = views.meanings(name)
        for column, *_ in con.execute(f"DESCRIBE {quoted(name)}").fetchall():
            meaning = literal(meanings[column])
            yield f"COMMENT ON COLUMN {quoted(name)}.{quoted(column)} IS {meaning}"
