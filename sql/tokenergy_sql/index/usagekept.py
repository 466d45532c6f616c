"""Token usage as it was counted before, kept in the lake's cache.

In: a lake. Out: `Kept`: what was counted, and from which files.

    cache/usage/state.json             which files hold, and of which token files they were counted
    cache/usage/TABLE/TAG.parquet      one of `TABLES`
    cache/usage/date=.../TAG.parquet   rows of token_usage, one file a day

A file is never rewritten: a new one gets another tag, and `state.json` is replaced last. Files that
it no longer names stay for a day, for whoever is reading them. The folder may be removed at any
time.
"""

from __future__ import annotations

import json
import os
import time
import uuid
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.lake.contract import TOKEN_USAGE, Column, Table
from tokenergy_collectors.lake.modes import make_file
from tokenergy_collectors.lake.paths import SUFFIX
from tokenergy_collectors.lake.reading import BrokenFileError, read_columns
from tokenergy_collectors.lake.writing import write_parquet
from tokenergy_sql.index.tokenpoints import POINT

if TYPE_CHECKING:
    import pyarrow as pa

FOLDER = "cache/usage"

STATE = "state.json"

_KEPT_S = 86_400.0
"""A file is kept so long after another one took its place."""

JOBS = Table(
    name="jobs",
    layer="derived",
    row="one job whose tokens are counted",
    sort=("job_id",),
    time="first_us",
    columns=(
        Column("job_id", "string", "as in tokens"),
        Column("start_us", "int64", "start of its allocations", nullable=True),
        Column("end_us", "int64", "their end; NULL: running, or none", nullable=True),
        Column("first_us", "int64", "hour of its first point"),
        Column("last_us", "int64", "hour of its last point"),
        Column("model", "string", "names of its models, joined by +", nullable=True),
        Column("first_hour_us", "int64", "its first hour of token_usage", nullable=True),
        Column("trained", "int64", "tokens of training", nullable=True),
        Column("inferred", "int64", "other tokens", nullable=True),
        Column("to_us", "int64", "its last hour of token_usage", nullable=True),
        Column("settled_from_us", "int64", "start of its settled days", nullable=True),
        Column("settled_to_us", "int64", "their end", nullable=True),
    ),
)

KNOWN = Table(
    name="known",
    layer="derived",
    row="one time in which the tokens of a job are known from a source",
    sort=("job_id", "node", "source_id", "from_us"),
    time="from_us",
    columns=(
        Column("job_id", "string", "as in tokens"),
        Column("node", "string", "as in tokens"),
        Column("source_id", "string", "as in tokens"),
        Column("from_us", "int64", "its first reading, or known zero"),
        Column("to_us", "int64", "its last reading"),
    ),
)

TOTALS = Table(
    name="totals",
    layer="derived",
    row="the tokens of one kind of a job in several hours",
    sort=("job_id", "kind"),
    time="tokens",
    columns=(
        Column("job_id", "string", "as in tokens"),
        Column("kind", "string", "as in tokens"),
        Column("tokens", "int64", "of all its hours"),
        Column("low", "int64", "lower bound"),
        Column("high", "int64", "upper bound"),
    ),
)

POINTS = Table(
    name="points",
    layer="derived",
    row="one point of a counter that later tokens depend on, of a job with settled days",
    sort=POINT.sort,
    time=POINT.time,
    columns=(
        *POINT.columns,
        Column("settled_from_us", "int64", "start of the settled days"),
        Column("settled_to_us", "int64", "their end"),
    ),
)

PAST = Table(
    name="past",
    layer="derived",
    row="the tokens of a job, model and kind in its settled days",
    sort=("job_id", "model", "kind"),
    time="hour_us",
    columns=TOKEN_USAGE.columns,
)

TABLES = {table.name: table for table in (JOBS, KNOWN, TOTALS, POINTS, PAST)}


class LostError(Exception):
    """A file that `state.json` names is gone or damaged: count again."""


@dataclass(frozen=True, slots=True)
class DaySources:
    """The files that the token readings of a day came in.

    Attributes:
        digest: of their names; see `lake.folders`.
        hours: by start of the hour (us UTC), a digest of the names of its files.
    """

    digest: str
    hours: dict[int, str]


@dataclass(slots=True)
class DayRows:
    """The rows of token_usage on a day.

    Attributes:
        hours: that have rows, starts in microseconds UTC.
        tag: of their file; None if they are in no file yet.
        rows: sorted as in `token_usage` after `hour_us`; None if they were not read yet.
    """

    hours: list[int]
    tag: str | None
    rows: pa.Table | None = None


@dataclass(slots=True)
class Kept:
    """What was counted, and from what.

    Attributes:
        version: of the models.
        sources: by day (`date=YYYY-MM-DD`), what was read.
        days: by day, the rows.
        tables: rows of `TABLES`, by name.
        tags: of the files of `tables`; those that are in no file yet have none.
    """

    version: str
    sources: dict[str, DaySources] = field(default_factory=dict)
    days: dict[str, DayRows] = field(default_factory=dict)
    tables: dict[str, pa.Table] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)


def read(root: Path, version: str) -> Kept | None:
    """Return what is kept; None if nothing is, or if it was counted by other models.

    Args:
        root: the lake.
        version: of the models.
    """
    folder = root / FOLDER
    try:
        state = json.loads((folder / STATE).read_text("utf-8"))
        if state["version"] != version:
            return None
        sources = {
            day: DaySources(digest, {int(hour): one for hour, one in hours.items()})
            for day, (digest, hours) in state["sources"].items()
        }
        days = {day: DayRows(hours, tag) for day, (hours, tag) in state["days"].items()}
        tags = {name: str(state["tags"][name]) for name in TABLES}
        tables = {name: _read_file(folder / name, tag, TABLES[name]) for name, tag in tags.items()}
    except (OSError, ValueError, TypeError, KeyError, AttributeError, LostError):
        return None
    return Kept(version, sources, days, tables, tags)


def rows_of_day(root: Path, kept: Kept, day: str) -> pa.Table:
    """Return the rows of a day, sorted by hour.

    Raises:
        LostError: their file is gone or damaged.
    """
    of_day = kept.days[day]
    if of_day.rows is None:
        of_day.rows = _read_file(root / FOLDER / day, str(of_day.tag), TOKEN_USAGE)
    return of_day.rows


def write(root: Path, kept: Kept) -> None:
    """Write what is in no file yet, then the state; remove what was replaced a day ago.

    Args:
        root: the lake.
        kept: its days and tables without a tag get one.

    Raises:
        UserError: the cache cannot be written.
    """
    folder = root / FOLDER
    for day, of_day in kept.days.items():
        if of_day.tag is None and of_day.rows is not None:
            of_day.tag = _write_file(folder / day, of_day.rows, TOKEN_USAGE)
    for name, rows in kept.tables.items():
        if name not in kept.tags:
            kept.tags[name] = _write_file(folder / name, rows, TABLES[name])
    state = {
        "version": kept.version,
        "tags": kept.tags,
        "sources": {day: [one.digest, one.hours] for day, one in kept.sources.items()},
        "days": {day: [one.hours, one.tag] for day, one in kept.days.items()},
    }
    path = folder / STATE
    aside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        make_file(aside)
        aside.write_text(json.dumps(state), "utf-8")
        aside.replace(path)
    except OSError as error:
        raise UserError(f"{path}: cannot be written: {error.strerror}") from None
    _remove_older(folder, kept)


def _read_file(folder: Path, tag: str, table: Table) -> pa.Table:
    path = folder / f"{tag}{SUFFIX}"
    try:
        return read_columns(path, table, table.column_names)
    except (BrokenFileError, FileNotFoundError, UserError) as error:
        raise LostError(str(path)) from error


def _write_file(folder: Path, rows: pa.Table, table: Table) -> str:
    tag = uuid.uuid4().hex[:16]
    write_parquet(rows, folder / f"{tag}{SUFFIX}", table)
    return tag


def _remove_older(folder: Path, kept: Kept) -> None:
    """Remove files that the state has not named for a day."""
    named = {f"{name}/{tag}{SUFFIX}" for name, tag in kept.tags.items()}
    named |= {f"{day}/{one.tag}{SUFFIX}" for day, one in kept.days.items()}
    before_s = time.time() - _KEPT_S
    with suppress(OSError):
        for path in folder.glob(f"*/*{SUFFIX}"):
            name = path.relative_to(folder).as_posix()
            if name not in named and path.stat().st_mtime < before_s:
                path.unlink(missing_ok=True)
