"""What shards booked, handed from one worker to another through the store.

In: objects below `books/.shards`. Out: whole parts in the copy, and the other way. A part is whole
once its ledger is there, which is put last.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from tokenergy_collectors.lake.published import SHARDS
from tokenergy_collectors.objects.bucket import Object

_LAST = "ledger.arrow"
_LEFT_NS = 86_400 * 10**9


def whole(objects: Iterable[Object]) -> list[Object]:
    """Return the objects of parts that were put to their end."""
    listed = list(objects)
    ended = {one.name.rpartition("/")[0] for one in listed if one.name.endswith(f"/{_LAST}")}
    return [one for one in listed if one.name.rpartition("/")[0] in ended]


def left(objects: Iterable[Object], now_ns: int) -> list[str]:
    """Return the names of objects of parts whose worker died long ago, before the end."""
    listed = list(objects)
    ended = {one.name for one in whole(listed)}
    return [
        one.name for one in listed if one.name not in ended and one.modified_ns < now_ns - _LEFT_NS
    ]


def last(paths: Iterable[Path]) -> list[Path]:
    """Return files of parts in the order in which they are put."""
    return sorted(paths, key=lambda path: (path.name == _LAST, path))


def remove_empty(root: Path) -> None:
    """Remove the folders of parts whose files are gone: a folder says that a part is there."""
    if (root / SHARDS).is_dir():
        for folder in (root / SHARDS).iterdir():
            with suppress(OSError):  # it is not empty
                folder.rmdir()
