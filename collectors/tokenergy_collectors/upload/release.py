"""Removes local files that the store holds, once `keep_local_s` is over.

In: the lake, and the files that were verified in the store. Out: fewer local files. Just before a
file is removed, the store must confirm that it holds the same bytes.

All files of an hour become old at the same moment, so that an hour is removed as a whole: a reader
of the lake finds all of it or nothing. Job lists stay: they are small, and the daemon reads them at
its start.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tokenergy_collectors.lake.contract import HOUR_US, JOBS
from tokenergy_collectors.lake.paths import hour_of_folder
from tokenergy_collectors.lake.sealed import SealedFile, files_in, hour_folders, remove
from tokenergy_collectors.upload.store import Content, Store, StoreError
from tokenergy_collectors.upload.verified import Verified


@dataclass(slots=True)
class Released:
    """What was removed, which files the store has lost, and why it did not answer."""

    files: int = 0
    bytes: int = 0
    lost: list[SealedFile] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def release(
    root: Path,
    node: str,
    keep_s: float,
    store: Store,
    verified: Verified,
    ended: Callable[[], bool],
) -> Released:
    """Remove the old files; stop at the first error of the store.

    Args:
        root: folder of the lake.
        node: whose files.
        keep_s: how long a file stays after its hour ended, and after it was sealed.
        store: asked about every file before it is removed.
        verified: the files to ask about; those that the store has lost are taken out.
        ended: returns True to stop before the next file.
    """
    done, now_us = Released(), time.time_ns() // 1000
    for file in _old(root, node, now_us - round(keep_s * 1_000_000)):
        if file not in verified:
            continue
        if ended():
            break
        try:
            # Ask the store itself: the copy may have been removed there since it was verified.
            content = Content.of(file.path.read_bytes())
            if store.compare(file.relative, content) != "same":
                verified.discard(file)
                done.lost.append(file)
            elif remove(file, now_us):
                done.files += 1
                done.bytes += file.size
        except FileNotFoundError:
            continue
        except (StoreError, OSError) as error:
            done.problems.append(f"{file.relative}: {error}")
            break
    return done


def _old(root: Path, node: str, until_us: int) -> Iterator[SealedFile]:
    """Yield files that were sealed, and whose hour ended, by `until_us` (us UTC)."""
    for folder in hour_folders(root):
        hour_us = hour_of_folder(folder)
        if hour_us is None or hour_us + HOUR_US > until_us or folder.parents[1].name == JOBS.name:
            continue
        for file in files_in(folder, root, node):
            if file.mtime_ns // 1000 <= until_us:
                yield file
