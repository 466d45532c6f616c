"""Lets go of local files that the store holds, once they were here for as long as was asked.

In: the lake, and what is known to be in the store. Out: fewer files here; never one of which the
store did not say, just before, that it holds the same bytes.

All files of an hour become old at one instant, so that an hour goes whole: a reader of the lake
finds all of it or nothing. Job lists stay: they are small, and the daemon reads them at its start.
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
    """What went, what the store turned out to have lost, and what kept it from answering."""

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
    """Remove the files whose time is over; stop at the first sign that the store is away.

    Args:
        root: folder of the lake.
        node: whose files.
        keep_s: how long a file stays after its hour is over, and after it was sealed.
        store: asked for every file.
        verified: which files to ask for; what is lost is taken out.
        ended: tells that no further file is to be looked at.
    """
    done, now_us = Released(), time.time_ns() // 1000
    for file in _old(root, node, now_us - round(keep_s * 1_000_000)):
        if file not in verified:
            continue
        if ended():
            break
        try:
            content = Content.of(file.path.read_bytes())
            if store.look(file.relative, content) != "same":
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
    """Yield files whose hour was over, and that were sealed, by an instant (us UTC)."""
    for folder in hour_folders(root):
        hour_us = hour_of_folder(folder)
        if hour_us is None or hour_us + HOUR_US > until_us or folder.parents[1].name == JOBS.name:
            continue
        for file in files_in(folder, root, node):
            if file.mtime_ns // 1000 <= until_us:
                yield file
