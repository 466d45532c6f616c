"""Who holds a device, and which part of it: as the ledger says (`models/claim.sql` of the index).

In: the allocations of one device in an hour. Out: for each job, the times in which its part of the
device stays the same. A job that was recorded twice holds the device once, with the larger share;
its MIG instances add up, to the whole of the device at most. Where jobs claim more than the whole,
each has its part of the claims.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from tokenergy_collectors.lake.contract import WHOLE_PPM


@dataclass(frozen=True, slots=True)
class Hold:
    """An allocation inside an hour: [start_us, end_us), of which up to until_us is known."""

    job_id: str
    mig_id: str | None
    share_ppm: int
    start_us: int
    end_us: int
    until_us: int
    estimated: bool = False


@dataclass(frozen=True, slots=True)
class Tenure:
    """A time in which a job's part of a device stays the same; until_us as in `Hold`."""

    job_id: str
    start_us: int
    end_us: int
    until_us: int
    share_ppm: int
    estimated: bool


def tenures(holds: Sequence[Hold]) -> Iterator[Tenure]:
    """Yield the tenures of one device, ascending for each job."""
    if len(holds) == 1:
        yield from _parts(holds, holds[0].start_us, holds[0].end_us)
        return
    last: dict[str, Tenure] = {}
    cuts = sorted({edge for hold in holds for edge in (hold.start_us, hold.end_us)})
    starting = sorted(holds, key=lambda hold: hold.start_us, reverse=True)
    active: list[Hold] = []
    for start_us, end_us in pairwise(cuts):
        while starting and starting[-1].start_us <= start_us:
            active.append(starting.pop())
        active = [hold for hold in active if hold.end_us > start_us]
        for part in _parts(active, start_us, end_us):
            before = last.get(part.job_id)
            if before is not None and _goes_on(before, part):
                part = Tenure(
                    part.job_id,
                    before.start_us,
                    part.end_us,
                    part.until_us,
                    part.share_ppm,
                    part.estimated,
                )
            elif before is not None:
                yield before
            last[part.job_id] = part
    yield from last.values()


def _goes_on(before: Tenure, part: Tenure) -> bool:
    """Whether a part is that of the time before, with all of that time known."""
    same = (before.share_ppm, before.estimated) == (part.share_ppm, part.estimated)
    return same and before.end_us == part.start_us and before.until_us == before.end_us


def _parts(holds: Sequence[Hold], start_us: int, end_us: int) -> Iterator[Tenure]:
    """Yield the part of each job in a time in which the holders stay the same."""
    largest: dict[tuple[str, str | None], int] = {}
    for hold in holds:
        key = (hold.job_id, hold.mig_id)
        largest[key] = max(largest.get(key, 0), hold.share_ppm)
    claimed: dict[str, int] = {}
    for (job_id, _), share_ppm in largest.items():
        claimed[job_id] = min(WHOLE_PPM, claimed.get(job_id, 0) + share_ppm)
    whole_ppm = max(WHOLE_PPM, sum(claimed.values()))
    upper_ppm = 0
    for job_id, share_ppm in sorted(claimed.items()):
        lower_ppm, upper_ppm = upper_ppm, upper_ppm + share_ppm
        own = [hold for hold in holds if hold.job_id == job_id]
        yield Tenure(
            job_id,
            start_us,
            end_us,
            max(start_us, min(end_us, max(hold.until_us for hold in own))),
            # Differences of running sums: the parts of a device add up to the whole of it.
            upper_ppm * WHOLE_PPM // whole_ppm - lower_ppm * WHOLE_PPM // whole_ppm,
            any(hold.estimated for hold in own),
        )
