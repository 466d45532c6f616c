"""What of a store was imported already, kept beside the lake's tables.

In and out: `LAKE/.import/prometheus-NAME.json`, one for each store and way of reading it. It says
which spans of time are done, and where the boards' jobs stood at the end of the latest chunk.
Whoever reads the lake ignores it; without it an import reads everything again, and changes nothing.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import logging
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.importers.prometheus.spans import Held, from_json, to_json
from tokenergy_collectors.lake.modes import FILE_MODE, make_folders, open_text

_LOG = logging.getLogger(__name__)
_VERSION = 1
_DEPTH = 1
"""Folders between the lake and a record."""


@dataclass(slots=True)
class Record:
    """What was imported.

    Args:
        path: its file.
        settings: what decides which rows an import makes: shown in the file.

    Attributes:
        done: spans of time that are in the lake, [start, end), us UTC, ascending and apart.
        at_us: end of the chunk that `held` is about; None before the first.
        held: the boards' jobs there, by board.
    """

    path: Path
    settings: dict[str, Any]
    done: list[tuple[int, int]] = field(default_factory=list)
    at_us: int | None = None
    held: dict[str, Held] = field(default_factory=dict)

    @staticmethod
    def path_of(lake: Path, settings: dict[str, Any]) -> Path:
        """Return where the record of some settings is."""
        digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:16]
        return lake / ".import" / f"prometheus-{digest}.json"

    @classmethod
    def of(cls, lake: Path, settings: dict[str, Any]) -> Record:
        """Return the record of a lake for some settings; an empty one if there is none."""
        path = cls.path_of(lake, settings)
        try:
            told = json.loads(path.read_text("utf-8"))
            if told["version"] != _VERSION:
                raise ValueError(f"version {told['version']}")
            done = [(int(start_us), int(end_us)) for start_us, end_us in told["done"]]
            return cls(path, settings, done, told["at_us"], from_json(told["held"]))
        except FileNotFoundError:
            return cls(path, settings)
        except OSError as error:
            raise UserError(f"{path}: cannot be read: {error.strerror}") from None
        except (LookupError, TypeError, ValueError) as error:
            _LOG.warning("%s: cannot be used (%s): all is read again", path, error)
            return cls(path, settings)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Let no other import of the same kind run: both would write what is new.

        Raises:
            UserError: another one runs, or the folder cannot be written.
        """
        lock = self.path.with_suffix(".lock")
        try:
            make_folders(lock.parent, _DEPTH)
            fd = os.open(lock, os.O_RDWR | os.O_CREAT, FILE_MODE)
        except OSError as error:
            raise UserError(f"{lock}: cannot be written: {error.strerror}") from None
        # The kernel drops the lock with the file descriptor, however the process ends.
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield
        except BlockingIOError:
            raise UserError(
                f"another import from {self.settings['url']} into this lake is running, and holds "
                f"{lock}: wait until it is done"
            ) from None
        finally:
            os.close(fd)

    def add(self, start_us: int, end_us: int) -> None:
        """Note that a chunk is done, and where its boards stand."""
        merged: list[tuple[int, int]] = []
        for first_us, last_us in sorted([*self.done, (start_us, end_us)]):
            if merged and first_us <= merged[-1][1]:
                merged[-1] = (merged[-1][0], max(merged[-1][1], last_us))
            else:
                merged.append((first_us, last_us))
        self.done, self.at_us = merged, end_us

    def save(self) -> None:
        """Write the file: a reader finds the one before or this one.

        Raises:
            UserError: it cannot be written.
        """
        told = {
            "version": _VERSION,
            "settings": self.settings,
            "done": self.done,
            "at_us": self.at_us,
            "held": to_json(self.held),
        }
        text = json.dumps(told, indent=1, sort_keys=True) + "\n"
        aside = self.path.with_suffix(".tmp")
        try:
            make_folders(self.path.parent, _DEPTH)
            with open_text(aside, "w") as file:
                file.write(text)
                file.flush()
                # The rename may reach the disk before the bytes do, unless they are synced first.
                os.fsync(file.fileno())
            aside.replace(self.path)
        except OSError as error:
            raise UserError(f"{self.path}: cannot be written: {error.strerror}") from None


def chunks_of(
    start_us: int, end_us: int, chunk_us: int, done: Iterable[tuple[int, int]] = ()
) -> Iterator[tuple[int, int]]:
    """Yield what is not done of a span, cut at multiples of the length of a chunk.

    Args:
        start_us: first instant, us UTC.
        end_us: the instant after the last.
        chunk_us: length of a chunk.
        done: spans that are done, ascending and apart.
    """
    at_us = start_us
    for first_us, last_us in [*done, (end_us, end_us)]:
        stop_us = min(first_us, end_us)
        while at_us < stop_us:
            next_us = min(stop_us, at_us - at_us % chunk_us + chunk_us)
            yield at_us, next_us
            at_us = next_us
        at_us = max(at_us, last_us)
