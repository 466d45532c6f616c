"""The version of a lake's form: a program that is too old for a lake says so, and reads nothing.

In: a lake's folder. Out: `<lake>/lake.json`, written by `tokenergy index` and `tokenergy migrate`.
A lake without that file is of the first version. Whatever a version adds to the contract may be
NULL, so every older lake is read as it is.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

from tokenergy_collectors import __version__
from tokenergy_collectors.base.errors import UserError

FORMAT = 3
"""The version that this program writes: raised when an older program would misread the rows.

1: the first. 2: counters by series, clusters and ids of allocations, places and limits as of their
time. 3: books by a published list.
"""

NAME = "lake.json"


def format_of(root: Path) -> int:
    """Return the version of a lake.

    Raises:
        UserError: the file that says so is damaged.
    """
    path = root / NAME
    try:
        found = json.loads(path.read_text("utf-8"))["format"]
    except FileNotFoundError:
        return 1
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path}: cannot be read: {error}; expected {_text()}") from None
    if isinstance(found, bool) or not isinstance(found, int) or found < 1:
        raise UserError(f"{path}: format {found!r}: expected a whole number from 1")
    return found


def require_known(root: Path) -> None:
    """Refuse a lake of a later version than this program knows.

    Raises:
        UserError: it is, or the file that says so is damaged.
    """
    found = format_of(root)
    if found > FORMAT:
        raise UserError(
            f"lake {root}: was written by a newer TokEnergy (format {found}; version "
            f"{__version__} knows formats up to {FORMAT}); install a newer version"
        )


def write_format(root: Path) -> None:
    """Record the version in a lake, unless it has it already.

    Raises:
        UserError: the file cannot be written, or is damaged.
    """
    if (root / NAME).exists() and format_of(root) == FORMAT:
        return
    aside = root / f".{NAME}.{os.getpid()}.tmp"
    try:
        aside.write_text(_text() + "\n", "utf-8")
        aside.replace(root / NAME)
    except OSError as error:
        raise UserError(f"{root / NAME}: cannot be written: {error.strerror}") from None


def _text() -> str:
    return json.dumps({"format": FORMAT, "written_by": f"tokenergy {__version__}"})
