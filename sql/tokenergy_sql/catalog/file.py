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
- Only what differs is written again (`halves`), into a copy of the one that is there, if its bytes
  are those that were written last (`note`).
"""

from __future__ import annotations

import filecmp
import hashlib
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.base.instants import FIRST_US
from tokenergy_collectors.lake import Lake
from tokenergy_collectors.lake.allocations import allocations
from tokenergy_collectors.lake.arrays import digest_of
from tokenergy_collectors.lake.contract import TABLES, Table
from tokenergy_collectors.lake.keptallocations import key_now, key_of
from tokenergy_collectors.lake.packedbooks import FOLDER as PACKED
from tokenergy_collectors.lake.paths import partition
from tokenergy_collectors.lake.published import BOOKS, list_path
from tokenergy_collectors.lake.reading import BrokenFileError, columns_of
from tokenergy_collectors.lake.unfinished import remove_left, replacing
from tokenergy_collectors.lake.writing import write_parquet
from tokenergy_sql.catalog import views
from tokenergy_sql.catalog.connecting import quarantined_table
from tokenergy_sql.catalog.content import BY_PATTERN, FIXED, QUARANTINED, Content, of_allocations
from tokenergy_sql.catalog.duck import literal, open_memory
from tokenergy_sql.catalog.halves import ALLOCATION, Halves
from tokenergy_sql.catalog.note import Named, Note, bytes_digest, name_again, read_note, write_note

if TYPE_CHECKING:
    import pyarrow as pa

NAME = "catalog.duckdb"
"""Name of the file, at the root of the lake."""

_STORAGE = "v1.0.0"

_DAYS_AT_ONCE = 7
"""Days of a table that are packed into one file at a time: see `lake.packed`."""

_MODE = 0o666
"""Of the catalog; the umask decides."""


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
    note, listed = read_note(lake), _digest_of_list(lake)
    if held is None and note is not None and _is_unchanged(lake, note, listed):
        return path
    with lake.books.held():
        quarantined = quarantined_table(lake)
        books = Halves({name: lake.whole_places(name, _DAYS_AT_ONCE) for name in BOOKS})
        named = _named(lake, books, listed, note)
        # Allocations that are kept need not be read to see that they are the same.
        if held is None and _is_made(lake, _parts(lake, books, key_now(lake), quarantined)):
            name_again(lake, note, named)
            return path
        if held is None:
            held = allocations(lake)
            quarantined = quarantined_table(lake)  # what could not be read is there now
        parts = _parts(lake, books, key_of(held) or digest_of(held), quarantined)
        if not _is_made(lake, parts):
            _write(lake, path, Content(lake, books, held, quarantined), parts, named)
        else:
            name_again(lake, note, named)
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


def _is_unchanged(lake: Lake, note: Note, listed: str) -> bool:
    """Return whether the catalog of a lake is of the list that is published, without reading that.

    Args:
        lake: the lake.
        note: of its catalog.
        listed: a digest of the list.
    """
    if not listed or note.listed != listed or not note.names_all(lake.root):
        return False
    since, _, _ = note.parts.get(ALLOCATION, "").partition(" ")
    others = _of_others(lake, quarantined_table(lake))
    return _is_made(lake, {**others, ALLOCATION: of_allocations(since, key_now(lake))})


def _digest_of_list(lake: Lake) -> str:
    """Return a digest of the list of published books; empty if there is none."""
    try:
        return bytes_digest(list_path(lake.root))
    except OSError:
        return ""


def _named(lake: Lake, books: Halves, listed: str, before: Note | None) -> Named:
    """Return what the views of a catalog name.

    Args:
        lake: the lake; its list is held.
        books: the files of its books.
        listed: a digest of the list before it was read.
        before: of the catalog before.
    """
    base = f"{lake.root}/"
    files = (file.removeprefix(base) for of_part in books.files.values() for file in of_part)
    packed = [file for file in files if file.startswith(f"{PACKED}/")]
    # A file that is packed now may not be the last one: only some are at a time.
    whole = {*packed} <= {*(before.packed if before is not None else ())}
    return Named(listed if whole and listed == _digest_of_list(lake) else "", packed)


def _is_made(lake: Lake, parts: Mapping[str, str]) -> bool:
    """Return whether the catalog of a lake is there and was made of these parts."""
    note = read_note(lake)
    same = note is not None and note.is_of(lake.root / NAME) and note.follows(parts)
    return same and all(_has_empty(lake.root, table) for table in BY_PATTERN)


def _write(
    lake: Lake, path: Path, content: Content, parts: Mapping[str, str], named: Named
) -> None:
    """Write a catalog, and what it was made of: as far as it differs from the one that is there."""
    import duckdb

    before = read_note(lake)
    usable = before is not None and before.may_be_renewed(path, parts)
    parts = {**parts, **content.digests(before.parts if before is not None and usable else {})}
    try:
        for table in BY_PATTERN:
            _write_empty(lake.root, table)
        with TemporaryDirectory() as scratch, replacing(path, _MODE) as aside:
            made, note = Path(scratch) / NAME, before if usable else None
            if note is not None:
                try:
                    _renew(path, made, content, note, parts)
                except (_ChangedError, duckdb.Error, OSError):
                    note = None
            if note is None:
                made.unlink(missing_ok=True)
                _make(made, content)
            shutil.copyfile(made, aside)
            with aside.open("rb") as handle:
                os.fsync(handle.fileno())
            if not path.exists() or not filecmp.cmp(path, aside, shallow=False):
                # A write-ahead log left by a writer of the former file does not belong to this one.
                path.with_name(f"{NAME}.wal").unlink(missing_ok=True)
                aside.replace(path)
            write_note(lake, path, parts, note, named)
    except (OSError, duckdb.IOException) as error:
        raise UserError(f"{path}: cannot be written: {' '.join(str(error).split())}") from None


def _make(made: Path, content: Content) -> None:
    """Make a catalog with all parts."""
    with open_memory() as con:
        con.execute(f"ATTACH {literal(str(made))} AS aside (STORAGE_VERSION '{_STORAGE}')")
        con.execute("USE aside")
        con.execute("BEGIN")
        content.fill(con)
        con.execute("COMMIT")
        con.execute("USE memory")
        con.execute("DETACH aside")


class _ChangedError(Exception):
    """The catalog is not the one that was written last: a disk or a person has changed it."""


def _renew(path: Path, made: Path, content: Content, note: Note, parts: Mapping[str, str]) -> None:
    """Make a catalog of the one that is there: only parts that differ are made again.

    Raises:
        _ChangedError: its bytes are not those that were written.
    """
    shutil.copyfile(path, made)
    if bytes_digest(made) != note.digest:
        raise _ChangedError
    with open_memory() as con:
        con.execute(f"ATTACH {literal(str(made))} AS aside")
        con.execute("USE aside")
        con.execute("BEGIN")
        content.renew(con, {name for name in parts if parts[name] != note.parts.get(name)})
        con.execute("COMMIT")
        con.execute("USE memory")
        con.execute("CHECKPOINT aside")
        con.execute("DETACH aside")


def unusable(lake: Lake) -> str | None:
    """Return why DuckDB could not open the catalog of a lake; None if it can."""
    if "\\" not in str(lake.root.resolve()):
        return None
    return (
        "DuckDB cannot open a database below a folder with a backslash in its name; "
        "use `tokenergy query`, or move the lake"
    )


def _parts(lake: Lake, books: Halves, held: str, quarantined: pa.Table) -> dict[str, str]:
    """Return a digest of what each part of a catalog depends on; `held` says which allocations."""
    return {
        **_of_others(lake, quarantined),
        ALLOCATION: of_allocations(books.since, held),
        **dict(books.digests()),
    }


def _of_others(lake: Lake, quarantined: pa.Table) -> dict[str, str]:
    """Return a digest of what the parts depend on that are not of the books or of allocations."""
    import duckdb

    names = (*views.BASIC, *views.ADHOC)
    fixed = [
        str(lake.root.resolve()), duckdb.__version__, repr(TABLES), repr(views.PYTHON_TABLES),
        *(repr(views.definition(name)) for name in names),
    ]  # fmt: skip
    return {
        FIXED: hashlib.sha256("\0".join(fixed).encode()).hexdigest(),
        QUARANTINED: digest_of(quarantined),
    }


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
