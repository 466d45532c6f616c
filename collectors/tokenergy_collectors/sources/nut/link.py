"""A connection to one upsd.

In: the name of a UPS. Out: all its variables and when they were read, or `AwayError`, which says
why there are none.

The client is our own, of the few lines that this needs: NUT's Python client is under the GPL, and
aionut fails on a UPS whose name has an accent, and writes passwords to its debug log.
"""

from __future__ import annotations

import re
import socket
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import NamedTuple

from tokenergy_collectors.sources.meters.reader import AwayError
from tokenergy_collectors.sources.meters.secret import SecretError
from tokenergy_collectors.sources.nut.settings import Ups

_MOST_BYTES = 1 << 20
_LINE = re.compile(r'(?:VAR \S+|UPS) (\S+) "((?:[^"\\]|\\.)*)"')

_ERRORS = {
    "DATA-STALE": "its data is stale: the driver has lost the UPS",
    "DRIVER-NOT-CONNECTED": "its driver does not run",
    "UNKNOWN-UPS": "upsd has no UPS of this name",
    "ACCESS-DENIED": "upsd lets this host or user read nothing",
    "USERNAME-REQUIRED": "upsd asks for a user name",
    "PASSWORD-REQUIRED": "upsd asks for a password",
    "INVALID-USERNAME": "upsd refuses the user name",
    "INVALID-PASSWORD": "upsd refuses the password",
}


class UpsError(AwayError):
    """upsd answered with an error.

    Attributes:
        code: its code: DATA-STALE.
    """

    def __init__(self, code: str) -> None:
        words = _ERRORS.get(code, "upsd refuses")
        super().__init__(f"{words} (ERR {code})", connected=True)
        self.code = code


class Variables(NamedTuple):
    """The variables of a UPS by name, as text, and when they were read (us UTC)."""

    texts: Mapping[str, str]
    ts_us: int


class Link:
    """One upsd. Its methods but `close` are called by one thread at a time.

    Args:
        ups: where it is, and how to log in.
        now_us: returns the stamp of this instant (us UTC).
    """

    def __init__(self, ups: Ups, now_us: Callable[[], int]) -> None:
        self._ups = ups
        self._now_us = now_us
        self._socket: socket.socket | None = None
        self._rest = b""
        self._lock = threading.Lock()
        self._closed = threading.Event()

    def variables(self) -> Variables:
        """Return the variables of the UPS.

        Raises:
            AwayError: nobody answers, or not for this UPS; `UpsError` if upsd says why.
        """
        before_us = self._now_us()
        lines = self._list(f"VAR {self._ups.ups}")
        ts_us = (before_us + self._now_us()) // 2
        found = dict(lines)
        if found.get("ups.status") == "WAIT":
            # All that upsd has then; the meters are not gone.
            raise AwayError("its driver starts (ups.status WAIT)", connected=True)
        return Variables(found, ts_us)

    def names(self) -> list[str]:
        """Return the names of all UPSes that upsd serves; raise `AwayError` as above."""
        return [name for name, _ in self._list("UPS")]

    def close(self) -> None:
        """End a request under way, from any thread; no other one follows."""
        self._closed.set()
        found = self._socket
        if found is not None:
            with suppress(OSError):
                found.shutdown(socket.SHUT_RDWR)
        # Only the thread that waits for an answer may close it: its number could be another file's.
        if self._lock.acquire(blocking=False):
            self._hang_up()
            self._lock.release()

    def _list(self, what: str) -> list[tuple[str, str]]:
        """Return names and texts of a list."""
        with self._lock:
            return self._once_or_twice(what)

    def _once_or_twice(self, what: str) -> list[tuple[str, str]]:
        if self._socket is not None:
            # An upsd that was restarted has closed the connection: that shows only now.
            try:
                return self._ask(self._socket, what)
            except UpsError:
                raise
            except AwayError:
                pass
        return self._ask(self._connect(), what)

    def _connect(self) -> socket.socket:
        if self._closed.is_set():
            raise AwayError("the collector stops", connected=False)
        ups = self._ups
        try:
            found = socket.create_connection((ups.host, ups.port), ups.timeout_s)
        except socket.gaierror:
            raise AwayError("the name of the host is not known", connected=False) from None
        except TimeoutError:
            raise AwayError(f"no connection within {ups.timeout_s:g} s", connected=False) from None
        except OSError as error:
            why = (error.strerror or str(error)).lower()
            raise AwayError(f"no connection: {why}", connected=False) from None
        self._socket, self._rest = found, b""
        if self._closed.is_set():  # meanwhile: `close` has not seen this socket
            self.close()
        if ups.username is not None:
            self._log_in(found, ups.username)
        return found

    def _log_in(self, found: socket.socket, username: str) -> None:
        # LOGIN does not follow: upsd would count the collector among the hosts that it waits for
        # before it switches the UPS off.
        try:
            password = self._ups.password()
        except SecretError as error:
            self._hang_up()
            raise AwayError(str(error), connected=False) from None
        deadline_s = time.monotonic() + self._ups.timeout_s
        for word, text in (("USERNAME", username), ("PASSWORD", password)):
            try:
                self._send(found, f"{word} {_quoted(text)}")
                answer = self._line(found, deadline_s)
            except AwayError:
                self._hang_up()
                raise
            if not answer.startswith("OK"):
                self._hang_up()
                raise _error(answer)

    def _ask(self, found: socket.socket, what: str) -> list[tuple[str, str]]:
        try:
            return self._lines(found, what)
        except UpsError:
            raise  # the connection is as good as before
        except AwayError:
            self._hang_up()
            raise

    def _lines(self, found: socket.socket, what: str) -> list[tuple[str, str]]:
        deadline_s = time.monotonic() + self._ups.timeout_s
        self._send(found, f"LIST {what}")
        first = self._line(found, deadline_s)
        if first != f"BEGIN LIST {what}":
            raise _error(first)
        lines = []
        while (line := self._line(found, deadline_s)) != f"END LIST {what}":
            if line.startswith("ERR "):
                raise _error(line)
            parts = _LINE.fullmatch(line)
            if parts is None:
                raise AwayError("an answer that is not NUT's", connected=True)
            lines.append((parts[1], re.sub(r"\\(.)", r"\1", parts[2])))
        return lines

    def _send(self, found: socket.socket, line: str) -> None:
        try:
            found.settimeout(self._ups.timeout_s)
            found.sendall(f"{line}\n".encode())
        except OSError as error:
            raise self._away(error) from None

    def _line(self, found: socket.socket, deadline_s: float) -> str:
        """Return the next line, if it comes before the deadline."""
        while b"\n" not in self._rest:
            left_s = deadline_s - time.monotonic()
            if left_s <= 0:
                raise self._away(TimeoutError())
            try:
                found.settimeout(left_s)
                more = found.recv(65_536)
            except OSError as error:
                raise self._away(error) from None
            if not more:
                raise self._away(ConnectionResetError())
            self._rest += more
            if len(self._rest) > _MOST_BYTES:
                raise AwayError("an answer that is not NUT's", connected=True)
        line, _, self._rest = self._rest.partition(b"\n")
        # Names of makers may be in any encoding; numbers are not.
        return line.decode("utf-8", "replace").rstrip("\r")

    def _away(self, error: OSError) -> AwayError:
        if isinstance(error, TimeoutError):
            return AwayError(f"no answer within {self._ups.timeout_s:g} s", connected=True)
        return AwayError("upsd closed the connection", connected=True)

    def _hang_up(self) -> None:
        found, self._socket = self._socket, None
        if found is not None:
            found.close()


def _quoted(text: str) -> str:
    """Return a word as upsd reads it, whatever is in it."""
    if any(ord(char) < 32 for char in text):
        raise AwayError("the password has a character that upsd cannot take", connected=False)
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _error(line: str) -> AwayError:
    """Return what an answer that was not expected means."""
    if line.startswith("ERR "):
        return UpsError(line.split()[1][:40])
    return AwayError("an answer that is not NUT's", connected=True)
