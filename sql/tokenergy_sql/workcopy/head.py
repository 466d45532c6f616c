"""The books of a lake in a store: the list that all readers follow, and what hangs on it.

In: `books/published.json` of the store. Out: the copy's own, and what belongs to it: the inputs
that hours were derived from, the manifests of revisions, what the index remembers of jobs. And the
other way: one conditional put of the list publishes all of them at once.

The list in the store is the copy's own with three more keys, which readers of the list pass over:
    recorded   name of the object that has `revisions/hours.json`
    jobs       name of the object that has `cache/job_rows.json`
    manifest   of the list's revision: whoever published it may have died before it put the file
These objects are named by a digest of their bytes, so that nobody overwrites what a list names.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.lake.absent import MovedOnError, link, there
from tokenergy_collectors.lake.published import (
    FOLDER,
    LEGACY,
    NAME,
    Published,
    list_bytes,
    list_path,
    more_of_list,
    parse_list,
    path_of,
    read_list,
)
from tokenergy_collectors.objects.bucket import Bucket
from tokenergy_sql.revisions import revisions

T = TypeVar("T")

LIST = f"{FOLDER}/{NAME}"
_KEPT = {revisions.RECORDED: f"{revisions.FOLDER}/hours.json", "jobs": "cache/job_rows.json"}
"""Files that belong to a list, by the key under which it names their objects."""

LEGACY_BOOKS = (
    "lake {}: has books of an earlier version; copy it to a folder, run `tokenergy migrate` there, "
    "and copy it back"
)

_AT_ONCE = 16


class Head:
    """The books as a copy has them.

    Args:
        bucket: the lake's objects.
        root: of the copy.
    """

    def __init__(self, bucket: Bucket, root: Path) -> None:
        self._bucket, self._root = bucket, root
        self._etag: str | None = None
        self._names: dict[str, str | None] = {}
        self._base = Published()
        self._dropped = frozenset[str]()

    def take(self) -> None:
        """Make the copy's books those that are published in the store.

        Raises:
            MovedOnError: others are published meanwhile.
            UserError: the list is damaged, or the store does not answer.
        """
        # A run that died here: its files are in no list.
        shutil.rmtree(self._root / revisions.FOLDER / ".unfinished", ignore_errors=True)
        found = self._bucket.read(LIST)
        content: dict[str, Any] = {}
        self._base, self._etag = Published(), None
        if found is not None:
            data, self._etag = found
            try:
                self._base, content = parse_list(data), more_of_list(data)
            except ValueError as error:
                why = f"{self._bucket.url}/{LIST}: cannot be read: {error}"
                raise UserError(f"{why}; this object says which books count") from None
        # A lake that was copied into the store has these files where they are in a folder.
        self._names = {key: content.get(key, path) for key, path in _KEPT.items()}
        if any(tag == LEGACY for tags in self._base.tags.values() for tag in tags.values()):
            raise UserError(LEGACY_BOOKS.format(self._bucket.url))
        for key, name in _KEPT.items():
            self._take_kept(key, self._root / name)
        self._take_manifests(content.get("manifest"))
        self._link(self._base)
        path = list_path(self._root)
        if found is None:
            path.unlink(missing_ok=True)
        else:
            write(path, found[0])

    def put(self) -> None:
        """Publish in the store what a task published in the copy, all at once.

        Raises:
            ChangedError: somebody else has published since `take`; nothing has changed.
        """
        now = read_list(self._root) or Published()
        names = {key: self._put_kept(key, self._root / path) for key, path in _KEPT.items()}
        if now == self._base and names == self._names:
            self._put_dropped()
            return
        fresh = [
            path_of(self._root, table, hour_us, tag)
            for table, tags in now.tags.items()
            for hour_us, tag in tags.items()
            if self._base.tags.get(table, {}).get(hour_us) != tag
        ]
        at_once(lambda path: self._bucket.put(self._name(path), path), fresh)
        folder = self._root / revisions.FOLDER / f"{now.revision:06d}"
        manifest = folder / revisions.MANIFEST
        more: dict[str, Any] = {**names}
        if manifest.exists():
            more["manifest"] = json.loads(manifest.read_bytes())
        self._bucket.swap(LIST, list_bytes(now, more), self._etag)
        if manifest.exists():
            self._bucket.put(self._name(manifest), manifest)
        self._put_dropped()
        # What only the list before named; who has just read that one finds it moved on.
        left = [n for key, n in self._names.items() if n and n not in (names[key], _KEPT[key])]
        self._bucket.remove(left)

    def _put_dropped(self) -> None:
        """Remove what a task dropped of earlier revisions."""
        for path in sorted((self._root / revisions.FOLDER).glob(f"*/{revisions.MANIFEST}")):
            data = path.read_bytes()
            content = json.loads(data)
            if content.get("dropped") and path.parent.name not in self._dropped:
                gone = [n for n in content["replaced"] if not there(self._root / n)]
                self._bucket.put(self._name(path), data)
                self._bucket.remove(gone)

    def _take_kept(self, key: str, path: Path) -> None:
        name, note = self._names[key], path.with_name(f".{path.name}.name")
        path.parent.mkdir(parents=True, exist_ok=True)
        if name is None:
            path.unlink(missing_ok=True)
            return
        if path.exists() and note.exists() and note.read_text("utf-8") == name == _named(key, path):
            return
        found = self._bucket.read(name)
        if found is None and name == _KEPT[key]:
            self._names[key] = None
            path.unlink(missing_ok=True)
            return
        if found is None:
            raise MovedOnError(f"lake {self._bucket.url}: {name} is not there any more")
        write(path, found[0])
        note.write_text(name, "utf-8")

    def _put_kept(self, key: str, path: Path) -> str | None:
        if not path.exists():
            return None
        name = _named(key, path)
        if name != self._names.get(key):
            self._bucket.put(name, path)
        return name

    def _take_manifests(self, latest: dict[str, Any] | None) -> None:
        """Have the manifests of all revisions that the store has, and none of others."""
        home = self._root / revisions.FOLDER
        start = f"{revisions.FOLDER}/"
        ending = f"/{revisions.MANIFEST}"
        listed = {
            one.name: one.etag for one in self._bucket.below(start) if one.name.endswith(ending)
        }
        if latest is not None:
            path = home / f"{self._base.revision:06d}" / revisions.MANIFEST
            if (name := self._name(path)) not in listed:
                write(path, (json.dumps(latest, indent=1) + "\n").encode())
                listed[name] = self._bucket.put(name, path)
        known = self._read_known()
        wanted = [
            name
            for name, etag in listed.items()
            if known.get(name) != etag or not (self._root / name).exists()
        ]
        at_once(self._take_manifest, wanted)
        for folder in home.iterdir():
            if folder.name.isdigit() and f"{start}{folder.name}{ending}" not in listed:
                shutil.rmtree(folder)
        self._write_known(listed)
        every = {name: (self._root / name).read_bytes() for name in listed}
        self._dropped = frozenset(
            Path(name).parent.name for name, data in every.items() if b'"dropped": true' in data
        )

    def _take_manifest(self, name: str) -> None:
        found = self._bucket.read(name)
        if found is None:
            raise MovedOnError(f"lake {self._bucket.url}: {name} is not there any more")
        write(self._root / name, found[0])
        # What it replaced can be compared with, if somebody asks for that.
        for replaced in json.loads(found[0]).get("replaced", []):
            if not there(self._root / replaced):
                link(self._root, self._root / replaced, *UNLISTED)

    def _link(self, published: Published) -> None:
        """Have a name in the copy for each file of the books."""
        for table, tags in published.tags.items():
            for hour_us, tag in tags.items():
                path = path_of(self._root, table, hour_us, tag)
                if not there(path):
                    link(self._root, path, *UNLISTED)

    def _name(self, path: Path) -> str:
        return path.relative_to(self._root).as_posix()

    def _read_known(self) -> dict[str, str]:
        try:
            found: dict[str, str] = json.loads((self._root / ".store/manifests.json").read_bytes())
        except (OSError, ValueError):
            return {}
        return found

    def _write_known(self, listed: dict[str, str]) -> None:
        write(self._root / ".store/manifests.json", json.dumps(listed).encode())


UNLISTED = (-1, 0)
"""Size and time of an object that a list names: its own name tells its bytes."""


def at_once(task: Callable[[T], object], given: Iterable[T]) -> None:
    """Run a task for each of some things, several at a time; raise what one raises."""
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        for _ in pool.map(task, given):
            pass


def _named(key: str, path: Path) -> str:
    digest = hashlib.blake2b(path.read_bytes(), digest_size=12).hexdigest()
    return f"{revisions.FOLDER}/{key}-{digest}.json"


def write(path: Path, data: bytes) -> None:
    """Write a file, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    aside.write_bytes(data)
    aside.replace(path)
