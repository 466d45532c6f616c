"""A powercap tree that a test steps: zones with known energy, laid out as the kernel does it."""

from __future__ import annotations

import os
from pathlib import Path

INTEL_RANGE_UJ = 262_143_328_850
"""`max_energy_range_uj` of Intel's packages: 2^32 - 1 steps of 61.035 uJ."""

PLATFORM = 20
"""How much further than a package's the platform's counter goes: so much more it may draw."""


class Powercap:
    """Zones under `devices`, and the flat class folder of links to them.

    Attributes:
        folder: the class folder, as `/sys/class/powercap`.
        used_uj: the true energy of each zone since the tree was made.
    """

    def __init__(self, root: Path) -> None:
        self.folder = root / "class" / "powercap"
        self.devices = root / "devices" / "virtual" / "powercap"
        self.folder.mkdir(parents=True)
        self.used_uj: dict[str, int] = {}
        self._counters: dict[str, tuple[int, int]] = {}
        self._place(self.devices / "intel-rapl").mkdir(parents=True)  # the control type: no zone

    def add(self, key: str, name: str, range_uj: int, counter_uj: int = 0) -> None:
        """Add a zone, for example `intel-rapl:0:1`, whose counter stands at a value."""
        path = self.path(key)
        self._place(path).mkdir(parents=True)
        (path / "name").write_text(f"{name}\n")
        (path / "max_energy_range_uj").write_text(f"{range_uj}\n")
        self.used_uj.setdefault(key, 0)
        self._counters[key] = range_uj, counter_uj
        self.show(key, counter_uj)

    def use(self, key: str, energy_uj: int) -> None:
        """Let a zone use energy; its counter begins again where its range ends."""
        range_uj, counter_uj = self._counters[key]
        self.used_uj[key] += energy_uj
        self.show(key, (counter_uj + energy_uj) % range_uj)

    def show(self, key: str, counter_uj: int) -> None:
        """Set the counter of a zone."""
        self._counters[key] = self._counters[key][0], counter_uj
        self.write(key, f"{counter_uj}\n")

    def write(self, key: str, text: str) -> None:
        """Write what the file of a counter shows; at once, as the kernel's files change."""
        aside = self.devices / "aside"
        aside.write_text(text)
        aside.replace(self.path(key) / "energy_uj")

    def remove(self, key: str) -> None:
        """Remove a zone that has no parts."""
        for file in self.path(key).iterdir():
            file.unlink()
        self.path(key).rmdir()
        (self.folder / key).unlink()

    def path(self, key: str) -> Path:
        """Return the folder of a zone under `devices`."""
        parts = key.split(":")
        names = [":".join(parts[:count]) for count in range(1, len(parts) + 1)]
        return self.devices.joinpath(*names)

    def _place(self, path: Path) -> Path:
        link = self.folder / path.name
        link.symlink_to(os.path.relpath(path, self.folder))
        return path


def server(root: Path, range_uj: int = 1_000_000_000) -> Powercap:
    """Return a tree of two packages with parts, a platform, and the same package by MMIO."""
    tree = Powercap(root)
    for number in (0, 1):
        tree.add(f"intel-rapl:{number}", f"package-{number}", range_uj)
        tree.add(f"intel-rapl:{number}:0", "core", range_uj)
        tree.add(f"intel-rapl:{number}:1", "dram", range_uj)
    tree.add("intel-rapl:2", "psys", PLATFORM * range_uj)
    tree.add("intel-rapl-mmio:0", "package-0", range_uj)
    return tree
