"""Which job a process belongs to, by the configuration; or whose it is, if it is no job.

In: a process. Out: its owner. A unit that the configuration names comes before the container in
it, since it keeps its name over restarts. What is in a pod, or in a job of Slurm, is never a job
here: the kubelet and Slurm's hooks tell those. A plain job is the topmost ancestor of the same user
and cgroup that is no shell: what a shell started, with all its children.
"""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import NamedTuple

from tokenergy_collectors.sources.processes.names import Names
from tokenergy_collectors.sources.processes.procfs import Proc, Process, Stat, user_of
from tokenergy_collectors.sources.processes.settings import Processes

_STARTERS = frozenset(
    {
        "ash", "atd", "bash", "cron", "crond", "csh", "dash", "dumb-init", "fish", "init",
        "ksh", "login", "mosh-server", "nohup", "screen", "SCREEN", "setsid", "sh", "sshd",
        "sshd-session", "su", "sudo", "systemd", "tcsh", "timeout", "tini", "tmux", "xonsh",
        "zsh", "tmux: client", "tmux: server",
    }
)  # fmt: skip
"""Programs that start others, and are no part of them."""

_MOST_UP = 64


class Owner(NamedTuple):
    """Whose a process is.

    Attributes:
        job_id: its job; None if it is none.
        kind: systemd, docker, podman, containerd or plain; slurm or kubernetes if another source
            has it.
        name: name of the unit, container or process; number of the job, UID of the pod.
        user: its user.
        words: the same for people.
    """

    job_id: str | None
    kind: str
    name: str
    user: str
    words: str


class Owners:
    """Finds the owners of processes.

    Args:
        settings: which of them are jobs.
        proc: where the processes are.
        node: name of this host.
        names: finds the names of containers.
    """

    def __init__(self, settings: Processes, proc: Proc, node: str, names: Names) -> None:
        self._settings = settings
        self._proc = proc
        self._node = node
        self._names = names

    def of(self, process: Process) -> Owner:
        """Return whose a process is."""
        place, settings = process.place, self._settings
        user = user_of(process.uid)
        if place.kind in ("slurm", "kubernetes"):
            what = "Slurm job" if place.kind == "slurm" else "pod"
            return Owner(None, place.kind, place.name, user, f"{what} {place.name}")
        unit = _unit_name(process)
        if unit is not None and any(fnmatchcase(unit, one) for one in settings.systemd):
            return self._owner("systemd", unit, user, chosen=True)
        if place.kind != "none":
            chosen = {
                "docker": settings.docker,
                "podman": settings.podman,
                "containerd": settings.containerd,
            }[place.kind]
            return self._owner(place.kind, self._names.of(place.name), user, chosen=chosen)
        root = self._root(process)
        if unit is not None and place.unit is not None and place.unit.endswith(".service"):
            # A service that is not named is not a process of a user, whatever user it has.
            return self._owner("systemd", unit, user, chosen=False)
        name = f"{user}/{root.comm}-{root.pid}.{root.start}"
        chosen = any(fnmatchcase(user, one) for one in settings.plain)
        return self._owner("plain", name, user, chosen=chosen)

    def _owner(self, kind: str, name: str, user: str, *, chosen: bool) -> Owner:
        job_id = self._settings.job_id.format(node=self._node, kind=kind, name=name)
        return Owner(job_id if chosen else None, kind, name, user, f"{kind} {name}")

    def _root(self, process: Process) -> Stat:
        found = process
        for _ in range(_MOST_UP):
            parent = self._proc.process(found.stat.parent)
            if (
                parent is None
                or parent.uid != found.uid
                or parent.place.path != found.place.path
                or parent.stat.comm in _STARTERS
                # A number of a parent that has ended may be that of a younger process.
                or parent.stat.start > found.stat.start
            ):
                break
            found = parent
        return found.stat


def _unit_name(process: Process) -> str | None:
    place = process.place
    if place.unit is None or place.unit_uid is None:
        return place.unit
    return f"{place.unit}@{user_of(place.unit_uid)}"
