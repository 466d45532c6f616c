"""Which sealed files are known to lie in the store, remembered over restarts.

In: files whose copy was verified. Out: whether one is known. It stands in
`<lake>/.upload/<node>/<target>.txt`, a line a file; a line lost, or the whole file, costs one more
look at the store for each file and nothing else. In memory a file takes about 100 bytes.
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
    """The files of one node that one store holds. May be used from several threads.

    Args:
        root: folder of the lake.
        node: whose files.
        to: the store, as the configuration names it.
    """

    def __init__(self, root: Path, node: str, to: str) -> None:
        self._root = root
        tag = hashlib.sha256(to.encode()).hexdigest()[:12]
        self.path = root / FOLDER / escape_node(node) / f"{tag}.txt"
        self._known: set[bytes] = set()
        self._lock = threading.Lock()

    def load(self) -> None:
        """Read what is remembered, and forget files that are here no more."""
        with self._lock:
            lines: dict[str, None] = {}
            try:
                text = self.path.read_text("utf-8", errors="replace")
            except OSError:
                return
            whole = text[: text.rfind("\n") + 1]  # a kill may have cut the last line
            for line in whole.splitlines():
                if line.startswith("- "):
                    lines.pop(line[2:], None)
                else:
                    lines[line] = None
            kept = [line for line in lines if self._is_here(line)]
            self._known = {_digest(line) for line in kept}
            temporary = self.path.with_name(f".{self.path.name}.{os.getpid()}.tmp")
            with suppress(OSError):
                with open_text(temporary, "w") as file:
                    file.writelines(f"{line}\n" for line in kept)
                temporary.replace(self.path)

    def __contains__(self, file: object) -> bool:
        return isinstance(file, SealedFile) and _digest(_line(file)) in self._known

    def __len__(self) -> int:
        return len(self._known)

    def add(self, file: SealedFile) -> None:
        """Note that the store holds a file."""
        line = _line(file)
        with self._lock:
            self._known.add(_digest(line))
            self._append(line)

    def discard(self, file: SealedFile) -> None:
        """Note that the store does not hold a file (any more)."""
        line = _line(file)
        with self._lock:
            self._known.discard(_digest(line))
            self._append(f"- {line}")

    def _is_here(self, line: str) -> bool:
        """Tell whether a line names a file that is here, unchanged."""
        try:
            size, mtime_ns, relative = line.split(" ", 2)
            stat = (self._root / relative).lstat()
        except (ValueError, OSError):
            return False
        return (size, mtime_ns) == (str(stat.st_size), str(stat.st_mtime_ns))

    def _append(self, line: str) -> None:
        # Opened each time: a process beside this one may have written the file anew. A full disk
        # costs the memory of it only.
        with suppress(OSError):
            make_folders(self.path.parent, _DEPTH)
            with open_text(self.path, "a") as file:
                file.write(f"{line}\n")


def _line(file: SealedFile) -> str:
    return f"{file.size} {file.mtime_ns} {file.relative}"


def _digest(line: str) -> bytes:
    return hashlib.blake2b(line.encode(), digest_size=12).digest()
