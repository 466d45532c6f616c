"""The lake: a folder of Parquet files, with a folder for each table and each hour.

In: Arrow tables that fit the contract. Out: files `TABLE/date=YYYY-MM-DD/hour=HH/NAME.parquet`.
Raw files have unique names and are never rewritten; many may be compacted into one: `compacted`.
Segments and load profiles are replaced whole. The books (ledger, index ...) are published: `books`.
"""

from __future__ import annotations

import logging
import os
import re
from collections import deque
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.lake import compacted, folders, packed, packedbooks
from tokenergy_collectors.lake.absent import present, there
from tokenergy_collectors.lake.arrays import digest_of, scalar, to_batch
from tokenergy_collectors.lake.books import Books
from tokenergy_collectors.lake.contract import HOUR_US, TABLES, Table
from tokenergy_collectors.lake.damage import damaged
from tokenergy_collectors.lake.expired import read_expired
from tokenergy_collectors.lake.folders import Day
from tokenergy_collectors.lake.footers import Footers
from tokenergy_collectors.lake.paths import (
    PARTITIONS,
    SUFFIX,
    escape_node,
    hour_of,
    hour_of_folder,
    misplaced,
    node_of,
    parse_raw_name,
    partition,
    raw_name,
    table_of,
    tag_with_rows,
)
from tokenergy_collectors.lake.published import BOOKS
from tokenergy_collectors.lake.quarantine import MISSING, DamagedError, move_to_quarantine
from tokenergy_collectors.lake.reading import BrokenFileError, read_columns
from tokenergy_collectors.lake.relisting import GoneError, listing_again
from tokenergy_collectors.lake.root import check_writable, prepare
from tokenergy_collectors.lake.unfinished import remove_left
from tokenergy_collectors.lake.version import require_known
from tokenergy_collectors.lake.writing import ParquetWriter, write_parquet

if TYPE_CHECKING:
    import pyarrow as pa

_LOG = logging.getLogger(__name__)


class Lake:
    """A lake at a local path.

    Args:
        root: the folder.
        create: whether the folder may be missing; the first write then creates it.

    Attributes:
        root: the folder.
        books: its published files.

    Raises:
        UserError: the path is an object store, is not a folder, cannot be written, or holds a lake
            of a later version.
    """

    def __init__(self, root: str | Path, *, create: bool = False) -> None:
        if found := re.match(r"([a-z][a-z0-9+.-]*):/+(.*)", str(root)):
            url = f"{found[1]}://{found[2]}"  # a path has lost a slash
            raise UserError(f"lake {url}: expected a local path, not an object store")
        self.root = Path(root)
        self._columns: dict[Path, frozenset[str]] = {}
        self._footers = Footers(self.root)
        self._tidied: set[Path] = set()
        self._days: dict[str, list[Day]] | None = None
        self.books = Books(self.root)
        if not create and not self.root.is_dir():
            raise UserError(f"lake {self.root}: no such directory")
        if create:
            check_writable(self.root)
        require_known(self.root)

    def prepare(self) -> None:
        """Create the folder if it is missing, and check that a file can be written in it.

        Raises:
            UserError: the folder cannot be created or written.
        """
        prepare(self.root)

    def hours(self, table: str) -> list[int]:
        """Return the starts (us UTC) of the hours for which a table has files, ascending."""
        if table in BOOKS:
            return self.books.hours(table)
        folders = self._seen(table, (self.root / table).glob(PARTITIONS))
        hours = (hour_of_folder(folder) for folder in folders if _has_files(folder))
        return sorted(hour for hour in hours if hour is not None)

    def days(self, table: str, *, again: bool = False) -> list[Day]:
        """Return the days of a raw table, as of the moment that is held: see `days_held`.

        Args:
            table: name of the table.
            again: look now, and hold what is there now.
        """
        if self._days is None:
            return folders.days(self.root, table)
        if again or table not in self._days:
            self._days[table] = folders.days(self.root, table)
        return self._days[table]

    @contextmanager
    def days_held(self) -> Iterator[None]:
        """Look once at the folders of each table of which all time is needed.

        After a year a table has 8,760 of them. What says that nothing came meanwhile looks again.
        """
        before = self._days
        self._days = {} if before is None else before
        try:
            yield
        finally:
            self._days = before

    def has(self, table: str) -> bool:
        """Return whether a table has any file."""
        if table in BOOKS:
            return bool(self.books.hours(table))
        return any(map(_has_files, self._seen(table, (self.root / table).glob(PARTITIONS))))

    def files(
        self, table: str, hours: Iterable[int] | None = None, node: str | None = None
    ) -> list[Path]:
        """Return a table's files, sorted by path.

        Args:
            table: name of the table.
            hours: starts of the hours (us UTC); all hours if None.
            node: only files of this node; all nodes if None. Not for books.
        """
        if table in BOOKS:
            return self.books.files(table, hours)
        base = self.root / table
        if hours is None:
            folders: Iterator[Path] = base.glob(PARTITIONS)
        else:
            folders = (base / partition(hour) for hour in hours)
        may_be = TABLES[table].layer == "raw" and compacted.has(self.root, table)
        found = (
            path
            for folder in self._seen(table, folders)
            for path in compacted.files_in(self.root, folder, node=node, may_be=may_be)
        )
        chosen = (p for p in found if node is None or node_of(p) == node)
        # As text: to compare paths part by part takes ten times as long, and the parts that may
        # differ have one length in all of them. A compacted file may be in another folder for now.
        return sorted(chosen, key=_in_table if may_be else str)

    def sources(self, table: str, hours: Iterable[int], node: str | None = None) -> list[Path]:
        """Return the files that the rows of a table came in, sorted by path.

        They are its files, or were before they were compacted. What is derived from a table depends
        on them, and not on whether they were compacted.

        Args:
            table: name of the table.
            hours: starts of the hours (us UTC).
            node: only files of this node; all nodes if None.
        """
        if TABLES[table].layer != "raw" or not compacted.has(self.root, table):
            return self.files(table, hours, node)
        folders = (self.root / table / partition(hour) for hour in hours)
        found = (
            folder / name
            for folder in self._seen(table, folders)
            for name in compacted.listing(self.root, folder).sources
        )
        return sorted((p for p in found if node is None or node_of(p) == node), key=str)

    def _seen(self, table: str, folders: Iterable[Path]) -> Iterator[Path]:
        """Yield those of some hour folders whose files have not expired: see `expired`."""
        span = read_expired(self.root).tables.get(table)
        for folder in folders:
            if span is None or (hour := hour_of_folder(folder)) is None or not span.removes(hour):
                yield folder

    def nodes(self, table: str, hour_us: int) -> list[str]:
        """Return the nodes that have files of a table in an hour, sorted."""
        return sorted({node_of(path) for path in self.files(table, [hour_us])})

    def read(
        self,
        table: str,
        hours: Iterable[int] | None = None,
        *,
        node: str | None = None,
        columns: Sequence[str] | None = None,
        between_us: tuple[int, int] | None = None,
    ) -> pa.Table:
        """Return rows of a table, typed as in the contract; there may be none.

        A raw file that breaks the contract is moved to quarantine with a warning; the other files
        are read.

        Args:
            table: name of the table.
            hours: starts of the hours to read (us UTC); all if None.
            node: only files of this node.
            columns: only these columns.
            between_us: only rows whose stamp t has `between_us[0] <= t < between_us[1]`.

        Raises:
            UserError: a file cannot be read, or a derived file is damaged, or one of the books is
                missing.
        """
        import pyarrow as pa

        spec = TABLES[table]
        schema = spec.schema()
        names = list(columns) if columns is not None else spec.column_names
        wanted = pa.schema([schema.field(name) for name in names])
        chosen = None if hours is None else list(hours)

        def rows() -> list[pa.Table]:
            files = self._files_to_read(spec, chosen, node)
            return list(self._read_all(files, spec, names, between_us))

        parts = listing_again(rows)
        return pa.concat_tables(parts) if parts else pa.Table.from_batches([to_batch([], wanted)])

    def read_nodes(
        self,
        table: str,
        hours: Iterable[int],
        nodes: Collection[str],
        columns: Sequence[str],
        between_us: tuple[int, int],
    ) -> Iterator[tuple[str, pa.Table]]:
        """Yield some nodes, sorted, each with its rows of a raw table, as `read` returns them.

        Folders are listed once, and not for each node: a large fleet has thousands of files.

        Args:
            table: name of the table.
            hours: starts of the hours to read (us UTC).
            nodes: whose rows are wanted.
            columns: only these columns.
            between_us: as for `read`.
        """
        import pyarrow as pa

        spec, wanted = TABLES[table], [*hours]
        files: dict[str, list[Path]] = {}
        for path in self.files(table, wanted):
            # A file's name tells its first stamp.
            raw = parse_raw_name(path.name)
            if raw is None or raw.first_us < between_us[1]:
                files.setdefault(node_of(path), []).append(path)
        for node in sorted(nodes):
            try:
                parts = list(self._read_all(files.get(node, ()), spec, columns, between_us))
            except GoneError:  # it was compacted meanwhile
                rows = self.read(table, wanted, node=node, columns=columns, between_us=between_us)
            else:
                rows = pa.concat_tables([spec.schema().empty_table().select([*columns]), *parts])
            yield node, rows

    def _files_to_read(
        self, spec: Table, hours: Iterable[int] | None, node: str | None
    ) -> list[Path]:
        """Return the files that hold some rows of a table, sorted by the paths of those packed."""
        if hours is None and node is None and spec.name in packedbooks.TABLES:
            # Whoever only reads should not have to wait until a year of books is packed.
            return self.whole_files(spec.name, 0)
        if spec.name not in packed.TABLES or hours is not None or node is not None:
            return self.files(spec.name, hours, node)

        def whole(some: Sequence[Path]) -> pa.Table:
            import pyarrow as pa

            parts = list(self._read_all(some, spec, spec.column_names))
            return pa.concat_tables(parts) if parts else spec.schema().empty_table()

        return packed.packed(self.root, spec, whole, self.days(spec.name))

    def whole_files(self, table: str, most: int) -> list[Path]:
        """Return the files that hold all rows of a table of the books, in the order of their hours.

        Args:
            table: name of the table.
            most: how many past days are packed into one file now (see `packedbooks`), if they are
                not yet.
        """
        return [*map(Path, self.whole_places(table, most))]

    def whole_places(self, table: str, most: int) -> list[str]:
        """Return the paths of `whole_files` as texts: to make those of a year as paths is slow."""
        spec = TABLES[table]
        if table not in BOOKS:
            return [*map(str, self.files(table))]
        if table not in packedbooks.TABLES:
            return self.books.places(table)

        def whole(some: Sequence[Path]) -> pa.Table:
            import pyarrow as pa

            return pa.concat_tables(self._read_all(some, spec, spec.column_names))

        return packedbooks.packed(self.root, spec, self.books.tags(table), whole, most)

    def _read_all(
        self,
        files: Sequence[Path],
        spec: Table,
        names: Sequence[str],
        between_us: tuple[int, int] | None = None,
    ) -> Iterator[pa.Table]:
        """Yield rows of files; those that break the contract go to quarantine."""
        present(files)
        for path in files:
            try:
                yield read_columns(path, spec, names, between_us)
            except (BrokenFileError, FileNotFoundError) as error:
                if packedbooks.is_packed(self.root, path):
                    path.unlink(missing_ok=True)
                    date = path.parent.name  # of a day, or a month
                    files = self.files(spec.name)
                    again = [file for file in files if file.parts[-3].startswith(date)]
                    yield from self._read_all(again, spec, names, between_us)
                elif packed.is_packed(self.root, path):
                    path.unlink(missing_ok=True)
                    again = packed.raw_files(self.root, path)
                    yield from self._read_all(again, spec, names, between_us)
                elif compacted.is_pending(self.root, path):
                    again = self._without(path, error)
                    yield from self._read_all(again, spec, names, between_us)
                else:
                    self._unreadable(path, spec, error)

    def valid_files(
        self, table: str, hours: Iterable[int] | None = None, node: str | None = None
    ) -> list[tuple[Path, frozenset[str]]]:
        """Return a table's files, each with the columns of the contract that it has.

        Only the Parquet footers are read, each once: see `footers`. A raw file with a damaged
        footer, or with columns that are not the table's, is moved to quarantine.

        Args:
            table: name of the table.
            hours: starts of the hours (us UTC); all hours if None.
            node: only files of this node; all nodes if None.

        Raises:
            UserError: a file cannot be read, or a derived file is damaged, or one of the books is
                missing.
        """
        spec, chosen = TABLES[table], None if hours is None else list(hours)
        return listing_again(lambda: self._valid(spec, chosen, node))

    def _valid(
        self, spec: Table, hours: Sequence[int] | None, node: str | None
    ) -> list[tuple[Path, frozenset[str]]]:
        found = []
        files = self._files_to_read(spec, hours, node)
        present(files)
        left = deque(files)
        while left:
            path = left.popleft()
            try:
                # Raw files never change; derived ones are replaced, or get damaged in a long run.
                if path not in self._columns or spec.layer == "derived":
                    self._columns[path] = self._columns_of(path, spec)
                found.append((path, self._columns[path]))
            except (BrokenFileError, FileNotFoundError) as error:
                if compacted.is_pending(self.root, path):
                    left.extendleft(reversed(self._without(path, error)))
                else:
                    self._unreadable(path, spec, error)
        self._footers.save()
        return found

    def _without(self, path: Path, error: Exception) -> list[Path]:
        """Return what to read in place of a compacted file that has only its first place.

        It is removed if it is broken.

        Raises:
            GoneError: another one took its place.
        """
        beside = self.root.joinpath(*path.parts[-4:])
        if beside.exists():  # it has got its second place meanwhile
            return [beside]
        again = compacted.sources_at(self.root, path)
        if isinstance(error, FileNotFoundError) and not again:
            raise GoneError(path)
        if isinstance(error, BrokenFileError):
            self.set_aside(path, str(error))
        return again

    def _unreadable(self, path: Path, spec: Table, error: Exception) -> None:
        """Move a broken file to quarantine; pass over one that another process moved.

        Raises:
            DamagedError: it is a broken derived file, or one of the books that is missing.
            GoneError: a compacted file took its place, and has its rows.
        """
        if isinstance(error, BrokenFileError):
            self.quarantine(path, spec, str(error))
        elif spec.name in BOOKS:
            raise DamagedError(path, MISSING)
        elif spec.layer == "raw" and self._is_compacted(path):
            raise GoneError(path)

    def _columns_of(self, path: Path, spec: Table) -> frozenset[str]:
        if packed.is_packed(self.root, path) or packedbooks.is_packed(self.root, path):
            return frozenset(spec.column_names)
        return self._footers.columns(path, spec)

    def quarantine_damaged(self, tables: Iterable[str]) -> int:
        """Read all rows of some raw tables, and move damaged files to quarantine.

        Returns:
            The number of files moved, and of packed files removed (see `packed`).

        Raises:
            UserError: a file cannot be read.
        """
        count = packedbooks.remove_damaged(self.root)
        for table in tables:
            count += packed.remove_damaged(self.root, TABLES[table])
            for path, reason in damaged(self, [table]):
                self.set_aside(path, reason)
                count += 1
        return count

    def quarantine_misplaced(self) -> None:
        """Move raw files of no hour of the years 2000 to 2099 to quarantine, with a warning.

        An earlier version wrote such files where a log had a mark for "no date" in it. Their rows
        belong to no hour, and one of them must not keep the others from being used.
        """
        for spec in TABLES.values():
            if spec.layer == "raw":
                for path in misplaced(self.root, spec.name):
                    self.quarantine(path, spec, "is in no hour of the years 2000 to 2099")

    def quarantine(self, path: Path, spec: Table, reason: str) -> None:
        """Move a damaged raw file to quarantine, and log a warning.

        Raises:
            DamagedError: it is a derived file. Readers leave those where they are: without one
                their answer would be wrong. Who makes it again calls `set_aside`.
        """
        if spec.layer == "derived":
            raise DamagedError(path, reason)
        self.set_aside(path, reason)

    def set_aside(self, path: Path, reason: str) -> None:
        """Move a file of the lake that cannot be used to quarantine, and log a warning.

        A compacted file whose sources are still there is removed: they have its rows.
        """
        if self._days is not None:
            self._days.clear()
        if compacted.is_pending(self.root, path):
            with suppress(OSError):
                path.unlink(missing_ok=True)
            _LOG.warning("%s: %s; removed, the files that it was made from are read", path, reason)
            return
        try:
            name = str(path.relative_to(self.root))
            outcome = f"moved to {move_to_quarantine(self.root, path, name, reason)}"
        except FileNotFoundError:  # another process moved it
            return
        except OSError as error:
            outcome = f"ignored; it cannot be moved to quarantine: {error.strerror}"
        _LOG.warning("%s: %s; %s", path, reason, outcome)

    def append(self, table: str, rows: pa.Table, node: str, tag: str | None = None) -> list[Path]:
        """Add rows to a raw table, one file for each hour; return the files written.

        Args:
            table: name of the table.
            rows: rows with its columns, in any order.
            node: the node that they belong to.
            tag: last part of the file names, but for the number of rows. By default it is a digest
                of the rows: adding the same rows again then finds the file and changes nothing.

        Raises:
            UserError: a file cannot be written, or the node's name cannot be part of a file name.
        """
        import pyarrow.compute as pc

        spec = TABLES[table]
        rows = rows.select(spec.column_names).cast(spec.schema())
        if not rows.num_rows:
            return []
        rows = rows.sort_by([(name, "ascending") for name in spec.sort])
        stamps = rows[spec.time]
        base_us = hour_of(pc.min(stamps).as_py())
        # Arrow rounds a quotient toward zero, which is down only for numbers above 0: so count
        # from the earliest hour.
        numbers = pc.unique(
            pc.divide(pc.subtract(stamps, scalar(base_us)), scalar(HOUR_US))
        ).to_pylist()
        written = []
        for hour_us in sorted(base_us + number * HOUR_US for number in numbers):
            late = pc.greater_equal(stamps, scalar(hour_us))
            part = rows.filter(pc.and_(late, pc.less(stamps, scalar(hour_us + HOUR_US))))
            first_us = pc.min(part[spec.time]).as_py()
            folder, last = self.root / table / partition(hour_us), tag or digest_of(part)[:12]
            path = folder / raw_name(node, first_us, tag_with_rows(last, len(part)))
            # An earlier version may have added the same rows, under a name without their number.
            names = (path, folder / raw_name(node, first_us, last))
            if not any(there(one) or self._is_compacted(one) for one in names):
                write_parquet(part, path, spec, locked=False)  # a collector waits for nobody
                written.append(path)
        return written

    def _is_compacted(self, path: Path) -> bool:
        """Return whether a raw file of this name is part of a compacted one."""
        return compacted.has(self.root, table_of(path)) and path.name in compacted.superseded(
            self.root, path.parent
        )

    def replace(self, table: str, rows: pa.Table, hour_us: int, name: str) -> Path:
        """Write the derived file `NAME.parquet` of an hour, replacing an older one.

        A file that already holds the same bytes is left untouched. One of the books is published
        by itself; `revisions.recorder` publishes many together.

        Raises:
            UserError: it cannot be written.
        """
        spec = TABLES[table]
        rows = rows.select(spec.column_names).cast(spec.schema())
        rows = rows.sort_by([(column, "ascending") for column in spec.sort])
        if table in BOOKS:
            with self.books.writer(table, hour_us) as file:
                file.write(rows)
            self._publish(table, hour_us, file.tag)
            return self.derived(table, hour_us, name)
        path = self.derived(table, hour_us, name)
        self._remove_left(path.parent)
        write_parquet(rows, path, spec)
        return path

    def _publish(self, table: str, hour_us: int, tag: str | None) -> None:
        published = self.books.current()
        tags = published.copied()
        of_table = tags.setdefault(table, {})
        if tag is None:
            of_table.pop(hour_us, None)
        else:
            of_table[hour_us] = tag
        if tags != published.tags:
            self.books.publish(published.revision, tags)

    def writer(
        self, table: str, hour_us: int, name: str, notes: Mapping[str, str] | None = None
    ) -> ParquetWriter:
        """Return a writer for the derived file `NAME.parquet` of an hour.

        It accepts rows in pieces, in the table's sort order and typed as in the contract. `notes`
        are kept in the file's metadata: see `reading.note_of`.
        """
        path = self.derived(table, hour_us, name)
        self._remove_left(path.parent)
        return ParquetWriter(path, TABLES[table], notes)

    def _remove_left(self, folder: Path) -> None:
        """Remove what killed writers left in an hour folder, when it is first written to."""
        if folder not in self._tidied:
            self._tidied.add(folder)
            remove_left(folder)

    def derived(self, table: str, hour_us: int, name: str) -> Path:
        """Return the path of the derived file `NAME.parquet` of an hour; of books, what is listed.

        Of an hour that the books lack it is one that does not exist.
        """
        if table in BOOKS and (path := self.books.file(table, hour_us)):
            return path
        return self.root / table / partition(hour_us) / f"{escape_node(name)}{SUFFIX}"

    def remove(self, table: str, hour_us: int, name: str) -> None:
        """Remove the derived file `NAME.parquet` of an hour if it exists."""
        if table in BOOKS:
            self._publish(table, hour_us, None)
            return
        self.derived(table, hour_us, name).unlink(missing_ok=True)


def _in_table(path: Path) -> list[str]:
    """Return the text of a path below its table."""
    return str(path).rsplit("/", 3)[1:]


def _has_files(folder: Path) -> bool:
    """Return whether a table has a file in an hour folder."""
    with suppress(FileNotFoundError, NotADirectoryError), os.scandir(folder) as entries:
        # A hidden file is still being written, or its writer died.
        names = (entry.name for entry in entries)
        return any(
            name.endswith(SUFFIX) and name[0] != "." and name != compacted.UNDER_WAY
            for name in names
        )
    return False
