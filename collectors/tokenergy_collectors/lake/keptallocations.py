"""Allocations as they were worked out before, kept in the lake's cache.

In: a lake, and the functions that work its allocations out. Out: their rows.

To work them out takes the rows of all jobs and devices of all time. `cache/allocations/KEY.parquet`
has the result, and `KEY.json` what the next one depends on (`allocationsources`). KEY is a digest
of the names of the raw files, which are never rewritten, and of the code. After files were added,
only the jobs that they change are worked out again (`allocationchanges`), and take the place of
their rows in the latest result. The folder may be removed at any time; a lake that cannot be
written has none.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import cache
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.lake.allocationchanges import changes
from tokenergy_collectors.lake.allocationmerge import differs_since, replaced
from tokenergy_collectors.lake.allocationsources import (
    TABLES,
    Days,
    Sources,
    days_of,
    read_sources,
)
from tokenergy_collectors.lake.contract import JOBS, Column, Table
from tokenergy_collectors.lake.identity import Identity
from tokenergy_collectors.lake.modes import make_file, make_folders
from tokenergy_collectors.lake.paths import SUFFIX
from tokenergy_collectors.lake.reading import BrokenFileError, read_columns
from tokenergy_collectors.lake.unfinished import replacing

if TYPE_CHECKING:
    import pyarrow as pa

    from tokenergy_collectors.lake.lake import Lake

FOLDER = "cache/allocations"

ALLOCATION = Table(
    name="allocation",
    layer="derived",
    row="one allocation of one board to one job",
    sort=("device_id", "start_us", "job_id"),
    time="start_us",
    columns=(
        *JOBS.columns,
        Column("mig_id", "string", "the MIG instance that the job held", nullable=True),
        Column("share_estimated", "bool", "the instance's share was not recorded"),
    ),
)

_MANY = 1_000
"""Fewer rows are worked out as fast as they are read."""

_KEPT_S = 86_400.0
"""A file is kept so long after another one took its place."""

_LATEST = 3
"""Of so many results is kept what they were worked out from."""

_TRIES = 3
"""How often files may come while rows are worked out, before all are worked out."""

_SOURCES = (
    "allocationchanges.py",
    "allocationlinks.py",
    "allocationmerge.py",
    "allocations.py",
    "allocationsources.py",
    "corrections.py",
    "devicehistory.py",
    "devicenames.py",
    "identity.py",
    "jobkey.py",
    "keptallocations.py",
    "nodenames.py",
    "seendevices.py",
)
"""The code that the rows depend on."""

Spans = Callable[[Identity, Sequence[Mapping[str, Any]]], "pa.Table"]
"""Works out the allocations of some jobs from all their records."""

_KEY = b"tokenergy.allocations"
"""Key in the metadata of rows that are kept: KEY of their file."""

_BEFORE = b"tokenergy.allocations.before"
"""Key in the metadata of rows that were worked out in part: see `Step`."""


def key_of(rows: pa.Table) -> str | None:
    """Return what identifies allocations, whoever has worked them out; None if nothing does."""
    key: bytes | None = (rows.schema.metadata or {}).get(_KEY)
    return None if key is None else key.decode()


class Step(NamedTuple):
    """What allocations were worked out from, and how far back they differ from those.

    Attributes:
        key: of the allocations before.
        since_us: every allocation that has come, gone or changed ended then or later, before and
            now (us UTC).
    """

    key: str
    since_us: int


def step_of(rows: pa.Table) -> Step | None:
    """Return how allocations were worked out; None if it was from all records, or is not known."""
    text: bytes | None = (rows.schema.metadata or {}).get(_BEFORE)
    if text is None:
        return None
    key, _, since_us = text.decode().partition(" ")
    return Step(key, int(since_us))


def key_now(lake: Lake) -> str:
    """Return what `key_of` the allocations of a lake is now, if they are kept."""
    return _path(lake, days_of(lake)).stem


def kept(
    lake: Lake,
    work_out: Callable[[Lake], pa.Table],
    spans: Spans,
    columns: Sequence[str] | None = None,
) -> pa.Table:
    """Return the allocations of a lake: those that are kept if they are of the same raw files.

    Args:
        lake: the lake.
        work_out: returns its allocations; columns and order as in `ALLOCATION`.
        spans: returns those of some of its jobs.
        columns: only these columns.
    """
    names = [*(columns or ALLOCATION.column_names)]
    days: Days = {table: lake.days(table) for table in TABLES}
    path = _path(lake, days)
    if (found := _read(path, names)) is not None:
        return _with_key(found, path)
    for _ in range(_TRIES):
        updated = _updated(lake, path, days, spans)
        if updated is None:
            break
        now = days_of(lake)
        if now == days:  # files may have come meanwhile, or gone to quarantine
            rows, sources, step = updated
            if _keep_rows(path, rows):
                _keep_sources(path, sources)
            return _with_key(rows.select(names), path, step)
        days, path = now, _path(lake, now)
    rows = work_out(lake)
    if len(rows) < _MANY or days_of(lake) != days:
        return rows.select(names)
    if _keep_rows(path, rows):
        sources = read_sources(lake, days)
        if days_of(lake) == days:
            _keep_sources(path, sources)
    return _with_key(rows.select(names), path)


def _with_key(rows: pa.Table, path: Path, step: Step | None = None) -> pa.Table:
    before = {} if step is None else {_BEFORE: f"{step.key} {step.since_us}".encode()}
    return rows.replace_schema_metadata({_KEY: path.stem.encode(), **before})


def _read(path: Path, names: Sequence[str]) -> pa.Table | None:
    """Return columns of a kept file; None if it is not there. A damaged one is removed."""
    try:
        return read_columns(path, ALLOCATION, names)
    except (FileNotFoundError, NotADirectoryError, UserError):
        pass
    except BrokenFileError:
        with suppress(OSError):
            path.unlink(missing_ok=True)
    return None


def _updated(
    lake: Lake, path: Path, days: Days, spans: Spans
) -> tuple[pa.Table, Sources, Step] | None:
    """Return the allocations of a lake and what they follow from, from those kept last.

    None if none are kept, or all have to be worked out again.
    """
    for before, rows_of in _latest(path):
        found = changes(lake, before, days)
        if found is None:
            return None
        rows = _read(rows_of, ALLOCATION.column_names)
        if rows is not None:
            fresh = spans(found.identity, found.rows)
            step = Step(rows_of.stem, differs_since(rows, found.jobs, fresh))
            return replaced(rows, found.jobs, fresh), found.sources, step
    return None


def _latest(path: Path) -> Iterator[tuple[Sources, Path]]:
    """Yield what the latest results were worked out from, with the files of their rows."""
    for noted in _by_age(path, ".json")[:_LATEST]:
        rows = noted.with_suffix(SUFFIX)
        if rows.exists():
            with suppress(OSError, ValueError, KeyError, TypeError, AttributeError):
                version, _, text = noted.read_text("utf-8").partition("\n")
                if version == _version():
                    yield Sources.parse(text), rows


def _by_age(path: Path, suffix: str) -> list[Path]:
    """Return the files beside one with a suffix, the youngest first."""
    found = []
    with suppress(OSError):
        for one in path.parent.glob(f"[!.]*{suffix}"):
            with suppress(FileNotFoundError):
                found.append((one.stat().st_mtime_ns, one))
    return [one for _, one in sorted(found, reverse=True)]


def _keep_rows(path: Path, rows: pa.Table) -> bool:
    """Keep rows; return whether that was possible."""
    import pyarrow.parquet as pq

    with suppress(OSError):
        make_folders(path.parent, 2)
        with replacing(path) as aside:
            # Nobody compares these bytes: the writer of the lake's own files takes three times as
            # long, for a smaller file that has the same bytes whatever pieces its rows came in.
            pq.write_table(
                rows.replace_schema_metadata(None), aside, compression="lz4", store_schema=False,
                write_statistics=False, write_page_checksum=True,
            )  # fmt: skip
            aside.replace(path)
        _remove_older(path)
        return True
    return False


def _keep_sources(path: Path, sources: Sources) -> None:
    """Keep what the rows in a file were worked out from."""
    noted = path.with_suffix(".json")
    aside = noted.with_name(f".{noted.name}.{os.getpid()}.tmp")
    with suppress(OSError):
        try:
            make_file(aside)
            aside.write_text(f"{_version()}\n{sources.text()}", "utf-8")
            aside.replace(noted)
        finally:
            aside.unlink(missing_ok=True)
        for older in _by_age(path, ".json")[_LATEST:]:
            older.unlink(missing_ok=True)


def _path(lake: Lake, days: Days) -> Path:
    files = [[(day.name, day.digest) for day in of_table] for of_table in days.values()]
    key = hashlib.sha256(json.dumps([_version(), files]).encode()).hexdigest()[:32]
    return lake.root / FOLDER / f"{key}{SUFFIX}"


@cache
def _version() -> str:
    """Return a digest of what the rows depend on besides the files."""
    digest = hashlib.sha256(repr(ALLOCATION).encode())
    folder = resources.files(__package__)
    for name in _SOURCES:
        digest.update(folder.joinpath(name).read_bytes())
    return digest.hexdigest()


def _remove_older(path: Path) -> None:
    """Remove what was kept before; not what another process may just be reading."""
    for older in _by_age(path, SUFFIX):
        if older != path and older.stat().st_mtime < time.time() - _KEPT_S:
            older.unlink(missing_ok=True)
