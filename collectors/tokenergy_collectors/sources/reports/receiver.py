"""Receives the reports of programs on a Unix socket.

In: datagrams. Out: for each count the latest report, and when it came. A thread of its own empties
the socket, since its queue is short and those who report do not wait.
"""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.report import LONGEST_BYTES
from tokenergy_collectors.sources.reports.datagram import Report, Sender, parse

MOST_COUNTS = 10_000
"""Counts that are followed at once. Reports of further ones are refused."""

_CREDENTIALS = struct.Struct("3i")
_ANYONE = 0o666
_BUFFER_BYTES = 4 << 20

Key = tuple[int, int, str, str, str, str | None, str | None]
"""What a count is: its sender's user and process, its session, kind, source, job and cluster."""


@dataclass(slots=True)
class Latest:
    """The latest report of one count: what it says, who sent it, when it came (us UTC)."""

    report: Report
    sender: Sender
    ts_us: int
    new: bool = True


class Receiver:
    """Receives from construction until `close`.

    Args:
        path: of the socket.
        now_us: returns the stamp of now (us UTC).
        uids: users whose reports are taken; all if empty.

    Raises:
        UserError: the socket cannot be made, or another daemon receives on it.
    """

    def __init__(self, path: str, now_us: Callable[[], int], uids: Collection[int] = ()) -> None:
        self._path = Path(path)
        self._now_us = now_us
        self._uids = frozenset(uids)
        self._lock = threading.Lock()
        self._latest: dict[Key, Latest] = {}
        self._refused: str | None = None
        self._socket = _bind(self._path)
        self._file = _identity(self._path)
        self._thread = threading.Thread(target=self._receive, name="reports", daemon=True)
        self._thread.start()

    def take(self) -> tuple[list[Latest], str | None]:
        """Return the counts with a new report, and why a report was refused since the last call."""
        with self._lock:
            found = [one for one in self._latest.values() if one.new]
            refused, self._refused = self._refused, None
            copies = [Latest(one.report, one.sender, one.ts_us) for one in found]
            for one in found:
                one.new = False
        return copies, refused

    def forget(self, before_us: int) -> list[Latest]:
        """Forget counts of which nothing came since an instant (us UTC); return their last ones."""
        with self._lock:
            old = [k for k, one in self._latest.items() if one.ts_us < before_us and not one.new]
            return [self._latest.pop(key) for key in old]

    def close(self) -> None:
        """Stop receiving, and remove the socket's file if it is still the one made here."""
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        # A datagram socket does not always wake at a shutdown: a word from here does.
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as waker:
            waker.settimeout(1)
            waker.sendto(b"", str(self._path))
        self._thread.join(5)
        self._socket.close()
        if self._file == _identity(self._path):
            self._path.unlink(missing_ok=True)

    def _receive(self) -> None:
        room = socket.CMSG_SPACE(_CREDENTIALS.size)
        while True:
            try:
                data, ancillary, _, _ = self._socket.recvmsg(LONGEST_BYTES + 1, room)
            except OSError:
                return
            if not data:
                return
            ts_us = self._now_us()
            try:
                self._note(parse(data), _sender(ancillary), ts_us)
            except ValueError as error:
                with self._lock:
                    self._refused = self._refused or f"a report {error}"

    def _note(self, report: Report, sender: Sender, ts_us: int) -> None:
        if self._uids and sender.uid not in self._uids:
            raise ValueError(f"of user {sender.uid} is not taken: see users in [reports]")
        key = (
            sender.uid, sender.pid, report.session, report.kind, report.source, report.job_id,
            report.cluster,
        )  # fmt: skip
        with self._lock:
            if key not in self._latest and len(self._latest) >= MOST_COUNTS:
                raise ValueError(f"is one of more than {MOST_COUNTS} counts at once")
            self._latest[key] = Latest(report, sender, ts_us)


def _bind(path: Path) -> socket.socket:
    """Return a bound socket; a file that nobody receives on any more is replaced.

    Raises:
        UserError: see `Receiver`.
    """
    found = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        if path.is_socket():
            _refuse_if_used(path)
            path.unlink()
        found.bind(str(path))
        path.chmod(_ANYONE)
        found.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        found.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER_BYTES)
    except OSError as error:
        found.close()
        raise UserError(f"[reports] socket {path}: {error.strerror}") from None
    except UserError:
        found.close()
        raise
    return found


def _refuse_if_used(path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            return
    raise UserError(f"[reports] socket {path}: another daemon receives on it")


def _sender(ancillary: list[tuple[int, int, bytes]]) -> Sender:
    """Return who sent a datagram.

    Raises:
        ValueError: the kernel did not say.
    """
    for level, kind, data in ancillary:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_CREDENTIALS):
            return Sender(*_CREDENTIALS.unpack(data[: _CREDENTIALS.size]))
    raise ValueError("has no sender")


def _identity(path: Path) -> tuple[int, int] | None:
    with suppress(OSError):
        found = path.stat()
        return found.st_dev, found.st_ino
    return None
