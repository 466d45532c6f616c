"""The table of boards: side by side on a wide terminal; on a low one the last ones are counted.

In: a frame, and the terminal's size. Out: something rich can print.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from tokenergy_collectors.top.columns import GOOD_TO_HAVE, Column, fitted
from tokenergy_collectors.top.frame import Frame, GpuRow, JobRow
from tokenergy_collectors.top.glyphs import Glyphs, age, short_name, significant

_COLUMN_CHARS = 78
"""Characters per line that a table of boards should have beside another."""

_BAR_CHARS = 8
_HOT = 0.9


def boards(frame: Frame, width: int, rows_left: int | None, ink: Glyphs) -> RenderableType:
    """Return the boards of a frame.

    Args:
        frame: what to show.
        width: characters per line.
        rows_left: lines for boards; None for no limit.
        ink: what to write with.
    """
    rows = frame.gpus
    most_columns = max(1, width // _COLUMN_CHARS)
    columns = 1 if rows_left is None else min(most_columns, math.ceil(len(rows) / rows_left))
    if columns > 1 and rows_left is not None:
        rows_left -= 1  # room for the line that counts what does not fit
    each = math.ceil(len(rows) / max(1, columns))
    if rows_left is not None:
        each = min(each, rows_left)
    shown = rows[: each * columns]
    parts = [shown[start : start + each] for start in range(0, len(shown), max(1, each))]
    tables = [_table(part, frame, width // columns - (columns > 1), ink) for part in parts]
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


def job_cells(job: JobRow | None, ink: Glyphs) -> tuple[Text, Text]:
    """Return the tokens/s and J/token of a job; dashes where they are not known."""
    rate = None if job is None else job.tokens_per_s
    cost = None if job is None else job.joules_per_token
    known = (ink.none if value is None else significant(value) for value in (rate, cost))
    first, second = known
    return Text(first), Text(second)


def _table(rows: Sequence[GpuRow], frame: Frame, width: int, ink: Glyphs) -> Table:
    jobs = {job.job: job for job in frame.jobs}
    first = {row.job: row.index for row in reversed(frame.gpus)}
    figures = [job_cells(jobs.get(row.job), ink) for row in rows]
    # The figures are the job's, and its first board has them.
    same = [row.job in jobs and first[row.job] != row.index for row in rows]
    rates, costs = (
        [Text(ink.same) if again else one[place] for one, again in zip(figures, same, strict=True)]
        for place in (0, 1)
    )
    names = [ink.text(short_name(row.name)) for row in rows]
    used = [Text(ink.none if u is None else f"{u:.0%}") for u in (r.utilization for r in rows)]
    return fitted(
        (
            Column("GPU", [Text(str(row.index)) for row in rows]),
            Column("name", names, GOOD_TO_HAVE, "left"),
            Column("job", [ink.text(row.job) for row in rows], 1, "left", name=True),
            Column("", [_bar(row, ink) for row in rows], GOOD_TO_HAVE + 2, "left"),
            Column("W/limit", [_power(row, ink) for row in rows], steady=9),
            Column(ink.celsius, [ink.number(row.temperature_c) for row in rows], GOOD_TO_HAVE + 1),
            Column("throttle", [_throttle(row, ink) for row in rows], GOOD_TO_HAVE + 3, "left"),
            Column("util", used, 3),
            Column("tok/s", rates, 2, steady=7),
            Column("J/tok", costs, 1, steady=7),
        ),
        width,
    )


def _share(row: GpuRow) -> float:
    return 0.0 if not row.limit_w or row.power_w is None else min(row.power_w / row.limit_w, 1.0)


def _bar(row: GpuRow, ink: Glyphs) -> Text:
    """Return power against the limit as a bar; nothing for a stale board."""
    if row.power_w is None:
        return Text("")
    full = round(_share(row) * _BAR_CHARS)
    text = Text(ink.full * full, style="red" if _share(row) > _HOT else "green")
    return text.append(ink.empty * (_BAR_CHARS - full), "dim")


def _power(row: GpuRow, ink: Glyphs) -> Text:
    """Return watts and limit; of a stale board its age."""
    if row.power_w is None:
        since = "" if row.age_s is None else f" {age(row.age_s)} ago"
        return Text(f"{ink.none}{since}", style="red")
    limit = ink.none if row.limit_w is None else f"{row.limit_w:.0f}"
    return Text(f"{row.power_w:.0f}/{limit}")


def _throttle(row: GpuRow, ink: Glyphs) -> Text:
    if row.held_back is None:
        return Text(ink.none)
    return Text(" ".join(row.held_back) or "no", style="yellow" if row.held_back else "dim")
