"""Reads a lake in SQL while others write to it: tries again where a file was damaged or replaced.

In: a lake and a task that reads it. Out: the task's result.

DuckDB looks at a file's size when it plans a statement and opens the file later. If the index
renames a new file to that path in between, DuckDB looks for the footer at the old place, and the
statement fails. `connecting.select_listed` says why it never mixes two files.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from tokenergy_collectors.lake import Lake, compacted
from tokenergy_collectors.lake.absent import there
from tokenergy_collectors.lake.contract import TABLES
from tokenergy_collectors.lake.damage import damaged
from tokenergy_collectors.lake.paths import PARTITIONS, table_of
from tokenergy_collectors.lake.published import BOOKS, list_path
from tokenergy_collectors.lake.quarantine import MISSING, DamagedError
from tokenergy_collectors.lake.reading import BrokenFileError, columns_of

if TYPE_CHECKING:
    import duckdb

T = TypeVar("T")

_PATH = re.compile(r"'([^']+\.parquet)'")
"""The file that DuckDB names in an error."""

_ANY_PATH = re.compile(r"""['"]([^'"]+\.parquet)['"]""")
"""The same, also where a file is not there."""

_PARTS = 4
"""TABLE/date=.../hour=.../NAME.parquet"""

_ATTEMPTS = 20
"""An index run replaces each file once, so a reader meets this only in an endless run."""

_CLOCK_SLACK_NS = 2_000_000_000
"""How far the clock of a file server may be behind ours, and how coarse its stamps may be."""


def read(lake: Lake, task: Callable[[], T]) -> T:
    """Run a task that only reads; run it again after a file was replaced under it, or damaged.

    All that the task reads of the books is of one revision.

    Raises:
        DamagedError: a derived file is damaged.
        duckdb.Error: the task fails for another reason.
    """
    import duckdb

    failed = looked = False
    for _ in range(_ATTEMPTS - 1):
        began_ns = time.time_ns()
        try:
            with lake.books.held():
                return task()
        except duckdb.Error as error:
            if not is_unreadable(error):
                raise
            if _is_compacted(lake, error):
                continue
            replaced = _is_replaced_since(lake, began_ns)
            if replaced and not failed:
                failed = True
                continue
            # Looking for damage reads all raw rows, so it is done once.
            healed = not looked and _quarantine_damaged(lake)
            looked = True
            if not healed and not replaced:
                _require_sound(lake, error)
                raise
    with lake.books.held():
        try:
            return task()
        except duckdb.Error as error:
            if is_unreadable(error):
                _require_sound(lake, error)
            raise


def heal(lake: Lake, task: Callable[[], T]) -> T:
    """Run a task that reads the lake in SQL; if damaged rows stop it, run it once more.

    Damage inside a file shows only when its rows are read. Then all raw files are read in full,
    damaged ones go to quarantine, and the task is run again without them.

    Raises:
        DamagedError: a derived file is damaged.
        duckdb.Error: the task fails for another reason.
    """
    import duckdb

    try:
        return task()
    except duckdb.Error as error:
        if not is_unreadable(error):
            raise
        if not _quarantine_damaged(lake):
            _require_sound(lake, error)
            raise
        return task()


def _is_compacted(lake: Lake, error: duckdb.Error) -> bool:
    """Return whether DuckDB names a file that is gone, since a compacted one has its rows."""
    return any(compacted.is_gone(lake.root, Path(text)) for text in _ANY_PATH.findall(str(error)))


def _require_sound(lake: Lake, error: duckdb.Error) -> None:
    """Return if no derived file is damaged; all rows are read unless DuckDB named the file.

    Raises:
        DamagedError: one is.
    """
    derived = [name for name, table in TABLES.items() if table.layer == "derived"]
    for text in _PATH.findall(str(error)):
        path = Path(text)
        ours = path.is_relative_to(lake.root) and len(path.parts) > _PARTS
        if ours and table_of(path) in derived:
            _require_footer(path, table_of(path))
    for path in (path for name in BOOKS for path in lake.files(name)):
        if not there(path):
            raise DamagedError(path, MISSING)
    for path, reason in damaged(lake, derived):
        raise DamagedError(path, reason)


def _require_footer(path: Path, table: str) -> None:
    try:
        columns_of(path, TABLES[table])
    except BrokenFileError as error:
        raise DamagedError(path, str(error)) from None
    except FileNotFoundError:  # replaced meanwhile
        return


def _quarantine_damaged(lake: Lake) -> bool:
    """Move damaged raw files to quarantine; return whether there were any."""
    return bool(lake.quarantine_damaged(n for n, table in TABLES.items() if table.layer == "raw"))


def is_unreadable(error: duckdb.Error) -> bool:
    """Return whether DuckDB failed at the bytes of a file: wrong SQL raises other classes."""
    import duckdb

    # In a page header or a footer it raises the base class.
    classes = (duckdb.IOException, duckdb.InvalidInputException, duckdb.InternalException)
    return isinstance(error, classes) or type(error) is duckdb.Error


def _is_replaced_since(lake: Lake, ns: int) -> bool:
    """Return whether a derived file came, went or was replaced since a time (Unix, ns).

    Raw files are never replaced: where a collector writes all the time, they would say so always.
    """
    with suppress(FileNotFoundError):
        if list_path(lake.root).stat().st_mtime_ns >= ns - _CLOCK_SLACK_NS:
            return True
    for table in TABLES.values():
        if table.layer != "raw":
            for folder in (lake.root / table.name).glob(PARTITIONS):
                # A file that is renamed into a folder changes the folder, whenever it was written.
                try:
                    changed_ns = folder.stat().st_mtime_ns
                except FileNotFoundError:
                    return True
                if changed_ns >= ns - _CLOCK_SLACK_NS:
                    return True
    return False
