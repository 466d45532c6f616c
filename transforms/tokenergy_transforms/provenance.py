"""What the segments of a node and hour were made from, kept in their file: so that newer readings,
and job edges that arrived later, are noticed.

In: the names of power files, the lake's inventory. Out: a text in the metadata of a segment file,
and the (hour, node) pairs whose text no longer fits the lake.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from tokenergy_collectors.lake import Lake
from tokenergy_collectors.lake.absent import there
from tokenergy_collectors.lake.contract import HOUR_US
from tokenergy_collectors.lake.reading import BrokenFileError, note_of
from tokenergy_transforms.inventory import Inventory
from tokenergy_transforms.powerfolders import PowerFolders, first_us

KEY = "tokenergy.made_from"
"""Key in the metadata of a segment file."""

_DIGITS = 16


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


def _is_of(name: str, hour_us: int) -> bool:
    """Return whether a file is, or may be, one of an hour: a foreign name does not tell."""
    begins_us = first_us(name)
    return not begins_us or hour_us <= begins_us < hour_us + HOUR_US


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
