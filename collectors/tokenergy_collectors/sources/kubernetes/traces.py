"""What the host itself says of pods: their UIDs, and whether they still run.

In: the names in /var/log/pods (NAMESPACE_POD_UID) and the cgroups `kubepods...pod<UID>`. Out: the
UID of a pod, and whether it has ended.

The kubelet's answer has no UIDs, and names pods that have ended (kubernetes#119423). Whoever can
read these two folders needs no account at the API server to tell. A pod's cgroup is made before
its log folder and removed when its last process is gone. So a pod that has a log folder and no
cgroup has ended, provided that there are cgroups of pods at all.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from tokenergy_collectors.sources.kubernetes.turns import in_turns

_UID_CHARS = 32
"""The least that a UID has: those of static pods have no hyphens."""

_ON_THE_WAY = re.compile(r".*kubepods.*|besteffort|burstable|guaranteed|kubelet.*", re.ASCII)
_CONTROLLERS = ("memory", "pids", "systemd")
"""Folders of cgroup v1 that have the pods; each one would do."""

_DEEPEST = 6


class Traces:
    """The pods of one host as its folders show them; `look` reads the folders again.

    Args:
        logs: folder of the pods' logs.
        cgroups: where the host's cgroups are mounted.

    Attributes:
        problem: why it cannot be told whether a pod has ended; None if it can.
    """

    def __init__(self, logs: str, cgroups: str) -> None:
        self._logs = Path(logs)
        self._cgroups = Path(cgroups)
        self._uids: dict[str, set[str]] = {}
        self._running: set[str] = set()
        self.problem: str | None = "not looked yet"

    def look(self) -> None:
        """Read both folders."""
        self._uids, self._running = {}, set()
        self.problem = None
        try:
            for name in in_turns(path.name for path in self._logs.iterdir()):
                owner, _, uid = name.rpartition("_")
                self._uids.setdefault(owner, set()).add(uid)
        except OSError as error:
            self.problem = f"{self._logs}: {error.strerror}"
            return
        try:
            self._running = set(_pods_below(self._cgroups, _DEEPEST))
        except OSError as error:  # half a list would end the pods of the other half
            self._running = set()
            self.problem = f"{self._cgroups}: {error.strerror}"
            return
        if not self._running:
            self.problem = f"{self._cgroups}: no cgroups of pods; is it the host's?"

    def uid(self, owner: tuple[str, str]) -> str | None:
        """Return the UID of a pod (namespace, name) that runs; None if it is not known."""
        running = self._of(owner) & self._running
        return next(iter(running)) if len(running) == 1 else None

    def ended(self, owner: tuple[str, str]) -> bool | None:
        """Return whether a pod has ended; None if that cannot be told."""
        uids = self._of(owner)
        return None if self.problem is not None or not uids else not uids & self._running

    def _of(self, owner: tuple[str, str]) -> set[str]:
        return self._uids.get("_".join(owner), set())


def _pods_below(folder: Path, depth: int) -> Iterator[str]:
    """Yield the UIDs of the pods that have a cgroup; only folders that may lead to one are read.

    Raises:
        OSError: a folder cannot be read.
    """
    with suppress(FileNotFoundError, NotADirectoryError), os.scandir(folder) as entries:
        for entry in in_turns(entries):
            uid = entry.name.removesuffix(".slice").rpartition("pod")[2]
            if len(uid) >= _UID_CHARS and uid != entry.name:
                yield uid.replace("_", "-")
            elif depth and (entry.name in _CONTROLLERS or _ON_THE_WAY.fullmatch(entry.name)):
                yield from _pods_below(Path(entry.path), depth - 1)
