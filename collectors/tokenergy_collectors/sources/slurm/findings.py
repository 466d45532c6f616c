"""What `tokenergy-collect check` says about Slurm on this host.

In: the settings, and the folder, slurm.conf and scontrol as they are now. Out: findings.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from tokenergy_collectors.base.finding import Finding
from tokenergy_collectors.sources.host import Host
from tokenergy_collectors.sources.slurm.hookfile import event_files, read_events
from tokenergy_collectors.sources.slurm.scontrol import AskError, Run, run_command
from tokenergy_collectors.sources.slurm.settings import Slurm

HOOK = "tokenergy-hook"
_PATHS = re.compile(r"^(Prolog|Epilog)(?:\[\d+\])?\s*=\s*(\S+)\s*$", re.M)
_CLUSTER = re.compile(r"^ClusterName\s*=\s*(\S+)\s*$", re.M)


def findings(settings: Slurm, host: Host, run: Run = run_command) -> Iterator[Finding]:
    """Yield the findings."""
    if settings.spool is None:
        return
    if host.emulated:
        yield Finding("ok", "slurm", "not read on an emulated node")
        return
    yield from _folder(Path(settings.spool))
    if settings.device_files is None and any(board.minor is None for board in host.boards):
        yield Finding("warn", "slurm", "a board tells no minor number: set device_files in [slurm]")
    if settings.scontrol:
        yield from _slurm(settings.scontrol, host, run)


def _folder(folder: Path) -> Iterator[Finding]:
    try:
        names = event_files(folder)
    except OSError as error:
        words = f"{folder}: {error.strerror}; docs/slurm.md says how to make it"
        yield Finding("FAIL", "slurm", words)
        return
    if not os.access(folder, os.W_OK | os.X_OK):
        words = f"{folder}: not writable for this user, so files that were read are never removed"
        yield Finding("warn", "slurm", words)
    if not names:
        words = (
            "no file: they are removed once their jobs are in the lake; run a job to try the hooks"
        )
        yield Finding("ok", "slurm", f"{folder}: {words}")
        return
    yield _last(folder, names)


def _last(folder: Path, names: list[str]) -> Finding:
    """Return what the newest file says."""
    try:
        found = read_events(folder / names[-1])
    except OSError as error:
        return Finding("FAIL", "slurm", f"{names[-1]}: cannot be read: {error.strerror}")
    if not found.events:
        words = found.bad[0] if found.bad else f"{names[-1]}: its line is not whole"
        return Finding("warn", "slurm", words)
    event = found.events[-1]
    when = datetime.fromtimestamp(event.wall_us // 1_000_000, UTC).strftime("%Y-%m-%d %H:%M:%S")
    boards = f"boards {event.gpus}" if event.gpus else "no board"
    words = f"last event: {event.kind} of job {event.job_id}, {boards}, {when} UTC"
    return Finding("ok", "slurm", f"{words}; {len(names)} files in {folder}")


def _slurm(program: str, host: Host, run: Run) -> Iterator[Finding]:
    """Yield whether slurm.conf names the hooks, and the cluster."""
    try:
        status, text = run([program, "show", "config"])
        if status:
            raise AskError(f"{program} show config: {' '.join(text.split())[:200]}")
    except AskError as error:
        yield Finding(
            "warn", "slurm", f"{error}: jobs get no name, and a shard counts as a whole board"
        )
        return
    paths = {kind: path for kind, path in _PATHS.findall(text) if path != "(null)"}
    for kind in ("Prolog", "Epilog"):
        if kind not in paths:
            yield Finding("FAIL", "slurm", f"slurm.conf has no {kind}: set it to {HOOK}.sh")
        elif HOOK not in paths[kind]:
            yield Finding("ok", "slurm", f"{kind} is {paths[kind]}: it has to run {HOOK}.sh")
    cluster = _CLUSTER.search(text)
    if cluster and host.cluster != cluster[1]:
        now = "is not set" if host.cluster is None else f"is {host.cluster!r}"
        words = f"the cluster is {cluster[1]!r} for Slurm, and `cluster` {now}: set it to that name"
        yield Finding("warn", "slurm", words)
