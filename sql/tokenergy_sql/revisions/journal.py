"""The journal of a run of the index: what it has derived and not published yet.

In: hours as they are derived. Out: lines in the folder of the revision, for the next run if this
one dies. A line that was cut off counts for nothing: its hour is derived again.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

_HOURS = "derived.jsonl"
_WRITTEN = "written.txt"


@dataclass(frozen=True, slots=True)
class DerivedHour:
    """An hour that was derived.

    Attributes:
        hour_us: its start, microseconds UTC.
        causes: kinds of input that had changed.
        inputs: that it was derived from.
        constants: the site's constants that these name.
        tags: of its new files; None where a table has no rows of the hour.
    """

    hour_us: int
    causes: list[str]
    inputs: dict[str, str]
    constants: dict[str, dict[str, Any]]
    tags: dict[str, str | None]


class Journal:
    """The journal in a folder, which the first line creates."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._root = folder.parent.parent

    def announce(self, path: Path) -> None:
        """Record a file before it is there."""
        self._append(_WRITTEN, path.relative_to(self._root).as_posix())

    def announced(self) -> set[str]:
        """Return the files that were announced, relative to the lake."""
        return {*self._lines(_WRITTEN)}

    def add(
        self,
        hour_us: int,
        causes: list[str],
        inputs: Mapping[str, str],
        constants: Mapping[str, dict[str, Any]],
        tags: Mapping[str, str | None],
    ) -> None:
        """Record that an hour is derived; arguments as in `DerivedHour`."""
        hour = DerivedHour(hour_us, causes, dict(inputs), dict(constants), dict(tags))
        self._append(_HOURS, json.dumps(asdict(hour)))

    def hours(self) -> Iterator[DerivedHour]:
        """Yield the hours that were derived, in order."""
        for line in self._lines(_HOURS):
            try:
                yield DerivedHour(**json.loads(line))
            except (ValueError, TypeError):  # cut off
                continue

    def remove(self) -> None:
        """Remove the journal."""
        for name in (_HOURS, _WRITTEN):
            (self._folder / name).unlink(missing_ok=True)

    def _append(self, name: str, line: str) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        with (self._folder / name).open("a", encoding="utf-8") as file:
            file.write(f"{line}\n")

    def _lines(self, name: str) -> list[str]:
        path = self._folder / name
        # A line that was cut off has no end, and the next one would be appended to it.
        return path.read_text("utf-8", "replace").split("\n")[:-1] if path.exists() else []
