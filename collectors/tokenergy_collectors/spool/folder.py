"""The folder of a node's write-ahead logs, `<lake>/.wal/<node>/`, used by one process at a time.

In: the lake's folder and the node. Out: paths for new logs, and the logs that an earlier process
left. Readers of the lake skip hidden folders and `quarantine/`.
"""

from __future__ import annotations

import fcntl
import itertools
import os
import time
import weakref
from contextlib import suppress
from pathlib import Path

from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.lake.modes import FILE_MODE, make_folders
from tokenergy_collectors.lake.paths import escape_node
from tokenergy_collectors.lake.quarantine import move_to_quarantine
from tokenergy_collectors.spool.wal import SUFFIX

FOLDER = ".wal"
_YEAR_2000_S = 946_684_800
_RUN = "run"
"""The file that holds the number of the latest run."""
_DEPTH = 2
"""Levels of folders below the lake: FOLDER/NODE."""


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
        lock = self.path / "lock"
        try:
            make_folders(self.path, _DEPTH)
            fd = os.open(lock, os.O_RDWR | os.O_CREAT, FILE_MODE)
        except OSError as error:
            raise UserError(f"{self.path}: cannot be written: {error.strerror}") from None
        # The kernel drops the lock with the file descriptor, however the process ends.
        self._release = weakref.finalize(self, os.close, fd)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self.close()
            raise UserError(
                f"node {node!r} is already collected into {root} by another process, which holds "
                f"{lock}: stop it, or choose another --node"
            ) from None
        except OSError as error:
            self.close()
            raise UserError(f"{lock}: cannot be locked: {error.strerror}") from None
        self.left = sorted(self.path.glob(f"*{SUFFIX}"))
        """Logs that earlier processes left, oldest first."""
        self._prefix = f"{time.time_ns() // 1000:016d}"
        self._numbers = itertools.count()

    def new_path(self, table: str) -> Path:
        """Return the path of a new log: names sort by age and are never used twice."""
        return self.path / f"{self._prefix}-{next(self._numbers):06d}-{table}{SUFFIX}"

    def next_run(self, realtime_us: int, *, replay: bool = False) -> int:
        """Return the number of a run that begins now, larger than that of every earlier run.

        Stamps of two runs may overlap, since the wall clock may be set back between them: only this
        number says which run was later.

        Args:
            realtime_us: the wall clock (us UTC). Numbers are its seconds since 2000, or one more
                than the latest: so they grow if the clock was set back, and if this folder was
                lost.
            replay: True if the same time may be run again, as on a virtual clock: then it is the
                same run, and gives the same rows.
        """
        path, fresh = self.path / _RUN, self.path / f"{_RUN}.new"
        run = realtime_us // 1_000_000 - _YEAR_2000_S
        if replay:
            return run
        with suppress(OSError, ValueError):
            run = max(run, int(path.read_text("utf-8")) + 1)
        # On a full disk the collector reads on, and the clock alone numbers the next run.
        with suppress(OSError):
            with fresh.open("w", encoding="utf-8") as file:
                file.write(f"{run}\n")
                file.flush()
                os.fsync(file.fileno())
            fresh.replace(path)
        return run

    def quarantine(self, log: Path, reason: str) -> Path:
        """Move a log to the lake's quarantine, with the reason beside it; return where it is.

        Raises:
            OSError: it cannot be moved.
        """
        return move_to_quarantine(self._root, log, f"{self._node}-{log.name}", reason)

    def close(self) -> None:
        """Unlock the folder."""
        self._release()


def table_of(log: Path) -> str:
    """Return the table whose rows a log holds, from its name."""
    return log.name.removesuffix(SUFFIX).split("-", 2)[-1]
