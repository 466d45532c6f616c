"""Queries a lake in an object store: S3 and compatible stores, or any that fsspec has a driver for.

In: a URL, `s3://bucket/prefix`. Out: a connection like that of `connecting.connect`. Files are
listed once, when the connection is made, and read through fsspec, as far as a statement needs them:
one request a file, or more where it is large. Of files whose rows are only counted none is opened,
if the list of the books or their names say how many they have. Only `jobs` and `device`, from which
Python computes allocations, are downloaded whole, if a statement needs these.

The driver finds the credentials: for S3 in the environment (AWS_ACCESS_KEY_ID, AWS_ENDPOINT_URL
...), in the usual files (~/.aws), or in the instance's role.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.lake import Lake, compacted
from tokenergy_collectors.lake.allocations import allocations
from tokenergy_collectors.lake.contract import TABLES, Table
from tokenergy_collectors.lake.paths import hour_of_path, is_table_file, rows_of_name
from tokenergy_collectors.lake.published import (
    BOOKS,
    FOLDER,
    Published,
    list_path,
    path_of,
    read_list,
)
from tokenergy_collectors.objects.drivers import driver_of
from tokenergy_sql.catalog import views
from tokenergy_sql.catalog.connecting import quarantined_table, select_listed, select_unread
from tokenergy_sql.catalog.duck import open_memory, quoted

if TYPE_CHECKING:
    import duckdb

_RESOLVED = ("jobs", "device")
"""The tables that allocations are computed from."""


class RemoteLake:
    """A lake in an object store, read-only.

    Args:
        url: protocol, bucket and prefix.

    Raises:
        UserError: the driver's package is missing, or the URL names no store.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self._scheme, base = url.split("://", 1)
        self._base = base.strip("/")
        driver, self.errors = driver_of(url, "lake")
        # DuckDB asks seven times whether a file is there and how long it is: a listing knows it.
        self._fs: Any = driver(skip_instance_cache=True, use_listings_cache=True)

    def connect(
        self, named: frozenset[str] | None = None, counted: frozenset[str] = frozenset()
    ) -> duckdb.DuckDBPyConnection:
        """Return a DuckDB connection over the lake, with the views and macros for ad-hoc queries.

        Args:
            named: the tables that will be read, if known: no others are listed, and have no rows.
            counted: tables whose rows will only be counted: their columns are NULL.

        Raises:
            UserError: there is no such folder.
            Exception: one of `errors`: the store is unreachable or denies access.
        """
        self._fs.invalidate_cache()
        published = self._published()
        resolves = named is None or "allocation" in named
        if named is not None and resolves:
            named |= {*_RESOLVED}
        files = {
            name: self._files(name, published) if named is None or name in named else []
            for name in TABLES
        }
        if published is None and not any(files.values()) and not self._fs.exists(self._base):
            raise UserError(f"lake {self.url}: no such bucket or prefix")
        con = open_memory()
        con.register_filesystem(self._fs)
        for name, table in TABLES.items():
            if name in counted:
                select = self._select_counted(table, files[name], published)
            else:
                select = self._select(table, files[name])
            con.execute(f"CREATE VIEW {quoted(name)} AS {select}")
        with TemporaryDirectory() as folder:
            for path in (path for name in _RESOLVED if resolves for path in files[name]):
                copy = Path(folder) / path.removeprefix(f"{self._base}/")
                copy.parent.mkdir(parents=True, exist_ok=True)
                self._fs.get_file(path, str(copy))
            fetched = Lake(folder)
            con.register("allocation", allocations(fetched))
            con.register("quarantined", quarantined_table(fetched))
        views.define(con, (*views.BASIC, *views.ADHOC))
        return con

    def _select(self, table: Table, files: Sequence[str]) -> str:
        """Return a SELECT over some files of a table."""
        if table.name in BOOKS and files:
            with suppress(FileNotFoundError):  # books of an earlier version
                self._fs.find(f"{self._base}/{FOLDER}/{table.name}")  # one answer for 1,000 files
        return select_listed(table, [f"{self._scheme}://{path}" for path in files])

    def _select_counted(
        self, table: Table, files: Sequence[str], published: Published | None
    ) -> str:
        """Return a SELECT of as many rows as some files of a table have.

        Only files of which nothing says how many they have are opened.
        """
        of_hours = published.rows_of(table.name) if published else {}
        count, unknown = 0, []
        for path in files:
            # Nothing is known of a file that is of no hour.
            rows = of_hours.get(hour_of_path(Path(path))) if of_hours else rows_of_name(path)
            if rows is None:
                unknown.append(path)
            else:
                count += rows
        known = select_unread(table, f"FROM range({count})")
        return f"{known} UNION ALL ({self._select(table, unknown)})"

    def _published(self) -> Published | None:
        """Return the list of the books; None if the store has none."""
        with TemporaryDirectory() as folder:
            copy = list_path(Path(folder))
            copy.parent.mkdir()
            try:
                self._fs.get_file(f"{self._base}/{copy.parent.name}/{copy.name}", str(copy))
            except FileNotFoundError:
                return None
            return read_list(Path(folder))

    def _files(self, table: str, published: Published | None) -> list[str]:
        """Return the paths of a table's files, sorted, without the protocol."""
        if table in BOOKS and published is not None:
            tags = published.tags.get(table, {})
            base = Path(self._base)
            return [path_of(base, table, hour, tags[hour]).as_posix() for hour in sorted(tags)]
        folder = f"{self._base}/{table}"
        found: list[str] = []
        with suppress(FileNotFoundError):  # there is no such bucket
            found = self._fs.find(folder)
        ours = [path for path in found if is_table_file(path.removeprefix(f"{folder}/"))]
        return sorted({*ours} - self._superseded(ours))

    def _superseded(self, paths: Sequence[str]) -> set[str]:
        """Return those of some files whose rows a compacted file has: see `lake.compacted`.

        A copy of a lake may have both, if files that were removed from the lake stay in the copy.
        """
        import pyarrow.parquet as pq

        by_node: dict[str, list[str]] = {}
        for path in paths:
            by_node.setdefault(path.rsplit("-", 2)[0], []).append(path)
        found = set[str]()
        for of_node in by_node.values():
            for path in filter(compacted.is_compacted, of_node if len(of_node) > 1 else ()):
                with self._fs.open(path, "rb") as file:
                    text = (pq.read_metadata(file).metadata or {}).get(compacted.KEY.encode(), b"")
                with suppress(ValueError):  # it says nothing
                    here = path.rpartition("/")[0]
                    sources = compacted.Sources.parse(text.decode())
                    found.update(f"{here}/{name}" for name in sources.names)
        return found
