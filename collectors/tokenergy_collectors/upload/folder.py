"""A folder as a store, such as one on a mounted share.

In: bytes and names. Out: files, written aside, forced to disk and renamed, and read back whole to
be verified. The folder itself is never made: where a share is not mounted its folder is missing,
and that is an outage, not a place to write to.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tokenergy_collectors.upload.store import Content, Looked, StoreError


class FolderStore:
    """A store in a folder that exists.

    Args:
        root: the folder.
        lake: folder of the lake, to tell whether both lie on one disk.
    """

    def __init__(self, root: Path, lake: Path) -> None:
        self._root = root
        self._lake = lake

    def look(self, relative: str, content: Content) -> Looked:
        """Compare the file's bytes."""
        with self._reasons():
            try:
                found = (self._there() / relative).read_bytes()
            except FileNotFoundError:
                return "none"
            return "same" if found == content.data else "other"

    def put(self, relative: str, content: Content) -> None:
        """Write the file aside, force it to disk, and rename it."""
        with self._reasons():
            path = self._there() / relative
            path.parent.mkdir(parents=True, exist_ok=True)
            aside = path.with_name(f".{path.name}.tmp")
            with aside.open("wb") as file:
                file.write(content.data)
                file.flush()
                os.fsync(file.fileno())
            aside.replace(path)

    def probe(self) -> str:
        """Look whether the folder is there and may be written to."""
        with self._reasons():
            root = self._there()
            if not os.access(root, os.W_OK | os.X_OK):
                raise StoreError(f"{root}: no permission to write")
            lake = self._lake
            while not lake.exists():
                lake = lake.parent
            if root.stat().st_dev == lake.stat().st_dev:
                return "on the lake's own disk: is the share mounted?"
            return ""

    def _there(self) -> Path:
        if not self._root.is_dir():
            raise StoreError(f"{self._root}: no such directory: is the share mounted?")
        return self._root

    @contextmanager
    def _reasons(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise StoreError(f"{self._root}: {error.strerror or error}") from None
