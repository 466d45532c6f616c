"""How much may run at once: the load of a site over time beside a limit.

In: courses of power (or of boards) that are there, a limit. Out: whether one more fits. Levels are
whole numbers and constant between edges, so a look at the edges is a look at every instant.

Where the site as it was exceeded the limit, it may stay as high as it was, and no higher.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt


@dataclass(frozen=True, slots=True)
class Steps:
    """A level over time: constant between edges, 0 before the first and after the last.

    Attributes:
        edges_us: ascending, us UTC.
        level: from each edge to the next; the last is 0.
    """

    edges_us: npt.NDArray[np.int64]
    level: npt.NDArray[np.int64]

    @classmethod
    def of(cls, edges_us: Sequence[int], levels: Sequence[int]) -> Steps:
        """Return steps from edges, and the levels between them: one less."""
        import numpy as np

        return cls(np.array(edges_us, dtype=np.int64), np.array([*levels, 0], dtype=np.int64))

    def at(self, moments_us: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Return the level from each moment on."""
        import numpy as np

        place = np.searchsorted(self.edges_us, moments_us, side="right") - 1
        found: npt.NDArray[np.int64] = np.where(place < 0, 0, self.level[np.maximum(place, 0)])
        return found

    def plus(self, other: Steps, sign: int = 1) -> Steps:
        """Return the sum with other steps, or the difference if the sign is -1."""
        import numpy as np

        edges = np.union1d(self.edges_us, other.edges_us)
        return Steps(edges, self.at(edges) + sign * other.at(edges))

    def later(self, shift_us: int) -> Steps:
        """Return the same steps at a later time."""
        return Steps(self.edges_us + shift_us, self.level)


class Room:
    """What runs at a site, and what more may.

    Args:
        limit: the most that may run at once, in the unit of the levels.
        as_it_was: all that ran, the jobs that may move included.
    """

    def __init__(self, limit: int, as_it_was: Steps) -> None:
        self.limit = limit
        self._was = as_it_was
        self._now = as_it_was

    def take(self, job: Steps) -> None:
        """Take a job away from where it is."""
        self._now = self._now.plus(job, -1)

    def put(self, job: Steps) -> None:
        """Put a job where it shall be."""
        self._now = self._now.plus(job)

    def fits(self, job: Steps) -> bool:
        """Return whether a job may be put there."""
        import numpy as np

        first, last = job.edges_us[0], job.edges_us[-1]
        points = [job.edges_us[:-1]]
        for steps in (self._now, self._was):
            lower, upper = np.searchsorted(steps.edges_us, [first, last])
            points.append(steps.edges_us[lower:upper])
        moments = np.unique(np.concatenate(points))
        allowed = np.maximum(self.limit, self._was.at(moments))
        return bool((self._now.at(moments) + job.at(moments) <= allowed).all())

    def most(self) -> int:
        """Return the highest level of all that runs now."""
        return int(self._now.level.max(initial=0))
