"""Reports the daemon's state to a supervisor such as systemd, by the sd_notify protocol.

In: `$NOTIFY_SOCKET`, `$WATCHDOG_USEC` and `$WATCHDOG_PID` of the environment. Out: datagrams such
as `READY=1`. Without a supervisor, or if it has gone, nothing is sent and the sampling continues.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from contextlib import suppress


class Notifier:
    """Sends states to the supervisor.

    Args:
        environment: has the supervisor's variables.

    Attributes:
        watchdog_us: how long the supervisor waits for a sign of life (us); None for no limit.
    """

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        address = environment.get("NOTIFY_SOCKET", "")
        # A leading @ means the null byte of Linux's abstract sockets.
        self._address = "\0" + address[1:] if address.startswith("@") else address
        period, pid = environment.get("WATCHDOG_USEC", ""), environment.get("WATCHDOG_PID")
        # A child inherits the variables; the watchdog is only for the process that it names.
        mine = pid is None or pid == str(os.getpid())
        self.watchdog_us = int(period) if mine and period.isdecimal() and int(period) else None

    def send(self, *states: str) -> None:
        """Send states such as `READY=1` in one datagram; never blocks, never fails."""
        if not self._address:
            return
        kind = socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK
        with suppress(OSError), socket.socket(socket.AF_UNIX, kind) as sender:
            sender.sendto("\n".join(states).encode(), self._address)
