"""The cgroup in which a listening socket was made, which the kernel tells everybody.

In: sock_diag(7) over netlink. Out: ids of cgroups by socket number. Which process has a socket is
told to its user and root only; its cgroup is enough to know the unit, container or job. Source:
linux/inet_diag.h; INET_DIAG_CGROUP_ID since Linux 5.8, for cgroup v2. The id of a cgroup is the
inode of its folder.
"""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Iterator
from pathlib import Path

_SOCK_DIAG = 4
_BY_FAMILY = 20
_DUMP = 0x301  # NLM_F_REQUEST | NLM_F_DUMP
_LISTEN = 1 << 10
_CGROUP_ID = 21
_ERROR, _DONE = 2, 3
_HEADER = struct.Struct("=IHHII")
_REQUEST = struct.Struct("=BBBxI48x")
_MESSAGE_BYTES = 72
_INODE = struct.Struct("=I")
_ATTRIBUTE = struct.Struct("=HH")
_TIMEOUT_S = 2.0
_MOST_READS = 1_000


def cgroup_ids() -> dict[str, int]:
    """Return the cgroup of each TCP socket of this host that listens, by its number.

    Raises:
        OSError: the kernel does not answer, or this service may not ask (AF_NETLINK).
    """
    found: dict[str, int] = {}
    for family in (socket.AF_INET, socket.AF_INET6):
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _SOCK_DIAG) as link:
            link.settimeout(_TIMEOUT_S)
            body = _REQUEST.pack(family, socket.IPPROTO_TCP, 0, _LISTEN)
            link.send(_HEADER.pack(_HEADER.size + len(body), _BY_FAMILY, _DUMP, 1, 0) + body)
            for _ in range(_MOST_READS):
                done, sockets = _read(link.recv(1 << 16))
                found |= sockets
                if done:
                    break
    return found


def mounted(proc: Path) -> Path | None:
    """Return where cgroup v2 is mounted; None if it is not."""
    try:
        lines = (proc / "mounts").read_text("utf-8", "replace").splitlines()
    except OSError:
        return None
    words = [line.split(" ") for line in lines]
    return next((Path(one[1]) for one in words if len(one) > 2 and one[2] == "cgroup2"), None)


def id_of(path: str, root: Path) -> int | None:
    """Return the id of a cgroup by its path below the mount; None if it is gone, or the root."""
    # What is in the root, as everything is without cgroup v2, has nothing in common.
    if not path.strip("/"):
        return None
    try:
        return (root / path.lstrip("/")).stat().st_ino
    except OSError:
        return None


def _read(data: bytes) -> tuple[bool, dict[str, int]]:
    """Return whether an answer ends here, and the cgroups in it by socket number.

    Raises:
        OSError: it is a refusal.
    """
    found: dict[str, int] = {}
    for kind, body in _messages(data):
        if kind == _DONE:
            return True, found
        if kind == _ERROR:
            code = -struct.unpack_from("=i", body)[0]
            raise OSError(code, os.strerror(code))
        if len(body) >= _MESSAGE_BYTES:
            inode = str(_INODE.unpack_from(body, _MESSAGE_BYTES - _INODE.size)[0])
            for number, value in _attributes(body[_MESSAGE_BYTES:]):
                if number == _CGROUP_ID and len(value) >= 8:
                    found[inode] = struct.unpack_from("=Q", value)[0]
    return False, found


def _messages(data: bytes) -> Iterator[tuple[int, bytes]]:
    while len(data) >= _HEADER.size:
        size, kind, *_ = _HEADER.unpack_from(data)
        if not _HEADER.size <= size <= len(data):
            return
        yield kind, data[_HEADER.size : size]
        data = data[(size + 3) & ~3 :]


def _attributes(data: bytes) -> Iterator[tuple[int, bytes]]:
    while len(data) >= _ATTRIBUTE.size:
        size, number = _ATTRIBUTE.unpack_from(data)
        if not _ATTRIBUTE.size <= size <= len(data):
            return
        yield number, data[_ATTRIBUTE.size : size]
        data = data[(size + 3) & ~3 :]
