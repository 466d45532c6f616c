"""What `tokenergy-collect check` says about the processes on the boards.

In: the settings and the host. Out: findings: what NVML lists, whose job each process would be, and
what cannot be seen from here.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from tokenergy_collectors.base.finding import Finding
from tokenergy_collectors.sources.host import Host
from tokenergy_collectors.sources.processes.look import Look, Looker, On
from tokenergy_collectors.sources.processes.names import Names
from tokenergy_collectors.sources.processes.owners import Owners
from tokenergy_collectors.sources.processes.procfs import Proc
from tokenergy_collectors.sources.processes.settings import Processes
from tokenergy_collectors.sources.processes.uses import pids_by_device

_SUBJECT = "process"
_MOST = 16


def process_findings(settings: Processes, host: Host) -> Iterator[Finding]:
    """Yield the findings; asks NVML once."""
    names = Names(settings.container_names)
    proc = Proc(Path(settings.proc))
    owners = Owners(settings, proc, host.node, names)
    looker = Looker(
        lambda: pids_by_device(host.boards, graphics=settings.graphics), proc, owners, 0
    )
    look = looker.look(host.now_us())
    index = _names_of_devices(host)
    for device_id in sorted(look.unknown, key=lambda one: index.get(one, one)):
        text = f"{index.get(device_id, device_id)} does not list its processes"
        yield Finding("warn", _SUBJECT, text)
    chosen = settings.docker or settings.podman or settings.containerd
    yield from _groups(look, index, chosen=bool(chosen or settings.systemd or settings.plain))
    if look.hidden:
        text = (
            f"{len(look.hidden)} processes are not visible in {settings.proc}, such as "
            f"{min(look.hidden)}: they count for no job. In a container, share the host's PID "
            "namespace (--pid=host, hostPID: true); elsewhere see hidepid of /proc"
        )
        yield Finding("warn", _SUBJECT, text)
    if names.problem is not None:
        yield Finding("warn", _SUBJECT, names.problem)
    if not look.on and not look.hidden:
        yield Finding("ok", _SUBJECT, "no process is on a board now")


def _groups(look: Look, index: dict[str, str], *, chosen: bool) -> Iterator[Finding]:
    groups: dict[tuple[str, str], list[On]] = {}
    for one in look.on:
        groups.setdefault((one.owner.words, one.owner.user), []).append(one)
    for place, ((words, user), found) in enumerate(sorted(groups.items())):
        if place == _MOST:
            yield Finding("ok", _SUBJECT, f"... and {len(groups) - _MOST} more")
            return
        boards = sorted({index.get(one.device_id, one.device_id) for one in found})
        pids = len({one.process.stat.pid for one in found})
        count = "1 process" if pids == 1 else f"{pids} processes"
        owner = found[0].owner
        explained = True
        if owner.job_id is not None:
            text = f"job {owner.job_id}"
        elif owner.kind in ("slurm", "kubernetes"):
            text = f"left to [{owner.kind}]"
        else:
            # Where no kind of process is a job, the operator has another list of jobs.
            text, explained = "no job by [processes]: another source has to tell it", not chosen
        where = f"{count} of {user} on {', '.join(boards)}"
        yield Finding("ok" if explained else "warn", _SUBJECT, f"{words}: {where}: {text}")


def _names_of_devices(host: Host) -> dict[str, str]:
    found = {}
    for board in host.boards:
        found[board.device_id] = f"gpu {board.index}"
        found |= {
            one.device_id: f"gpu {board.index} instance {place}"
            for place, one in enumerate(board.instances)
        }
    return found
