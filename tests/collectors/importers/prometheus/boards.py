"""Series of boards as exporters serve them."""

from __future__ import annotations

from tests.support.store import Point, Store

T0 = 1_768_464_000
"""2026-01-15T08:00:00Z."""

UUID = "GPU-0e264840-5d9d-339e-b016-ef8088ef3325"
OF = {
    "gpu": "0", "UUID": UUID, "device": "nvidia0", "modelName": "NVIDIA H100 80GB HBM3",
    "Hostname": "gpu-a", "pci_bus_id": "00000000:1B:00.0", "instance": "gpu-a:9400", "job": "dcgm",
}  # fmt: skip
POWER, ENERGY = "DCGM_FI_DEV_POWER_USAGE", "DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION"


def every(step: float, first: float, last: float) -> list[float]:
    """Stamps, seconds after T0."""
    count = int((last - first) // step) + 1
    return [first + place * step for place in range(count)]


def points(stamps: list[float], value: float, slope: float = 0.0) -> list[Point]:
    """Points of a line: `value` at T0, and so much more each second."""
    return [(T0 + at, value + slope * at) for at in stamps]


def board(store: Store, stamps: list[float], watts: float = 400.0, **labels: str) -> None:
    """Add a board's power, and its counter in mJ."""
    of = {**OF, **labels}
    store.add(POWER, [(ts, watts + at % 7) for (ts, _), at in zip(points(stamps, 0), stamps,
              strict=True)], **of)  # fmt: skip
    store.add(ENERGY, points(stamps, 1e9, watts * 1000), **of)
