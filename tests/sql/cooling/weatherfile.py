"""The weather of Greensboro (see tests/data/README.md), and weather files of a few hours."""

from __future__ import annotations

import lzma
from collections.abc import Iterable
from pathlib import Path

GREENSBORO = Path(__file__).parents[2] / "data" / "greensboro_tmy3.csv.xz"

TMY3_HEAD = (
    "723170,SOMEWHERE,NC,-5.0,36.100,-79.950,273\n"
    "Date (MM/DD/YYYY),Time (HH:MM),Dry-bulb (C),Dew-point (C),RHum (%),Pressure (mbar)\n"
)

Hour = tuple[float, float, float, float]
"""Dry bulb °C, dew point °C, relative humidity %, pressure Pa."""


def greensboro(folder: Path) -> Path:
    """Write the year; return its path."""
    path = folder / "greensboro.csv"
    path.write_bytes(lzma.decompress(GREENSBORO.read_bytes()))
    return path


def tmy3(path: Path, hours: Iterable[Hour]) -> Path:
    lines = [f"01/01/1988,01:00,{t},{d},{h},{p / 100}\n" for t, d, h, p in hours]
    path.write_text(TMY3_HEAD + "".join(lines), "utf-8")
    return path


def epw(path: Path, hours: Iterable[Hour], elevation_m: float = 273.0) -> Path:
    head = [f"LOCATION,Somewhere,NC,USA,TMY3,723170,36.1,-79.95,-5.0,{elevation_m}"]
    head += [f"HEADING {number}" for number in range(7)]
    lines = [f"1988,1,1,{n},0,?9?9,{t},{d},{h},{p},0,0" for n, (t, d, h, p) in enumerate(hours)]
    path.write_text("\n".join([*head, *lines]) + "\n", "latin-1")
    return path
