"""What the segments of a node and hour were made from, kept in their file: so that newer readings,
and job edges that arrived later, are noticed.

In: the names of power files, the lake's inventory. Out: a text in the metadata of a segment file,
and the (hour, node) pairs whose text no longer fits the lake.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Collection, Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from tokenergy_collectors.lake import Lake
from tokenergy_collectors.lake.absent import there
from tokenergy_collectors.lake.contract import HOUR_US
from tokenergy_collectors.lake.paths import node_of, parse_raw_name
from tokenergy_collectors.lake.reading import BrokenFileError, note_of
from tokenergy_transforms.inventory import Inventory

KEY = "tokenergy.made_from"
"""Key in the metadata of a segment file."""

_DIGITS = 16
_TOGETHER_US = 10_000_000


@dataclass(frozen=True, slots=True)
class MadeFrom:
    """What segments of one node and hour were made from.

    Attributes:
        window_us: size of a window.
        files: power files of the hour, and those next to it on both sides; names. Their names tell
            their hours.
        facts: digest of the job edges in the hour and of the devices' update periods and limits.
        until_us: the latest stamp after the hour at which a reading would have changed them: the
            nearest reading of each device, or as far as readings are looked for.
    """

    window_us: int
    files: list[str]
    facts: str
    until_us: int = 0

    def text(self) -> str:
        """Return it as a JSON object."""
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def parse(cls, text: str | None) -> MadeFrom | None:
        """Return what a text says; None if there is none, as in files of earlier versions."""
        return None if text is None else cls(**json.loads(text))

    def outdated_by(self, now: MadeFrom, hour_us: int) -> bool:
        """Say whether the segments of an hour are to be made again from what the lake holds now.

        A file that is gone (the disk limit removed it once it was uploaded) does not make them
        outdated: without one of the hour they could not be made again. One of a neighbouring hour
        tells only how the hour begins or ends: new readings or job edges in the hour matter more.
        """
        gone, fresh = set(self.files) - set(now.files), set(now.files) - set(self.files)
        if self.lost(now.files, hour_us):
            return False
        if self.facts != now.facts or any(_is_of(name, hour_us) for name in fresh):
            return True
        return bool(fresh) and not gone

    def lost(self, names: Collection[str], hour_us: int) -> bool:
        """Say whether readings of an hour are gone, given the names of the files that are there."""
        return any(name not in names and _is_of(name, hour_us) for name in self.files)

    def waiting(self, now: MadeFrom, hour_us: int) -> list[str]:
        """Return the files of an hour that came after its earlier readings were removed.

        To make the segments again from them would drop what was booked of the earlier ones.
        """
        if not self.lost(now.files, hour_us):
            return []
        fresh = set(now.files) - set(self.files)
        return sorted(name for name in fresh if _is_of(name, hour_us))


class PowerFolders:
    """The power files of a lake, by hour and node. Each folder is listed once, for all its nodes.

    May be asked by several threads.

    Args:
        lake: the lake.
    """

    def __init__(self, lake: Lake) -> None:
        self._lake = lake
        self._hours: dict[int, dict[str, list[str]]] = {}
        self._files: dict[int, dict[str, list[Path]]] = {}
        self._lock = threading.Lock()

    def nodes(self, hour_us: int) -> list[str]:
        """Return the nodes with power files in an hour."""
        return sorted(self._of_hour(hour_us))

    def files(self, node: str, hour_us: int) -> list[Path]:
        """Return the files that hold the readings of a node in an hour, sorted by path.

        They are at least those whose names `around` returns, whoever asks first: of a file that
        comes meanwhile the readings are read, and it is not named, so it makes the hour outdated.
        """
        self._of_hour(hour_us)
        with self._lock:
            if hour_us not in self._files:
                self._files[hour_us] = _by_node(self._lake.files("power", [hour_us]))
            return self._files[hour_us].get(node, [])

    def forget_before(self, hour_us: int) -> None:
        """Forget the files of earlier hours, but not their names."""
        with self._lock:
            self._files = {hour: files for hour, files in self._files.items() if hour >= hour_us}

    def around(self, node: str, hour_us: int, until_us: int = 0) -> list[str]:
        """Return the names of a node's files in an hour, the one before, and the first ones after.

        Of a compacted file they are the names of the files that its readings came in.

        An hour's segments reach to the nearest reading of each device beyond each edge, not
        further. A name tells when a file begins, not when it ends: any file of the hour before may
        hold the last reading of some device. Files with the first readings of the next hour begin
        together, also if each is of one device. A device that was silent over the edge may have its
        first reading in a later one: those that begin by `until_us` count too.
        """
        before = self._of_hour(hour_us - HOUR_US).get(node, [])
        after = self._of_hour(hour_us + HOUR_US).get(node, [])
        begins_us = min((us for us in map(_first_us, after) if us), default=0)
        until_us = max(until_us, begins_us + _TOGETHER_US)
        first = [name for name in after if _first_us(name) <= until_us]
        return [*before, *self._of_hour(hour_us).get(node, []), *first]

    def all_around(self, node: str, hour_us: int) -> set[str]:
        """Return all files of a node in an hour and the two beside it."""
        hours = (hour_us - HOUR_US, hour_us, hour_us + HOUR_US)
        return {name for hour in hours for name in self._of_hour(hour).get(node, ())}

    def _of_hour(self, hour_us: int) -> dict[str, list[str]]:
        with self._lock:
            if hour_us not in self._hours:
                self._hours[hour_us] = {
                    node: sorted(
                        (path.name for path in paths), key=lambda name: (_first_us(name), name)
                    )
                    for node, paths in _by_node(self._lake.sources("power", [hour_us])).items()
                }
            return self._hours[hour_us]


def _by_node(paths: Iterable[Path]) -> dict[str, list[Path]]:
    found: dict[str, list[Path]] = {}
    for path in paths:
        found.setdefault(node_of(path), []).append(path)
    return found


def _first_us(name: str) -> int:
    """Return the first stamp of a raw file by its name; 0 if the name has none."""
    parsed = parse_raw_name(name)
    return parsed.first_us if parsed else 0


def _is_of(name: str, hour_us: int) -> bool:
    """Return whether a file is, or may be, one of an hour: a foreign name does not tell."""
    first_us = _first_us(name)
    return not first_us or hour_us <= first_us < hour_us + HOUR_US


def looking_until(
    made: MadeFrom, folders: PowerFolders, node: str, hour_us: int, until_us: int
) -> MadeFrom:
    """Return what segments were made from that look for readings until a stamp after the hour."""
    return replace(made, files=folders.around(node, hour_us, until_us), until_us=until_us)


def made_from(
    folders: PowerFolders, inventory: Inventory, node: str, hour_us: int, window_us: int
) -> MadeFrom:
    """Return what the segments of a node and hour are made from if they are made now."""
    spans = inventory.claims_of(node, hour_us)
    end_us = hour_us + HOUR_US
    edges = {
        device: sorted(
            {
                min(max(edge, hour_us), end_us)
                for span in of_device
                for edge in (span.start_us, span.end_us)
                if edge is not None
            }
        )
        for device, of_device in spans.items()
    }
    running = {
        device: sorted(max(span.start_us, hour_us) for span in of_device if span.end_us is None)
        for device, of_device in spans.items()
    }
    devices = sorted(inventory.devices_of(node))
    periods = inventory.update_us(devices, hour_us)
    most_mw = inventory.most_mw(devices, hour_us).tolist()
    facts = json.dumps([edges, running, periods, most_mw], sort_keys=True)
    digest = hashlib.sha256(facts.encode()).hexdigest()[:_DIGITS]
    return MadeFrom(window_us, folders.around(node, hour_us), digest)


def told_by(path: Path) -> MadeFrom | None:
    """Return what a file of segments says; None if it is missing, damaged or does not say it."""
    try:
        return MadeFrom.parse(note_of(path, KEY))
    except (BrokenFileError, FileNotFoundError):  # whatever it held, it is to be made again
        return None


@dataclass(frozen=True, slots=True)
class Compared:
    """What the segments of a node and hour were made from, and what the lake holds now.

    Attributes:
        hour_us: start of the hour, microseconds UTC.
        node: the node.
        before: what they were made from; None if there are none, or they do not say.
        now: what they would be made from.
    """

    hour_us: int
    node: str
    before: MadeFrom | None
    now: MadeFrom

    @property
    def outdated(self) -> bool:
        """Whether the segments are missing or to be made again."""
        return self.before is None or self.before.outdated_by(self.now, self.hour_us)

    @property
    def waiting(self) -> list[str]:
        """The files whose readings are in no segment, since the earlier ones are gone."""
        return [] if self.before is None else self.before.waiting(self.now, self.hour_us)


def compare(
    lake: Lake, inventory: Inventory, pairs: Iterable[tuple[int, str]]
) -> Iterator[Compared]:
    """Yield how the segments of (hour, node) pairs compare with what the lake holds now.

    Args:
        lake: the lake.
        inventory: the lake's.
        pairs: hours, microseconds UTC, and nodes to look at. A pair without readings is left out:
            there is nothing to make segments from.
    """
    folders = PowerFolders(lake)
    for hour_us, node in pairs:
        if node not in folders.nodes(hour_us):
            continue
        path = lake.derived("segment", hour_us, node)
        before = told_by(path) if there(path) else None
        now = made_from(folders, inventory, node, hour_us, before.window_us if before else 0)
        if before is not None:
            now = looking_until(now, folders, node, hour_us, before.until_us)
        yield Compared(hour_us, node, before, now)


def outdated(
    lake: Lake, inventory: Inventory, pairs: Iterable[tuple[int, str]]
) -> list[tuple[int, str, int | None]]:
    """Return those (hour, node) pairs whose segments are missing or outdated.

    Args:
        lake: the lake.
        inventory: the lake's.
        pairs: as for `compare`.

    Returns:
        The hour, the node, and the window of the segments that are there; None if there are none.
    """
    return [
        (one.hour_us, one.node, one.before.window_us if one.before else None)
        for one in compare(lake, inventory, pairs)
        if one.outdated
    ]


@dataclass(frozen=True, slots=True)
class Removed:
    """A node and hour whose segments were made from readings that are no longer in the lake.

    Attributes:
        node: the node.
        own: whether readings of the hour itself are gone, not only of the hours beside it.
        waiting: the files that came afterwards, joined by a comma.
    """

    node: str
    own: bool
    waiting: str


def removed(lake: Lake, folders: PowerFolders, hour_us: int) -> list[Removed]:
    """Return the nodes whose readings of an hour, or next to it, were removed after they were used.

    Args:
        lake: the lake.
        folders: its power files.
        hour_us: start of the hour.
    """
    found = []
    for node in lake.nodes("segment", hour_us):
        before = told_by(lake.derived("segment", hour_us, node))
        here = folders.all_around(node, hour_us)
        # Segments that do not say what they were made from are not known to have had readings.
        if before is not None and not here.issuperset(before.files):
            now = replace(before, files=sorted(here))
            own = before.lost(here, hour_us)
            found.append(Removed(node, own, ",".join(before.waiting(now, hour_us))))
    return found
