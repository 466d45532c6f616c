"""Imports again and again, until it is told to stop.

In: one import, and how often. Out: a line for each round that found something, a warning when the
store stops answering, and a line when it answers again. What was missed meanwhile is imported as
far as `--from` reaches back.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from types import FrameType

from tokenergy_collectors.base.errors import UserError

SHORTEST_US = 10_000_000
"""Shortest time between two rounds."""


class Stopped(Exception):  # noqa: N818 (no error: somebody asked)
    """A round ended early, since somebody asked."""


class Rounds:
    """Rounds of one import.

    Args:
        every_us: time from the end of a round to the beginning of the next, microseconds.
        say: prints a line of news.
        wait: waits for some seconds or until `stop` is set, whichever comes first.

    Attributes:
        stop: set it to end the rounds.
        done: how many rounds are over.

    Raises:
        UserError: the time is shorter than 10 s.
    """

    def __init__(
        self,
        every_us: int,
        say: Callable[[str], None],
        wait: Callable[[float], object] | None = None,
    ) -> None:
        if every_us < SHORTEST_US:
            raise UserError(f"--every: expected {SHORTEST_US // 1_000_000} s or more")
        self.stop = threading.Event()
        self.done = 0
        self._every_s = every_us / 1e6
        self._say = say
        self._wait = wait or self.stop.wait

    def run(self, one: Callable[[], None]) -> None:
        """Do rounds until `stop` is set.

        Args:
            one: a round; it should call `go_on` now and then.

        Raises:
            UserError: the first round failed: what was asked for is likely wrong.
        """
        failed: str | None = None
        while not self.stop.is_set():
            try:
                one()
            except Stopped:
                return
            except UserError as error:
                if not self.done:
                    raise
                if str(error) != failed:
                    failed = str(error)
                    self._say(f"warning: {failed}; trying again every {self._every_s:g} s")
            else:
                if failed is not None:
                    self._say("the store answers again")
                failed = None
            self.done += 1
            self._wait(self._every_s)

    def go_on(self, *_: object) -> None:
        """Return, or end the round if `stop` is set.

        Raises:
            Stopped: it is.
        """
        if self.stop.is_set():
            raise Stopped

    def on_signals(self) -> None:
        """Let SIGTERM and Ctrl-C end the rounds after the chunk that is being imported."""

        def ask(_number: int, _frame: FrameType | None) -> None:
            self.stop.set()

        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, ask)
