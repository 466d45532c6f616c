"""Asks Slurm about one job: its name, what part of a board it holds, and whether it has ended.

In: `scontrol show job -d` and `scontrol show node`. Out: what it says of a job on this node. A hook
must not ask (Slurm's manual: it would hold up slurmctld when many jobs start), so the collector
does, in a thread of its own. Names and comments are text of the users: a line counts only if its
whole shape fits and no second line has it.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from fractions import Fraction
from itertools import pairwise
from typing import NamedTuple

from tokenergy_collectors.sources.slurm.boardnames import numbers

_TIMEOUT_S = 5.0
_SHOW = "scontrol show job"
_OVER = {
    *("BOOT_FAIL", "CANCELLED", "COMPLETED", "DEADLINE", "FAILED", "NODE_FAIL", "OUT_OF_MEMORY"),
    *("PREEMPTED", "TIMEOUT", "REVOKED", "PENDING", "REQUEUED", "REQUEUE_HOLD", "SPECIAL_EXIT"),
}
"""States in which a job holds no board. A requeued job is PENDING until it starts again."""

_JOB = re.compile(
    r"^JobId=(?P<id>\d+)(?: ArrayJobId=(?P<array>\d+) ArrayTaskId=(?P<task>\S+))?"
    r"(?: HetJobId=\S+ HetJobOffset=\S+)? JobName=(?P<name>.*)$",
    re.M,
)
_STATE = re.compile(r"^   JobState=(?P<state>[A-Z_]+) Reason=.*$", re.M)
_RESTARTS = re.compile(r"^   Requeue=\d+ Restarts=(?P<restarts>\d+) BatchFlag=.*$", re.M)
_TIMES = re.compile(r"^   StartTime=(?P<start>\S+) EndTime=(?P<end>\S+) Deadline=\S+$", re.M)
_NODES = re.compile(r"^     Nodes=(?P<nodes>\S+) CPU_IDs=\S+ Mem=\d+ GRES=(?P<gres>\S*)$", re.M)
_GRES = re.compile(r"(shard|mps)(?::[^:(,]+)?:(\d+)\(([^)]*)\)")
_JOB_GRES = re.compile(r"^   JOB_GRES=(?P<gres>\S*)$", re.M)
_NUM_NODES = re.compile(r"^   NumNodes=(?P<nodes>\d+)[ -].*$", re.M)
_PART = re.compile(r"(\d+)/(\d+)")
_TOTAL = re.compile(r"(gpu|shard|mps)(?::[^:(,\s]+)?:(\d+)")

Run = Callable[[Sequence[str]], tuple[int, str]]
"""Runs a command; returns its exit status and what it printed."""


class AskError(Exception):
    """Slurm could not be asked, or its answer not read; the text says why."""


class UnreadableError(AskError):
    """Slurm answered about a job, and the answer cannot be read; that of another job may be."""


class Part(NamedTuple):
    """A part of one board: so many units of a kind (shard, mps).

    Attributes:
        kind: the kind of unit.
        units: how many are held; a fraction where boards have a count in common.
        whole: units of the whole board; None if not told.
    """

    kind: str
    units: Fraction
    whole: int | None


@dataclass(frozen=True, slots=True)
class JobFacts:
    """What Slurm says of a job.

    Attributes:
        name: its name.
        array: `ARRAY_TASK` as users see it; None if it is no task of an array.
        over: whether it holds no board any more.
        restarts: how often it was started before.
        start_s: when it started last, Unix seconds; None if not told.
        end_s: when it ended, Unix seconds; None if it is not over, or not told.
        parts: the parts of boards that it holds, by Slurm's number of the board; a board that is
            not here is held as a whole, if `told`.
        told: whether its boards here were told: they are not any more once the job has ended.
        shared: the kind and count of units that a job of one node asked for; None if whole boards.
    """

    name: str
    array: str | None
    over: bool
    restarts: int
    start_s: int | None
    end_s: int | None
    parts: dict[int, Part] = field(default_factory=dict)
    told: bool = False
    shared: tuple[str, int] | None = None

    def part(self, place: int, boards: int) -> Part | None:
        """Return the part of a board; None if the whole board.

        Args:
            place: Slurm's number of the board.
            boards: how many boards the job has on this node.
        """
        if self.told or self.shared is None:
            return self.parts.get(place)
        # How a count lay on several boards is not told afterwards: equal parts.
        kind, count = self.shared
        return Part(kind, Fraction(count, boards), None)


def run_command(words: Sequence[str]) -> tuple[int, str]:
    """Run a command with an end to its time.

    Raises:
        AskError: it cannot be run, or takes too long.
    """
    try:
        done = subprocess.run(  # noqa: S603 - the program that the configuration names
            words,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=_TIMEOUT_S,
            check=False,
            # Times without an offset would need the rules of this host's time zone.
            env=_environment(),
        )
    except OSError as error:
        raise AskError(f"{words[0]}: {error.strerror}") from None
    except subprocess.TimeoutExpired:
        raise AskError(f"{words[0]}: no answer within {_TIMEOUT_S:g} s") from None
    return done.returncode, done.stdout.decode("utf-8", "replace")


def ask_job(program: str, job_id: str, node: str, run: Run = run_command) -> JobFacts | None:
    """Return what Slurm says of a job on a node; None if it does not know the job any more.

    Raises:
        AskError: it could not be asked.
    """
    status, text = run([program, "show", "job", "-d", job_id])
    if status:
        if "Invalid job id" in text:
            return None
        raise AskError(f"{program} show job: {' '.join(text.split())[:200]}")
    return parse_job(text, job_id, node)


def ask_per_board(program: str, node: str, run: Run = run_command) -> dict[str, int]:
    """Return how many shards and MPS units each board of a node has, by kind.

    Raises:
        AskError: it could not be asked.
    """
    status, text = run([program, "show", "node", node])
    lines = [line for line in text.splitlines() if line.startswith("   Gres=")]
    if status or len(lines) != 1:
        raise AskError(f"{program} show node {node}: {' '.join(text.split())[:200]}")
    total: dict[str, int] = {}
    for kind, count in _TOTAL.findall(lines[0]):
        total[kind] = total.get(kind, 0) + int(count)
    boards = total.pop("gpu", 0)
    return {kind: count // boards for kind, count in total.items() if boards and count >= boards}


def parse_job(text: str, job_id: str, node: str) -> JobFacts:
    """Return what `scontrol show job -d` printed of one job.

    Raises:
        UnreadableError: it says nothing of this job, or says something twice.
    """
    text = _record(text, job_id)
    job = _only(_JOB, text, job_id)
    times, state = _only(_TIMES, text, job_id), _only(_STATE, text, job_id)["state"]
    over = state in _OVER
    parts, told = _parts(text, node)
    return JobFacts(
        name=job["name"],
        array=None if job["array"] is None else f"{job['array']}_{job['task']}",
        over=over,
        restarts=int(_only(_RESTARTS, text, job_id)["restarts"]),
        start_s=_unix_s(times["start"]),
        end_s=_unix_s(times["end"]) if over else None,
        parts=parts,
        told=told,
        shared=_shared(text),
    )


def _only(pattern: re.Pattern[str], text: str, job_id: str) -> re.Match[str]:
    found = list(pattern.finditer(text))
    if len(found) != 1 or found[0].groupdict().get("id", job_id) != job_id:
        raise UnreadableError(f"what {_SHOW} says of job {job_id} cannot be read")
    return found[0]


def _record(text: str, job_id: str) -> str:
    """Return what an answer says of one job: of an array's first task, all tasks are told."""
    starts = [found.start() for found in re.finditer(r"^JobId=", text, re.M)]
    records = [text[a:b] for a, b in pairwise([*starts, len(text)])]
    found = [one for one in records if re.match(rf"JobId={job_id} ", one)]
    return found[0] if len(found) == 1 else ""


def _parts(text: str, node: str) -> tuple[dict[int, Part], bool]:
    """Return the parts of boards that a job holds on a node, and whether that was told."""
    lines = [found["gres"] for found in _NODES.finditer(text) if _names(found["nodes"], node)]
    if len(lines) != 1 or not lines[0] or lines[0] == "(null)":
        return {}, False
    parts: dict[int, Part] = {}
    for kind, count, where in _GRES.findall(lines[0]):
        if where.startswith("IDX:"):
            places = numbers(where.removeprefix("IDX:"))
            one = Part(kind, Fraction(int(count), len(places)), None)
            parts |= dict.fromkeys(places, one)
        else:  # newer: held/all of each board in turn
            parts |= {
                place: Part(kind, Fraction(int(held)), int(whole))
                for place, (held, whole) in enumerate(_PART.findall(where))
                if int(held) and int(whole)
            }
    return parts, True


def _shared(text: str) -> tuple[str, int] | None:
    """Return what a job of one node asked for in shards or MPS units."""
    gres, nodes = list(_JOB_GRES.finditer(text)), list(_NUM_NODES.finditer(text))
    if len(gres) != 1 or len(nodes) != 1 or int(nodes[0]["nodes"]) != 1:
        return None
    for kind, count in _TOTAL.findall(gres[0]["gres"]):
        if kind != "gpu":
            return kind, int(count)
    return None


def _names(nodes: str, node: str) -> bool:
    """Whether a line of one or several nodes (`gpu[01-04]`) is about a node."""
    if nodes == node:
        return True
    ranged = re.fullmatch(r"(.*)\[([\d,-]+)\](.*)", nodes)
    if ranged is None or not (node.startswith(ranged[1]) and node.endswith(ranged[3])):
        return False
    digits = node[len(ranged[1]) : len(node) - len(ranged[3])]
    return digits.isdigit() and int(digits) in numbers(ranged[2])


def _unix_s(text: str) -> int | None:
    """Return a time as scontrol prints it, in Unix seconds; None for `Unknown`."""
    try:
        return int(datetime.fromisoformat(f"{text}+00:00").timestamp())
    except ValueError:
        return None


def _environment() -> dict[str, str]:
    # ISO times whatever the user's habit, and UTC whatever the host's zone.
    return {**os.environ, "TZ": "UTC0", "SLURM_TIME_FORMAT": "standard", "LC_ALL": "C"}
