"""Which device a job list means, as of the start of the allocation; which node a name means.

Rules: docs/collecting.md and docs/contract.md.
"""

from __future__ import annotations

import re
from typing import Any

from tests.oracle.reckon.devices import Devices


def short(node: str) -> str:
    """Return a node's short host name."""
    return node.split(".")[0]


def resolve(devices: Devices, node: str, name: str, t: int) -> str:
    """Return the device_id that a list means by a name on a node, as of an instant."""
    known = _on_node(devices, node, t)
    for test in (_same, _unprefixed, _index, _minor, _pci, _beginning):
        rows = [row for device, row in known.items() if test(name, device, row)]
        if len(rows) > 1 and test in (_index, _minor, _pci):
            # What was found last until the instant has the place; else what came first after it.
            stamps = [row["ts_us"] for row in rows]
            before = [stamp for stamp in stamps if stamp <= t]
            counts = max(before) if before else min(stamps)
            rows = [row for row in rows if row["ts_us"] == counts]
        if len(rows) == 1:
            return str(rows[0]["device_id"])
    return f"{node}/{name}" if name.isdigit() else name


def _on_node(devices: Devices, node: str, t: int) -> dict[str, dict[str, Any]]:
    """Return the devices of a node and their rows in force at an instant."""
    rows = {device: devices.row(device, t) for device in devices.rows}
    return {d: row for d, row in rows.items() if row and short(row["node"]) == short(node)}


def _same(name: str, device: str, row: dict[str, Any]) -> bool:
    return name.lower() == device.lower()


def _unprefixed(name: str, device: str, row: dict[str, Any]) -> bool:
    return device.lower() == f"gpu-{name.lower()}"


def _index(name: str, device: str, row: dict[str, Any]) -> bool:
    return name.isdigit() and row.get("index") == int(name)


def _minor(name: str, device: str, row: dict[str, Any]) -> bool:
    found = re.fullmatch(r"(?:/dev/)?nvidia(\d+)", name)
    return found is not None and row.get("minor") == int(found[1])


def _pci(name: str, device: str, row: dict[str, Any]) -> bool:
    """A PCI address may leave out leading zeros of its domain, or all of it."""
    return _address(name) is not None and _address(name) == _address(row.get("pci") or "")


def _address(text: str) -> tuple[int, ...] | None:
    found = re.fullmatch(r"(?:([0-9a-f]+):)?([0-9a-f]{2}):([0-9a-f]{2})\.([0-9a-f])", text.lower())
    return tuple(int(part or "0", 16) for part in found.groups()) if found else None


def _beginning(name: str, device: str, row: dict[str, Any]) -> bool:
    return len(name) >= 6 and device.lower().removeprefix("gpu-").startswith(
        name.lower().removeprefix("gpu-")
    )
