"""The columns of an `nvidia-smi --query-gpu` log.

In: the header of the log, or names that the user gave. Out: which column holds the stamp, the
device, its power, its gauges and its description. nvidia-smi writes units into the header, into
every value, or nowhere (`nounits`). Scripts that write such logs name the columns in their own way.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from tokenergy_collectors.base.csvfile import BadValueError
from tokenergy_collectors.base.leftout import shown
from tokenergy_collectors.importers.nvidia.cells import (
    MISSING,
    clock_reasons,
    gauge,
    is_missing,
    limit_mw,
)
from tokenergy_collectors.importers.nvidia.shapes import WANTED
from tokenergy_collectors.sources.nvml.ranges import readable

POWER_SENSORS = {
    "power.draw.instant": "instant",
    "power.draw.average": "average_1s",
    "power.draw": "unknown",
}
"""Power columns, the best first, and the contract's names for them; of a slow log the average is
the best. `power.draw` is a 1 s average on some boards and instantaneous on others, and the log does
not say which."""

NAMING = ("uuid", "index", "gpu", "pci.bus_id", "minor_number")
"""Columns that name the device, the best first."""

_ALIASES = {
    **dict.fromkeys(("gpu_uuid",), "uuid"),
    **dict.fromkeys(("gpu_index",), "index"),
    **dict.fromkeys(("gpu_id", "device", "device_id", "gpu id"), "gpu"),
    **dict.fromkeys(("gpu_bus_id", "pci_bus_id", "bus_id", "gpu_pci_bus_id"), "pci.bus_id"),
    **dict.fromkeys(("minor", "gpu_minor", "gpu_minor_number"), "minor_number"),
    **dict.fromkeys(("gpu_name",), "name"),
    **dict.fromkeys(
        ("power_w", "power_draw", "power_draw_w", "gpu_power_w", "power.draw_w"), "power.draw"
    ),
    **dict.fromkeys(("power_limit", "power_limit_w"), "power.limit"),
    **dict.fromkeys(("clocks.sm", "sm_clock_mhz"), "clocks.current.sm"),
    **dict.fromkeys(("temperature_c", "temperature_gpu", "temp_c"), "temperature.gpu"),
    **dict.fromkeys(
        ("gpu_util_percent", "utilization_gpu", "utilization_gpu_percent", "gpu_utilization"),
        "utilization.gpu",
    ),
    **dict.fromkeys(("memory_util_percent", "utilization_memory"), "utilization.memory"),
    "clocks_throttle_reasons.active": "clocks_event_reasons.active",
}
_UNIT = re.compile(r"\s*[\[(]([^\])]*)[\])]?\s*$")

GAUGES: dict[str, tuple[str, Callable[[str], int]]] = {
    "sm_util": ("utilization.gpu", gauge("sm_util")),
    "mem_util": ("utilization.memory", gauge("mem_util")),
    "sm_mhz": ("clocks.current.sm", gauge("sm_mhz")),
    "temp_c": ("temperature.gpu", gauge("temp_c")),
    "throttle": ("clocks_event_reasons.active", clock_reasons),
}
"""Columns of `state`: the log's name, and how a cell is read."""

DESCRIPTION: dict[str, tuple[tuple[str, ...], Callable[[str], str | int | None]]] = {
    "name": (("name",), readable),
    "limit_mw": (("enforced.power.limit", "power.limit"), limit_mw),
    "driver": (("driver_version",), readable),
}
"""Columns of `device`: the log's names, the best first, and how a cell is read."""

_KNOWN = {
    *("timestamp", *NAMING, *POWER_SENSORS),
    *(name for name, _ in GAUGES.values()),
    *(name for names, _ in DESCRIPTION.values() for name in names),
}


@dataclass(frozen=True, slots=True)
class Columns:
    """The positions of a log's columns in a row."""

    names: list[str]
    """All names, each without its unit and by its newest alias."""
    stamp: int
    naming: dict[str, int]
    """Column that names the device -> position, the best first."""
    powers: dict[str, int]
    """Sensor -> position, the best sensor first."""
    gauges: dict[str, int]
    """Column of `state` -> position."""
    all: dict[str, int]
    """Name -> position."""


def column_name(name: str) -> str:
    """Return a column's current name without its unit: ` power.draw [W]` -> `power.draw`."""
    name = _UNIT.sub("", name.strip().strip('"')).strip().lower()
    return _ALIASES.get(name, name)


def is_header(cells: Sequence[str], *, first: bool) -> bool:
    """Return whether a line names columns; the first line needs only one name that is known."""
    known = {column_name(cell) for cell in cells} & _KNOWN
    return bool(known) if first else "timestamp" in known and len(known) > 1


def parse_header(header: Sequence[str], device: str | None = None) -> Columns:
    """Return the positions of the columns.

    Args:
        header: names of the columns.
        device: the device of a log without a column for it.

    Raises:
        BadValueError: the stamp, the power or the device is missing, or power is not in watts.
    """
    names = [column_name(name) for name in header]
    places: dict[str, int] = {}
    for place, name in enumerate(names):
        places.setdefault(name, place)
        unit = _UNIT.search(header[place])
        if name in POWER_SENSORS and unit is not None and unit[1].strip() not in ("", "W"):
            raise BadValueError(
                f"column {header[place]!r}: expected power in W, as nvidia-smi prints it"
            )
    powers = {POWER_SENSORS[name]: places[name] for name in POWER_SENSORS if name in places}
    naming = {name: places[name] for name in NAMING if name in places}
    _check(header, places, bool(powers), naming, device)
    return Columns(
        names=names,
        stamp=places["timestamp"],
        naming=naming,
        powers=powers,
        gauges={column: places[name] for column, (name, _) in GAUGES.items() if name in places},
        all=places,
    )


def _check(
    header: Sequence[str],
    places: dict[str, int],
    has_power: bool,
    naming: dict[str, int],
    device: str | None,
) -> None:
    """Refuse a header that lacks what every log needs, or that contradicts `device`."""
    missing = ["timestamp"] if "timestamp" not in places else []
    if not naming and device is None:
        missing.append("uuid (or index)")
    missing += [] if has_power else ["power.draw (or power.draw.instant, power.draw.average)"]
    if missing:
        one = " (or --device 0, if it is of one device)" if missing == ["uuid (or index)"] else ""
        raise BadValueError(
            f"has no column {', no column '.join(missing)}: expected a log of {WANTED}{one}; "
            f"its columns are {shown(', '.join(header))}"
        )
    if naming and device is not None:
        raise BadValueError(
            f"has a column {next(iter(naming))} that names the device: expected no --device"
        )


def describe(columns: Columns, row: Sequence[str]) -> dict[str, Any]:
    """Return the columns of `device` that a line describes; None where it has no value."""
    found: dict[str, Any] = {}
    for column, (names, parse) in DESCRIPTION.items():
        cells = [row[columns.all[name]].strip() for name in names if name in columns.all]
        present = [cell for cell in cells if not is_missing(cell)]
        try:
            found[column] = parse(present[0]) if present else None
        except BadValueError:  # a description that cannot be read must not cost the readings
            found[column] = None
    return found


__all__ = ["MISSING", "Columns", "column_name", "describe", "is_header", "parse_header"]
