"""The demo: the whole job end to end on an emulated fleet, with the commands a user would run.

In: a folder. Out: in it a lake, the truth, a report; on the terminal the per-job table.
The collectors run as processes of their own, one a node, as they would on their hosts.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tokenergy_collectors.emulate.profile import load_profile
from tokenergy_collectors.errors import UserError

if TYPE_CHECKING:
    from rich.progress import Progress

_MARK = ".tokenergy-demo"
_ROLL_S = 300

SITE = """# Declared constants of the emulated site; the table and the report say `declared`.
[site]
name = "emulated"
pue = 1.25
host_w = 1800.0   # of a node beside its GPUs
"""


def describe(profile_name: str) -> str:
    """Return in words what a profile emulates."""
    profile = load_profile(profile_name)
    boards = sum(node.count for node in profile.nodes.values())
    minutes = profile.duration_us / 60_000_000
    return (
        f"{len(profile.nodes)} emulated nodes, {boards} GPUs, {len(profile.jobs)} jobs, "
        f"{minutes:g} minutes of virtual time"
    )


def prepare(folder: Path) -> None:
    """Make the demo's folder, or empty the one that an earlier demo made.

    Raises:
        UserError: the folder holds something else, or cannot be made.
    """
    if folder.exists() and not (folder / _MARK).exists() and any(folder.iterdir()):
        raise UserError(f"{folder}: not empty and not made by a demo; name another with --out")
    try:
        for name in ("lake", "truth"):
            shutil.rmtree(folder / name, ignore_errors=True)
            (folder / name).mkdir(parents=True)
        (folder / _MARK).touch()
        (folder / "lake" / "site.toml").write_text(SITE)
    except OSError as error:
        raise UserError(f"{folder}: cannot be made: {error.strerror}") from None


def collect(folder: Path, profile_name: str, progress: Progress) -> None:
    """Run a collector process for each node of the profile, all at once.

    Raises:
        UserError: a collector failed; the message is its last line.
    """
    profile = load_profile(profile_name)
    running = []
    for node in profile.nodes:
        config = folder / f"{node}.toml"
        config.write_text(
            f"lake = {json.dumps(str(folder / 'lake'))}\nnode = {json.dumps(node)}\n"
            f'rate_hz = 10\nroll_s = {_ROLL_S}\nlog_format = "json"\n'
        )
        command = [sys.executable, "-m", "tokenergy_collectors", "run"]
        command += ["--config", str(config), "--emulate", profile_name]
        command += ["--truth", str(folder / "truth" / f"{node}.json")]
        task = progress.add_task(f"collect {node}", total=profile.duration_us)
        process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)  # noqa: S603 - our own command
        start_us = profile.start_us

        def advance(event: dict[str, Any], task: Any = task, start_us: int = start_us) -> None:
            if event["event"] == "sealed":
                progress.update(task, completed=event["until_us"] - start_us)

        lines: list[str] = []
        reader = threading.Thread(target=_follow, args=(process, advance, lines))
        reader.start()
        running.append((node, process, reader, task, lines))
    for _, process, reader, _, _ in running:
        process.wait()
        reader.join()
    for node, process, _, task, lines in running:
        if process.returncode:
            raise UserError(f"collector of {node} failed: {lines[-1] if lines else 'no message'}")
        progress.update(task, completed=profile.duration_us)


def _follow(
    process: subprocess.Popen[str], told: Callable[[dict[str, Any]], None], lines: list[str]
) -> None:
    """Read a collector's log; hand on its events, keep everything else."""
    stream = process.stderr
    if stream is None:
        return
    with stream:
        for line in stream:
            if line.startswith("{"):
                told(json.loads(line))
            elif line.strip():
                lines.append(line.strip())
