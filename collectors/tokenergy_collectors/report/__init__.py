"""Counts tokens in a program of yours, and reports them to the daemon on the same host.

In: how many tokens a step worked on. Out: datagrams to the daemon's socket, about one a second.
Three lines in a training loop:

    from tokenergy_collectors.report import Tokens
    tokens = Tokens("ft-7b", model="llama-7b")   # before the loop
    tokens.add(n)                                # after each step

Nothing here blocks or fails the loop: without a daemon the counts go nowhere. The datagram is
described in docs/training.md, for programs in other languages. Only Python's own library is used.
"""

from __future__ import annotations

import atexit
import json
import os
import socket
import threading
import time
import uuid
from contextlib import suppress
from types import TracebackType
from typing import Literal, SupportsIndex, SupportsInt
from warnings import warn

SOCKET_VARIABLE = "TOKENERGY_TOKENS_SOCKET"
"""Environment variable with the path of the daemon's socket."""

DEFAULT_SOCKET = "/run/tokenergy/tokens.sock"
"""Path of the daemon's socket, if the variable is not set."""

LONGEST_BYTES = 4096
"""Size of the largest datagram that the daemon takes."""

Kind = Literal["trained", "generated", "prompt_computed", "prompt_cached", "prompt_external"]
Scope = Literal["rank", "job"]

_RANKS = ("RANK", "SLURM_PROCID", "OMPI_COMM_WORLD_RANK", "PMI_RANK")
_LAST_WAIT_S = 0.05


class Tokens:
    """The tokens that this process has worked on since it began to count.

    The count begins at 0 in each process. So a loop that goes on from a checkpoint counts only what
    it works on itself, and never again what an earlier process has counted.

    Args:
        job: the job that they count for; by default `$TOKENERGY_JOB_ID`, or the id that Slurm gave.
        model: name of the model.
        kind: what is counted.
        scope: `rank`: each process counts its own tokens, and they are added; `job`: the count is
            that of the whole job, and only the process of rank 0 reports it.
        rank: of this process; by default `$RANK`, `$SLURM_PROCID` or what MPI says, else 0.
        source: a name for this count, if a job has several that must be kept apart.
        cluster: the cluster of the job's id, if it is not the daemon's.
        every_s: seconds between two reports, at least.
        path: the daemon's socket; by default `$TOKENERGY_TOKENS_SOCKET`, or
            `/run/tokenergy/tokens.sock`.

    Attributes:
        total: tokens counted.
        unsent: reports that could not be sent. A later one makes up for them.

    Raises:
        ValueError: there is no job, or a name is too long.
    """

    def __init__(
        self,
        job: str | None = None,
        *,
        model: str | None = None,
        kind: Kind = "trained",
        scope: Scope = "rank",
        rank: int | None = None,
        source: str = "loop",
        cluster: str | None = None,
        every_s: float = 1.0,
        path: str | None = None,
    ) -> None:
        found = job or _job_of_environment()
        if not found:
            raise ValueError("no job: give its id, or set TOKENERGY_JOB_ID")
        self.total = 0
        self.unsent = 0
        self._rank = _rank_of_environment() if rank is None else rank
        self._names = {
            "v": 1, "job": found, "cluster": cluster, "model": model, "kind": kind,
            "source": source, "rank": self._rank,
        }  # fmt: skip
        self._silent = scope == "job" and self._rank != 0
        self._every_s = every_s
        self._path = path or os.environ.get(SOCKET_VARIABLE) or DEFAULT_SOCKET
        self._lock = threading.Lock()
        self._pid = os.getpid()
        self._closed = False
        self._next_s = 0.0
        self._begin()
        if len(self._datagram()) > LONGEST_BYTES:
            raise ValueError(f"names of more than {LONGEST_BYTES} bytes")
        self._send()
        atexit.register(self.close)

    def add(self, tokens: SupportsIndex | SupportsInt) -> None:
        """Count tokens; report the count if the last report is old enough.

        A number below 0, or what is no number, is left out with one warning.
        """
        try:
            number = int(tokens)
        except Exception:  # noqa: BLE001 - a tensor may raise anything; the loop must go on
            number = -1
        if number < 0:
            warn(f"{tokens!r} is not a number of tokens: left out", stacklevel=2)
            return
        with self._lock:
            if os.getpid() != self._pid:
                self._begin()  # a fork: what its parent counted is not its own
            self.total += number
            if time.monotonic() >= self._next_s:
                self._send()

    def close(self) -> None:
        """Report the last count. A program that ends does so by itself."""
        with self._lock:
            if not self._closed and os.getpid() == self._pid:
                self._closed = True
                # The last report is worth a short wait, where the daemon's queue is full.
                self._send(wait_s=_LAST_WAIT_S)

    def __enter__(self) -> Tokens:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self.close()

    def _begin(self) -> None:
        self._pid = os.getpid()
        self._closed = False
        self.total = 0
        self._names["session"] = uuid.uuid4().hex[:16]
        self._names["began"] = time.time()
        self._next_s = 0.0

    def _datagram(self) -> bytes:
        names = {name: value for name, value in self._names.items() if value is not None}
        return json.dumps({**names, "total": self.total}, separators=(",", ":")).encode()

    def _send(self, wait_s: float = 0.0) -> None:
        self._next_s = time.monotonic() + self._every_s
        if self._silent:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
                sender.settimeout(wait_s)
                sender.sendto(self._datagram(), self._path)
        except OSError:
            # No daemon, or it is busy: the next report has the whole count.
            self.unsent += 1


def _job_of_environment() -> str | None:
    """Return the job that the environment names: an array's task is a job of its own in Slurm."""
    return os.environ.get("TOKENERGY_JOB_ID") or os.environ.get("SLURM_JOB_ID")


def _rank_of_environment() -> int:
    for name in _RANKS:
        with suppress(KeyError, ValueError):
            return int(os.environ[name])
    return 0
