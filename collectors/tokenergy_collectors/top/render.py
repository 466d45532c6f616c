"""Draws a frame for a terminal: a heading about the collector, a table of boards, a table of jobs.

In: a frame, and the terminal's width and height. Out: something rich can print. Names come from
outside: see `glyphs.py`. Below the jobs is what no job holds.
"""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.text import Text

from tokenergy_collectors.top.boards import boards, job_cells
from tokenergy_collectors.top.columns import GOOD_TO_HAVE, Column, fitted
from tokenergy_collectors.top.frame import CollectorHealth, Frame, GpuRow, JobRow
from tokenergy_collectors.top.glyphs import Glyphs, age

_QUIET_EVENTS = ("start", "stop", "recovered", "found")
_NO_JOB = "(no job)"


def draw(frame: Frame, width: int, height: int | None = None, *, plain: bool = False) -> Group:
    """Return a frame as a renderable.

    Args:
        frame: what to show.
        width: characters per line.
        height: available lines; None for no limit.
        plain: True if the terminal can show only ASCII.
    """
    ink = Glyphs(plain)
    free = [row for row in frame.gpus if not row.job]
    listed = len(frame.jobs) + bool(free)
    # Lines for the heading, the headers of both tables and the empty lines between.
    others = 8 + (listed + 1 if listed else 1)
    rows_left = None if height is None else max(1, height - others)
    jobs = _jobs(frame.jobs, free, width, ink)
    return Group(_heading(frame, ink), "", boards(frame, width, rows_left, ink), "", jobs)


def _heading(frame: Frame, ink: Glyphs) -> Text:
    """Return the heading: node, power, and the health of the collector."""
    known = [row.power_w for row in frame.gpus if row.power_w is not None]
    stale = len(frame.gpus) - len(known)
    health = frame.health
    line = ink.text(frame.node or "no GPUs", "bold")
    line.append(f"  {len(frame.gpus)} GPUs  {sum(known):,.0f} W")
    if stale:
        line.append(f"  {stale} stale", "bold red")
    throttled = sum(bool(row.held_back) for row in frame.gpus)
    if throttled:
        line.append(f"  {throttled} throttled", "yellow")
    line.append(f"  up {age(health.up_s)}  {health.readings:,} readings")
    line.no_wrap = False
    line.append("\n")
    for words, count in (
        ("late", health.late_ticks),
        ("gaps", health.gaps),
        ("dropped", health.dropped_rows),
    ):
        line.append(f"{words} {count:,}  ", "yellow" if count else "")
    line.append(_events(health), "yellow" if _alarming(health) else "")
    line.append(f"  {_own(health)}", "dim")
    return line


def _alarming(health: CollectorHealth) -> bool:
    return any(kind not in _QUIET_EVENTS for kind in health.events)


def _events(health: CollectorHealth) -> str:
    listed = ", ".join(
        f"{kind} {count}"
        for kind, count in sorted(health.events.items())
        if kind not in _QUIET_EVENTS
    )
    return f"events {listed or 0}"


def _own(health: CollectorHealth) -> str:
    """Return the daemon's log size, CPU and memory; nothing if `top` samples itself."""
    if health.wal_bytes is None:
        return ""
    parts = [f"log {health.wal_bytes / 1024:,.0f} KiB"]
    if health.cpu_s is not None and health.up_s > 0:
        parts.append(f"cpu {health.cpu_s / health.up_s:.1%}")
    if health.resident_bytes is not None:
        parts.append(f"{health.resident_bytes / 2**20:,.0f} MiB")
    return "  ".join(parts)


def _jobs(
    jobs: Sequence[JobRow], free: Sequence[GpuRow], width: int, ink: Glyphs
) -> RenderableType:
    """Return the jobs; in the last row the boards that no job holds, if there are any."""
    rows = [*jobs, *([_no_job(free)] if free else [])]
    if not rows:
        return Text("no jobs", style="dim")
    figures = [job_cells(row, ink) for row in rows]
    return fitted(
        (
            Column("job", [ink.text(row.job) for row in rows], 0, "left", name=True),
            Column("GPUs", [Text(str(row.gpus)) for row in rows], 3),
            Column("W", [ink.number(row.power_w) for row in rows], 2, steady=7),
            Column("tokens", [Text(row.kind or ink.none) for row in rows], GOOD_TO_HAVE, "left"),
            Column("tok/s", [rate for rate, _ in figures], 1, steady=7),
            Column("J/tok", [cost for _, cost in figures], steady=7),
        ),
        width,
    )


def _no_job(free: Sequence[GpuRow]) -> JobRow:
    """Return what no job holds as a row; its power is unknown if that of a board is."""
    known = [row.power_w for row in free if row.power_w is not None]
    watts = sum(known) if len(known) == len(free) else None
    return JobRow(_NO_JOB, len(free), watts, None, None, None)
