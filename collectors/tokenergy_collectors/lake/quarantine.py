"""The quarantine: where raw files go that break the contract, the reason beside each."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tokenergy_collectors.lake.paths import hour_of_folder

QUARANTINE = "quarantine"
_REASON = ".reason"


def set_aside(root: Path, path: Path, reason: str) -> Path:
    """Move a file of a lake to its quarantine, the reason beside it; return where it is.

    Raises:
        OSError: it cannot be moved.
    """
    home = root / QUARANTINE / path.relative_to(root)
    home.parent.mkdir(parents=True, exist_ok=True)
    for number in itertools.count(2):
        if not home.exists():
            break
        home = home.with_name(f"{path.name}.{number}")
    path.rename(home)
    home.with_name(f"{home.name}{_REASON}").write_text(f"{reason}\n", "utf-8")
    return home


def quarantined(root: Path) -> Iterator[dict[str, Any]]:
    """Yield what lies in a lake's quarantine, sorted: table, hour_us, file, reason.

    A log of a collector has no hour, and its table is None.
    """
    folder = root / QUARANTINE
    for note in sorted(folder.rglob(f"*{_REASON}")):
        file = note.relative_to(folder).with_name(note.name.removesuffix(_REASON))
        try:
            reason = note.read_text("utf-8", errors="replace").strip()
        except OSError as error:
            reason = f"cannot be read: {error.strerror}"
        table, hour_us = _place(file)
        yield {"table": table, "hour_us": hour_us, "file": str(file), "reason": reason}


def _place(file: Path) -> tuple[str | None, int | None]:
    """Return the table and the hour of a file in quarantine, as its path says."""
    if len(file.parts) != 4:
        return None, None
    return file.parts[0], hour_of_folder(file.parent)
