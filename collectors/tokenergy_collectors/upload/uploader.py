"""Brings every sealed file of a node into the store, oldest first.

In: the lake's sealed files. Out: the same files under the same relative paths in the store, each
verified there. A file may be put again at any time: its name is final and so are its bytes. Where
the store fails the next try waits, ever longer, on the monotonic clock; that is told once, and once
when it works again.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from tokenergy_collectors.base.backoff import Backoff
from tokenergy_collectors.base.logs import Log
from tokenergy_collectors.lake import Lake
from tokenergy_collectors.lake.sealed import SealedFile, age_key, files_in, hour_folders
from tokenergy_collectors.upload.release import release
from tokenergy_collectors.upload.settings import Upload
from tokenergy_collectors.upload.store import Content, Store, StoreError
from tokenergy_collectors.upload.verified import Verified

_PATIENCE = 2
"""Files that may fail in a row before a pass is given up: one bad file holds up no other."""

_SETTLED_NS = 2_000_000_000
"""A folder that changes once more after this long has a new time stamp, whatever the disk."""

Tell = Callable[[str, str], None]
"""Takes an event: its kind, and what happened in words."""


@dataclass(frozen=True, slots=True)
class UploadCounters:
    """What an uploader did since it began, and what waits."""

    files: int = 0
    """Verified in the store, whether put there or found."""
    bytes: int = 0
    failures: int = 0
    """Tries of a file that failed."""
    backlog_files: int = 0
    backlog_bytes: int = 0
    oldest_waiting_s: float = 0.0
    """How long ago the file that is next was sealed; 0 if none waits."""
    released_files: int = 0
    """Local copies let go because their time was over."""
    released_bytes: int = 0


class Uploader:
    """Uploads the files of one node. `run` belongs to one thread; the rest may be called from any.

    Args:
        upload: how often, and for how long files stay here.
        lake: where the files are.
        node: whose files.
        store: where they go.
        verified: what is known to be there.
        tell: takes events.
        log: takes lines.
    """

    def __init__(
        self,
        upload: Upload,
        lake: Lake,
        node: str,
        store: Store,
        verified: Verified,
        tell: Tell,
        log: Log,
    ) -> None:
        self._upload = upload
        self._root = lake.root
        self._node = node
        self._store = store
        self._verified = verified
        self._tell = tell
        self._log = log
        self._loaded = False
        self._ended = threading.Event()
        self._next_s = 0.0
        self._backoff = Backoff(upload.retry_s, upload.retry_limit_s)
        self._done: dict[Path, int] = {}
        self.counters = UploadCounters()

    def due(self) -> bool:
        """Tell whether it is time for the next pass, by period or back-off."""
        return time.monotonic() >= self._next_s

    def end(self) -> None:
        """Have the pass under way end after the file it is at, and no other one begin."""
        self._ended.set()

    def run(self) -> list[str]:
        """Upload what waits, let go of what may go; return what failed, in words."""
        problems: list[str] = []
        before = self.counters.files
        try:
            if not self._loaded:
                self._verified.load()
                self._loaded = True
            problems += self._put_all()
            if not problems:
                problems += self._release()
        except Exception as error:
            problems.append(repr(error))
            raise
        finally:
            self._plan_next(problems, self.counters.files - before)
        return problems

    def _plan_next(self, problems: list[str], uploaded: int) -> None:
        """Set the time of the next pass, and tell what changed."""
        wait_s = self._upload.every_s
        if problems:
            if not self._backoff.failures:
                waits = f"{self.counters.backlog_files} files wait"
                self._tell("upload_failed", f"{problems[0]}; {waits}")
            # The jitter keeps hosts that failed together from trying again together.
            wait_s = self._backoff.failed() * secrets.SystemRandom().uniform(0.5, 1.0)
        elif self._backoff.failures and uploaded:
            tries = f"after {self._backoff.failures} failed tries"
            self._tell("upload_works", f"{uploaded} files uploaded {tries}")
            self._backoff.worked()
        self._next_s = time.monotonic() + wait_s

    def _put_all(self) -> list[str]:
        """Upload what waits, oldest first; return problems."""
        waiting = self._waiting()
        problems: list[str] = []
        uploaded = in_a_row = 0
        self._count_backlog(waiting)
        for file in waiting:
            if self._ended.is_set() or in_a_row >= _PATIENCE:
                break
            try:
                uploaded += self._put(file)
                in_a_row = 0
            except (StoreError, OSError) as error:
                in_a_row += 1
                problems.append(f"{file.relative}: {error}")
                self._add(failures=1)
            else:
                self._add(backlog_files=-1, backlog_bytes=-file.size)
        if waiting:
            self._count_backlog([file for file in waiting if file not in self._verified])
            left = self.counters.backlog_files
            self._log.info("uploaded", files=uploaded, failed=len(problems), waiting=left)
        return problems

    def _waiting(self) -> list[SealedFile]:
        """Return the files that are not known to be in the store, oldest first.

        A folder in which all were, and that has not changed since, is not looked into again.
        """
        waiting = []
        for folder in hour_folders(self._root):
            try:
                changed_ns = folder.stat().st_mtime_ns
            except OSError:
                continue
            if self._done.get(folder) == changed_ns:
                continue
            new = [f for f in files_in(folder, self._root, self._node) if f not in self._verified]
            waiting += new
            if not new and time.time_ns() - changed_ns > _SETTLED_NS:
                self._done[folder] = changed_ns
        return sorted(waiting, key=age_key)

    def _put(self, file: SealedFile) -> int:
        """Make sure that the store holds a file; return 1, or 0 if it is here no more.

        Raises:
            StoreError: the store is away, refuses it, or does not give back what it was given.
            OSError: the file cannot be read.
        """
        try:
            content = Content.of(file.path.read_bytes())
        except FileNotFoundError:
            return 0
        found = self._store.look(file.relative, content)
        if found != "same":
            if found == "other":
                self._log.warning("upload_differs", file=file.relative)
            self._store.put(file.relative, content)
            if self._store.look(file.relative, content) != "same":
                raise StoreError("what was put there reads differently")
        self._verified.add(file)
        self._add(files=1, bytes=file.size)
        return 1

    def _release(self) -> list[str]:
        """Let go of local copies; put again what the store has lost; return problems."""
        keep_s = self._upload.keep_local_s
        if keep_s is None:
            return []
        done = release(
            self._root, self._node, keep_s, self._store, self._verified, self._ended.is_set
        )
        self._add(released_files=done.files, released_bytes=done.bytes)
        if done.files:
            self._log.info("released", files=done.files, bytes=done.bytes)
        if not done.lost:
            return done.problems
        self._tell("upload_lost", f"{len(done.lost)} files are not in the store any more")
        for file in done.lost:
            self._done.pop(file.path.parent, None)
        return done.problems or self._put_all()

    def _add(self, **more: int) -> None:
        was = self.counters
        self.counters = replace(was, **{name: getattr(was, name) + n for name, n in more.items()})

    def _count_backlog(self, left: list[SealedFile]) -> None:
        waited_s = (time.time_ns() - left[0].mtime_ns) / 1e9 if left else 0.0
        self.counters = replace(
            self.counters,
            backlog_files=len(left),
            backlog_bytes=sum(file.size for file in left),
            oldest_waiting_s=max(0.0, waited_s),
        )
