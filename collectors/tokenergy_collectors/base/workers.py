"""Runs slow work in a thread of its own, next to the sampling; never twice at the same time.

In: a task, and requests to run it. Out: runs. A task that fails is reported and may run again.
The threads are daemon threads, so that a task that hangs cannot keep the process from ending.
"""

from __future__ import annotations

import threading
from collections.abc import Callable


class Worker:
    """Runs one task when asked.

    Args:
        task: what to run.
        failed: called with an exception that the task did not catch.
        inline: run the task in the caller's thread, as a virtual clock needs it.
    """

    def __init__(
        self, task: Callable[[], None], failed: Callable[[Exception], None], *, inline: bool
    ) -> None:
        self._task = task
        self._failed = failed
        self._inline = inline
        self._thread: threading.Thread | None = None
        self._wake = threading.Condition()
        self._asked = False
        self._busy = False
        self._closed = False

    def ask(self, *, even_if_busy: bool = False) -> None:
        """Request a run of the task.

        Args:
            even_if_busy: if it runs now, run it once more afterwards. If False, a busy task is left
                alone.
        """
        if self._inline:
            self._run()
            return
        with self._wake:
            if self._closed or (self._busy and not even_if_busy):
                return
            self._asked = True
            # At the first request: many workers are never asked.
            if self._thread is None:
                self._thread = threading.Thread(target=self._loop, daemon=True)
                self._thread.start()
            self._wake.notify()

    def finish(self, timeout_s: float | None) -> bool:
        """Accept no more requests and wait for the last one; return False if it still runs."""
        with self._wake:
            self._closed = True
            self._wake.notify()
        if self._thread is None:
            return True
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _loop(self) -> None:
        while True:
            with self._wake:
                self._busy = False
                self._wake.wait_for(lambda: self._asked or self._closed)
                if not self._asked:
                    return
                self._asked, self._busy = False, True
            self._run()

    def _run(self) -> None:
        try:
            self._task()
        except Exception as error:  # noqa: BLE001 - an exception in a thread is lost otherwise
            self._failed(error)
