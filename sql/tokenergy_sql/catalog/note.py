"""What `catalog.duckdb` was made of, in `cache/catalog.json`.

In: a catalog and digests of its parts. Out: whether it need not be made again, or only in part. The
file may be removed at any time: the catalog is then made again, with all its parts.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import NamedTuple

from tokenergy_collectors.lake import Lake
from tokenergy_sql.catalog.content import FIXED

PLACE = "cache/catalog.json"

_GROWN = 2
_ROOM_BYTES = 1 << 22
"""What is renewed leaves holes. Twice the size that it had, and 4 MiB, is too many of them."""


@dataclass(frozen=True, slots=True)
class Note:
    """What is remembered of a catalog that was written.

    Attributes:
        size: bytes.
        mtime_ns: when it was written.
        digest: of its bytes.
        first_size: bytes when all its parts were made at once.
        parts: a digest of what each part was made of.
        listed: a digest of the list of published books that it is of; empty if not all days and
            months that are to be packed are, or it is not known.
        packed: the packed files that it names, relative to the lake.
    """

    size: int
    mtime_ns: int
    digest: str
    first_size: int
    parts: Mapping[str, str]
    listed: str = ""
    packed: Sequence[str] = ()

    def is_of(self, path: Path) -> bool:
        """Return whether a catalog seems to be the one that was written."""
        try:
            stat = path.stat()
        except FileNotFoundError:
            return False
        return (stat.st_size, stat.st_mtime_ns) == (self.size, self.mtime_ns)

    def follows(self, parts: Mapping[str, str]) -> bool:
        """Return whether it has these parts."""
        return all(self.parts.get(name) == digest for name, digest in parts.items())

    def may_be_renewed(self, path: Path, parts: Mapping[str, str]) -> bool:
        """Return whether only some parts of a catalog have to be made again."""
        fits = self.size <= _GROWN * self.first_size + _ROOM_BYTES
        return fits and self.is_of(path) and self.parts.get(FIXED) == parts[FIXED]

    def names_all(self, root: Path) -> bool:
        """Return whether the packed files that it names are all there."""
        return all((root / name).exists() for name in self.packed)


def read_note(lake: Lake) -> Note | None:
    """Return the note of a lake's catalog; None if there is none, or it is damaged."""
    try:
        found = Note(**json.loads((lake.root / PLACE).read_text("utf-8")))
        return found if isinstance(found.parts, dict) else None
    except (OSError, ValueError, TypeError):
        return None


def write_note(
    lake: Lake, path: Path, parts: Mapping[str, str], before: Note | None, of: Named
) -> None:
    """Remember what a catalog was made of.

    Args:
        lake: the lake.
        path: the catalog.
        parts: digests.
        before: of the catalog that it was made from, if it was.
        of: what its views name.
    """
    stat = path.stat()
    first_size = before.first_size if before else stat.st_size
    _write(lake, Note(stat.st_size, stat.st_mtime_ns, bytes_digest(path), first_size, parts, *of))


def name_again(lake: Lake, note: Note | None, of: Named) -> None:
    """Remember that a catalog that is left as it is names the files of another list, too."""
    if note is not None and of.listed and note.listed != of.listed:
        _write(lake, replace(note, listed=of.listed, packed=of.packed))


def _write(lake: Lake, note: Note) -> None:
    with suppress(OSError):  # then the catalog is made again next time
        (lake.root / PLACE).parent.mkdir(exist_ok=True)
        (lake.root / PLACE).write_text(json.dumps(asdict(note)), "utf-8")


class Named(NamedTuple):
    """Files that the views of a catalog name: see `Note`."""

    listed: str
    packed: Sequence[str]


def bytes_digest(path: Path) -> str:
    """Return a digest of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "blake2b").hexdigest()[:32]
