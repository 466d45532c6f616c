"""Uploads every sealed file of a node to the store, oldest first.

In: the lake's sealed files. Out: the same files under the same relative paths in the store, each
verified there. A file's name and bytes never change, so it may be uploaded again at any time. If
the store fails, the uploader retries after longer and longer waits; it reports the failure once,
and once when uploads work again.
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

_MAX_FAILURES_IN_A_ROW = 2
"""These end a pass. One alone does not: one bad file must not hold up the others."""

_SETTLED_NS = 2_000_000_000
"""After this long, any further change gives a folder a new time stamp, on every file system."""

Tell = Callable[[str, str], None]
"""Called with an event: its kind, and what happened, in words."""


@dataclass(frozen=True, slots=True)
class UploadCounters:
    """What an uploader did since its start, and what waits."""

    files: int = 0
    """Files verified in the store, whether uploaded now or found there."""
    bytes: int = 0
    failures: int = 0
    """Failed tries, one for each file and try."""
    backlog_files: int = 0
    backlog_bytes: int = 0
    oldest_waiting_s: float = 0.0
    """How long ago the next file was sealed; 0 if none waits."""
    released_files: int = 0
    """Local copies removed because `keep_local_s` was over."""
    released_bytes: int = 0


class Uploader:
    """Uploads the files of one node. One thread calls `run`; any thread may call the rest.

    Args:
        upload: the settings: how often, and how long local copies stay.
        lake: where the files are.
        node: whose files.
        store: where they go.
        verified: the files that were verified in the store.
        tell: called with events.
        log: the collector's log.
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
        self._complete_folders: dict[Path, int] = {}
        self.counters = UploadCounters()

    def due(self) -> bool:
        """Return whether it is time for the next pass, by period or back-off."""
        return time.monotonic() >= self._next_s

    def end(self) -> None:
        """End the current pass after the current file, and start no other."""
        self._ended.set()

    def run(self) -> list[str]:
        """Upload what waits, then remove old local copies; return what failed, in words."""
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
        """Set the time of the next pass; report a first failure, or that uploads work again."""
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
        """Upload what waits, oldest first; return problems, in words."""
        waiting = self._waiting()
        problems: list[str] = []
        uploaded = in_a_row = 0
        self._count_backlog(waiting)
        for file in waiting:
            if self._ended.is_set() or in_a_row >= _MAX_FAILURES_IN_A_ROW:
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
        """Return the files that were not verified in the store, oldest first.

        A folder whose files were all verified is skipped until it changes.
        """
        waiting = []
        for folder in hour_folders(self._root):
            try:
                changed_ns = folder.stat().st_mtime_ns
            except OSError:
                continue
            if self._complete_folders.get(folder) == changed_ns:
                continue
            new = [f for f in files_in(folder, self._root, self._node) if f not in self._verified]
            waiting += new
            # A change in the same tick of the file system's clock would not show in the time stamp.
            if not new and time.time_ns() - changed_ns > _SETTLED_NS:
                self._complete_folders[folder] = changed_ns
        return sorted(waiting, key=age_key)

    def _put(self, file: SealedFile) -> int:
        """Make sure that the store holds a file; return 1, or 0 if it no longer exists.

        Raises:
            StoreError: the store does not answer, refuses the file, or returns other bytes.
            OSError: the file cannot be read.
        """
        try:
            content = Content.of(file.path.read_bytes())
        except FileNotFoundError:
            return 0
        # After a kill, or with a lost list, the store may hold the file already.
        found = self._store.compare(file.relative, content)
        if found != "same":
            if found == "different":
                self._log.warning("upload_differs", file=file.relative)
            self._store.put(file.relative, content)
            if self._store.compare(file.relative, content) != "same":
                raise StoreError("the uploaded file reads back differently")
        self._verified.add(file)
        self._add(files=1, bytes=file.size)
        return 1

    def _release(self) -> list[str]:
        """Remove old local copies; upload again what the store has lost; return problems."""
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
        self._tell("upload_lost", f"{len(done.lost)} files are missing from the store")
        for file in done.lost:
            self._complete_folders.pop(file.path.parent, None)
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
