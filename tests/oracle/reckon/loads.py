"""Energies of load profiles: of a job, a node, a rack, a site, in an hour.

Rules: docs/load-profile.md, "What is added up" and "Energy on the grid".
"""

from __future__ import annotations

from collections import defaultdict
from fractions import Fraction
from itertools import pairwise

from tests.oracle.reckon.devices import Devices
from tests.oracle.reckon.dimensions import place
from tests.oracle.reckon.holders import Allocation, claims
from tests.oracle.reckon.meters import Sensor
from tests.oracle.reckon.names import short
from tests.oracle.reckon.segments import HOUR_US, edges_of

Loads = dict[tuple[int, str, str], Fraction]
"""Energy in nJ by (hour, kind of group, name of group). "of a job" is the energy of its devices: a
millionth of that is what rounding a share to ppm may move."""


def loads(
    sensors: dict[tuple[str, str, int], Sensor], held: list[Allocation], devices: Devices
) -> Loads:
    """Return the energies of all groups.

    Args:
        sensors: readings by device, node that read it, and hour.
        held: who holds what.
        devices: where the devices are.
    """
    found: Loads = defaultdict(Fraction)
    for (device, node, hour), sensor in sensors.items():
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
        claimed = [a for a in held if a.device == device and short(a.node) == short(node)]
        cuts = {min(max(t, hour), until) for t in (*edges_of(claimed), sensor.stamps[-1])}
        for start, end in pairwise(sorted(cuts)):
            part_nj = sensor.energy_nj(start, end)
            for claim in claims(claimed, start, end):
                if claim.job is not None:
                    share = Fraction(claim.upper - claim.lower, claim.whole)
                    found[hour, "job", claim.job] += part_nj * share
                    found[hour, "of a job", claim.job] += part_nj
    return found
