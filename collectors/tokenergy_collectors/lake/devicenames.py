"""The ways in which people name a device: index, UUID, PCI address, device file, MIG instance.

In: the text of a cell of a job list. Out: what it can name, or why it names nothing. Which device
that is, on which node and when, is the question of `devicehistory`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

Kind = Literal["index", "minor", "pci", "uuid"]

_INDEX = re.compile(r"\d{1,18}", re.ASCII)
_MINOR = re.compile(r"(?:/dev/)?nvidia(\d{1,4})", re.ASCII | re.IGNORECASE)
_PCI = re.compile(
    r"(?:([0-9a-f]{4}|[0-9a-f]{8}):)?([0-9a-f]{2}):([0-9a-f]{2})(?:\.([0-7]))?",
    re.ASCII | re.IGNORECASE,
)
_NUMBERED = re.compile(r"(?:gpu|cuda|card|device)\s*[:#]?\s*(\d{1,4})", re.ASCII | re.IGNORECASE)
_RANGE = re.compile(r"(\d{1,4})(?:-(\d{1,4}))?", re.ASCII)
_ALL = frozenset({"all", "any", "none", "n/a", "gpu", "gpus", "nodevfiles"})
_UUID_DIGITS = 8
"""A number with as many digits may be the start of a UUID; no node has so many boards."""

_MOST_LISTED = 256


@dataclass(frozen=True, slots=True)
class DeviceName:
    """What a text can name.

    Attributes:
        text: as it was written.
        kind: how it names the device.
        number: the index or the minor number.
        key: normalized: a UUID in small letters without `gpu-`; a PCI address without its domain.
        domain: the PCI domain; None if it was not written.
    """

    text: str
    kind: Kind
    number: int = 0
    key: str = ""
    domain: int | None = None

    @property
    def is_uuid_start(self) -> bool:
        """Whether a number is long enough to be the start of a UUID."""
        return self.kind == "index" and len(self.text) >= _UUID_DIGITS


def parse_device(text: str) -> DeviceName:
    """Return what a text can name; whatever is nothing else is (the start of) a UUID."""
    if _INDEX.fullmatch(text):
        return DeviceName(text, "index", int(text), uuid_key(text))
    if minor := _MINOR.fullmatch(text):
        return DeviceName(text, "minor", int(minor[1]))
    if (pci := pci_key(text)) is not None:
        return DeviceName(text, "pci", key=pci[1], domain=pci[0])
    return DeviceName(text, "uuid", key=uuid_key(text))


def uuid_key(text: str) -> str:
    """Return a UUID as it is compared: small letters, without `GPU-`; `MIG-` stays."""
    return text.lower().removeprefix("gpu-")


def pci_key(text: str) -> tuple[int | None, str] | None:
    """Return a PCI address as (domain, `bus:device.function`); None if the text is none.

    The domain has four digits in some tools and eight in others, and is left out in some.
    """
    found = _PCI.fullmatch(text)
    if found is None:
        return None
    domain, bus, device, function = found.groups()
    key = f"{bus}:{device}.{function or 0}".lower()
    return (None if domain is None else int(domain, 16)), key


def listed_devices(cell: str) -> list[str]:
    """Return the devices that a cell of a job list names: one, or those of `0-3`, `0,2` or `A,B`.

    Raises:
        ValueError: a part names no device; the message says what to write instead.
    """
    found: list[str] = []
    parts = [part.strip() for part in re.split(r"[,;]", cell)]
    for part in parts:
        indices = _RANGE.fullmatch(part)
        if indices is None or (indices[2] is None and len(parts) == 1):
            found.append(_checked(part))
            continue
        first, last = int(indices[1]), int(indices[2] or indices[1])
        if not first <= last < _MOST_LISTED:
            raise ValueError(f"device {part!r}: expected a range such as 0-3, up to 255")
        found += [str(index) for index in range(first, last + 1)]
    if len(set(found)) < len(found):
        raise ValueError(f"device {cell!r} names a device twice")
    return found


def _checked(part: str) -> str:
    """Return the name of one device: a number without leading zeros, all else as written."""
    if numbered := _NUMBERED.fullmatch(part):
        raise ValueError(f"device {part!r} names no device: for index {numbered[1]}, write that")
    if not part or part.lower() in _ALL or re.search(r"[\s*?\[\](){}|]", part):
        raise ValueError(
            f"device {part!r} names no device: expected its index on the node, its UUID or the "
            "start of it, its PCI address or its device file, or a list such as 0-3 or 0,2"
        )
    return str(int(part)) if _INDEX.fullmatch(part) and len(part) < _UUID_DIGITS else part
