"""What an operator asks of a running daemon: to stop (SIGTERM, Ctrl-C) or to reload (SIGHUP).

In: requests, from signal handlers. Out: one event that ends the run under way, and why. A reload is
granted only if what would be loaded is sound; a mistake in a file is told, and the daemon goes on.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from tokenergy_collectors.daemon.notify import Notifier


class Control:
    """Requests to one daemon; may be called from signal handlers and from any thread.

    Args:
        notifier: told that the daemon stops or reloads.

    Attributes:
        event: set when the run under way is to end.
        failure: why the daemon cannot go on; None if it can.
    """

    def __init__(self, notifier: Notifier | None = None) -> None:
        self.event = threading.Event()
        self.failure: str | None = None
        self.notifier = notifier or Notifier()
        self._stopping = False
        self._reloading = False
        self._may_reload: Callable[[], bool] = lambda: False

    def on_reload(self, may_reload: Callable[[], bool]) -> None:
        """Have requests to reload checked by `may_reload`, which tells what is wrong itself."""
        self._may_reload = may_reload

    def ask_stop(self) -> None:
        """End the run, for good."""
        self._stopping = True
        self.notifier.tell("STOPPING=1")
        self.event.set()

    def ask_reload(self) -> threading.Thread:
        """Check what is to be loaded, beside the sampling, and end the run if it is sound.

        Returns:
            The thread that checks.
        """
        thread = threading.Thread(target=self._reload, name="reload", daemon=True)
        thread.start()
        return thread

    def fail(self, why: str) -> None:
        """End the run because the daemon cannot go on."""
        self.failure = why
        self.ask_stop()

    def goes_on(self) -> bool:
        """After a run: tell whether another one is to follow, and make ready for it."""
        if not self._reloading or self._stopping:
            return False
        self._reloading = False
        self.event.clear()
        # A stop that came in between must not be lost: either it is seen here, or it sets the
        # event again.
        return not self._stopping

    def _reload(self) -> None:
        if not self._stopping and self._may_reload():
            self._reloading = True
            self.event.set()
