"""Server processes that a test starts, each as the leader of a session, and their ends."""

from __future__ import annotations

import os
import signal
import subprocess
from contextlib import suppress
from pathlib import Path

_PATIENCE_S = 20


def members(leader: int) -> list[int]:
    """Return the processes of a session that are still there."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[3]) == leader and fields[0] != "Z":
            found.append(int(folder.name))
    return found


def cpu_s(leader: int) -> float:
    """Return the CPU seconds of the processes of a session, with those that have ended."""
    ticks = 0
    for pid in members(leader):
        with suppress(OSError):
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            ticks += sum(map(int, fields[11:15]))  # its own and its children's, user and system
    return ticks / os.sysconf("SC_CLK_TCK")


def end(process: subprocess.Popen[bytes], how: signal.Signals = signal.SIGTERM) -> None:
    """Ask a process to end, then kill what is left of its session: it may not hear requests."""
    with suppress(ProcessLookupError):
        process.send_signal(how)
    try:
        process.wait(timeout=_PATIENCE_S)
    except subprocess.TimeoutExpired:
        pass
    finally:
        kill(process)


def kill(process: subprocess.Popen[bytes]) -> None:
    """End all processes of a session at once, as if their host had lost its power."""
    while left := members(process.pid):
        for one in left:
            with suppress(ProcessLookupError):
                os.kill(one, signal.SIGKILL)
        if process.pid in left:
            process.wait()
    process.wait()
