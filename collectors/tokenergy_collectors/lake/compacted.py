"""Compacted files: one file of a table, hour and node in place of many; how readers see them.

In: an hour folder of a raw table. Out: the files that hold its rows, each row once, and the names
of the raw files that these rows came in: its sources.

    TABLE/date=.../hour=.../NODE-FIRST_TS-mergedTAG_ROWSrows.parquet    a compacted file
    compacted/TABLE/date=.../hour=.../...                               one that is not there yet
    compacted/TABLE/date=.../hour=.../sources.json                      its sources, to be fast

One rule holds for all readers: a file that a compacted one names in its footer is not read. So one
rename publishes a compacted file, whatever else is there and however its writer died.

A compacted file is first in `compacted`, where no pattern of DuckDB's finds it. Its sources stay
where they are for hours, for those who listed them before. Then it gets its second place, beside
them, and they are removed: `compaction.py`. TAG is a digest of the names of its sources, so it says
the same wherever it is, and `sources.json` may be removed at any time.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from tokenergy_collectors.lake.absent import there
from tokenergy_collectors.lake.paths import SUFFIX, may_be_of, raw_name, tag_with_rows
from tokenergy_collectors.lake.reading import BrokenFileError, note_of

FOLDER = "compacted"

LIST = "sources.json"
"""The sources of the compacted files of a folder, by name."""

UNDER_WAY = f"compaction-under-way{SUFFIX}"
"""An empty file beside others while sources give way to their compacted file, for some tenths of a
second: a reader by a pattern would see some rows twice, and gets an error from this file instead.
"""

KEY = "tokenergy.compacted"
"""Key in the metadata of a compacted file."""

_MARK = "merged"
_NAME = re.compile(rf"-{_MARK}[0-9a-f]{{16}}(_\d+rows)?\.parquet$", re.ASCII)


@dataclass(frozen=True, slots=True)
class Sources:
    """What a compacted file was made from.

    Attributes:
        digests: SHA-256 of each raw file, by name.
        replaced: names of earlier compacted files that had some of them.
    """

    digests: Mapping[str, str]
    replaced: tuple[str, ...] = ()

    @property
    def names(self) -> frozenset[str]:
        """The files that are not read beside it."""
        return frozenset((*self.digests, *self.replaced))

    def text(self) -> str:
        """Return it as a JSON object."""
        return json.dumps(
            {"sources": dict(sorted(self.digests.items())), "replaced": self.replaced}
        )

    @classmethod
    def parse(cls, text: str) -> Sources:
        """Return what a text says.

        Raises:
            ValueError: it is not one of ours.
        """
        try:
            content = json.loads(text)
            return cls(
                {str(name): str(digest) for name, digest in content["sources"].items()},
                tuple(map(str, content["replaced"])),
            )
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"{KEY}: {error!r}") from None


@dataclass(slots=True)
class Listing:
    """An hour folder of a raw table.

    Attributes:
        files: that hold its rows, in any order.
        sources: names of the raw files that the rows came in, in any order.
        superseded: names in the folder that are not read.
        compacted: of each compacted file that is read, what it was made from.
    """

    files: list[Path] = field(default_factory=list)
    sources: list[str] = field(default_factory=list)
    superseded: set[str] = field(default_factory=set)
    compacted: dict[str, Sources] = field(default_factory=dict)


def is_compacted(name: str) -> bool:
    """Return whether a name is that of a compacted file."""
    return _MARK in name and _NAME.search(name) is not None


def is_pending(root: Path, path: Path) -> bool:
    """Return whether a file is a compacted one whose sources are still there."""
    return path.is_relative_to(root / FOLDER)


def name_of(node: str, first_us: int, sources: Iterable[str], rows: int | None) -> str:
    """Return the name of the compacted file of some raw files.

    Args:
        node: whose they are.
        first_us: the first stamp in any of them (us UTC), from their names.
        sources: their names.
        rows: how many they have together, if that is known.
    """
    digest = hashlib.sha256(json.dumps(sorted(sources)).encode()).hexdigest()
    tag = f"{_MARK}{digest[:16]}"
    return raw_name(node, first_us, tag if rows is None else tag_with_rows(tag, rows))


def pending_folder(root: Path, folder: Path) -> Path:
    """Return where the compacted files of an hour folder are first.

    Args:
        root: the lake.
        folder: below it: `TABLE/date=.../hour=...`.
    """
    return Path(f"{root}/{FOLDER}/{'/'.join(folder.parts[-3:])}")


def files_in(
    root: Path, folder: Path, *, node: str | None = None, may_be: bool = True
) -> list[Path]:
    """Return the files that hold the rows of an hour folder, in any order.

    Args:
        root: the lake.
        folder: an hour folder of one of its tables.
        node: files of other nodes may be left out; those of all nodes are wanted if None.
        may_be: False if nothing of the table is in `compacted`.
    """
    # First those: a compacted file gets its second place before it loses the first.
    pending = pending_names(root, folder) if may_be else []
    names = names_in(folder)
    none = not any(map(is_compacted, names))
    if not pending and (none or (all(map(is_compacted, names)) and _one_each(names))):
        # To make a path takes fifty times as long as to look at a name, and an hour of a fleet has
        # thousands of them, that are listed for each node.
        return [folder / name for name in names if node is None or may_be_of(name, node)]
    return _resolved(root, folder, names, pending).files


def listing(root: Path, folder: Path) -> Listing:
    """Return the files of an hour folder, and the raw files that their rows came in."""
    pending = pending_names(root, folder)
    names = names_in(folder)
    if not pending and not any(map(is_compacted, names)):
        return Listing([folder / name for name in names], names)
    return _resolved(root, folder, names, pending)


def names_in(folder: Path) -> list[str]:
    """Return the names of the files of a table in a folder, superseded ones too, in any order."""
    with suppress(FileNotFoundError, NotADirectoryError), os.scandir(folder) as entries:
        # A hidden file is still being written, or its writer died.
        return [
            entry.name
            for entry in entries
            if entry.name.endswith(SUFFIX) and entry.name[0] != "." and entry.name != UNDER_WAY
        ]
    return []


def has(root: Path, table: str) -> bool:
    """Return whether anything of a table was ever compacted here."""
    return (root / FOLDER / table).is_dir()


def is_gone(root: Path, path: Path) -> bool:
    """Return whether a raw file is not there because a compacted one has its rows."""
    if there(path) or not path.is_relative_to(root):
        return False
    return is_pending(root, path) or path.name in superseded(root, path.parent)


def superseded(root: Path, folder: Path) -> set[str]:
    """Return the names that files in an hour folder had before they were compacted."""
    found = listing(root, folder).compacted.values()
    return {name for sources in found for name in sources.names}


def digest_of(root: Path, relative: str) -> str | None:
    """Return the SHA-256 of a raw file that was compacted; None if it was not.

    Args:
        root: the lake.
        relative: where it was, relative to the lake.
    """
    path = root / relative
    for name, sources in listing(root, path.parent).compacted.items():
        if path.name in sources.digests:
            for place in (path.parent, pending_folder(root, path.parent)):
                if whole := sources_of(place / name):
                    return whole.digests.get(path.name)
    return None


def sources_of(path: Path) -> Sources | None:
    """Return what a compacted file was made from, by its footer; None if that cannot be read."""
    try:
        text = note_of(path, KEY)
        return None if text is None else Sources.parse(text)
    except (BrokenFileError, FileNotFoundError, ValueError):
        return None


def sources_at(root: Path, path: Path) -> list[Path]:
    """Return where the sources of a compacted file are that are still there.

    Args:
        root: the lake.
        path: the compacted file, in one of its places.
    """
    folder = Path(f"{root}/{'/'.join(path.parts[-4:-1])}")
    found = _known(root, folder, path.name) or sources_of(path)
    names = found.names if found else ()
    return sorted(one for name in names if there(one := folder / name) and one != path)


def write_list(root: Path, folder: Path, found: Mapping[str, Sources]) -> None:
    """Keep what the compacted files of a folder were made from, beside those that are not there."""
    path = pending_folder(root, folder) / LIST
    content = {
        name: {"sources": sorted(sources.digests), "replaced": sources.replaced}
        for name, sources in sorted(found.items())
    }
    aside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    aside.write_text(json.dumps(content), "utf-8")
    aside.replace(path)


def _resolved(root: Path, folder: Path, names: list[str], pending: list[str]) -> Listing:
    here = {*names}
    found = Listing()
    beside = pending_folder(root, folder)
    for name in sorted({*pending, *filter(is_compacted, names)}):
        place = folder if name in here else beside
        sources = _known(root, folder, name) or sources_of(place / name)
        if sources is not None:
            found.compacted[name] = sources
        # Without, it is damaged. Before its second place its sources are there: they are read.
    gone = {name for sources in found.compacted.values() for name in sources.names}
    found.superseded = {name for name in here if name in gone}
    found.compacted = {name: one for name, one in found.compacted.items() if name not in gone}
    found.files = [folder / name for name in here - gone]
    found.files += [beside / name for name in found.compacted if name not in here]
    # A damaged one is a source like any other: whoever reads it moves it to quarantine.
    found.sources = [name for name in here - gone if name not in found.compacted]
    found.sources += {name for one in found.compacted.values() for name in one.digests}
    return found


def pending_names(root: Path, folder: Path) -> list[str]:
    """Return the names of the compacted files of an hour folder that have their first place."""
    place = pending_folder(root, folder)
    with suppress(FileNotFoundError, NotADirectoryError), os.scandir(place) as entries:
        return [entry.name for entry in entries if is_compacted(entry.name)]
    return []


def _one_each(names: list[str]) -> bool:
    """Return whether each of some compacted files is the only one of its node."""
    return len({name.rsplit("-", 2)[0] for name in names}) == len(names)


def _known(root: Path, folder: Path, name: str) -> Sources | None:
    """Return what the list of a folder says of a compacted file, without digests."""
    path = pending_folder(root, folder) / LIST
    try:
        stat = path.stat()
    except OSError:
        return None
    return _listed(path, stat.st_mtime_ns, stat.st_size).get(name)


@lru_cache(256)
def _listed(path: Path, _mtime_ns: int, _size: int) -> dict[str, Sources]:
    try:
        content = json.loads(path.read_text("utf-8"))
        return {
            str(name): Sources(dict.fromkeys(map(str, one["sources"]), ""), tuple(one["replaced"]))
            for name, one in content.items()
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}
