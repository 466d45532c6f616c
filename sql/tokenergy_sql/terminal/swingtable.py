"""Whose swing it is, on the terminal: a place and each of its jobs.

In: what `gridload.sharing` worked out. Out: a table for each place, CSV or JSON with a row for each
job; what is not known is a dash, empty or null.
"""

from __future__ import annotations

from collections.abc import Sequence

from tokenergy_sql.catalog.namedrows import NamedRow
from tokenergy_sql.gridload.sharing import Figures, JobPart, Shared
from tokenergy_sql.places.timeline import show_instant
from tokenergy_sql.terminal.grid import Grid
from tokenergy_sql.terminal.output import Output, Part
from tokenergy_sql.terminal.table import Column, group, scaled, significant, table_of

_COHERENT = "0.5-1 Hz"


_FIGURES = ("rms_mw", "peak_mw", "ramp_1s_mw", "ramp_10s_mw", "band_rms_mw")
NAMES = (
    *("kind", "group_id", "from_us", "until_us", "boundary", "job", *_FIGURES, "mean_mw"),
    *("swing_hz", "swing_rms_mw", "swing_share", "swing_phase", "swing_amplitude_mw", "delay_s"),
    *("staggered_rms_mw", "coherence", "reason_codes", "emulated"),
)
"""Columns of a row; see `swing_rows`."""


def require_columns(output: Output) -> None:
    """Return if there are all columns that were asked for.

    Raises:
        UserError: there is none of a name.
    """
    output.require(NAMES, [column.heading for column in _COLUMNS])


def print_swings(found: Sequence[Shared], output: Output) -> None:
    """Print places and their jobs.

    Args:
        found: of one span.
        output: in which form, and where.
    """
    rows = [row for shared in found for row in swing_rows(shared)]
    output.show(rows, lambda: [part for shared in found for part in swing_parts(shared)])


def swing_parts(shared: Shared) -> list[Part]:
    """Return a place with its jobs as a table, and lines on its swing."""
    return [swings_table(swing_rows(shared)), *_words(shared)]


def swing_rows(shared: Shared) -> list[NamedRow]:
    """Return a row for the place (no job), and one for each job."""
    course = shared.course
    swing = shared.swing
    head = {
        "kind": course.kind,
        "group_id": course.group_id,
        "from_us": course.start_us,
        "until_us": course.end_us,
        "boundary": course.boundary,
    }
    tail = {"reason_codes": ",".join(sorted(shared.reasons)), "emulated": course.emulated}
    whole = {
        "job": None,
        **_figures(shared.figures),
        "mean_mw": shared.figures and shared.figures.mean_mw,
        "swing_hz": swing and swing.centre_hz,
        "swing_rms_mw": swing and swing.rms_mw,
        "swing_share": 1.0 if swing else None,
        "swing_phase": 0.0 if swing else None,
        "swing_amplitude_mw": None,
        "delay_s": None,
        "staggered_rms_mw": shared.staggered_rms_mw,
        "coherence": {},
    }
    rows = [{**head, **whole, **tail}]
    rows += [{**head, **_job(one), **tail} for one in shared.jobs]
    return rows


def _job(one: JobPart) -> NamedRow:
    return {
        "job": one.job,
        **_figures(one.without),
        "mean_mw": one.mean_mw,
        "swing_hz": None,
        "swing_rms_mw": None,
        "swing_share": one.swing_share,
        "swing_phase": one.swing_phase,
        "swing_amplitude_mw": one.swing_amplitude_mw,
        "delay_s": one.delay_s,
        "staggered_rms_mw": None,
        "coherence": one.coherence,
    }


def _figures(figures: Figures | None) -> NamedRow:
    """Return the figures of a place, or of the place without a job."""
    return {
        "rms_mw": figures and figures.rms_mw,
        "peak_mw": figures and figures.peak_mw,
        "ramp_1s_mw": figures and figures.ramp_1s_mw,
        "ramp_10s_mw": figures and figures.ramp_10s_mw,
        "band_rms_mw": figures.band_rms_mw if figures else {},
    }


def _kw(name: str) -> Column:
    headings = {
        "mean_mw": "mean kW",
        "rms_mw": "rms kW",
        "peak_mw": "peak kW",
        "ramp_1s_mw": "ramp 1 s kW",
        "ramp_10s_mw": "ramp 10 s kW",
        "swing_amplitude_mw": "amplitude kW",
    }
    return Column(headings[name], lambda row: significant(scaled(row[name], 1e6), 3))


def swings_table(rows: Sequence[NamedRow]) -> Grid:
    """Return a place and its jobs as a table; the rows are those of `swing_rows`."""
    place = rows[0]
    title = (
        f"{group(place)} ({place['boundary']}), "
        f"{show_instant(place['from_us'])} to {show_instant(place['until_us'])}: as it is, and "
        "without each job"
    )
    return table_of(title, rows, _COLUMNS)


def _most_coherent(row: NamedRow) -> str:
    known = {name: value for name, value in row["coherence"].items() if value is not None}
    if not known:
        return "-"
    name = max(known, key=lambda band: known[band])
    return f"{known[name]:.2f} at {name}"


_COLUMNS = (
    Column("without", lambda row: row["job"] or "(all jobs)", justify="left"),
    _kw("rms_mw"),
    _kw("ramp_1s_mw"),
    _kw("ramp_10s_mw"),
    _kw("peak_mw"),
    Column("job's mean kW", lambda row: significant(scaled(row["mean_mw"], 1e6), 3), rank=1),
    Column("coherence", _most_coherent, rank=1),
    Column("of the swing %", lambda row: significant(scaled(row["swing_share"], 0.01), 3), rank=1),
    Column("phase", lambda row: significant(row["swing_phase"], 2), rank=2),
    Column("delay s", lambda row: significant(row["delay_s"], 3), rank=2),
)


def _words(shared: Shared) -> list[str]:
    """Return the swing and what staggering would have saved, in words."""
    swing = shared.swing
    if swing is None:
        return [f"swing: none found ({', '.join(sorted(shared.reasons)) or 'no reason'})"]
    lines = [
        f"swing: {swing.centre_hz:.3f} Hz, {swing.width_hz:.3f} Hz wide, rms "
        f"{significant(swing.rms_mw / 1e6, 3)} kW, {swing.above:.0f} times above the background; "
        "may be the image of a faster one: see load_swing"
    ]
    before, after = shared.swing_rms_mw, shared.staggered_rms_mw
    if before and after is not None:
        lines.append(
            f"staggered starts (modelled): rms there {significant(before / 1e6, 3)} -> "
            f"{significant(after / 1e6, 3)} kW ({100 * (after / before - 1):+.0f} %)"
        )
    return lines
