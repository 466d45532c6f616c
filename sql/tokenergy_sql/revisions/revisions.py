"""Numbered revisions of the books: what each run of the index changed.

In: `<lake>/revisions/NNNNNN/`, one folder for each run that changed something. Out: manifests, and
the files of a table as of a revision.

`manifest.json` lists the hours that were derived and why, the files that were added, and those that
were replaced or removed. Files of the books never change, and those that were replaced stay where
they are until `drop_before` removes them. So every earlier state can be restored: start from the
current files and undo one run after the other. Earlier versions replaced files in place; the folder
of a revision has such files as they were.

`<lake>/revisions/hours.json` holds the inputs that each hour was last derived from.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.lake import Lake, monthlyfile
from tokenergy_collectors.lake.absent import stat_of, there
from tokenergy_collectors.lake.monthly import ByFile, ByHour, Monthly, of_dates
from tokenergy_collectors.lake.paths import hour_of_path
from tokenergy_collectors.lake.published import BOOKS, list_path, more_of_list

FOLDER = "revisions"
REVISED_TABLES = BOOKS
"""Tables with revisions. Segments have none: they can be derived again from sealed readings."""

_HOURS = "hours.json"
_INPUTS, _DIGESTS = "inputs", "digests"
"""What it has of hours, and of files."""
RECORDED = "recorded"
"""Key of a list in an object store: the name of what is recorded of the hours."""
MANIFEST = "manifest.json"
BEFORE = "before"
"""Folder, in that of a revision, of the files that it replaced."""


@dataclass(slots=True)
class Manifest:
    """What one run of the index changed.

    Attributes:
        number: of the revision, from 1.
        made_at: when, ISO 8601 UTC; in no derived row.
        index_version: of models and contract.
        hours: each derived hour (microseconds UTC, as text) and the kinds of input that had
            changed; `new` for one that was derived for the first time.
        added: files that did not exist before, relative to the lake.
        replaced: files that were seen before, and not since; they are kept.
        dropped: whether those have been removed to save space.
    """

    number: int
    made_at: str
    index_version: str
    hours: dict[str, list[str]] = field(default_factory=dict)
    added: list[str] = field(default_factory=list)
    replaced: list[str] = field(default_factory=list)
    dropped: bool = False

    def causes(self, hour_us: int) -> list[str]:
        """Return the kinds of input that had changed in an hour; none if it was not derived."""
        return self.hours.get(str(hour_us), [])


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write a manifest into the folder of its revision, whole or not at all."""
    folder.mkdir(parents=True, exist_ok=True)
    aside = folder / f"{MANIFEST}.tmp"
    aside.write_text(json.dumps(asdict(manifest), indent=1) + "\n", "utf-8")
    aside.replace(folder / MANIFEST)


def manifests(lake: Lake) -> list[Manifest]:
    """Return the manifests of all revisions of a lake, in order.

    Raises:
        UserError: a manifest is damaged.
    """
    home = lake.root / FOLDER
    return [_manifest(home / f"{number:06d}" / MANIFEST) for number in numbers(lake)]


def unfinished_manifest(folder: Path) -> Manifest | None:
    """Return the manifest in the folder of a run that has not ended; None if it has none.

    Raises:
        UserError: it is damaged.
    """
    path = folder / MANIFEST
    return _manifest(path) if path.exists() else None


def _manifest(path: Path) -> Manifest:
    try:
        return Manifest(**json.loads(path.read_text("utf-8")))
    except (ValueError, TypeError) as error:
        raise UserError(f"{path}: is damaged: {error}") from None


def files_at(lake: Lake, revision: int, table: str) -> list[Path]:
    """Return the files of a table as of a revision; 0 is before the first.

    Args:
        lake: the lake.
        revision: its number.
        table: one of `REVISED_TABLES`.

    Raises:
        UserError: there is no such revision, or what it needs has been dropped.
    """
    recorded = manifests(lake)
    last = recorded[-1].number if recorded else 0
    if not 0 <= revision <= last:
        raise UserError(f"revision {revision}: expected 0 to {last}; see `tokenergy revisions`")
    found = {hour_of_path(path): path for path in lake.files(table)}
    for manifest in reversed(recorded):
        if manifest.number <= revision:
            break
        if manifest.dropped:
            raise UserError(
                f"revision {revision}: cannot be restored: the files that revision "
                f"{manifest.number} replaced have been dropped"
            )
        for name in _of_table(manifest.added, table):
            found.pop(hour_of_path(Path(name)), None)
        for name in _of_table(manifest.replaced, table):
            found[hour_of_path(Path(name))] = _kept(lake, manifest, name)
    return [found[hour_us] for hour_us in sorted(found)]


def _of_table(names: list[str], table: str) -> list[str]:
    return [name for name in names if Path(name).parents[2].name == table]


def _kept(lake: Lake, manifest: Manifest, name: str) -> Path:
    """Return where a file is that a revision replaced."""
    before = lake.root / FOLDER / f"{manifest.number:06d}" / BEFORE / name
    return before if there(before) else lake.root / name


@contextmanager
def locked(lake: Lake) -> Iterator[None]:
    """Wait until no other process changes the books of a lake, and keep others out.

    Raises:
        OSError: the folder cannot be written.
    """
    home = lake.root / FOLDER
    home.mkdir(parents=True, exist_ok=True)
    with (home / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def drop_before(lake: Lake, keep: int) -> int:
    """Remove the files that all but the latest revisions replaced; return the bytes freed.

    Args:
        lake: the lake.
        keep: how many of the latest revisions can still be undone.

    Raises:
        UserError: the folder cannot be written.
    """
    try:
        # A run of the index may just be about to publish a file that it found there.
        with locked(lake):
            return _drop_before(lake, keep)
    except OSError as error:
        where = lake.root / FOLDER
        raise UserError(f"{where}: cannot be written: {error.strerror or error}") from None


def _drop_before(lake: Lake, keep: int) -> int:
    every = manifests(lake)
    dropped, kept = every[: -keep or None], every[-keep:] if keep else []
    needed = {path for table in REVISED_TABLES for path in lake.files(table)}
    needed |= {_kept(lake, manifest, name) for manifest in kept for name in manifest.replaced}
    freed = 0
    for manifest in dropped:
        if manifest.dropped:
            continue
        manifest_files = {_kept(lake, manifest, name) for name in manifest.replaced}
        manifest.dropped = True
        folder = lake.root / FOLDER / f"{manifest.number:06d}"
        write_manifest(folder, manifest)
        for path in manifest_files - needed:
            with suppress(FileNotFoundError):
                size, _ = stat_of(path)
                path.unlink()
                freed += max(size, 0)  # of one that is in a store it is not known
        shutil.rmtree(folder / BEFORE, ignore_errors=True)
    return freed


@dataclass(frozen=True, slots=True)
class Recorded:
    """What is recorded of the hours that were derived.

    Attributes:
        hours: the inputs that each was last derived from.
        files: digests of files, see `InputReader`.
        constants: the site's constants, by the names that the inputs of hours give them.
    """

    hours: MutableMapping[int, dict[str, str]]
    files: MutableMapping[str, list[Any]]
    constants: dict[str, dict[str, Any]]


def read_recorded(lake: Lake) -> Recorded:
    """Return what is recorded of the hours of a lake; nothing if it cannot be read."""
    kinds: dict[str, monthlyfile.Kind] = {"hours": ByHour.of_texts, "files": ByFile.of_texts}
    try:
        data = _recorded_path(lake.root).read_bytes()
        # Of the digests of files, most after a year, only those of a day are looked at.
        if (parsed := monthlyfile.parse(data, kinds)) is not None:
            head, sections = parsed
            found = sections["hours"][_INPUTS], sections["files"][_DIGESTS]
            return Recorded(*found, head["constants"])
        content = json.loads(data)
    except (FileNotFoundError, ValueError):
        return Recorded({}, {}, {})
    if _INPUTS in content["hours"]:  # somebody else wrote it, in this layout
        hours, files = of_dates(content["hours"][_INPUTS]), content["files"][_DIGESTS]
    else:  # an earlier version did
        hours = {int(hour): inputs for hour, inputs in content["hours"].items()}
        files = content["files"]
    return Recorded(ByHour(hours), ByFile(files), content.get("constants", {}))


def _recorded_path(root: Path) -> Path:
    """Return where it is recorded what the hours of a lake were derived from.

    A lake that was copied from an object store has it where its list says: see `workcopy.head`.
    """
    with suppress(FileNotFoundError, ValueError):
        text = list_path(root).read_bytes()
        # To look for the key takes less than to see that nobody has changed the list.
        name = more_of_list(text).get(RECORDED) if f'"{RECORDED}"'.encode() in text else None
        if isinstance(name, str) and (root / name).exists():
            return root / name
    return root / FOLDER / _HOURS


def adopt_recorded(lake: Lake) -> None:
    """Have that in its own place, before a list is published that does not name it."""
    found, own = _recorded_path(lake.root), lake.root / FOLDER / _HOURS
    if found != own:
        aside = own.with_name(f".{_HOURS}.{os.getpid()}.tmp")
        aside.write_bytes(found.read_bytes())
        aside.replace(own)


def write_recorded(lake: Lake, recorded: Recorded) -> None:
    """Write what each hour was last derived from."""
    path = lake.root / FOLDER / _HOURS
    aside = path.with_suffix(".tmp")
    hours, files = recorded.hours, recorded.files
    sections: dict[str, dict[str, Monthly[Any, Any]]] = {
        "hours": {_INPUTS: hours if isinstance(hours, ByHour) else ByHour(hours)},
        "files": {_DIGESTS: files if isinstance(files, ByFile) else ByFile(files)},
    }
    aside.write_bytes(monthlyfile.dump({"constants": dict(recorded.constants)}, sections))
    aside.replace(path)


def numbers(lake: Lake) -> list[int]:
    """Return the numbers of all revisions of a lake, ascending."""
    return sorted(
        int(path.parent.name)
        for path in (lake.root / FOLDER).glob(f"*/{MANIFEST}")
        if path.parent.name.isascii() and path.parent.name.isdigit()
    )
