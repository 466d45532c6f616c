"""Counts the imports between the parts of each package: arrows, arrows upwards, circles.

In: the sources of a checkout, and the layers in pyproject.toml. Out: one row per package, then the
names of what goes upwards or in a circle.

    python -m docs.layers               this checkout
    python -m docs.layers --root PATH   another checkout, against the layers of this one

A room is a direct child of a package: a folder, or a file beside the folders. An arrow is a pair of
rooms of which one imports the other, however often. `tests/test_layers.py` fails on any circle.
"""

from __future__ import annotations

import argparse
import re
import sys
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import grimp

ROOT = Path(__file__).parents[1]
PACKAGES = ("tokenergy_collectors", "tokenergy_transforms", "tokenergy_sql")
_FOLDERS = ("collectors", "transforms", "sql")
_HEADS = (
    *("folders", "files", "modules", "arrows", "import lines"),
    *("upwards", "circles of modules", "circles of rooms"),
)

Arrow = tuple[str, str]
"""Who imports, what is imported."""


@dataclass(frozen=True)
class Layers:
    """The order of a package's rooms.

    Attributes:
        rank: the layer of each room; 0 is the lowest.
        apart: layers whose rooms may not import each other either.
    """

    rank: Mapping[str, int]
    apart: frozenset[int]

    def forbid(self, arrow: Arrow) -> bool:
        """Return whether an arrow goes upwards, or between rooms that are kept apart."""
        importer, imported = (self.rank.get(room) for room in arrow)
        if importer is None or imported is None:
            return False
        return imported > importer or (imported == importer and imported in self.apart)


@dataclass(frozen=True)
class Package:
    """The counts of one package.

    Attributes:
        folders: rooms that are folders.
        files: rooms that are one file.
        modules: files of Python code.
        arrows: import lines by pair of rooms.
        upwards: the arrows that its layers forbid; None if it has no layers.
        unplaced: rooms that are in no layer.
        circles: groups of modules that import each other, directly or through others.
        room_circles: the same for rooms.
    """

    name: str
    folders: list[str]
    files: list[str]
    modules: int
    arrows: Mapping[Arrow, int]
    upwards: list[Arrow] | None
    unplaced: list[str]
    circles: list[list[str]]
    room_circles: list[list[str]]


def read_layers(pyproject: Path = ROOT / "pyproject.toml") -> dict[str, Layers]:
    """Return the layers of each package from import-linter's contracts.

    Raises:
        OSError, tomllib.TOMLDecodeError: the file cannot be read.
    """
    settings = tomllib.loads(pyproject.read_text())["tool"]["importlinter"]
    return {
        package: _layers(contract["layers"], contract.get("exhaustive_ignores", ()))
        for contract in settings["contracts"]
        for package in contract.get("containers", ())
    }


def _layers(highest_first: list[str], above: Iterable[str]) -> Layers:
    """Return the order in a contract; the modules it ignores may import everything."""
    rank, apart = dict.fromkeys(above, len(highest_first)), set()
    for height, text in enumerate(reversed(highest_first)):
        if "|" in text:
            apart.add(height)
        for room in re.split(r"[|:]", text):
            rank[room.strip(" ()")] = height  # in brackets: may be absent
    return Layers(rank, frozenset(apart))


def read_imports(root: Path = ROOT) -> grimp.ImportGraph:
    """Return the imports of all packages of a checkout, without running their code.

    Raises:
        ValueError: a package is missing.
    """
    # grimp finds packages as Python does: the first folder of sys.path that has one wins. A package
    # that this process has imported already would win over both.
    sys.path[:0] = [str(root / folder) for folder in _FOLDERS]
    try:
        return grimp.build_graph(*PACKAGES, cache_dir=None)
    finally:
        del sys.path[: len(_FOLDERS)]


def count(root: Path, imports: grimp.ImportGraph, name: str, layers: Layers | None) -> Package:
    """Count the rooms, arrows and circles of one package.

    Args:
        root: the checkout.
        imports: of all its packages.
        name: of the package.
        layers: of its rooms, if it has any.
    """
    modules = {name, *imports.find_descendants(name)}
    ties = {m: imports.find_modules_directly_imported_by(m) & modules for m in modules}
    arrows: dict[Arrow, int] = {}
    for importer, targets in ties.items():
        for imported in targets:
            arrow = _room(importer, name), _room(imported, name)
            if arrow[0] != arrow[1] and all(arrow):
                lines = imports.get_import_details(importer=importer, imported=imported)
                arrows[arrow] = arrows.get(arrow, 0) + len(lines)
    rooms = sorted(_room(room, name) for room in imports.find_children(name))
    is_folder = {room: any(root.glob(f"*/{name}/{room}/__init__.py")) for room in rooms}
    room_ties = {room: {to for of, to in arrows if of == room} for room in rooms}
    return Package(
        name=name,
        folders=[room for room in rooms if is_folder[room]],
        files=[room for room in rooms if not is_folder[room]],
        modules=len(modules),
        arrows=arrows,
        upwards=None if layers is None else sorted(filter(layers.forbid, arrows)),
        unplaced=[] if layers is None else [r for r in rooms if r not in layers.rank],
        circles=find_circles(ties),
        room_circles=find_circles(room_ties),
    )


def _room(module: str, package: str) -> str:
    """Return the room of a module; nothing for the package itself."""
    return module.removeprefix(package).removeprefix(".").partition(".")[0]


def find_circles(ties: Mapping[str, Iterable[str]]) -> list[list[str]]:
    """Return the groups of which each member reaches every other (strongly connected components).

    Args:
        ties: what each imports.

    Returns:
        The groups of two and more, sorted.
    """
    reached = {start: _reachable(start, ties) for start in ties}
    groups = {
        frozenset(other for other in found if start in reached[other])
        for start, found in reached.items()
        if start in found
    }
    return sorted(sorted(group) for group in groups if len(group) > 1)


def _reachable(start: str, ties: Mapping[str, Iterable[str]]) -> set[str]:
    found: set[str] = set()
    ahead = list(ties[start])
    while ahead:
        module = ahead.pop()
        if module not in found:
            found.add(module)
            ahead += ties[module]
    return found


def packages(root: Path = ROOT) -> list[Package]:
    """Count every package below a checkout, against the layers of this one."""
    imports, layers = read_imports(root), read_layers()
    return [count(root, imports, name, layers.get(name)) for name in PACKAGES]


def main(arguments: list[str] | None = None) -> None:
    """Print the table, and what goes upwards or in a circle."""
    parser = argparse.ArgumentParser(
        prog="python -m docs.layers", description="Count how the packages are tied together."
    )
    parser.add_argument("--root", type=Path, default=ROOT, help="another checkout")
    found = packages(parser.parse_args(arguments).root.resolve())
    print(f"{'package':<22}", *_HEADS, sep="  ")
    for package in found:
        print(_row(package))
    for package in found:
        print(*_remarks(package), sep="\n", end="")


def _row(package: Package) -> str:
    counts = (
        *(len(package.folders), len(package.files), package.modules),
        *(len(package.arrows), sum(package.arrows.values())),
        "-" if package.upwards is None else len(package.upwards),
        *(len(package.circles), len(package.room_circles)),
    )
    cells = [str(value).rjust(len(head)) for value, head in zip(counts, _HEADS, strict=True)]
    return "  ".join([f"{package.name:<22}", *cells])


def _remarks(package: Package) -> list[str]:
    remarks = [
        f"upwards: {package.name}.{importer} -> {imported}, "
        f"import lines: {package.arrows[importer, imported]}"
        for importer, imported in package.upwards or ()
    ]
    remarks += [f"circle of modules: {', '.join(circle)}" for circle in package.circles]
    remarks += [
        f"circle of rooms in {package.name}: {', '.join(circle)}" for circle in package.room_circles
    ]
    if package.unplaced:
        remarks.append(f"in no layer of {package.name}: {', '.join(package.unplaced)}")
    return [*remarks, ""] if remarks else []


if __name__ == "__main__":
    main()
