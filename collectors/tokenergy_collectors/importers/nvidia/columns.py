"""The columns of an `nvidia-smi --query-gpu` log.

In: the header of the log. Out: which column holds the stamp, the device, its power, its gauges and
its description, and how to parse a cell. nvidia-smi writes units into the header, into every value,
or nowhere (`nounits`), and words such as `[N/A]` in place of a missing value.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any

from tokenergy_collectors.base.csvfile import BadValueError
from tokenergy_collectors.lake.contract import BOUNDS

MISSING = -(2**63)
"""Means `no value` in columns of integers."""

POWER_SENSORS = {
    "power.draw.instant": "instant",
    "power.draw.average": "average_1s",
    "power.draw": "unknown",
}
"""Power columns, the best first, and the contract's names for them. `power.draw` is a 1 s average
on some boards and instantaneous on others, and the log does not say which."""

_ALIASES = {
    "gpu_uuid": "uuid",
    "gpu_name": "name",
    "gpu_bus_id": "pci.bus_id",
    "clocks.sm": "clocks.current.sm",
    "clocks_throttle_reasons.active": "clocks_event_reasons.active",
}
_NO_VALUE = {
    "",
    "n/a",
    "not supported",
    "not found",
    "unknown error",
    "gpu requires reset",
    "gpu is lost",
    "insufficient permissions",
    "requested functionality has been deprecated",
    "not active",
}
_POWER = re.compile(r"([+-]?\d+(?:\.\d*)?|[+-]?\.\d+)(?: ?W)?", re.ASCII)
_GAUGE = re.compile(r"(-?\d+)(?: ?(?:%|MHz|C))?", re.ASCII)
_BITS = re.compile(r"0x[0-9a-fA-F]{1,16}")


def is_missing(text: str) -> bool:
    """Return whether a cell is one of nvidia-smi's words for `no value`, or empty."""
    return text.strip().strip("[]").strip().lower() in _NO_VALUE


def power_mw(text: str) -> int:
    """Return a power cell (watts) in mW, rounded half to even; MISSING if it has no value.

    Raises:
        BadValueError: it is not a power, or is outside the contract's range.
    """
    if is_missing(text):
        return MISSING
    found = _POWER.fullmatch(text.strip())
    if found is None:
        raise BadValueError(f"cannot read power {text!r}: expected watts, for example 123.45 W")
    value_mw = int(Decimal(f"{found[1]}e3").to_integral_value(ROUND_HALF_EVEN))
    low_mw, high_mw = BOUNDS["power_mw"]
    if not low_mw <= value_mw <= high_mw:
        raise BadValueError(f"power {text!r} is out of range: expected 0 to {high_mw / 1000:.0f} W")
    return value_mw


def _gauge(bits: int) -> Callable[[str], int]:
    """Return a parser for integers that fit a signed column of `bits` bits."""

    def parse(text: str) -> int:
        if is_missing(text):
            return MISSING
        found = _GAUGE.fullmatch(text.strip())
        if found is None or abs(int(found[1])) >= 2 ** (bits - 1):
            raise BadValueError(
                f"cannot read {text!r}: expected a whole number, as nvidia-smi prints it"
            )
        return int(found[1])

    return parse


def _reasons(text: str) -> int:
    """Return NVML's clock event reasons, printed as a hexadecimal number."""
    if is_missing(text):
        return MISSING
    if not _BITS.fullmatch(text.strip()) or int(text, 16) >= 2**63:
        raise BadValueError(f"cannot read clock event reasons {text!r}: expected 0x...")
    return int(text, 16)


GAUGES: dict[str, tuple[str, Callable[[str], int]]] = {
    "sm_util": ("utilization.gpu", _gauge(16)),
    "mem_util": ("utilization.memory", _gauge(16)),
    "sm_mhz": ("clocks.current.sm", _gauge(32)),
    "temp_c": ("temperature.gpu", _gauge(16)),
    "throttle": ("clocks_event_reasons.active", _reasons),
}
"""Columns of `state`: the log's name, and how a cell is read."""


DESCRIPTION: dict[str, tuple[tuple[str, ...], Callable[[str], str | int]]] = {
    "index": (("index",), _gauge(32)),
    "name": (("name",), str),
    "pci": (("pci.bus_id",), str),
    "limit_mw": (("enforced.power.limit", "power.limit"), power_mw),
    "driver": (("driver_version",), str),
}
"""Columns of `device`: the log's names, the best first, and how a cell is read."""


@dataclass(frozen=True, slots=True)
class Columns:
    """The positions of a log's columns in a row."""

    stamp: int
    device: int
    by_uuid: bool
    """Whether `device` holds UUIDs; else it holds indices."""
    powers: dict[str, int]
    """Sensor -> position, the best sensor first."""
    gauges: dict[str, int]
    """Column of `state` -> position."""
    all: dict[str, int]
    """Name without unit, by its newest alias -> position."""


def column_name(name: str) -> str:
    """Return a column's current name without its unit: ` power.draw [W]` -> `power.draw`."""
    name = name.strip().partition("[")[0].strip().lower()
    return _ALIASES.get(name, name)


def parse_header(header: list[str]) -> Columns:
    """Return the positions of the columns.

    Raises:
        BadValueError: the stamp, the power or the device is missing, or power is not in watts.
    """
    places: dict[str, int] = {}
    for place, name in enumerate(header):
        places.setdefault(column_name(name), place)
        if column_name(name) in POWER_SENSORS and name.partition("[")[2].strip(" ]") not in (
            "",
            "W",
        ):
            raise BadValueError(f"column {name!r}: expected power in W, as nvidia-smi prints it")
    powers = {POWER_SENSORS[name]: places[name] for name in POWER_SENSORS if name in places}
    missing = ["timestamp"] if "timestamp" not in places else []
    missing += ["uuid (or index)"] if not {"uuid", "index"} & places.keys() else []
    missing += [] if powers else ["power.draw (or power.draw.instant, power.draw.average)"]
    if missing:
        raise BadValueError(
            f"has no column {', no column '.join(missing)}: expected a log of nvidia-smi "
            "--query-gpu=timestamp,uuid,power.draw --format=csv; its columns are "
            f"{', '.join(header)[:200]}"
        )
    return Columns(
        stamp=places["timestamp"],
        device=places["uuid"] if "uuid" in places else places["index"],
        by_uuid="uuid" in places,
        powers=powers,
        gauges={column: places[name] for column, (name, _) in GAUGES.items() if name in places},
        all=places,
    )


def describe(columns: Columns, row: list[str]) -> dict[str, Any]:
    """Return the columns of `device` that a line describes; None where it has no value.

    Raises:
        BadValueError: a value cannot be read.
    """
    found: dict[str, Any] = {}
    for column, (names, parse) in DESCRIPTION.items():
        cells = [row[columns.all[name]].strip() for name in names if name in columns.all]
        present = [cell for cell in cells if not is_missing(cell)]
        found[column] = parse(present[0]) if present else None
    return found
