"""The allocations of this node as the hooks tell them, and what ends those whose epilog is lost.

In: prologs and epilogs in the order of their times. Out: the allocations that changed. An epilog
ends what its job holds here. A prolog on a board that an earlier job still holds as a whole (or the
other way round) proves that the earlier one has ended, whatever became of its epilog.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from tokenergy_collectors.lake.contract import WHOLE_PPM
from tokenergy_collectors.sources.slurm.held import ASSUMED, End, Held, key_of, started
from tokenergy_collectors.sources.slurm.hookfile import HookEvent

S_US = 1_000_000

_KEEP_US = 3_600_000_000
"""How long an ended allocation is kept: a late epilog may still correct its end."""

_MOST_ENDED = 1_000

Names = Callable[[HookEvent, int], list[tuple[int, str]]]
"""Returns the boards of a prolog, given its stamp; raises `ValueError` if it cannot."""


class Tracker:
    """The allocations of a node.

    Args:
        node: its name in the tables.
        names: finds out which boards a prolog means.
        known: allocations in the lake.
        asks: whether Slurm is asked about shares. If not, all boards count as held as a whole.
    """

    def __init__(
        self, node: str, names: Names, known: Iterable[Held] = (), *, asks: bool = True
    ) -> None:
        self._node = node
        self._asks = asks
        self._names = names
        self._all: dict[str, Held] = {}
        self._of_job: dict[str, list[Held]] = {}
        self._going: list[Held] = []
        self._on_board: dict[int, list[Held]] = {}
        self._last_us = 0
        self._orphans: list[tuple[HookEvent, int]] = []
        self._followed: list[Held] = []
        for one in known:
            self._add(one)

    def open(self) -> list[Held]:
        """Return the allocations that go on."""
        self._going = [one for one in self._going if one.end is None]
        return list(self._going)

    def since(self, from_us: int) -> list[Held]:
        """Return the allocations that go on, or ended after an instant (us UTC)."""
        return [one for one in self._all.values() if one.end is None or one.end.end_us > from_us]

    def apply(self, event: HookEvent, at_us: int) -> tuple[list[Held], str | None]:
        """Take an event; return the allocations that it changed, and what is wrong with it.

        Args:
            event: a prolog or an epilog.
            at_us: its stamp.
        """
        self._last_us = max(self._last_us, at_us)
        return self._prolog(event, at_us) if event.kind == "prolog" else self._epilog(event, at_us)

    def orphans(self) -> list[tuple[HookEvent, int]]:
        """Return the epilogs whose prolog nobody told, each once, with their stamps."""
        found, self._orphans = self._orphans, []
        return found

    def adopt(
        self, event: HookEvent, at_us: int, start_s: int, restart: int
    ) -> tuple[list[Held], str | None]:
        """Take an allocation of which only the epilog was told; return as `apply` does.

        Args:
            event: the epilog.
            at_us: its stamp.
            start_s: when Slurm started the job, a whole second.
            restart: how often Slurm had started it before.
        """
        if any(one.restart >= restart for one in self._of_job.get(event.job_id, [])):
            return [], None  # the epilog of a start that is known ran twice
        wall_us = start_s * S_US + S_US // 2
        start_us = at_us - (event.wall_us - wall_us)
        if start_us >= at_us:
            return [], startless(event)  # that is the next start of the job
        try:
            boards = self._names(event, start_us)
        except ValueError as error:
            return [], f"job {event.job_id}: {error}"
        begun = replace(event, wall_us=wall_us, restart=restart)
        held = started(begun, self._node, start_us, boards)
        held.labels["start"] = "scontrol"
        held.end = End(at_us, "epilog", at_us, at_us)
        self._add(held)
        return [held], None

    def forget(self) -> None:
        """Drop what ended long ago."""
        ended = [one for one in self._all.values() if one.end is not None]
        ended.sort(key=lambda one: one.end.end_us if one.end else 0)
        old = self._last_us - _KEEP_US
        for place, one in enumerate(ended):
            if one.end and (one.end.end_us < old or place < len(ended) - _MOST_ENDED):
                del self._all[one.key]
                self._of_job[one.job_id].remove(one)
                if not self._of_job[one.job_id]:
                    del self._of_job[one.job_id]

    def _add(self, one: Held) -> None:
        self._all[one.key] = one
        self._of_job.setdefault(one.job_id, []).append(one)
        self._going.append(one)
        for place in one.rows:
            self._on_board.setdefault(place, []).append(one)

    def _beside(self, held: Held) -> list[Held]:
        """Return the allocations that go on, of the same job or on the same boards."""
        found = {id(one): one for one in self._of_job[held.job_id] if one.end is None}
        for place in held.rows:
            here = [one for one in self._on_board[place] if one.end is None]
            self._on_board[place] = here
            found |= {id(one): one for one in here}
        return list(found.values())

    def _prolog(self, event: HookEvent, at_us: int) -> tuple[list[Held], str | None]:
        if key_of(event, self._node) in self._all or not event.gpus:
            return [], None  # read again after a restart, or a job without boards
        try:
            boards = self._names(event, at_us)
        except ValueError as error:
            return [], f"job {event.job_id}: {error}"
        held = started(event, self._node, at_us, boards)
        self._add(held)
        return [held, *self.settle(held)], None

    def settle(self, held: Held) -> list[Held]:
        """End what cannot go on beside an allocation, or this one itself; return what was ended."""
        ended = []
        for other in self._beside(held):
            if held.end is not None:
                break
            first, second = sorted((held, other), key=lambda one: one.start_us)
            if first is not second and self._exclude(first, second):
                at_us = second.start_us
                end_us = min(at_us, first.gone_us(at_us))
                first.end = End(end_us, "next", min(first.known_us, end_us), at_us)
                ended.append(first)
        self._followed += ended
        return ended

    def followed(self) -> list[Held]:
        """Return the allocations that ended by what followed on their boards, each once."""
        found, self._followed = self._followed, []
        return found

    def _exclude(self, first: Held, second: Held) -> bool:
        """Whether an allocation that began earlier cannot go on beside a later one."""
        if first.job_id == second.job_id:
            return True  # the job was started again
        if not first.rows.keys() & second.rows.keys() or first.known_us > second.start_us:
            return False
        # What Slurm was not asked about yet may be a share of a board: it proves nothing.
        return any(
            _whole(one) and (one.labels.get("share") != ASSUMED or not self._asks)
            for one in (first, second)
        )

    def _epilog(self, event: HookEvent, at_us: int) -> tuple[list[Held], str | None]:
        # Not by the number of restarts: an epilog after a requeue tells that of the next start.
        known = self._of_job.get(event.job_id, [])
        found = [one for one in known if one.start_us <= at_us and _may_end(one, at_us)]
        if not found:
            again = any(one.end and abs(one.end.end_us - at_us) < S_US for one in known)
            if not event.gpus or again:
                return [], None
            if not self._asks:
                return [], startless(event)
            self._orphans.append((event, at_us))
            return [], None
        latest = max(found, key=lambda one: one.start_us)
        latest.end = End(at_us, "epilog", at_us, at_us)
        return [latest], None


def startless(event: HookEvent) -> str:
    """Return what has to be said about an epilog whose allocation has no known start."""
    return (
        f"job {event.job_id} ended on boards {event.gpus}, and no prolog told its start: list it "
        "in jobs_file, or run `tokenergy-collect import jobs`"
    )


def _may_end(one: Held, at_us: int) -> bool:
    """Whether an epilog may be that of an allocation: its end is not told, or was concluded."""
    if one.end is None:
        return True
    # What came after on the same board is certain: an end that it proves is not moved behind it.
    limit_us = one.end.end_us if one.end.how in ("next", "boot") else at_us
    return one.end.how != "epilog" and at_us <= limit_us


def _whole(one: Held) -> bool:
    return all(row["share_ppm"] == WHOLE_PPM for row in one.rows.values())
