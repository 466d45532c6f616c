"""Whose a process is, by the name of its cgroup.

In: /proc/PID/cgroup. Out: a container, a job of Slurm, a pod, a systemd unit, or none of these.
Names: Docker `docker-ID.scope`, `/docker/ID`; Podman `libpod-ID.scope`, `libpod-payload-ID` below
its unit (Quadlet); CRI `cri-containerd-ID.scope`, `crio-ID.scope`; nerdctl `nerdctl-ID.scope`;
kubelet `kubepods...pod<UID>`; Slurm `/slurm/uid_U/job_J`, `slurmstepd.scope/job_J`. cgroup v1 has a
line for each controller, v2 the line `0::PATH`: the most telling line counts.
"""

from __future__ import annotations

import re
from typing import NamedTuple

_ID = r"([0-9a-f]{64})"
_CONTAINERS = (
    ("docker", re.compile(rf"/docker[-/]{_ID}(?:\.scope)?(?=/|$)")),
    ("podman", re.compile(rf"/libpod-(?:payload-)?{_ID}(?:\.scope)?(?=/|$)")),
    ("containerd", re.compile(rf"/(?:cri-containerd|crio|nerdctl)-{_ID}(?:\.scope)?(?=/|$)")),
    ("containerd", re.compile(rf"/[^/]*:(?:cri-containerd|nerdctl):{_ID}(?=/|$)")),
    ("containerd", re.compile(rf"^/(?:default|k8s\.io|moby)/{_ID}(?=/|$)")),
)  # fmt: skip
_SLURM = re.compile(r"/(?:slurm[^/]*|[^/]*slurmstepd\.scope)/(?:.*/)?job_(\d+)(?:/|$)", re.ASCII)
_POD = re.compile(r"/[^/]*kubepods.*?pod([0-9a-f][0-9a-f_-]{31,35})", re.DOTALL)
_UNIT = re.compile(r"[^/]+\.(?:service|scope)")
_NO_UNIT = re.compile(r"init\.scope|session-[^/]*\.scope|user@\d+\.service|.*-payload-.*", re.ASCII)
_MANAGER = re.compile(r"user@(\d+)\.service", re.ASCII)
_LONGEST = 200


class Place(NamedTuple):
    """What a cgroup says.

    Attributes:
        kind: slurm, kubernetes, docker, podman, containerd; `none` if it is none of these.
        name: number of the job, UID of the pod, id of the container; else empty.
        unit: the systemd unit around it, if any.
        unit_uid: the user whose service manager runs that unit; None if it is the system's.
        path: the cgroup itself, printable.
        unified: the path in cgroup v2, as it is; empty if there is none.
    """

    kind: str
    name: str
    unit: str | None
    unit_uid: int | None
    path: str
    unified: str = ""


def place_of(text: str) -> Place:
    """Return what the text of /proc/PID/cgroup says."""
    paths = [line.split(":", 2)[2] for line in text.split("\n") if line.count(":") >= 2]
    places = [_place(path) for path in dict.fromkeys(paths)] or [_place("/")]
    best = max(places, key=lambda one: (one.kind != "none", one.unit is not None, len(one.path)))
    unified = next((line[3:] for line in text.split("\n") if line.startswith("0::")), "")
    return best._replace(unified=unified)


def printable(text: str) -> str:
    """Return a name on one line, not too long; what cannot be printed is replaced."""
    return "".join(c if c.isprintable() else "\ufffd" for c in text)[:_LONGEST]


def _place(path: str) -> Place:
    if found := _POD.search(path):
        return _with_unit("kubernetes", found[1].replace("_", "-"), path, found.start())
    if found := _SLURM.search(path):
        return _with_unit("slurm", found[1], path, found.start())
    for kind, pattern in _CONTAINERS:
        if found := pattern.search(path):
            # Units below a container are those of a systemd inside it.
            return _with_unit(kind, found[1], path, found.start())
    return _with_unit("none", "", path, len(path))


def _with_unit(kind: str, name: str, path: str, until: int) -> Place:
    parts = path[:until].split("/")
    units = [one for one in parts if _UNIT.fullmatch(one) and not _NO_UNIT.fullmatch(one)]
    managers = [found for one in parts if (found := _MANAGER.fullmatch(one))]
    unit = printable(units[-1]) if units else None
    uid = int(managers[-1][1]) if managers and unit else None
    return Place(kind, name, unit, uid, printable(path))
