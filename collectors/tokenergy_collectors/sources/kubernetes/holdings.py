"""Which container holds which device, from one answer of the kubelet to the next.

In: what the kubelet lists, and what the host says of its pods. Out: starts and ends. Rules:

- An allocation starts when the kubelet first lists it, unless its pod has already ended.
- It ends when its pod has ended; when the device goes to another pod; or, where the host does not
  tell whether the pod runs, when the kubelet stops to list it. A kubelet that has just started
  lists nothing at first, so then that must hold for a while.
- A kubelet that does not answer ends nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple

from tokenergy_collectors.sources.kubernetes.devices import Use
from tokenergy_collectors.sources.kubernetes.pods import Held
from tokenergy_collectors.sources.kubernetes.traces import Traces


@dataclass(slots=True, eq=False)
class Holding:
    """One allocation.

    Attributes:
        held: the container and its device.
        use: the board, and the share of it.
        last_us: when it was last known to go on (us UTC).
        uid: the pod's UID, if it is known.
        start_us: when it began (us UTC); None until the boards were read for it.
        doubt_us: how far its start, or its end, may be off; None if nothing is known of before.
        missing_us: since when a kubelet that has just started does not list it (us UTC).
        recorded_us: when its latest row was recorded (us UTC).
        earlier: whether it was found in the lake, and not seen in this run yet.
    """

    held: Held
    use: Use
    last_us: int
    uid: str | None = None
    start_us: int | None = None
    doubt_us: int | None = None
    missing_us: int | None = None
    recorded_us: int = 0
    earlier: bool = False


class Change(NamedTuple):
    """What happened to an allocation.

    Attributes:
        kind: it began, it ended, or more is known of it.
        holding: the allocation.
        since_us: it happened after this (us UTC); None if nothing is known of before.
        at_us: when it ended (us UTC), if it is too late to read the boards for it; else None.
    """

    kind: Literal["start", "end", "more"]
    holding: Holding
    since_us: int | None = None
    at_us: int | None = None


class Answer(NamedTuple):
    """One answer of the kubelet.

    Attributes:
        uses: what it lists, without pods that have ended: the kubelet lists those too.
        settled: whether it has run long enough that what it does not list is not there.
    """

    uses: Mapping[Held, Use]
    settled: bool


class Holdings:
    """The allocations of one node that have not ended.

    Args:
        traces: what the host says of its pods.

    Attributes:
        contested: devices that several pods have, where nothing tells which of them has ended.
    """

    def __init__(self, traces: Traces) -> None:
        self._traces = traces
        self._open: dict[Held, Holding] = {}
        self._superseded: set[Held] = set()
        self._answered_us: int | None = None
        self._first = True
        self.contested: set[str] = set()

    def restore(self, holdings: list[Holding], last_us: int | None) -> None:
        """Take the allocations that an earlier run left open, and when that run was last alive."""
        self._open = {one.held: one for one in holdings}
        self._answered_us = last_us

    def step(self, answer: Answer | None, asked_us: int) -> list[Change]:
        """Return what has changed since the last step.

        Args:
            answer: what the kubelet lists; None if it did not answer.
            asked_us: when it was asked (us UTC).
        """
        listed = {} if answer is None else self._without_superseded(answer.uses)
        # A board that has been given to another pod is no longer this one's, listed or not.
        taken = {held.device: held.owner for held in listed if not held.claimed}
        changes: list[Change] = []
        for holding in list(self._open.values()):
            if (use := listed.get(holding.held)) is not None:
                changes += self._goes_on(holding, use, asked_us)
            elif self._is_over(holding, answer, asked_us, taken.get(holding.held.device)):
                changes.append(self._end(holding))
        changes += [
            self._start(held, use, asked_us)
            for held, use in listed.items()
            if held not in self._open
        ]
        if answer is not None:
            self._answered_us, self._first = asked_us, False
        return changes

    def _without_superseded(self, listed: Mapping[Held, Use]) -> dict[Held, Use]:
        """Leave out pods whose device another pod has got: a device has one pod at a time."""
        self._superseded &= set(listed)
        by_device: dict[str, list[Held]] = {}
        for held in listed:
            if not held.claimed and held not in self._superseded:
                by_device.setdefault(held.device, []).append(held)
        self.contested = set()
        for device, all_held in by_device.items():
            if len({held.owner for held in all_held}) < 2:
                continue
            before = {held for held in all_held if held in self._open}
            # What an earlier run left open was the newer one then; all that is listed now is old.
            older = set(all_held) - before if self._first else before
            if not before or len(older) == len(all_held):
                self.contested.add(device)
            else:
                self._superseded |= older
        return {held: use for held, use in listed.items() if held not in self._superseded}

    def _goes_on(self, holding: Holding, use: Use, asked_us: int) -> list[Change]:
        uid = self._traces.uid(holding.held.owner)
        other_pod = uid is not None and holding.uid is not None and uid != holding.uid
        if other_pod or use[:2] != holding.use[:2]:
            return [self._end(holding), self._start(holding.held, use, asked_us)]
        holding.last_us, holding.missing_us, holding.earlier = asked_us, None, False
        if uid is None or holding.uid is not None:
            return []
        holding.uid = uid
        return [Change("more", holding)]

    def _is_over(
        self,
        holding: Holding,
        answer: Answer | None,
        asked_us: int,
        owner: tuple[str, str] | None,
    ) -> bool:
        """Whether an allocation that is not listed (any more) has ended.

        Args:
            holding: the allocation.
            answer: what the kubelet lists; None if it did not answer.
            asked_us: when it was asked (us UTC).
            owner: the pod that it lists for the device now, if there is one.
        """
        if owner not in (None, holding.held.owner):
            return True
        ended = self._traces.ended(holding.held.owner)
        uid = self._traces.uid(holding.held.owner)
        if ended or holding.held in self._superseded or (uid and holding.uid not in (None, uid)):
            return True
        if ended is False:  # the pod runs, whatever the kubelet says
            holding.last_us, holding.missing_us, holding.earlier = asked_us, None, False
            return False
        if answer is None:
            return False
        if answer.settled and holding.missing_us is None and not holding.earlier:
            return True
        if holding.missing_us is None:
            holding.missing_us = asked_us
        return answer.settled

    def _start(self, held: Held, use: Use, asked_us: int) -> Change:
        holding = Holding(held, use, asked_us, self._traces.uid(held.owner))
        self._open[held] = holding
        return Change("start", holding, self._answered_us)

    def _end(self, holding: Holding) -> Change:
        del self._open[holding.held]
        # Of what ended while no collector ran, the record ends where that of the collector does.
        at_us = holding.last_us if holding.earlier else holding.missing_us
        return Change("end", holding, holding.last_us, at_us)
