"""The sealed files that were verified in the store, remembered across restarts.

In: files whose copy was verified. Out: whether a file is one of them. They are kept in
`<lake>/.upload/<node>/<target>.txt`, one line for each file. If a line or the whole list is lost,
the store is asked about those files once more. In memory a file takes about 100 bytes.
"""

from __future__ import annotations

import hashlib
import os
import threading
from contextlib import suppress
from pathlib import Path

from tokenergy_collectors.lake.modes import make_folders, open_text
from tokenergy_collectors.lake.paths import escape_node
from tokenergy_collectors.lake.sealed import SealedFile

FOLDER = ".upload"
_DEPTH = 2
"""Levels of folders below the lake: FOLDER/NODE."""


class Verified:
    """The files of one node that one store holds. Several threads may use it.

    Args:
        root: folder of the lake.
        node: whose files.
        to: the store, as the configuration names it.
    """

    def __init__(self, root: Path, node: str, to: str) -> None:
        self._root = root
        tag = hashlib.sha256(to.encode()).hexdigest()[:12]
        self.path = root / FOLDER / escape_node(node) / f"{tag}.txt"
        self._digests: set[bytes] = set()
        self._lock = threading.Lock()

    def load(self) -> None:
        """Read the list, and forget files that no longer exist or have changed."""
        with self._lock:
            lines: dict[str, None] = {}
            try:
                text = self.path.read_text("utf-8", errors="replace")
            except OSError:
                return
            whole = text[: text.rfind("\n") + 1]  # a kill may have cut the last line off
            for line in whole.splitlines():
                if line.startswith("- "):
                    lines.pop(line[2:], None)
                else:
                    lines[line] = None
            kept = [line for line in lines if self._is_unchanged(line)]
            self._digests = {_digest(line) for line in kept}
            temporary = self.path.with_name(f".{self.path.name}.{os.getpid()}.tmp")
            with suppress(OSError):
                with open_text(temporary, "w") as file:
                    file.writelines(f"{line}\n" for line in kept)
                temporary.replace(self.path)

    def __contains__(self, file: object) -> bool:
        return isinstance(file, SealedFile) and _digest(_line(file)) in self._digests

    def __len__(self) -> int:
        return len(self._digests)

    def add(self, file: SealedFile) -> None:
        """Record that the store holds a file."""
        line = _line(file)
        with self._lock:
            self._digests.add(_digest(line))
            self._append(line)

    def discard(self, file: SealedFile) -> None:
        """Record that the store does not hold a file (any more)."""
        line = _line(file)
        with self._lock:
            self._digests.discard(_digest(line))
            self._append(f"- {line}")

    def _is_unchanged(self, line: str) -> bool:
        """Return whether a line names a file that exists and has not changed."""
        try:
            size, mtime_ns, relative = line.split(" ", 2)
            stat = (self._root / relative).lstat()
        except (ValueError, OSError):
            return False
        return (size, mtime_ns) == (str(stat.st_size), str(stat.st_mtime_ns))

    def _append(self, line: str) -> None:
        # Opened each time, since another process may have replaced the file. If the disk is full,
        # the line is lost, and the store is asked again after a restart.
        with suppress(OSError):
            make_folders(self.path.parent, _DEPTH)
            with open_text(self.path, "a") as file:
                file.write(f"{line}\n")


def _line(file: SealedFile) -> str:
    return f"{file.size} {file.mtime_ns} {file.relative}"


def _digest(line: str) -> bytes:
    # Digests take less memory than lines. With 12 bytes, a million files have a chance below 1 in
    # 1e17 that any two collide; then one of them would not be uploaded.
    return hashlib.blake2b(line.encode(), digest_size=12).digest()
