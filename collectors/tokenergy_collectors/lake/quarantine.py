"""The quarantine: the folder for files that cannot be used, with the reason beside each.

quarantine/TABLE/date=YYYY-MM-DD/hour=HH/NAME.parquet    a raw file that breaks the contract, or
                                                         a derived file that is damaged
quarantine/books/TABLE/date=.../hour=.../NAME.parquet    one of the books that is damaged
quarantine/NODE-NAME.arrows                              a write-ahead log

To use a repaired file again, move it back to where it was. A derived file is made again from its
inputs; the damaged one may be removed at any time.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.lake.absent import there
from tokenergy_collectors.lake.books import Books
from tokenergy_collectors.lake.contract import TABLES
from tokenergy_collectors.lake.modes import make_folders, open_text
from tokenergy_collectors.lake.paths import SUFFIX, hour_of_folder, show_hour
from tokenergy_collectors.lake.published import BOOKS, FOLDER

QUARANTINE = "quarantine"
_REASON = ".reason"


MISSING = "is missing"


class DamagedError(UserError):
    """A derived file that is damaged or missing: it can be set aside and made again.

    Attributes:
        path: the file.
        reason: what is wrong with it; `MISSING` if one of the books is not there.
    """

    def __init__(self, path: Path, reason: str) -> None:
        hour_us = hour_of_folder(path.parent)
        of_hour = "" if hour_us is None else f" --hour {show_hour(hour_us)}"
        fault, remedy = f"is damaged: {reason}", "sets it aside and derives it again"
        if reason == MISSING:
            fault, remedy = reason, "derives it again"
        super().__init__(f"{path}: {fault}; run `tokenergy heal{of_hour}`, which {remedy}")
        self.path, self.reason = path, reason


def move_to_quarantine(root: Path, path: Path, name: str, reason: str) -> Path:
    """Move a file to a lake's quarantine and write the reason beside it.

    Args:
        root: folder of the lake.
        path: the file.
        name: its path below the quarantine; a number is added where another file has it.
        reason: why it cannot be used.

    Returns:
        Where the file is now.

    Raises:
        OSError: it cannot be moved.
    """
    target = root / QUARANTINE / name
    make_folders(target.parent, len(target.parent.relative_to(root).parts))
    for number in itertools.count(2):
        if not target.exists():
            break
        target = target.with_name(f"{Path(name).name}.{number}")
    path.replace(target)
    with open_text(target.with_name(f"{target.name}{_REASON}"), "w") as note:
        note.write(f"{reason}\n")
    return target


def quarantined(root: Path) -> Iterator[dict[str, Any]]:
    """Yield the files in a lake's quarantine, sorted: table, hour_us, file, reason.

    A collector's write-ahead log has neither a table nor an hour: both are None. A derived file
    that has been made again is left out: nothing is missing.
    """
    folder = root / QUARANTINE
    books = Books(root)
    for note in sorted(folder.rglob(f"*{_REASON}")):
        file = note.relative_to(folder).with_name(note.name.removesuffix(_REASON))
        if _is_made_again(root, books, file):
            continue
        try:
            reason = note.read_text("utf-8", errors="replace").strip()
        except OSError as error:
            reason = f"cannot be read: {error.strerror}"
        table, hour_us = _origin(file)
        yield {"table": table, "hour_us": hour_us, "file": str(file), "reason": reason}


def set_aside(root: Path, folder: Path) -> set[str]:
    """Return the names of the files that a folder of a lake had before they were set aside.

    Args:
        root: folder of the lake.
        folder: of a table's hour, below it.
    """
    aside = root / QUARANTINE / folder.relative_to(root)
    return {_name_before(path.name) for path in aside.glob(f"*{_REASON}")}


def _name_before(name: str) -> str:
    """Return the name that a file had in its table: without a number, or the ending of a reason."""
    return name[: name.rindex(SUFFIX) + len(SUFFIX)] if SUFFIX in name else name


def _is_made_again(root: Path, books: Books, file: Path) -> bool:
    name, hour_us = _origin(file)
    table = TABLES.get(name or "")
    if table is None or hour_us is None or table.layer != "derived":
        return False
    if table.name in BOOKS:
        now = books.file(table.name, hour_us)
        return now is not None and there(now)
    return there((root / file).with_name(_name_before(file.name)))


def _origin(file: Path) -> tuple[str | None, int | None]:
    """Return the table and the hour (us UTC) that a file in quarantine was in, from its path."""
    table, *inside = file.parts[1:] if file.parts[0] == FOLDER else file.parts
    if len(inside) != 3:
        return None, None
    return table, hour_of_folder(file.parent)
