"""The booked groups of an hour, kept beside the books until the hour is published.

In: a `Task`. Out: a folder `books/.shards/NAME`, which no reader looks at: the group's ledger as a
stream of Arrow batches in its order, and small tables for the models that follow.

A part is written aside and renamed, so what has its name is whole. The name tells what it follows
from: a finished part is used again, and one of other inputs has another name.
"""

from __future__ import annotations

import errno
import os
import secrets
import shutil
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.base.interrupt import scratch
from tokenergy_collectors.lake.absent import present
from tokenergy_collectors.lake.modes import make_file, make_folders
from tokenergy_collectors.lake.paths import show_hour
from tokenergy_collectors.lake.published import SHARDS
from tokenergy_sql.index import booking
from tokenergy_sql.index.bookedrows import Booked, ledger_schema
from tokenergy_sql.index.grouplake import GroupLake, opened
from tokenergy_sql.index.inputs import FileDigests
from tokenergy_sql.index.tasks import Task

if TYPE_CHECKING:
    import pyarrow as pa

BATCH_ROWS = 1 << 15
"""Rows of a batch: as much of each part is in memory while parts are merged."""

KEPT_S = 86_400.0
"""A part that no run of the index used is removed after so long."""

LEFT_S = 3_600.0
"""What was written aside is removed after so long without a change: its writer was killed."""

_DEPTH = 3
_LEDGER = "ledger"
_ENDING = ".arrow"


@dataclass(frozen=True, slots=True)
class Part:
    """A booked group.

    Attributes:
        folder: where it is.
    """

    folder: Path

    def table(self, name: str) -> pa.Table:
        """Return a small table: `sums`, `caps`, or one of `booking.LEFT`.

        Raises:
            UserError: the part is damaged, and is removed now.
        """
        with self._reader(name) as reader:
            return reader.read_all()

    def ledger(self) -> Iterator[pa.RecordBatch]:
        """Yield the ledger's rows in its order, texts as dictionaries.

        Raises:
            UserError: the part is damaged, and is removed now.
        """
        with self._reader(_LEDGER) as reader:
            yield from reader

    @contextmanager
    def _reader(self, name: str) -> Iterator[Any]:
        import pyarrow as pa

        path = self.folder / f"{name}{_ENDING}"
        present([path])
        try:
            with pa.OSFile(str(path)) as file:
                yield pa.ipc.open_stream(file)
        except (pa.ArrowInvalid, OSError) as error:
            shutil.rmtree(self.folder, ignore_errors=True)
            raise UserError(f"{self.folder}: {error}; removed: index the hour again") from None


def place_of(root: Path, task: Task) -> Part:
    """Return where the part of a task is, or will be."""
    return Part(root / SHARDS / task.name)


def is_there(root: Path, task: Task) -> bool:
    """Return whether the part of a task is finished."""
    return place_of(root, task).folder.is_dir()


def make_part(root: Path, task: Task) -> Part:
    """Book a group, unless its part is there.

    Args:
        root: folder of the lake.
        task: of the group.

    Raises:
        UserError: a file of segments is damaged, or was replaced meanwhile, or the part cannot be
            written.
        duckdb.Error: a raw file is damaged inside; see `catalog.reading.heal`.
    """
    part = place_of(root, task)
    if is_there(root, task):
        return part
    # Containers on a shared disk have the same process ids.
    aside = part.folder.with_name(f".{task.name}.{os.getpid()}.{secrets.token_hex(4)}.tmp")
    try:
        make_folders(aside, _DEPTH)
        with scratch(aside):
            _write(aside, GroupLake(root, task), task)
            _require_unchanged(root, task)
            _give_name(aside, part.folder)
    except OSError as error:
        raise UserError(f"{aside}: cannot be written: {error.strerror or error}") from error
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return part


def _require_unchanged(root: Path, task: Task) -> None:
    """Return if the segments are still those that the part's name tells.

    Raises:
        BlockingIOError: another process has written them: the next try may get on.
    """
    digests = FileDigests(root, {})
    if task.told != tuple(digests.told_of(path) for path in task.segments):
        raise BlockingIOError(errno.EAGAIN, "its segments were replaced meanwhile; try again")


def _give_name(aside: Path, folder: Path) -> None:
    try:
        aside.rename(folder)
    except OSError:
        if not folder.is_dir():  # else another process has made the same part
            raise


def _write(folder: Path, lake: GroupLake, task: Task) -> None:
    import pyarrow as pa

    with opened(lake, task) as con:
        booked = Booked.of(booking.ledger(con, lake, task.hour_us))
        with _stream(folder / f"{_LEDGER}{_ENDING}", ledger_schema()) as file:
            for rows in booked.ledger:
                file.write_table(rows.cast(ledger_schema()), max_chunksize=BATCH_ROWS)
        small = {name: con.table(name).to_arrow_table() for name in booking.LEFT}
    small |= {"sums": pa.concat_tables(booked.sums), "caps": pa.concat_tables(booked.caps)}
    for name, rows in small.items():
        with _stream(folder / f"{name}{_ENDING}", rows.schema) as file:
            file.write_table(rows)


@contextmanager
def _stream(path: Path, schema: pa.Schema) -> Iterator[Any]:
    import pyarrow as pa

    make_file(path)
    options = pa.ipc.IpcWriteOptions(compression="lz4")
    with path.open("wb") as file:
        with pa.ipc.new_stream(file, schema, options=options) as out:
            yield out
        # The rename may reach the disk before the bytes do, unless they are synced first.
        file.flush()
        os.fsync(file.fileno())


def remove_asides(root: Path, tasks: Iterable[Task]) -> None:
    """Remove what processes that were killed left of some tasks."""
    for task in tasks:
        for aside in (root / SHARDS).glob(f".{task.name}.*.tmp"):
            shutil.rmtree(aside, ignore_errors=True)


def remove_parts(root: Path, hours: Iterable[int]) -> None:
    """Remove the finished parts of some hours, and whatever is old; the lock of the books is held.

    Args:
        root: folder of the lake.
        hours: that were published, or need no parts; microseconds UTC.
    """
    folder = root / SHARDS
    if not folder.is_dir():
        return
    done = {show_hour(hour_us) for hour_us in hours}
    for path in folder.iterdir():
        hidden = path.name.startswith(".")
        of_hour = not hidden and path.name.rpartition("-")[0] in done
        if of_hour or _idle_s(path) > (LEFT_S if hidden else KEPT_S):
            shutil.rmtree(path, ignore_errors=True)
    with suppress(OSError):  # a shard is being booked
        folder.rmdir()


def _idle_s(folder: Path) -> float:
    """Return how long ago anything in a folder was written, in seconds."""
    found = []
    for path in (folder, *folder.glob("*")):
        with suppress(FileNotFoundError):
            found.append(path.stat().st_mtime)
    return time.time() - max(found, default=time.time())
