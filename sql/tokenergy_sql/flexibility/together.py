"""Many jobs under the limits of a site: a heuristic, and how far it can be from the best.

In: jobs with the costs of their starts; rooms. Out: a shift for each job.

Greedy by saving, then improvement: the job that alone would save most moves first, to the best
start that fits; then each job in turn moves to a better start if one fits now, until none does.
Every move saves something, so the result is never worse than not moving. No plan can save more than
the sum of what each job would save alone: that sum is the bound to compare it with.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tokenergy_sql.flexibility.room import Room, Steps
from tokenergy_sql.flexibility.shifting import Starts

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

MOST_LOOKS = 2_000
"""How many starts of a job are tried in one pass, the best first."""
MOST_PASSES = 10
_LEAST = 1e-9
"""What a move must save at least, as a share of the largest cost."""


@dataclass(frozen=True, slots=True)
class Mover:
    """A job that may move.

    Attributes:
        starts: its starts and their costs; the first is where it is, and its cost is known.
        loads: what it takes of each room, where it is.
    """

    starts: Starts
    loads: tuple[Steps, ...]


def arrange(movers: Sequence[Mover], rooms: Sequence[Room]) -> list[int]:
    """Return the place in `starts` that each job gets.

    Args:
        movers: the jobs.
        rooms: what limits them, in the order of `Mover.loads`; is changed: it holds the plan after.
    """
    places = [0] * len(movers)
    rankings = [_ranking(one.starts) for one in movers]
    order = sorted(range(len(movers)), key=lambda job: (-_alone(movers[job].starts), job))
    for _ in range(MOST_PASSES):
        moved = [_improve(movers[job], rankings[job], places, job, rooms) for job in order]
        if not any(moved):
            break
    return places


def _ranking(starts: Starts) -> npt.NDArray[np.intp]:
    """Return the places of known starts that cost less than staying: the cheapest first."""
    import numpy as np

    # By more than rounding: what is saved is above 0 in whole numbers too. NaN is not better.
    least = _LEAST * float(np.nanmax(np.abs(starts.cost)))
    better = np.flatnonzero(starts.cost < starts.cost[0] - least)
    order = np.lexsort((starts.shift_us[better], starts.cost[better]))
    return better[order]


def _alone(starts: Starts) -> float:
    import numpy as np

    return float(starts.cost[0] - np.nanmin(starts.cost))


def _improve(
    mover: Mover,
    ranking: npt.NDArray[np.intp],
    places: list[int],
    job: int,
    rooms: Sequence[Room],
) -> bool:
    """Move one job to the best start that fits and saves more; return whether it moved."""
    here = places[job]
    _each(mover, here, rooms, take=True)
    for place in ranking[:MOST_LOOKS]:
        if mover.starts.cost[place] >= mover.starts.cost[here]:
            break
        shift = int(mover.starts.shift_us[place])
        if all(room.fits(load.later(shift)) for room, load in zip(rooms, mover.loads, strict=True)):
            places[job] = int(place)
            break
    _each(mover, places[job], rooms, take=False)
    return places[job] != here


def _each(mover: Mover, place: int, rooms: Sequence[Room], *, take: bool) -> None:
    shift = int(mover.starts.shift_us[place])
    for room, load in zip(rooms, mover.loads, strict=True):
        (room.take if take else room.put)(load.later(shift))
