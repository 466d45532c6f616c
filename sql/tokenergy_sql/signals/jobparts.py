"""A job's energy in the parts of an hour, at each boundary.

In: the job's row of `job_hour_index`, and what the ledger has of it in each part. Out: `JobParts`,
whose parts add up to the row at every boundary, to the nanojoule.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tokenergy_sql.signals.shares import shared

Part = tuple[int, int]
"""From when until when, microseconds UTC."""

Bounded = tuple[Sequence[int] | None, Sequence[int] | None, Sequence[int] | None]
"""Energy of each part, its lower and its upper bound, nJ; None: unknown."""


@dataclass(frozen=True, slots=True)
class JobParts:
    """A job in the parts of an hour.

    Attributes:
        parts: the parts, ascending and disjoint; together they are the hour.
        device_us: claimed device time in each.
        boundaries: `gpu`, `it` and `facility`.
    """

    parts: Sequence[Part]
    device_us: Sequence[int]
    boundaries: Mapping[str, Bounded]


def job_parts(
    job: Mapping[str, Any],
    booked: Mapping[int, tuple[int, int, int, int]],
    parts: Sequence[Part],
) -> JobParts:
    """Return a job in the parts of an hour.

    Args:
        job: its row of `job_hour_index`.
        booked: energy, bounds and device time in the ledger, by the number of the part.
        parts: of the hour.
    """
    lengths = [until_us - from_us for from_us, until_us in parts]
    energy, low, high, device = (
        [booked.get(place, (0, 0, 0, 0))[which] for place in range(len(parts))]
        for which in range(4)
    )
    time = device if any(device) else lengths

    def spread(name: str, weights: Sequence[int]) -> list[int] | None:
        whole = job[name]
        return None if whole is None else shared(int(whole), weights, time)

    gpu = spread("e_gpu_nj", energy)
    host = spread("e_host_nj", device)
    # What is not known weighs nothing: the building's energy then lies as the rest does.
    both = [a + b for a, b in zip(gpu or [0] * len(parts), host or [0] * len(parts), strict=True)]
    it = both if gpu is not None and host is not None else None
    no_it = (None, None)
    return JobParts(
        parts,
        shared(int(job["device_us"]), device, lengths),
        {
            "gpu": (gpu, spread("e_gpu_low_nj", low), spread("e_gpu_high_nj", high)),
            "it": (
                it,
                *((spread("e_it_low_nj", both), spread("e_it_high_nj", both)) if it else no_it),
            ),
            "facility": (
                spread("e_facility_nj", both),
                spread("e_facility_low_nj", both),
                spread("e_facility_high_nj", both),
            ),
        },
    )
