"""The kernel's RAPL zones: which there are, what each measures, and what it shows.

In: the folder `/sys/class/powercap`, or one built like it. Out: zones with the domain of `host`
that each is, and readings. Only `intel-rapl:*` is read, which AMD's processors have too;
`intel-rapl-mmio:*` shows the same packages by another road, and would count them twice.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

_ZONE = re.compile(r"intel-rapl(:[0-9a-f]+)+")
"""The kernel numbers zones in hexadecimal."""

_MOST = 2**63 - 1
"""The largest value of an int64 column."""


class Zone(NamedTuple):
    """One zone: the domain of `host` that it is, and its folder."""

    domain: str
    path: Path


class Shown(NamedTuple):
    """What a zone shows: its counter, and the value after which that begins again at 0 (uJ)."""

    counter_uj: int
    range_uj: int


class Found(NamedTuple):
    """The zones of a host, and what is wrong with those that cannot be used."""

    zones: list[Zone]
    problems: list[str]


def find_zones(folder: Path) -> Found:
    """Return the zones, a package before its parts; none if there is no such folder."""
    folders = _folders(folder)
    zones: dict[str, Zone] = {}
    problems: list[str] = []
    suffixes: dict[str, str] = {}
    for key in sorted(folders, key=_numbers):
        path = folders[key]
        try:
            domain = _domain(key, _text(path / "name"), suffixes)
        except (OSError, ValueError) as error:
            problems.append(f"{key}: its name cannot be read: {reason(error)}")
            continue
        if domain in zones:
            problems.append(f"{key}: is {domain}, as {zones[domain].path.name} is; it is not read")
            continue
        zones[domain] = Zone(domain, path)
    return Found(list(zones.values()), problems)


def read_zone(zone: Zone) -> Shown:
    """Return what a zone shows now.

    Raises:
        OSError: it cannot be read; `PermissionError` if only root may read it.
        ValueError: it does not show a counter and its range.
    """
    range_uj = _number(zone.path / "max_energy_range_uj")
    counter_uj = _number(zone.path / "energy_uj")
    if not 0 < range_uj <= _MOST:
        raise ValueError(f"max_energy_range_uj is {range_uj}; expected a number above 0")
    if not 0 <= counter_uj <= range_uj:
        raise ValueError(f"energy_uj is {counter_uj}; expected 0 to {range_uj}")
    return Shown(counter_uj, range_uj)


def reason(error: Exception) -> str:
    """Return in words why something could not be read."""
    return (error.strerror or str(error)) if isinstance(error, OSError) else str(error)


def _folders(folder: Path) -> dict[str, Path]:
    """Return the zones' folders by their names.

    The kernel's class folder lists zones and their parts side by side, and each zone's folder has
    those of its parts: a container that was given only the latter finds them too.
    """
    found: dict[str, Path] = {}
    looked = [folder]
    while looked:
        try:
            entries = sorted(looked.pop().iterdir())
        except OSError:
            continue
        for entry in entries:
            if _ZONE.fullmatch(entry.name) and entry.name not in found:
                found[entry.name] = entry
                looked.append(entry)
    return found


def _numbers(key: str) -> list[int]:
    return [int(part, 16) for part in key.split(":")[1:]]


def _domain(key: str, name: str, suffixes: dict[str, str]) -> str:
    """Return the domain of a zone: what it measures, a dash, and the number of its package.

    `package-0` and `package-1-die-0` are the kernel's words; a part takes the number of the package
    that it is in (`dram-0`, `core-1-die-0`), and the first platform gets one (`psys-0`, as the
    kernel says `psys-1`). No meter of a *.prom file has such a name: a metric's name has no dash.
    """
    if not name:
        raise ValueError("it is empty")
    parent = key.rpartition(":")[0]
    kind, _, suffix = name.partition("-")
    suffix = suffixes.get(parent) or suffix or ("0" if kind == "psys" else key.partition(":")[2])
    suffixes[key] = suffix
    return f"{kind}-{suffix}"


def _text(path: Path) -> str:
    return path.read_text("utf-8").strip()


def _number(path: Path) -> int:
    text = _text(path)
    if not (text.isascii() and text.isdigit()):
        raise ValueError(f"{path.name} is {text[:40]!r}; expected a number")
    return int(text)
