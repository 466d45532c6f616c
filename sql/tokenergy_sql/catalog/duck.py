"""Opens DuckDB, and names files to it: no other module calls `duckdb.connect` or quotes a path.

In: the environment, or a path, or a name. Out: a connection that prints nothing, reckons in UTC,
keeps to the cores and the memory that it may use, and stops at Ctrl-C; texts of SQL that mean
exactly the path, identifier or string that was given.
"""

from __future__ import annotations

import itertools
import os
import re
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from tokenergy_collectors.base import interrupt
from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.lake.absent import present

if TYPE_CHECKING:
    import duckdb

_FOLDERS: dict[str, int] = {}
"""Descriptors of open folders whose paths DuckDB cannot take, by path."""


THREADS_VARIABLE = "TOKENERGY_SQL_THREADS"
"""Environment variable with the most threads that a DuckDB connection may use."""

MEMORY_VARIABLE = "TOKENERGY_SQL_MEMORY"
"""Environment variable with the most memory that a DuckDB connection may use, such as 4GiB."""

_NUMBERS = itertools.count()


def open_memory() -> duckdb.DuckDBPyConnection:
    """Return a connection to an empty database in memory.

    Raises:
        UserError: see `threads` and `memory_limit`.
    """
    import duckdb

    con = duckdb.connect(config={"threads": threads()})
    # DuckDB takes an embedded Python for an interactive one, and would draw its bar on standard
    # output, in the middle of the rows.
    con.execute("SET enable_progress_bar = false")
    con.execute("SET TimeZone = 'UTC'")
    # For an ASOF join of fewer rows than this, DuckDB compares each row with each. It goes by an
    # estimate, which a filter or a sum makes 0 of a million: the join then takes hours.
    con.execute("SET asof_loop_join_threshold = 0")
    if limit := memory_limit():
        con.execute(f"SET memory_limit = {literal(limit)}")
        # Of each connection: the names of files in it are the same for all.
        name = f"tokenergy-sql-{os.getpid()}-{next(_NUMBERS)}"
        folder = Path(tempfile.gettempdir()) / name
        con.execute(f"SET temp_directory = {literal(str(folder))}")
    interrupt.stops(con)
    return con


def threads() -> int:
    """Return how many threads DuckDB may use: one for each core that the process may run on.

    DuckDB itself counts the cores of the machine, also those that `taskset`, Slurm or a container
    keep for others.

    Raises:
        UserError: the environment variable is no number above 0.
    """
    cores = len(os.sched_getaffinity(0))
    given = os.environ.get(THREADS_VARIABLE, "")
    if not given:
        return cores
    if not (given.isascii() and given.isdecimal() and int(given) > 0):
        what = "is not a number of threads: give a whole number above 0, or unset it"
        raise UserError(f"${THREADS_VARIABLE}: {given!r} {what}")
    return min(cores, int(given))


def memory_limit() -> str | None:
    """Return the most memory that DuckDB may use; what it lacks it writes to a temporary folder.

    Without a limit DuckDB takes up to 80 % of the machine's memory.

    Raises:
        UserError: the environment variable is no amount of memory.
    """
    given = os.environ.get(MEMORY_VARIABLE, "")
    if given and not re.fullmatch(r"[1-9][0-9]{0,6}[MGT]iB", given, re.ASCII):
        what = "is not an amount of memory: give one such as 800MiB or 4GiB, or unset it"
        raise UserError(f"${MEMORY_VARIABLE}: {given!r} {what}")
    return given or None


def quoted(name: str) -> str:
    """Return an SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """Return an SQL string literal."""
    return "'" + text.replace("'", "''") + "'"


def pattern(root: str | Path, inside: str = "") -> str:
    """Return the pattern that matches a path and no other, with a pattern inside it appended.

    DuckDB takes every path to be read for a pattern: wildcards in it are escaped. A path that
    begins with ~ or with a scheme means something else to it, so the path is made absolute.

    Args:
        root: a file or folder, as it is called.
        inside: what follows it, with wildcards that are meant as such: `/power/date=*`.
    """
    path = os.path.abspath(root)  # noqa: PTH100 - links stay as they are
    if "\\" in path:
        path = _reachable(path, folder=bool(inside))
    return re.sub(r"([*?[])", r"[\1]", path) + inside


def patterns(paths: Iterable[Path]) -> list[str]:
    """Return the patterns of files, which are fetched if they are still in a store."""
    files = list(paths)
    present(files)
    return [pattern(path) for path in files]


def _reachable(path: str, *, folder: bool) -> str:
    """Return a path to the same place without a backslash, which DuckDB takes for a slash.

    The folder up to the last name with a backslash is reached through its descriptor. Where that
    name is the file's own, nothing can be done; without wildcards DuckDB finds it nevertheless.
    """
    head, backslash, rest = path.rpartition("\\")
    name, slash, below = rest.partition("/")
    if not slash and not folder:
        return path
    return f"/proc/self/fd/{_descriptor(head + backslash + name)}{slash}{below}"


def _descriptor(folder: str) -> int:
    """Return a descriptor of a folder, open until the process ends; -1 if there is no folder."""
    try:
        now = Path(folder).stat()
        known = _FOLDERS.pop(folder, None)
        if known is not None:
            if os.path.samestat(os.fstat(known), now):
                return _FOLDERS.setdefault(folder, known)
            os.close(known)
        return _FOLDERS.setdefault(folder, os.open(folder, os.O_RDONLY | os.O_DIRECTORY))
    except OSError:
        return -1
