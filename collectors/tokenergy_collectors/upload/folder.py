"""A folder as a store, usually on a mounted share.

In: bytes and names. Out: files, written under a temporary name, synced to disk and renamed, and
read back to be verified. It is a lake, so a file may have become part of a compacted one. The
folder itself is never created: if it is missing, the share is not mounted, which is an outage.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tokenergy_collectors.lake import compacted
from tokenergy_collectors.upload.store import Comparison, Content, StoreError


class FolderStore:
    """A store in a folder that exists.

    Args:
        root: the folder.
        lake: folder of the lake, to find out whether both are on the same disk.
    """

    def __init__(self, root: Path, lake: Path) -> None:
        self._root = root
        self._lake = lake

    def compare(self, relative: str, content: Content) -> Comparison:
        """Compare the file's bytes."""
        with self._as_store_errors():
            root = self._existing_root()
            try:
                found = (root / relative).read_bytes()
            except FileNotFoundError:
                return self._compacted(root, relative, content)
            return "same" if found == content.data else "different"

    def put(self, relative: str, content: Content) -> None:
        """Write the file under a temporary name, sync it to disk, and rename it."""
        with self._as_store_errors():
            path = self._existing_root() / relative
            path.parent.mkdir(parents=True, exist_ok=True)
            temporary = path.with_name(f".{path.name}.tmp")
            with temporary.open("wb") as file:
                file.write(content.data)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)

    def probe(self) -> str:
        """Check that the folder exists and can be written."""
        with self._as_store_errors():
            root = self._existing_root()
            if not os.access(root, os.W_OK | os.X_OK):
                raise StoreError(f"{root}: no permission to write")
            lake = self._lake
            while not lake.exists():
                lake = lake.parent
            if root.stat().st_dev == lake.stat().st_dev:
                return "on the lake's own disk: is the share mounted?"
            return ""

    @staticmethod
    def _compacted(root: Path, relative: str, content: Content) -> Comparison:
        """Compare a file that is not there with what was compacted in the lake in this folder."""
        digest = compacted.digest_of(root, relative)
        if digest is None:
            return "missing"
        return "same" if digest == content.sha256 else "different"

    def _existing_root(self) -> Path:
        if not self._root.is_dir():
            raise StoreError(f"{self._root}: no such directory: is the share mounted?")
        return self._root

    @contextmanager
    def _as_store_errors(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise StoreError(f"{self._root}: {error.strerror or error}") from None
