"""The paths of the lake, written and read back: this is the only module that knows their form.

    TABLE/date=YYYY-MM-DD/hour=HH/NODE-FIRST_TS-TAG_ROWSrows.parquet    a raw file
    TABLE/date=YYYY-MM-DD/hour=HH/NAME.parquet                 a derived file
    books/TABLE/date=YYYY-MM-DD/hour=HH/TABLE-TAG.parquet      one of the books: see `published`

Dates and hours are UTC, FIRST_TS is the first stamp in the file (microseconds), and NODE and NAME
are percent-encoded. ROWS says how many rows a raw file has, so that whoever only counts those of a
lake in an object store need not open it; files of earlier versions do not say it.
"""

from __future__ import annotations

import os
import re
import urllib.parse
from contextlib import suppress
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.base.instants import is_instant
from tokenergy_collectors.lake.contract import HOUR_US, TABLES

SUFFIX = ".parquet"
PARTITIONS = "date=20[0-9][0-9]-[0-9][0-9]-[0-9][0-9]/hour=[0-2][0-9]"
"""Glob of the hour folders of a table; other years and other names are not seen by anybody."""

ANY_PARTITIONS = "date=*/hour=*"
"""Glob of whatever was meant as an hour folder: a host whose clock was wrong wrote other years."""

_DATE = "date=%Y-%m-%d"
_PARTITION = f"{_DATE}/hour=%H"
_DAY_US = 24 * HOUR_US
_FILE = re.compile(r"date=20\d\d-\d\d-\d\d/hour=[0-2]\d/[^./][^/]*\.parquet", re.ASCII)
_MAX_NODE_BYTES = 180
_ROWS = re.compile(r"_(\d{1,15})rows\.parquet", re.ASCII)


class RawName(NamedTuple):
    """What the name of a raw file says."""

    node: str
    """Percent-encoded, as in the name."""
    first_us: int
    """First stamp in the file, microseconds UTC."""
    tag: str


def hour_of(ts_us: int) -> int:
    """Return the start of the UTC hour that contains a stamp, both in microseconds."""
    return ts_us - ts_us % HOUR_US


@lru_cache(1 << 16)
def partition(hour_us: int) -> str:
    """Return the hive path of an hour, for example `date=2026-01-31/hour=07`."""
    day, within_us = divmod(hour_us, _DAY_US)
    return f"{_date(day)}/hour={within_us // HOUR_US:02d}"


@lru_cache(1 << 12)
def _date(day: int) -> str:
    return datetime.fromtimestamp(day * _DAY_US // 1_000_000, UTC).strftime(_DATE)


def show_hour(hour_us: int) -> str:
    """Return the start of an hour as `--hour` takes it, for example `2026-01-31T07`."""
    return datetime.fromtimestamp(hour_us // 1_000_000, UTC).strftime("%Y-%m-%dT%H")


def hour_of_folder(folder: Path) -> int | None:
    """Return the start (us UTC) of the hour that a folder holds; None if it is no hour folder."""
    return _hour_of(f"{folder.parent.name}/{folder.name}")


# All files of an hour ask for the same one, and `strptime` takes as long as opening a file.
@lru_cache(1 << 16)
def _hour_of(partition: str) -> int | None:
    try:
        moment = datetime.strptime(partition, _PARTITION)
    except ValueError:
        return None
    return int(moment.replace(tzinfo=UTC).timestamp()) * 1_000_000


def hour_of_path(path: Path) -> int:
    """Return the start (us UTC) of the hour whose folder contains a file.

    Raises:
        ValueError: the file is not in an hour folder.
    """
    hour_us = hour_of_folder(path.parent)
    if hour_us is None:
        raise ValueError(f"{path}: expected a file in a folder date=YYYY-MM-DD/hour=HH")
    return hour_us


def table_of(path: Path) -> str:
    """Return the table of a file in an hour folder."""
    return path.parents[2].name


def misplaced(root: Path, table: str) -> list[Path]:
    """Return the files of a table, sorted, in folders of no day of the years 2000 to 2099."""
    odd: list[str] = []
    # As names: a year has 365 folders of each table, and none of them is one.
    with suppress(FileNotFoundError, NotADirectoryError), os.scandir(root / table) as entries:
        names = (entry.name for entry in entries)
        odd += (name for name in names if name.startswith("date=") and not _is_day(name))
    folders = (root / table / name for name in odd)
    return sorted(path for folder in folders for path in folder.glob(f"hour=*/[!.]*{SUFFIX}"))


@lru_cache(1 << 12)
def _is_day(name: str) -> bool:
    hour_us = _hour_of(f"{name}/hour=00")
    return hour_us is not None and is_instant(hour_us)


def is_table_file(relative: str) -> bool:
    """Return whether a path, relative to its table, is that of a file of the lake."""
    return _FILE.fullmatch(relative) is not None


def escape_node(node: str) -> str:
    """Return a node's name as file names hold it: percent-encoded, not hidden, without slashes.

    Raises:
        UserError: the name is empty or too long for a file name.
    """
    try:
        quoted = urllib.parse.quote(node, safe="")
    except UnicodeEncodeError:
        raise UserError(f"node name {node[:40]!r} cannot be used: expected UTF-8") from None
    if quoted.startswith("."):
        quoted = "%2E" + quoted[1:]
    if not quoted or len(quoted) > _MAX_NODE_BYTES:
        raise UserError(
            f"node name {node[:40]!r} cannot be used: expected 1 to {_MAX_NODE_BYTES} bytes "
            "after percent-encoding"
        )
    return quoted


def raw_name(node: str, first_us: int, tag: str) -> str:
    """Return the name of a raw file.

    Raises:
        UserError: as `escape_node`.
    """
    return f"{escape_node(node)}-{first_us}-{tag}{SUFFIX}"


def tag_with_rows(tag: str, rows: int) -> str:
    """Return the last part of a raw file's name that says how many rows it has, too."""
    return f"{tag}_{rows}rows"


def rows_of_name(name: str) -> int | None:
    """Return how many rows a raw file has by its name; None if that does not say it."""
    found = _ROWS.search(name)
    return int(found[1]) if found and found.end() == len(name) else None


def parse_raw_name(name: str) -> RawName | None:
    """Return what the name of a raw file says; None if it is another name."""
    # From the right: a node's name may contain hyphens, a stamp and a tag do not.
    node, _, tag = name.removesuffix(SUFFIX).rpartition("-")
    node, _, first = node.rpartition("-")
    if not (name.endswith(SUFFIX) and tag and first.isascii() and first.isdecimal()):
        return None
    return RawName(node, int(first), tag)


def may_be_of(name: str, node: str) -> bool:
    """Return whether a file may be of a node, by its name alone: see `node_of`."""
    # Names of files are percent-encoded, in whatever way; nodes rarely need it.
    return name.startswith(node) or "%" in name


def node_of(path: Path) -> str:
    """Return the node whose rows a file holds; of a foreign raw file, its name without suffix."""
    raw = parse_raw_name(path.name) if TABLES[table_of(path)].layer == "raw" else None
    return urllib.parse.unquote(path.stem if raw is None else raw.node)
