"""Which process listens on a port of this host.

In: /proc/net/tcp, tcp6 and /proc/PID/fd. Out: processes. The kernel shows a socket's number to
everybody, and which process has it only to its user and to root (or to CAP_SYS_PTRACE with
CAP_DAC_READ_SEARCH): proc(5).
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterator
from contextlib import suppress
from urllib.parse import urlsplit

from tokenergy_collectors.sources.kubernetes.turns import in_turns
from tokenergy_collectors.sources.processes.procfs import Proc, Process

_LISTEN = "0A"
_PORTS = {"http": 80, "https": 443}
_ANYWHERE = {"0.0.0.0", "::"}  # noqa: S104 -- addresses that are looked for, not bound

Address = tuple[str, int]


class NotFoundError(Exception):
    """Why no process was found, and what to do."""


class HiddenError(NotFoundError):
    """The process is another user's; `sockets` are the numbers of its sockets."""

    def __init__(self, sockets: set[str]) -> None:
        super().__init__(
            "the process that listens there is another user's, and its cgroup says nothing: run "
            "the collector as that user"
        )
        self.sockets = sockets


class Listening:
    """Finds who listens at an address; remembers it, since a search reads all of /proc.

    Args:
        proc: the processes.
        url: the address.
    """

    def __init__(self, proc: Proc, url: str) -> None:
        self._proc = proc
        self._url = url
        self._known: dict[str, list[Process]] = {}

    def processes(self) -> list[Process]:
        """Return the processes that listen now: several, if they share a socket or a port.

        Raises:
            HiddenError: it is another user's.
            NotFoundError: there is none, or it cannot be seen from here.
        """
        addresses, port = _addresses(self._url)
        inodes = {
            inode
            for where, of_port, inode in _listeners(self._proc)
            if of_port == port and where in addresses | _ANYWHERE
        }
        if not inodes:
            raise NotFoundError(f"no process of this host listens on port {port}")
        self._known = {
            inode: found
            for inode, found in self._known.items()
            if inode in inodes and all(self._has(one, inode) for one in found)
        }
        if inodes - self._known.keys():
            self._search(inodes)
        return list({one.stat.pid: one for found in self._known.values() for one in found}.values())

    def _has(self, process: Process, inode: str) -> bool:
        return self._proc.is_same(process.stat) and inode in _sockets(self._proc, process.stat.pid)

    def _search(self, inodes: set[str]) -> None:
        """Look through all processes.

        Raises:
            NotFoundError: see `processes`.
        """
        found: dict[str, list[Process]] = {}
        refused = 0
        for pid in in_turns(self._proc.pids()):
            try:
                mine = inodes & set(_sockets(self._proc, pid))
            except PermissionError:
                refused += 1
                continue
            if mine and (process := self._proc.process(pid)) is not None:
                for inode in mine:
                    found.setdefault(inode, []).append(process)
        self._known = found
        if missing := inodes - found.keys():
            if refused:
                raise HiddenError(missing)
            raise NotFoundError(
                "the process that listens there is not visible here: share the PID namespace"
            )


def _addresses(url: str) -> tuple[set[str], int]:
    """Return the addresses of this host that a URL means, and the port.

    Raises:
        NotFoundError: it means another host, or cannot be understood.
    """
    try:
        parts = urlsplit(url)
        port = parts.port or _PORTS[parts.scheme]
        infos = socket.getaddrinfo(parts.hostname, port, type=socket.SOCK_STREAM)
    except (OSError, ValueError, KeyError) as error:
        raise NotFoundError(f"{url}: {error}") from None
    found = {str(ipaddress.ip_address(info[4][0])) for info in infos if _is_here(info)}
    if not found:
        raise NotFoundError(f"{parts.hostname} is another host")
    return found, port


def _is_here(info: tuple[int, int, int, str, tuple[object, ...]]) -> bool:
    """Whether an address is one of this host: only those can be bound to."""
    family, kind, _, _, address = info
    with suppress(OSError), socket.socket(family, kind) as probe:
        probe.bind((address[0], 0, *address[2:]))
        return True
    return False


def _listeners(proc: Proc) -> Iterator[tuple[str, int, str]]:
    """Yield address, port and socket number of everything that listens."""
    for name in ("tcp", "tcp6"):
        try:
            lines = (proc.root / "net" / name).read_text("ascii").splitlines()[1:]
        except (OSError, UnicodeDecodeError):
            continue
        for line in in_turns(lines):
            cells = line.split()
            if len(cells) > 9 and cells[3] == _LISTEN:
                with suppress(ValueError):
                    yield (*_address(cells[1]), cells[9])


def _address(text: str) -> Address:
    """Return what `0100007F:1F90` means: words in the host's order, and a port.

    Raises:
        ValueError: it means nothing.
    """
    words, port = text.split(":")
    raw = b"".join(bytes.fromhex(words[i : i + 8])[::-1] for i in range(0, len(words), 8))
    found = ipaddress.ip_address(raw)
    mapped = getattr(found, "ipv4_mapped", None)
    return str(mapped or found), int(port, 16)


def _sockets(proc: Proc, pid: int) -> Iterator[str]:
    """Yield the socket numbers of a process.

    Raises:
        PermissionError: they are not shown to this user.
    """
    try:
        for entry in (proc.root / str(pid) / "fd").iterdir():
            with suppress(FileNotFoundError):
                target = str(entry.readlink())
                if target.startswith("socket:["):
                    yield target[8:-1]
    except (FileNotFoundError, ProcessLookupError):
        return
