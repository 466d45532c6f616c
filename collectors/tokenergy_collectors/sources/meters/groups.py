"""Reads points in groups, each one request; a group that is refused is read in halves.

In: the groups of one device, and how to ask for one. Out: outcomes. The parts in which a group
could be read are kept for an hour.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Generic, TypeVar

from tokenergy_collectors.sources.meters.reader import Outcome, Point

_REGROUP_US = 3_600_000_000
"""How long groups that a device refused are read in parts: it may accept them another time."""


class RefusedError(Exception):
    """The device answered that it does not answer this; the message says why.

    Attributes:
        of_the_device: whether another request would have the same answer.
    """

    def __init__(self, why: str, *, of_the_device: bool = False) -> None:
        super().__init__(why)
        self.of_the_device = of_the_device


AnyPoint = TypeVar("AnyPoint", bound=Point)
Group = Sequence[AnyPoint]


class Groups(Generic[AnyPoint]):
    """The groups in which a device is read.

    Args:
        groups: all points, in groups of what one request may ask for.
        ask: asks for a group; returns what came of each of its points. It raises `RefusedError`
            if the device refuses the request, `AwayError` if nobody answers.
        monotonic_us: returns monotonic time.
    """

    def __init__(
        self,
        groups: Iterable[Group[AnyPoint]],
        ask: Callable[[Group[AnyPoint]], Iterable[Outcome]],
        monotonic_us: Callable[[], int],
    ) -> None:
        self._whole = list(groups)
        self._ask = ask
        self._monotonic_us = monotonic_us
        self.forget()

    def forget(self) -> None:
        """Ask for whole groups again."""
        self._groups, self._regroup_us = self._whole, 0

    def read(self, found: list[Outcome]) -> None:
        """Read all points once.

        Args:
            found: gets the outcomes; those before an error count.

        Raises:
            AwayError: nobody answers.
        """
        if self._regroup_us and self._monotonic_us() >= self._regroup_us:
            self.forget()
        accepted: list[Group[AnyPoint]] = []
        for group in self._groups:
            self._read(group, found, accepted)
        if len(accepted) > len(self._groups):
            self._groups = accepted
            self._regroup_us = self._monotonic_us() + _REGROUP_US

    def _read(
        self, group: Group[AnyPoint], found: list[Outcome], accepted: list[Group[AnyPoint]]
    ) -> None:
        """Read a group; one that is refused is read in halves, down to single points.

        So one bad point, or a device's own limit on the length of an answer, keeps no other point
        from being read.
        """
        try:
            found += self._ask(group)
        except RefusedError as error:
            if len(group) > 1 and not error.of_the_device:
                middle = len(group) // 2
                self._read(group[:middle], found, accepted)
                self._read(group[middle:], found, accepted)
                return
            found += [Outcome(one, 0, None, str(error)) for one in group]
        accepted.append(group)
