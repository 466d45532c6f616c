"""The folder into which the hooks write: what is new in it, and what can go.

In: a folder of files. Out: events, each once, and files removed once their allocations are in the
lake. A look reads a limited number of files; the rest waits for the next look.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from tokenergy_collectors.lake import Lake
from tokenergy_collectors.sources.slurm.cleaning import ReadFile, removable, remove
from tokenergy_collectors.sources.slurm.held import Held
from tokenergy_collectors.sources.slurm.hookfile import HookEvent, event_files, read_events

_MOST_FILES = 100
"""How many files a look reads: more at once hold up the sampling, which is in the same process."""

_MOST_CLEANED = 1_000
_TORN_US = 60_000_000
"""A line that has had no end for so long was cut off; it is still read if it gets one."""


class Read(NamedTuple):
    """What was new: the events by file, and what is wrong with files, each said once."""

    files: list[tuple[str, list[HookEvent]]]
    problems: list[str]


class Inbox:
    """A folder of files.

    Args:
        folder: the folder.

    Attributes:
        folder: the same.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._done: dict[str, ReadFile] = {}
        self._torn_us: dict[str, int] = {}
        self._retry_us: dict[str, int] = {}
        self._told: set[str] = set()
        # One thread reads while another one cleans.
        self._lock = threading.Lock()

    def read(self, now_us: int) -> Read:
        """Return what is new.

        Args:
            now_us: now (us UTC).

        Raises:
            OSError: the folder cannot be listed.
        """
        names = event_files(self.folder)
        with self._lock:
            fresh = [
                name
                for name in names
                if name not in self._done and self._retry_us.get(name, now_us) <= now_us
            ]
            files: list[tuple[str, list[HookEvent]]] = []
            problems: list[str] = []
            for name in fresh[:_MOST_FILES]:
                problems += self._read_one(name, now_us, files)
        return Read(files, problems)

    def holds(self, name: str, held: Iterable[Held]) -> None:
        """Note the allocations that the events of a file changed."""
        with self._lock:
            self._done[name].held.extend(held)

    def clean(self, lake: Lake, node: str, now_us: int) -> None:
        """Remove the files that are not needed any more.

        Raises:
            OSError: one cannot be removed.
            UserError: the lake cannot be read.
        """
        with self._lock:
            files = dict(islice(self._done.items(), _MOST_CLEANED))
        for name in removable(files, lake, node, now_us):
            remove(self.folder, name, bad=files[name].bad)
            with self._lock:
                del self._done[name]

    def _read_one(
        self, name: str, now_us: int, files: list[tuple[str, list[HookEvent]]]
    ) -> list[str]:
        """Read a file; return what is wrong with it."""
        try:
            found = read_events(self.folder / name)
        except FileNotFoundError:
            return []
        except OSError as error:
            return self._later(name, now_us, f"{name}: cannot be read: {error.strerror}")
        if not found.whole:
            since_us = self._torn_us.setdefault(name, now_us)
            if now_us - since_us < _TORN_US:
                return []
            why = f"{name}: its last line is cut off (is the disk full?); it is left as it is"
            return self._later(name, now_us, why)
        self._done[name] = ReadFile(now_us, [], bool(found.bad))
        files.append((name, found.events))
        more = f" (and {len(found.bad) - 1} further lines of it)" if len(found.bad) > 1 else ""
        return [found.bad[0] + more] if found.bad else []

    def _later(self, name: str, now_us: int, why: str) -> list[str]:
        """Leave a file alone for a while, so that the others are read; return why, once."""
        self._retry_us[name] = now_us + _TORN_US
        if name in self._told:
            return []
        self._told.add(name)
        return [why]
