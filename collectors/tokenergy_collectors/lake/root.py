"""Checks that a lake's own folder can be used, before anything is collected.

In: a path. Out: a folder that can be written, or a `UserError` that says why not.
"""

from __future__ import annotations

import os
from pathlib import Path

from tokenergy_collectors.base.errors import UserError


def check_writable(root: Path) -> None:
    """Refuse a path that is not a folder, or where nothing can be created; create nothing.

    Raises:
        UserError: the path cannot be used.
    """
    existing = root
    try:
        while not existing.exists() and existing != existing.parent:
            existing = existing.parent
    except OSError as error:
        raise UserError(f"lake {root}: cannot be used: {error.strerror}") from None
    if not existing.is_dir():
        raise UserError(f"lake {root}: {existing} is not a directory")
    if not os.access(existing, os.W_OK | os.X_OK):
        raise UserError(f"lake {root}: is not writable: no permission to write in {existing}")


def prepare(root: Path) -> None:
    """Create the folder if it is missing, and check that a file can be written in it.

    Raises:
        UserError: the folder cannot be created or written.
    """
    # Permissions alone do not show a read-only or full file system.
    probe = root / f".probe-{os.getpid()}"
    try:
        root.mkdir(parents=True, exist_ok=True)
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise UserError(f"lake {root}: is not writable: {error.strerror}") from None
