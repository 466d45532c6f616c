"""Learns the update periods of each board's power reading and energy counter by polling them.

In: boards, a clock. Out: `Board.update_us` and `Board.counter_us`; None if the period cannot be
learned, as on an idle board whose reading does not change. A counter that grows at every poll has
the period 0.

The reading is polled every 2 ms; if two polls in a row differ, the reading was updated in between.
An update that does not change the value makes an interval of two or three periods, and a late poll
blurs one. So the period is the longest one of which nearly all intervals are whole multiples; it is
then refined over all of them at once. A period below four times the resolution of the polling
(8 ms, or more where many boards share it) cannot be learned.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from tokenergy_collectors.base.clock import Clock
from tokenergy_collectors.sources.nvml.boards import Board
from tokenergy_collectors.sources.nvml.calls import or_none

_POLL_US = 2_000
_LONGER = 2
"""Boards with too few changes are watched this many times as long."""

_ENOUGH = 4
"""With so many changes a board need not be watched any longer."""

_LEAST_INTERVALS = 2
_MOST_PERIODS = 6
"""How many periods the shortest interval may hold."""

_CANDIDATES = 40
_EXPLAINED = 0.9
_SLACK = 0.03
"""How far an update may stray, as a share of the period."""

_RESOLUTION = 4

_AT_EVERY_POLL = 0.9
"""A counter that grew at this share of the polls is taken to grow at every reading."""


class Change(NamedTuple):
    """When a reading changed: somewhere in `width_us` around `at_us` (monotonic)."""

    at_us: int
    width_us: int


@dataclass(slots=True)
class _Watched:
    """A board, its latest reading and counter, and the changes of both seen so far."""

    board: Board
    counters: bool
    power_mw: int | None = None
    energy_mj: int | None = None
    at_us: int = 0
    changes: list[Change] = field(default_factory=list)
    renewals: list[Change] = field(default_factory=list)
    counted: int = 0

    def poll(self, clock: Clock) -> None:
        """Read power and counter once; after a failed reading, comparing starts from scratch."""
        before_us = clock.monotonic_us()
        reading = or_none(partial(self.board.read, energy=self.counters))
        power_mw, energy_mj = reading or (None, None)
        at_us = (before_us + clock.monotonic_us()) // 2
        change = Change((self.at_us + at_us) // 2, at_us - self.at_us)
        if self.power_mw is not None and power_mw is not None and power_mw != self.power_mw:
            self.changes.append(change)
        if self.energy_mj is not None and energy_mj is not None:
            self.counted += 1
            if energy_mj > self.energy_mj:
                self.renewals.append(change)
        self.power_mw, self.energy_mj, self.at_us = power_mw, energy_mj, at_us

    def counter_us(self) -> int | None:
        """Return the counter's period (us); 0 if it grew at most polls, None if not known."""
        if self.counted and len(self.renewals) >= _AT_EVERY_POLL * self.counted:
            return 0
        return period_us(self.renewals)


def learn_periods(
    boards: Iterable[Board],
    clock: Clock,
    learn_s: float,
    stop: threading.Event,
    *,
    counters: bool = True,
) -> None:
    """Watch the boards, all in turn, and set each one's `update_us` and `counter_us`.

    Args:
        boards: the boards, opened.
        clock: what the polling waits on.
        learn_s: how long to watch, seconds; up to twice that for boards that hardly change. With 0
            nothing is read.
        stop: ends the watching.
        counters: watch the energy counters too. Some boards are reported to under-count when they
            are read so often, so leave this out once readings are stored.
    """
    watched = [_Watched(board, counters) for board in boards]
    start_us = due_us = clock.monotonic_us()
    learn_us = round(learn_s * 1_000_000)
    left = watched if learn_us else []
    while left and not stop.is_set():
        for one in left:
            one.poll(clock)
        now_us = clock.monotonic_us()
        if now_us - start_us >= _LONGER * learn_us:
            break
        if now_us - start_us >= learn_us:
            left = [one for one in left if len(one.changes) < _ENOUGH]
        due_us = max(due_us + _POLL_US, now_us)
        clock.sleep_until(due_us, stop)
    for one in watched:
        one.board.update_us = period_us(one.changes)
        if counters:
            one.board.counter_us = one.counter_us()


def period_us(changes: Sequence[Change]) -> int | None:
    """Return the period (us) of the updates behind some changes; None if they do not show one.

    Args:
        changes: in the order of time.
    """
    if len(changes) <= _LEAST_INTERVALS:
        return None
    spans_us = np.array([b.at_us - a.at_us for a, b in pairwise(changes)], dtype=np.float64)
    blurs_us = np.array([(a.width_us + b.width_us) / 2 for a, b in pairwise(changes)])
    blur_us = float(np.median(blurs_us))
    spans_us = spans_us[blurs_us <= 2 * blur_us]
    if len(spans_us) < _LEAST_INTERVALS:
        return None
    some_us = np.quantile(spans_us, np.linspace(0, 1, _CANDIDATES), method="nearest")
    candidates = {span_us / n for span_us in some_us for n in range(1, _MOST_PERIODS + 1)}
    for candidate_us in sorted(candidates, reverse=True):
        # Candidates descend; below this any period fits within the blur of the polling.
        if candidate_us < _RESOLUTION * blur_us:
            return None
        counts = np.maximum(np.rint(spans_us / candidate_us), 1)
        fits = np.abs(spans_us - counts * candidate_us) <= blur_us + _SLACK * candidate_us
        if fits.mean() >= _EXPLAINED:
            return round(float(spans_us[fits].sum() / counts[fits].sum()))
    return None
