"""An operator's requests to a running daemon: stop (SIGTERM, Ctrl-C) or reload (SIGHUP).

In: requests, from signal handlers. Out: one event that ends the current run. A reload happens only
if the new configuration and job file are valid; otherwise the error is logged and the daemon
continues.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from tokenergy_collectors.daemon.notify import Notifier


class Control:
    """Requests to one daemon; may be called from signal handlers and from any thread.

    Args:
        notifier: tells the supervisor that the daemon stops or reloads.

    Attributes:
        event: set to end the current run.
        failure: why the daemon cannot continue; None if it can.
    """

    def __init__(self, notifier: Notifier | None = None) -> None:
        self.event = threading.Event()
        self.failure: str | None = None
        self.notifier = notifier or Notifier()
        self._stopping = False
        self._reloading = False
        self._may_reload: Callable[[], bool] = lambda: False

    def on_reload(self, may_reload: Callable[[], bool]) -> None:
        """Set the check of a reload; it returns whether to reload, and logs what is wrong."""
        self._may_reload = may_reload

    def ask_stop(self) -> None:
        """End the run and the daemon."""
        self._stopping = True
        self.notifier.send("STOPPING=1")
        self.event.set()

    def ask_reload(self) -> threading.Thread:
        """Check the new configuration in a thread, and end the run if it is valid.

        Returns:
            The thread that checks.
        """
        # A signal handler runs in the sampling thread: checking there would delay readings.
        thread = threading.Thread(target=self._reload, name="reload", daemon=True)
        thread.start()
        return thread

    def fail(self, why: str) -> None:
        """End the run and the daemon because it cannot continue."""
        self.failure = why
        self.ask_stop()

    def goes_on(self) -> bool:
        """Return after a run whether another one follows, and prepare for it."""
        if not self._reloading or self._stopping:
            return False
        self._reloading = False
        self.event.clear()
        # A stop that arrives just now must not be lost: either it is seen here, or it sets the
        # event again.
        return not self._stopping

    def _reload(self) -> None:
        if not self._stopping and self._may_reload():
            self._reloading = True
            self.event.set()
