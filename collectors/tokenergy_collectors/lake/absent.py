"""Files of a working copy that are still in the store, and are fetched when somebody reads them.

In: paths. Out: the same paths, with the bytes there. A working copy (`tokenergy_sql.workcopy`) has
all names of a lake in an object store, and few of its bytes: where it has none, the name is a link
whose target says where the copy is, the object's size and when it was put. Whoever only lists files
need not know. Whoever reads one calls `present` first; without that, opening it fails.

A lake that is no working copy has no such links, and `present` costs one look at a name.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.lake.published import tag_of

if TYPE_CHECKING:
    from tokenergy_collectors.objects.bucket import Bucket

FOLDER = ".store"
"""Folder of a working copy, with what it knows of the store."""

_URL = "url"
_ABSENT = f"/{FOLDER}/absent/"
_AT_ONCE = 16

_buckets: dict[tuple[int, str], Bucket] = {}
_opening = threading.Lock()


class MovedOnError(UserError):
    """An object of the lake is not there any more as it was listed: look at the store again."""


def mark(root: Path, url: str) -> None:
    """Make a folder a working copy of the lake at a URL."""
    (root / FOLDER).mkdir(parents=True, exist_ok=True)
    (root / FOLDER / _URL).write_text(url, "utf-8")


def url_of(root: Path) -> str | None:
    """Return the URL of the lake that a folder is a working copy of; None if it is none."""
    try:
        return (root / FOLDER / _URL).read_text("utf-8")
    except (FileNotFoundError, NotADirectoryError):
        return None


def bucket_of(root: Path) -> Bucket:
    """Return the objects of the lake that a folder is a working copy of; opened once a process."""
    from tokenergy_collectors.objects.bucket import Bucket

    url = url_of(root)
    if url is None:
        raise UserError(f"{root}: is no working copy any more; remove it")
    with _opening:
        key = os.getpid(), url  # what a process inherits does not work in it
        if key not in _buckets:
            _buckets[key] = Bucket(url)
        return _buckets[key]


def link(root: Path, path: Path, size: int, modified_ns: int) -> None:
    """Make a path stand for an object.

    Args:
        root: of the working copy, absolute.
        path: inside it; replaced if it is there.
        size: of the object, in bytes.
        modified_ns: the time that its file will have.
    """
    aside = path.with_name(f".{path.name}.{os.getpid()}.link")
    target = f"{root}{_ABSENT}{size}:{modified_ns}"
    try:
        aside.symlink_to(target)
    except FileNotFoundError:
        path.parent.mkdir(parents=True, exist_ok=True)
        aside.symlink_to(target)
    aside.replace(path)


def is_absent(path: Path) -> bool:
    """Return whether the bytes of a file are still in the store."""
    return _target(path) is not None


def there(path: Path) -> bool:
    """Return whether a file exists, here or in the store."""
    return os.path.lexists(path)


def present(paths: Iterable[Path]) -> None:
    """Fetch those files that are still in the store.

    Raises:
        MovedOnError: one is not there as it was listed.
        UserError: the store does not answer or refuses, or a file cannot be written.
    """
    absent = [(path, target) for path in paths if (target := _target(path))]
    if len(absent) < 2:
        for one in absent:
            _fetch(*one)
        return
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        for _ in pool.map(lambda one: _fetch(*one), absent):
            pass


def stat_of(path: Path) -> tuple[int, int]:
    """Return the size in bytes and the time (ns) of a file, fetched or not.

    Raises:
        FileNotFoundError: there is no such file.
    """
    if target := _target(path):
        return target[1], target[2]
    stat = path.stat()
    return stat.st_size, stat.st_mtime_ns


def _target(path: Path) -> tuple[str, int, int] | None:
    """Return root, size and time that a link tells; None for a file, or no file."""
    try:
        target = os.readlink(path)  # noqa: PTH115 - called for each file: a Path takes longer
    except OSError:
        return None
    root, found, told = target.partition(_ABSENT)
    if not found:
        return None
    size, _, modified_ns = told.partition(":")
    return root, int(size), int(modified_ns)


def _fetch(path: Path, target: tuple[str, int, int]) -> None:
    root, size, modified_ns = target
    name = path.relative_to(root).as_posix()
    aside = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}.tmp")
    try:
        bucket_of(Path(root)).fetch(name, aside)
        if size < 0:  # one of the books, which a list names and nobody replaces
            _require_tag(aside, path)
        elif aside.stat().st_size != size:
            raise MovedOnError(f"{path}: has been replaced in the store")
        else:
            os.utime(aside, ns=(modified_ns, modified_ns))
        aside.replace(path)
    except FileNotFoundError:
        raise MovedOnError(f"{path}: is not in the store any more") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be fetched: {error.strerror or error}") from error
    finally:
        aside.unlink(missing_ok=True)


def _require_tag(found: Path, path: Path) -> None:
    """Refuse a file whose bytes are not those that its name tells."""
    tag = path.stem.rpartition("-")[2]
    if path.parts[-4] == path.stem:  # of an earlier version: its name tells nothing
        return
    if tag_of(found) != tag:
        raise UserError(f"{path}: what the store has is damaged: it is not what its name tells")
