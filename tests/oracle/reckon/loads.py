"""Energies of load profiles: of a job, a node, a rack, a site, in an hour.

Rules: docs/load-profile.md, "What is added up" and "Energy on the grid".
"""

from __future__ import annotations

from collections import defaultdict
from fractions import Fraction

from tests.oracle.reckon.devices import Devices
from tests.oracle.reckon.dimensions import place
from tests.oracle.reckon.holders import WHOLE, Allocation
from tests.oracle.reckon.meters import Sensor
from tests.oracle.reckon.segments import HOUR_US

Loads = dict[tuple[int, str, str], Fraction]
"""Energy in nJ by (hour, kind of group, name of group)."""


def loads(
    sensors: dict[tuple[str, int], tuple[str, Sensor]], held: list[Allocation], devices: Devices
) -> Loads:
    """Return the energies of all groups.

    Args:
        sensors: by device and hour, the node that read it and its readings.
        held: who holds what; the shares are not scaled here.
        devices: where the devices are.
    """
    found: Loads = defaultdict(Fraction)
    for (device, hour), (node, sensor) in sensors.items():
        until = hour + HOUR_US
        if not sensor.inside(hour, until):
            continue
        energy = sensor.energy_nj(hour, until)
        row = devices.row(device, until) or {}
        found[hour, "node", node] += energy
        for part in ("rack", "site"):
            name = place(row, part)
            if name is not None:
                found[hour, part, name] += energy
        for a in held:
            start = max(hour, a.start_us)
            end = min(until, sensor.stamps[-1] if a.end_us is None else a.end_us)
            if a.device == device and start < end:
                part_nj = sensor.energy_nj(start, end)
                found[hour, "job", a.job] += Fraction(part_nj * a.share_ppm, WHOLE)
    return found
