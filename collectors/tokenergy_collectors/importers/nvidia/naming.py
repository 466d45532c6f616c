"""Which device each line of a log is about.

In: the cells of the columns that name devices (UUID, index, PCI address, minor number). Out: one
device for each distinct combination of them, and the name by which the lake knows it.

A log may name its devices twice, and one of the names may be wrong: a script that queries `index`
under the header `gpu,index` writes 0 for every device. So a column is believed only if the lines of
one instant that it gives one name have no different names in the other columns.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tokenergy_collectors.base.csvfile import BadValueError
from tokenergy_collectors.base.leftout import shown
from tokenergy_collectors.importers.nvidia.cells import is_missing
from tokenergy_collectors.importers.nvidia.columns import NAMING
from tokenergy_collectors.sources.nvml.ranges import pci_address, within

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Ints = npt.NDArray[np.int64]

_UUID = re.compile(r"(GPU|MIG)-", re.IGNORECASE)
_WHOLE_UUID = re.compile(
    r"(?:(GPU|MIG)-)?([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})", re.ASCII | re.IGNORECASE
)
_MINOR = re.compile(r"(?:/dev/)?nvidia(\d{1,7})", re.ASCII)


@dataclass(frozen=True, slots=True)
class Name:
    """A name of a device: its id in the lake, and the column of `device` that it belongs in."""

    device_id: str
    column: str | None = None
    value: int | str | None = None


@dataclass(slots=True)
class Devices:
    """The devices of a log.

    Attributes:
        ids: their ids.
        of: for each combination of names, the position of its device in `ids`.
        described: columns of `device` that their names fill in, by position in `ids`.
        notes: what is odd about the names, in words.
    """

    ids: list[str] = field(default_factory=list)
    of: list[int] = field(default_factory=list)
    described: list[dict[str, Any]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def read_name(column: str, text: str, node: str) -> Name:
    """Return the name in a cell. What it looks like decides, not only the column it is in.

    Raises:
        BadValueError: it is no name of a device.
    """
    if is_missing(text) or not text.isprintable():
        raise BadValueError(f"cannot tell which GPU this is: {shown(text)}")
    if whole := _WHOLE_UUID.fullmatch(text):
        return Name(f"{(whole[1] or 'GPU').upper()}-{whole[2].lower()}")
    if _UUID.match(text):
        return Name(text)
    if pci_address(text) is not None:
        address = text.upper().rjust(len("00000000:00:00.0"), "0")
        return Name(f"{node}/{address}", "pci", address)
    minor = _MINOR.fullmatch(text)
    digits = text if text.isascii() and text.isdigit() else ""
    if minor is not None or (digits and column == "minor_number"):
        number = within("minor", int(minor[1] if minor is not None else digits))
        if number is not None:
            return Name(f"{node}/nvidia{number}", "minor", number)
    elif digits and within("index", int(digits)) is not None:
        return Name(f"{node}/{int(digits)}", "index", int(digits))
    elif column == "uuid" and not digits:
        return Name(text)
    raise BadValueError(f"cannot read {column} {shown(text)}: expected 0, 1, 2, ..., or a UUID")


def names_in(columns: Sequence[str], cells: Sequence[str], node: str) -> dict[str, Name]:
    """Return the names in a line, by column; cells that are no name are left out.

    Raises:
        BadValueError: no cell is a name.
    """
    found: dict[str, Name] = {}
    errors = []
    for column, text in zip(columns, cells, strict=True):
        try:
            found[column] = read_name(column, text, node)
        except BadValueError as error:
            errors.append(error)
    if errors and not found:
        raise errors[0]
    return found


def identify(combined: Sequence[dict[str, Name]], codes: Ints, stamps: Ints) -> Devices:
    """Return the devices that the combinations of names belong to.

    Args:
        combined: the names of each combination, by column.
        codes: for each reading, the position of its combination.
        stamps: for each reading, its stamp (us).

    Raises:
        BadValueError: no column distinguishes devices that were read at one instant.
    """
    present = [column for column in NAMING if any(column in names for names in combined)]
    chosen, notes = None, []
    for column in present:
        said = [names[column].device_id if column in names else None for names in combined]
        if not _collide(said, list(range(len(said))), codes, stamps):
            chosen = column
            break
        notes.append(f"column {column} gives one name to several devices and is not used")
    if chosen is None:
        raise BadValueError(
            f"the columns {', '.join(present)} contradict each other: at one instant they give "
            "one name to several devices; expected a column uuid or index that differs"
        )
    own = [_id_of(names, chosen, combined) for names in combined]
    ids = list(dict.fromkeys(own))
    devices = Devices(ids, [ids.index(name) for name in own], notes=notes)
    devices.described = [{} for _ in ids]
    for column in present[present.index(chosen) :]:
        _describe(devices, column, combined, codes, stamps)
    return devices


def _id_of(names: dict[str, Name], chosen: str, combined: Sequence[dict[str, Name]]) -> str:
    """Return the id of a combination; one without the chosen name may share another with one."""
    if chosen in names:
        return names[chosen].device_id
    for column, name in names.items():
        same = {
            other[chosen].device_id
            for other in combined
            if chosen in other and other.get(column) == name
        }
        if len(same) == 1:
            return same.pop()
    return next(iter(names.values())).device_id


def _describe(
    devices: Devices,
    column: str,
    combined: Sequence[dict[str, Name]],
    codes: Ints,
    stamps: Ints,
) -> None:
    """Fill in what a column says about the devices, unless it says the same about several."""
    said = [names[column].device_id if column in names else None for names in combined]
    if _collide(said, devices.of, codes, stamps):
        devices.notes.append(f"column {column} gives one name to several devices and is not used")
        return
    for names, place in zip(combined, devices.of, strict=True):
        name = names.get(column)
        if name is not None and name.column is not None:
            devices.described[place].setdefault(name.column, name.value)


def _collide(names: Sequence[str | None], owners: Sequence[int], codes: Ints, stamps: Ints) -> bool:
    """Return whether combinations of several owners have one name and were read at one instant."""
    import numpy as np

    for name in {name for name in names if name is not None}:
        places = [place for place, other in enumerate(names) if other == name]
        if len({owners[place] for place in places}) < 2:
            continue
        mine = np.isin(codes, places)
        owner = np.array(owners, dtype=np.int64)[codes[mine]]
        read = np.unique(np.stack([stamps[mine], owner]), axis=1)
        if len(np.unique(read[0])) < read.shape[1]:
            return True
    return False
