"""Names of partitions and files, written and read back."""

from __future__ import annotations

import urllib.parse
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.lake.contract import HOUR_US, TABLES

if TYPE_CHECKING:
    pass


_MAX_NODE_BYTES = 180


def hour_of(ts_us: int) -> int:
    """Return the start of the UTC hour in which a stamp lies, both in microseconds."""
    return ts_us - ts_us % HOUR_US


def partition(hour_us: int) -> str:
    """Return the hive path of an hour, for example `date=2026-01-31/hour=07`."""
    moment = datetime.fromtimestamp(hour_us // 1_000_000, UTC)
    return f"date={moment:%Y-%m-%d}/hour={moment:%H}"


def hour_of_path(path: Path) -> int:
    """Return the start of the hour in whose partition a file lies, microseconds UTC.

    Raises:
        ValueError: it lies in none.
    """
    date, hour = path.parent.parent.name, path.parent.name
    stamp = f"{date.removeprefix('date=')}T{hour.removeprefix('hour=')}"
    moment = datetime.strptime(stamp, "%Y-%m-%dT%H").replace(tzinfo=UTC)
    return int(moment.timestamp()) * 1_000_000


def escape_node(node: str) -> str:
    """Return a node's name as it stands in file names: percent-encoded, never hidden, no path.

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


def node_of(path: Path) -> str:
    """Return the node that a file belongs to: raw `NODE-FIRST_TS-TAG`, derived `NODE`."""
    table = TABLES[path.parents[2].name]
    escaped = path.stem.rsplit("-", 2)[0] if table.layer == "raw" else path.stem
    return urllib.parse.unquote(escaped)


def hour_end_us(folder: Path) -> int | None:
    """Return the end of an hour (us UTC) from its folder; None if the folder is none of an hour."""
    try:
        start = datetime.fromisoformat(f"{folder.parent.name[5:]}T{folder.name[5:]}:00:00+00:00")
    except ValueError:
        return None
    return round(start.timestamp()) * 1_000_000 + HOUR_US
