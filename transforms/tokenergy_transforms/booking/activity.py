"""When a job's tokens were read, and when they moved: intervals that do not overlap.

In: pairs of neighbouring readings of token counters, which overlap where a job has several. Out:
for each job the time that they cover together.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit

from tokenergy_transforms.batch import I32, I64


@dataclass(frozen=True, slots=True)
class Activity:
    """Intervals of J jobs.

    Attributes:
        offsets: int64[J + 1]; intervals of job j are offsets[j]:offsets[j + 1].
        from_us, to_us: int64[I], ascending and apart inside a job.
    """

    offsets: I64
    from_us: I64
    to_us: I64


def covered(job: I32, from_us: I64, to_us: I64, jobs: int) -> Activity:
    """Return the time that intervals cover together.

    Args:
        job: int32[n], place of the job, ascending.
        from_us: int64[n], ascending inside a job.
        to_us: int64[n].
        jobs: number of jobs.
    """
    job_of, begin, end = job.copy(), from_us.copy(), to_us.copy()
    count = _merge(job_of, begin, end)
    offsets = np.searchsorted(job_of[:count], np.arange(jobs + 1))
    return Activity(offsets.astype(np.int64), begin[:count], end[:count])


@njit(cache=True, error_model="numpy")
def _merge(job, begin, end):  # type: ignore[no-untyped-def]
    """Merge intervals that touch, in place; return how many are left."""
    count = 0
    for i in range(len(job)):
        if count > 0 and job[i] == job[count - 1] and begin[i] <= end[count - 1]:
            end[count - 1] = max(end[count - 1], end[i])
        else:
            job[count], begin[count], end[count] = job[i], begin[i], end[i]
            count += 1
    return count
