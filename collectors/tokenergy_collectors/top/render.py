"""Draws a frame for a terminal: a heading about the collector, a table of boards, a table of jobs.

In: a frame, and the terminal's width and height. Out: something rich can print. Names come from
outside: they are text, never markup, and characters that cannot be printed are replaced. On a wide
terminal boards are in several columns; on a low one the last ones are replaced by their count.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from tokenergy_collectors.top.frame import CollectorHealth, Frame, GpuRow, JobRow

_COLUMN_CHARS = 78
_BAR_CHARS = 8
_BAR_FROM = 70
_NAME_FROM = 56
"""Least characters per line for the bar, and for the board's name."""

_HOT = 0.9
_NOISE = ("NVIDIA", "Graphics", "Device", "GeForce", "HBM3e", "HBM3", "HBM2e")
_QUIET_EVENTS = ("start", "stop", "recovered", "found")


def draw(frame: Frame, width: int, height: int | None = None, *, plain: bool = False) -> Group:
    """Return a frame as a renderable.

    Args:
        frame: what to show.
        width: characters per line.
        height: available lines; None for no limit.
        plain: True if the terminal can show only ASCII.
    """
    ink = _Glyphs(plain)
    jobs = _jobs(frame.jobs, width, ink)
    # Lines for the heading, the headers of both tables and the empty lines between.
    others = 8 + (len(frame.jobs) + 1 if frame.jobs else 1)
    rows_left = None if height is None else max(1, height - others)
    return Group(_heading(frame, ink), "", _gpus(frame, width, rows_left, ink), "", jobs)


class _Glyphs:
    """Characters that the terminal can show."""

    def __init__(self, plain: bool) -> None:
        self.none = "-" if plain else "—"
        self.same = '"' if plain else "″"
        self.full, self.empty = ("#", ".") if plain else ("█", "░")
        self.more = "..." if plain else "…"
        self.plain = plain

    def text(self, words: str, style: str = "") -> Text:
        """Return words from outside as text without control characters or markup."""
        clean = "".join(sign if sign.isprintable() else "?" for sign in words)
        if self.plain:
            clean = clean.encode("ascii", "replace").decode()
        return Text(clean, style=style, no_wrap=True, overflow="crop" if self.plain else "ellipsis")


def _heading(frame: Frame, ink: _Glyphs) -> Text:
    """Return the heading: node, power, and the health of the collector."""
    known = [row.power_w for row in frame.gpus if row.power_w is not None]
    stale = len(frame.gpus) - len(known)
    health = frame.health
    line = ink.text(frame.node or "no GPUs", "bold")
    line.append(f"  {len(frame.gpus)} GPUs  {sum(known):,.0f} W")
    if stale:
        line.append(f"  {stale} stale", "bold red")
    line.append(f"  up {_age(health.up_s)}  {health.readings:,} readings")
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


def _gpus(frame: Frame, width: int, rows_left: int | None, ink: _Glyphs) -> RenderableType:
    rows = frame.gpus
    most_columns = max(1, width // _COLUMN_CHARS)
    columns = 1 if rows_left is None else min(most_columns, math.ceil(len(rows) / rows_left))
    if columns > 1 and rows_left is not None:
        rows_left -= 1  # room for the line that counts what does not fit
    each = math.ceil(len(rows) / max(1, columns))
    if rows_left is not None:
        each = min(each, rows_left)
    shown = rows[: each * columns]
    jobs = {job.job: job for job in frame.jobs}
    first = {row.job: row.index for row in reversed(rows)}
    tables = [
        _gpu_table(shown[start : start + each], width // columns, jobs, first, ink)
        for start in range(0, len(shown), max(1, each))
    ]
    found: RenderableType = tables[0] if tables else Text("no GPUs")
    if len(tables) > 1:
        grid = Table.grid(padding=(0, 1), expand=True)
        for _ in tables:
            grid.add_column(ratio=1)
        grid.add_row(*tables)
        found = grid
    if len(shown) < len(rows):
        hidden = rows[len(shown) :]
        watts = sum(row.power_w for row in hidden if row.power_w is not None)
        cut = Text(f"{ink.more} {len(hidden)} more, {watts:,.0f} W: enlarge the window to see them")
        return Group(found, cut)
    return found


def _gpu_table(
    rows: Sequence[GpuRow],
    width: int,
    jobs: dict[str, JobRow],
    first: dict[str, int],
    ink: _Glyphs,
) -> Table:
    bar = _BAR_CHARS if width >= _BAR_FROM else 0
    table = _table()
    table.add_column("GPU", justify="right", width=3)
    if width >= _NAME_FROM:
        table.add_column("name", max_width=10, no_wrap=True)
    table.add_column("job", ratio=1, min_width=4, no_wrap=True)
    table.add_column("W", justify="right", width=bar + (10 if bar else 9), no_wrap=True)
    table.add_column("util", justify="right", width=4)
    table.add_column("tok/s", justify="right", width=7)
    table.add_column("J/tok", justify="right", width=7)
    for row in rows:
        job = jobs.get(row.job)
        rate, cost = _job_cells(job, ink)
        if job is not None and first[row.job] != row.index:
            rate = cost = ink.same  # the figures are the job's, and its first board has them
        used = ink.none if row.utilization is None else f"{row.utilization:.0%}"
        name = [ink.text(short_name(row.name))] if width >= _NAME_FROM else []
        power = _power(row, bar, ink)
        table.add_row(str(row.index), *name, ink.text(row.job), power, used, rate, cost)
    return table


def _jobs(jobs: Sequence[JobRow], width: int, ink: _Glyphs) -> RenderableType:
    if not jobs:
        return Text("no jobs", style="dim")
    table = _table()
    table.add_column("job", ratio=1, min_width=6, no_wrap=True)
    table.add_column("GPUs", justify="right")
    table.add_column("W", justify="right", min_width=7)
    if width >= _NAME_FROM:
        table.add_column("tokens", no_wrap=True)
    table.add_column("tok/s", justify="right", min_width=7)
    table.add_column("J/tok", justify="right", min_width=7)
    for job in jobs:
        rate, cost = _job_cells(job, ink)
        watts = ink.none if job.power_w is None else f"{job.power_w:,.0f}"
        kind = [job.kind or ink.none] if width >= _NAME_FROM else []
        table.add_row(ink.text(job.job), str(job.gpus), watts, *kind, rate, cost)
    return table


def _job_cells(job: JobRow | None, ink: _Glyphs) -> tuple[str, str]:
    if job is None:
        return ink.none, ink.none
    rate = ink.none if job.tokens_per_s is None else significant(job.tokens_per_s)
    cost = ink.none if job.joules_per_token is None else significant(job.joules_per_token)
    return rate, cost


def _power(row: GpuRow, bar: int, ink: _Glyphs) -> Text:
    """Return a bar of power against the limit, and the watts; for a stale board its age."""
    if row.power_w is None:
        age = "" if row.age_s is None else f" {_age(row.age_s)} ago"
        return Text(f"{ink.none}{age}", style="red")
    share = 0.0 if not row.limit_w else min(row.power_w / row.limit_w, 1.0)
    full = round(share * bar)
    text = Text(ink.full * full, style="red" if share > _HOT else "green")
    text.append(ink.empty * (bar - full), "dim")
    limit = ink.none if row.limit_w is None else f"{row.limit_w:.0f}"
    text.append(f"{' ' if bar else ''}{row.power_w:4.0f}/{limit}", "default")
    return text


def short_name(name: str) -> str:
    """Return a board's name without common words such as NVIDIA."""
    words = [word for word in name.split() if word not in _NOISE]
    return " ".join(words) or name


def significant(value: float) -> str:
    """Return a number with three significant digits, millions as M."""
    if value >= 1_000_000:
        return f"{value / 1e6:,.2f}M"
    if value >= 100 or value == 0:
        return f"{value:,.0f}"
    if value < 0.0001:
        return f"{value:.1e}"
    return f"{value:.{2 - math.floor(math.log10(value))}f}"


def _age(age_s: float) -> str:
    for unit, seconds in (("d", 86_400), ("h", 3_600), ("m", 60)):
        if age_s >= 2 * seconds:
            return f"{age_s // seconds:.0f} {unit}"
    return f"{age_s:.0f} s"


def _table() -> Table:
    return Table(box=None, expand=True, padding=(0, 1, 0, 0), header_style="bold")
