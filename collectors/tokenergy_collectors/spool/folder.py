"""Where a node's write-ahead logs lie: `<lake>/.wal/<node>/`, held by one process at a time.

In: the lake's folder and the node. Out: paths for new logs, the logs an earlier process left, and a
place for those that cannot be read. No reader of the lake looks into hidden folders, or into
`quarantine/`.
"""

from __future__ import annotations

import fcntl
import itertools
import os
import time
import weakref
from pathlib import Path

from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.lake.paths import escape_node
from tokenergy_collectors.lake.quarantine import QUARANTINE
from tokenergy_collectors.spool.wal import SUFFIX

FOLDER = ".wal"


class LogFolder:
    """The logs of one node in one lake, locked for this process until closed.

    Args:
        root: folder of the lake; made if it is missing.
        node: whose logs.

    Raises:
        UserError: the node's name cannot be used, the folder cannot be made, or another process
            collects this node into this lake.
    """

    def __init__(self, root: Path, node: str) -> None:
        self._node = escape_node(node)
        self._root = root
        self.path = root / FOLDER / self._node
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            fd = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            raise UserError(f"{self.path}: cannot be written: {error.strerror}") from None
        # The lock goes with the file descriptor: the kernel frees it however the process ends.
        self._release = weakref.finalize(self, os.close, fd)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self.close()
            raise UserError(
                f"node {node!r} is being collected into {root} by another process, which holds "
                f"{self.path / 'lock'}; stop it, or give this one another --node"
            ) from None
        except OSError as error:
            self.close()
            raise UserError(f"{self.path / 'lock'}: cannot lock: {error.strerror}") from None
        self.left = sorted(self.path.glob(f"*{SUFFIX}"))
        """Logs that earlier processes left, oldest first."""
        self._prefix = f"{time.time_ns() // 1000:016d}"
        self._numbers = itertools.count()

    def new_path(self, table: str) -> Path:
        """Return the path of a new log: names sort by age and are used once."""
        return self.path / f"{self._prefix}-{next(self._numbers):06d}-{table}{SUFFIX}"

    def quarantine(self, log: Path, reason: str) -> Path:
        """Move a log to the lake's quarantine, with the reason beside it; return where it is.

        Raises:
            OSError: it cannot be moved.
        """
        folder = self._root / QUARANTINE
        folder.mkdir(exist_ok=True)
        moved = folder / f"{self._node}-{log.name}"
        log.replace(moved)
        moved.with_name(f"{moved.name}.reason").write_text(f"{reason}\n", "utf-8")
        return moved

    def close(self) -> None:
        """Give the folder free."""
        self._release()


def table_of(log: Path) -> str:
    """Return the table whose rows a log holds, as its name says."""
    return log.name.removesuffix(SUFFIX).split("-", 2)[-1]
