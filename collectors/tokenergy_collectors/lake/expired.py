"""What expired in a lake: which hours of which tables were removed because they are old.

In: `expired.json` at the root of the lake, written before anything is removed. Out: for a table and
hour, whether its files may be gone; for an hour, whether it can still be derived.

    {"tables": {"power": {"before": "2026-01-15T00", "kept": ["2026-01-02T07"]}}}

Hours before `before` have expired, but for those in `kept`: they were not booked yet. The books of
expired hours stay. Without the rows that an hour was derived from it cannot be derived again: it is
frozen. Power is not among these rows, since the segments that are made from it have all of it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path

from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.lake.contract import HOUR_US
from tokenergy_collectors.lake.paths import show_hour
from tokenergy_collectors.lake.unfinished import replacing

NAME = "expired.json"

TABLES = (
    *("power", "state", "requests", "segment", "load_profile", "load_spectrum", "load_swing"),
    *("load_span", "load_span_spectrum", "load_span_swing"),
)
"""Tables whose old hours may be removed. Not the books; nor those that are small, and that the
figures of jobs and nodes depend on however old they are: tokens, jobs, device, clock, event, host.
"""

DERIVED_FROM = ("state", "requests", "segment")
"""Tables without whose rows an hour cannot be derived again."""


@dataclass(frozen=True, slots=True)
class Span:
    """What expired of a table.

    Attributes:
        before_us: hours before this one did, microseconds UTC.
        kept: but for these.
    """

    before_us: int
    kept: frozenset[int] = frozenset()

    def __contains__(self, hour_us: object) -> bool:
        return isinstance(hour_us, int) and hour_us < self.before_us and hour_us not in self.kept

    def removes(self, hour_us: int) -> bool:
        """Return whether the files of an hour are removed, and seen by nobody from now on.

        Those of hours next to one that can still be derived stay: it is derived from them, too.
        """
        near = (hour_us - HOUR_US, hour_us, hour_us + HOUR_US)
        return all(hour in self for hour in near)


@dataclass(frozen=True, slots=True)
class Expired:
    """What expired in a lake.

    Attributes:
        tables: by name; a table of which nothing expired is not in it.
    """

    tables: Mapping[str, Span] = field(default_factory=dict)

    def has(self, table: str, hour_us: int) -> bool:
        """Return whether an hour of a table has expired."""
        return table in self.tables and hour_us in self.tables[table]

    def is_frozen(self, hour_us: int) -> bool:
        """Return whether an hour cannot be derived again."""
        return any(self.has(table, hour_us) for table in DERIVED_FROM)

    def refuse(self, hours: Iterable[int] | None, tables: Iterable[str] = ()) -> None:
        """Return if none of some chosen hours is frozen, or has expired in some tables.

        Raises:
            UserError: one is, or has.
        """
        for hour_us in hours or ():
            gone = [name for name in (*DERIVED_FROM, *tables) if self.has(name, hour_us)]
            if gone:
                raise UserError(
                    f"hour {show_hour(hour_us)}: {', '.join(dict.fromkeys(gone))} expired, so it "
                    "cannot be derived again; its books stay as they are. The first hour that "
                    f"can is {show_hour(max(self.tables[name].before_us for name in gone))}"
                )


def read_expired(root: Path) -> Expired:
    """Return what expired in a lake.

    Raises:
        UserError: the file is damaged.
    """
    path = root / NAME
    try:
        stat = path.stat()
    except OSError:
        return Expired()
    return _read(path, stat.st_mtime_ns, stat.st_size)


@lru_cache(8)
def _read(path: Path, _mtime_ns: int, _size: int) -> Expired:
    try:
        content = json.loads(path.read_text("utf-8"))
        return Expired(
            {
                str(name): Span(_us(span["before"]), frozenset(map(_us, span["kept"])))
                for name, span in content["tables"].items()
            }
        )
    except FileNotFoundError:
        return Expired()
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(
            f"{path}: cannot be read: {error!r}; it says which hours were removed on purpose. "
            "Bring it back from a copy"
        ) from None


def write_expired(root: Path, expired: Expired) -> None:
    """Write what expired in a lake, so that it is on the disk when this returns.

    Raises:
        OSError: it cannot be written.
    """
    path = root / NAME
    content = {
        "tables": {
            name: {
                "before": show_hour(span.before_us),
                "kept": [*map(show_hour, sorted(span.kept))],
            }
            for name, span in sorted(expired.tables.items())
        }
    }
    with replacing(path) as aside:
        with aside.open("w", encoding="utf-8") as file:
            file.write(json.dumps(content, indent=1) + "\n")
            file.flush()
            os.fsync(file.fileno())
        aside.replace(path)
    number = os.open(root, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)


def _us(text: str) -> int:
    moment = datetime.strptime(text, "%Y-%m-%dT%H").replace(tzinfo=UTC)
    found = int(moment.timestamp()) * 1_000_000
    if found % HOUR_US:
        raise ValueError(f"{text!r} is no hour")
    return found
