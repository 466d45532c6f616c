"""Reads what the hooks wrote: one line for each prolog and epilog.

In: files `*.event` of a folder (see `deploy/slurm/tokenergy-hook.sh`). Out: events in the order of
their times, and the lines that are none. A line without its end is still being written, or was cut
off when the disk was full: it is left alone until it is whole.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Literal, NamedTuple

from tokenergy_collectors.base.instants import is_instant
from tokenergy_collectors.base.leftout import shown

SUFFIX = ".event"
_FIRST_WORD = "tokenergy-slurm-1"
_LAST_WORD = "end"
_MOST_BYTES = 1 << 20
_ID = re.compile(r"\d{1,10}", re.ASCII)
_TIME = re.compile(r"\d{9,10}(?:\.\d{1,9})?", re.ASCII)
_LONGEST = 1024
"""Characters of a value that are kept: a name of this length is not read by anybody."""


@dataclass(frozen=True, slots=True)
class HookEvent:
    """One prolog or epilog.

    Attributes:
        kind: which of them.
        wall_us: when it ran, by the wall clock (us since 1970).
        job_id: of the job; of an array, that of the task.
        restart: how often Slurm had started the job before. An epilog after `scontrol requeue`
            already tells the next start's number.
        gpus: numbers of the boards, as Slurm counts them; empty if the job has none here.
        visible: CUDA_VISIBLE_DEVICES.
        fields: all fields of the line, by name.
    """

    kind: Literal["prolog", "epilog"]
    wall_us: int
    job_id: str
    restart: int
    gpus: str
    visible: str
    fields: dict[str, str]


class HookFile(NamedTuple):
    """What one file holds.

    Attributes:
        events: the whole lines, in their order.
        bad: why further lines are no events.
        whole: whether the file ends with the end of a line.
    """

    events: list[HookEvent]
    bad: list[str]
    whole: bool


def event_files(folder: Path) -> list[str]:
    """Return the names of the files of a folder, ascending: their names begin with the time.

    Raises:
        OSError: it cannot be listed.
    """
    return sorted(path.name for path in folder.iterdir() if path.name.endswith(SUFFIX))


def read_events(path: Path) -> HookFile:
    """Read one file.

    Raises:
        OSError: it cannot be read.
    """
    # A pipe would be waited for, and a link may lead anywhere.
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        data = os.read(handle, _MOST_BYTES + 1)
    finally:
        os.close(handle)
    if len(data) > _MOST_BYTES:
        return HookFile([], [f"{path.name}: is larger than {_MOST_BYTES >> 20} MiB"], True)
    lines = data.decode("utf-8", "replace").split("\n")
    rest = lines.pop()
    events: list[HookEvent] = []
    bad: list[str] = []
    for line in lines:
        try:
            events.append(parse_line(line))
        except ValueError as error:
            bad.append(f"{path.name}: {error}")
    return HookFile(events, bad, bool(lines) and not rest)


def parse_line(line: str) -> HookEvent:
    """Return the event of a line.

    Raises:
        ValueError: it is none; the message says what is wrong.
    """
    first, *words = line.split("\t")
    if first != _FIRST_WORD or words[-1:] != [_LAST_WORD]:
        raise ValueError(f"{shown(line)} is no line of tokenergy-hook.sh")
    fields: dict[str, str] = {}
    for word in words[:-1]:
        name, _, value = word.partition("=")
        fields.setdefault(name, value[:_LONGEST])
    kind, job_id = fields.get("event"), fields.get("job", "")
    if kind not in ("prolog", "epilog") or not _ID.fullmatch(job_id):
        raise ValueError(f"{shown(line)} names no event or no job")
    restart = fields.get("restart", "")
    return HookEvent(
        kind="prolog" if kind == "prolog" else "epilog",
        wall_us=_instant_us(fields.get("time", "")),
        job_id=job_id,
        restart=int(restart) if _ID.fullmatch(restart) else 0,
        gpus=fields.get("gpus", ""),
        visible=fields.get("visible", ""),
        fields=fields,
    )


def _instant_us(text: str) -> int:
    """Return a time (Unix seconds with a fraction) in microseconds."""
    ts_us = int(Decimal(text) * 1_000_000) if _TIME.fullmatch(text) else 0
    if not is_instant(ts_us):
        raise ValueError(f"time {shown(text)}: expected Unix seconds of the years 2000 to 2099")
    return ts_us
