"""The charts of the grid's side: the load over time, and how much it swings by frequency.

In: rows of `grid_load.sql` and `grid_bands.sql`. Out: `Chart`s. What is not known has no mark of a
value: a strip, or stripes, in its place.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tokenergy_collectors.lake.contract import HOUR_US
from tokenergy_sql.catalog.namedrows import NamedRow
from tokenergy_sql.report.format import clock, counted, day, percent, significant
from tokenergy_sql.report.frame import Chart, finished, tooltip
from tokenergy_sql.report.grid.meanings import reason
from tokenergy_sql.report.overtime import time_axis

STRIPES = "repeating-linear-gradient(45deg, var(--soft) 0 2px, var(--grid) 2px 5px)"
"""A swatch of what is not known."""

_KW = 1e6
_ROW_PX = 27
_LEAST_COVERED = 0.995
_MEAN, _RANGE, _MISSING = "var(--job-1)", "var(--job-5)", "var(--unknown)"


def load_chart(rows: Sequence[NamedRow], step_us: int) -> Chart | None:
    """Return least, mean and highest load by step; None if it is known in no step.

    Args:
        rows: those of `grid_load.sql`.
        step_us: length of a step, microseconds.
    """
    known = [row for row in rows if row["average_mw"] is not None]
    if not known:
        return None
    drawn = [_step(row, step_us) for row in known]
    drawn += [_missing(row, step_us) for row in rows if row["covered"] < _LEAST_COVERED]
    steps = counted(len(known), "hour")
    if step_us > HOUR_US:
        steps = f"{counted(len(known), 'step')} of {counted(step_us // HOUR_US, 'hour')}"
    low, high = min(row["low_mw"] for row in known), max(row["high_mw"] for row in known)
    alternative = (
        f"Load in {steps}: "
        f"between {significant(low / _KW)} and {significant(high / _KW)} kW. The line is the mean, "
        "the area goes from the lowest to the highest cell."
    )
    legend = [("mean", _MEAN), ("lowest to highest", _RANGE)]
    if any("missing" in row for row in drawn):
        legend.append(("not known all the time (strip at the top)", _MISSING))
    return Chart("grid-load", _load_spec(), drawn, alternative, legend)


def _span(row: NamedRow, step_us: int) -> NamedRow:
    return {"t": row["from_us"] // 1000, "t2": (row["from_us"] + step_us) // 1000}


def _step(row: NamedRow, step_us: int) -> NamedRow:
    low, mean, high = (row[name] / _KW for name in ("low_mw", "average_mw", "high_mw"))
    return {
        **_span(row, step_us),
        "when": f"{day(row['from_us'])} {clock(row['from_us'])[:5]}",
        "value": mean,
        "low": low,
        "high": high,
        **{f"{name}_kw": significant(kw) for name, kw in (("least", low), ("mean", mean))},
        "most_kw": significant(high),
        "covered": f"{percent(row['covered']).text} %",
    }


def _missing(row: NamedRow, step_us: int) -> NamedRow:
    return {**_span(row, step_us), "missing": round(1 - row["covered"], 4)}


def _load_spec() -> dict[str, Any]:
    """Return the load over time; for its rows see `_step` and `_missing`."""
    import altair as alt

    base = alt.Chart(alt.NamedData(name="rows"))
    says = tooltip(
        when="UTC", least_kw="lowest, kW", mean_kw="mean, kW", most_kw="highest, kW",
        covered="known",
    )  # fmt: skip
    steps = base.transform_filter("isValid(datum.value)").encode(tooltip=says)
    scale = alt.Scale(zero=True, nice=True)
    ranges = (
        steps.properties(name="bounds")
        .mark_rect(color=_RANGE, opacity=0.35)
        .encode(x="t:T", x2="t2", y=alt.Y("low:Q", scale=scale), y2="high")
    )
    means = steps.mark_rule(color=_MEAN, strokeWidth=2.5).encode(
        x=time_axis(),
        x2="t2",
        y=alt.Y("value:Q", scale=scale, title="kW", axis=alt.Axis(tickCount=5)),
    )
    strip = (
        base.transform_filter("isValid(datum.missing)")
        .properties(name="missing")
        .mark_rect(color=_MISSING)
        .encode(x="t:T", x2="t2", y=alt.value(0), y2=alt.value(5))
    )
    return finished(alt.layer(ranges, means, strip), "grid-load", height=220)


def bands_chart(bands: Sequence[NamedRow]) -> Chart | None:
    """Return the largest rms by frequency band; None without bands.

    Args:
        bands: those of `grid_bands.sql`, from the lowest up.
    """
    if not bands:
        return None
    drawn = [_band(row) for row in bands]
    known = [row for row in bands if row["largest_mw"] is not None]
    said = ["Not known in any band."]
    if known:
        most = max(known, key=lambda row: float(row["largest_mw"]))
        said = [
            f"Largest in {_edges(most)} Hz: {significant(most['largest_mw'] / _KW)} kW rms, "
            f"in the hour from {day(most['at_us'])} {clock(most['at_us'])[:5]} UTC."
        ]
    unknown = [row for row in bands if row["largest_mw"] is None]
    for why in dict.fromkeys(reason(row["reasons"], "") for row in unknown):
        of = [_edges(row) for row in unknown if reason(row["reasons"], "") == why]
        said.append(f"Not known: {', '.join(of)} Hz. {why}")
    part = [f"{_edges(row)} Hz" for row in known if row["known"] < row["hours"]]
    if part:
        said.append(f"Known in some of the hours alone: {', '.join(part)}.")
    legend = [("rms, the largest of the hours", _MEAN)] if known else []
    legend += [("not known", STRIPES)] if unknown else []
    spec = _bands_spec([_edges(row) for row in bands], bool(known), bool(unknown))
    return Chart("grid-bands", spec, drawn, " ".join(said), legend)


def _edges(row: NamedRow) -> str:
    return f"{row['low_hz']:g}–{row['high_hz']:g}"


def _band(row: NamedRow) -> NamedRow:
    band = f"{_edges(row)}"
    if row["largest_mw"] is None:
        return {"band": band, "hidden": 1, "text": reason(row["reasons"], "not known")}
    kw = row["largest_mw"] / _KW
    known = f"{row['known']} of {counted(row['hours'], 'hour')}"
    return {"band": band, "rms": kw, "text": f"{significant(kw)} kW", "known": known}


def _bands_spec(bands: Sequence[str], known: bool, unknown: bool) -> dict[str, Any]:
    """Return a bar a band; its rows have `band`, `text`, and `rms` (kW) or `hidden`."""
    import altair as alt

    base = alt.Chart(alt.NamedData(name="rows"))
    axis = alt.Axis(ticks=False, domain=False, labelOverlap=False)
    place = alt.Y("band:N", sort=list(bands), title="Hz", axis=axis)
    bars = (
        base.transform_filter("isValid(datum.rms)")
        .mark_bar(color=_MEAN, height={"band": 0.72})
        .encode(
            x=alt.X("rms:Q", title="rms, kW", axis=alt.Axis(tickCount=5)),
            y=place,
            tooltip=tooltip(band="Hz", text="rms", known="known in"),
        )
    )
    stripes = (
        base.transform_filter("isValid(datum.hidden)")
        .mark_bar(color="url(#grid-unknown)", height={"band": 0.72})
        .encode(
            x=alt.value(0),
            x2=alt.value("width"),
            y=place,
            tooltip=tooltip(band="Hz", text="not known"),
        )
    )
    layers = [bars] * known + [stripes] * unknown
    return finished(alt.layer(*layers), "grid-bands", height=_ROW_PX * len(bands))
