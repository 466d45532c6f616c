"""Who may read the lake: its owner and its group, and nobody else.

Files are made with mode 0640, folders with 0750 under the usual umask of 022. A stricter umask is
honoured. Nothing that exists is changed, the lake's own folder included.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import IO

FILE_MODE = 0o640
_FOLDER_MODE = 0o770
"""The umask decides about the group: under 002 a group that shares the lake may move its files."""


def make_folders(folder: Path, depth: int) -> None:
    """Make a folder of a lake, and those above it, where they are missing.

    Args:
        folder: the folder.
        depth: how many levels below the lake it is. The lake's own folder and those above it are
            made with the modes that the umask alone asks for.

    Raises:
        OSError: a folder cannot be made.
    """
    if folder.is_dir():
        return
    if depth == 0:
        folder.mkdir(parents=True, exist_ok=True)
        return
    make_folders(folder.parent, depth - 1)
    folder.mkdir(_FOLDER_MODE, exist_ok=True)


def make_file(path: Path) -> None:
    """Make an empty file, for a library that then opens it by its name.

    Raises:
        OSError: it cannot be made.
    """
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT, FILE_MODE))


def open_text(path: Path, mode: str) -> IO[str]:
    """Open a UTF-8 file for writing (`w`) or appending (`a`); a new one is closed to others.

    Raises:
        OSError: it cannot be opened.
    """
    return open(
        path, mode, encoding="utf-8", opener=lambda name, flags: os.open(name, flags, FILE_MODE)
    )
