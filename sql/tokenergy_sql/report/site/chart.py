"""PUE over time, of the site and its halls, with bounds; and J/token of the same steps.

In: rows by step. Out: `Chart`s. A step without a figure has no mark: gaps are gaps.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from tokenergy_sql.catalog.namedrows import NamedRow
from tokenergy_sql.report import palette
from tokenergy_sql.report.format import (
    between,
    clean,
    counted,
    percent,
    shorten,
    significant,
)
from tokenergy_sql.report.frame import Chart, colored, finished, tooltip
from tokenergy_sql.report.overtime import time_axis
from tokenergy_sql.report.panels import trend_chart

MOST_PLACES = 8
"""Places with a colour of their own: the site and seven halls."""

_LABEL = 22
_LEAST_COVERED = 0.995


def pue_chart(steps: Sequence[NamedRow], period: str) -> Chart | None:
    """Return PUE over time; None if it is known in no step.

    Args:
        steps: rows of `site_figure_by(period)`, of PUE.
        period: hour, day or week.
    """
    known = [row for row in steps if row["value"] is not None]
    if not known:
        return None
    places = sorted({row["place"] for row in known}, key=lambda place: (place != "site", place))
    shown = {place: f"p{at}" for at, place in enumerate(places[:MOST_PLACES])}
    colors = [f"var(--job-{at + 1})" for at in range(len(shown))]
    rows = [_row(row, shown[row["place"]]) for row in known if row["place"] in shown]
    rows += [_missing(row) for row in steps if row["place"] == places[0] and _is_partial(row)]
    legend = [
        (shorten(clean(place), _LABEL), color) for place, color in zip(shown, colors, strict=True)
    ]
    if any("missing" in row for row in rows):
        legend.append((f"{clean(places[0])} not known all the time (strip at the top)", _UNKNOWN))
    first = [row for row in known if row["place"] == places[0]]
    values = [row["value"] for row in first]
    ends = " to ".join(significant(value, 4) for value in (min(values), max(values)))
    alternative = (
        f"PUE of {clean(places[0])} in {counted(len(first), period)}: "
        f"{ends if len(first) > 1 else significant(values[0], 4)}; bands show [low, high]."
    )
    if len(places) > len(shown):
        alternative += f" The table below has {counted(len(places) - len(shown), 'more hall')}."
    spec = _spec(list(shown.values()), [label for label, _ in legend[: len(shown)]], colors)
    return Chart("site-pue", spec, rows, alternative, legend)


_UNKNOWN = palette.UNKNOWN


def token_charts(rows: Iterable[NamedRow]) -> list[tuple[str, Chart]]:
    """Return J/token over time by workload, from rows of `site_tokens_by`."""
    found = []
    steps = [*rows]
    for workload in ("inference", "training"):
        own = [_sides(row) for row in steps if row["workload"] == workload]
        if own:
            step_us = own[0]["to_us"] - own[0]["step_us"]
            chart = trend_chart(own, step_us, workload, f"site-{workload}")
            if chart is not None:
                found.append((workload, chart))
    return found


def _sides(row: NamedRow) -> NamedRow:
    """Return a row under the names that `trend.sql` gives."""
    names = {"gpu": "te_gpu", "gpu_low": "te_gpu_low", "gpu_high": "te_gpu_high"}
    names |= {"facility": "tokenergy", "facility_low": "te_low", "facility_high": "te_high"}
    return {
        "workload": row["workload"],
        "step_us": row["from_us"],
        "to_us": row["to_us"],
        **{name: row[column] for name, column in names.items()},
    }


def _row(row: NamedRow, key: str) -> NamedRow:
    cell = between(row["value"], row["low"], row["high"], "")
    text = f"{significant(row['value'], 4)} [{cell.low}, {cell.high}]"
    return {
        **{"t": row["from_us"] // 1000, "t2": row["to_us"] // 1000, "when": row["name"]},
        **{"place": key, "what": clean(row["place"])},
        **{"value": row["value"], "low": row["low"], "high": row["high"], "text": text},
        "covered": f"{percent(row['coverage_of_period']).text} %",
    }


def _is_partial(row: NamedRow) -> bool:
    return bool(row["coverage_of_period"] < _LEAST_COVERED)


def _missing(row: NamedRow) -> NamedRow:
    """Return how much of a step of the first place is not known."""
    span = {"t": row["from_us"] // 1000, "t2": row["to_us"] // 1000}
    return {**span, "missing": round(1 - row["coverage_of_period"], 4)}


def _spec(keys: Sequence[str], labels: Sequence[str], colors: Sequence[str]) -> dict[str, Any]:
    """Return a rule and a band a step and place, and a strip where the site is not known.

    Its rows are one a step and place: `t`, `t2` (ms since 1970), `when`, `place` (one of `keys`),
    `what`, `value`, `low`, `high`, `text`, `covered`; and one a step with `missing` (0 to 1).
    """
    import altair as alt

    base = alt.Chart(alt.NamedData(name="rows"))
    color = colored("place", keys, colors)
    scale = alt.Scale(zero=False, nice=True)
    steps = base.transform_filter("isValid(datum.value)").encode(
        color=color, tooltip=tooltip(when="UTC", what="place", text="PUE", covered="known")
    )
    bands = (
        steps.transform_filter("isValid(datum.low) && isValid(datum.high)")
        .properties(name="bounds")
        .mark_rect(opacity=0.2)
        .encode(x="t:T", x2="t2", y=alt.Y("low:Q", scale=scale), y2="high")
    )
    axis = alt.Axis(tickCount=5, format=".3~f")
    values = steps.mark_rule(strokeWidth=2.5).encode(
        x=time_axis(), x2="t2", y=alt.Y("value:Q", scale=scale, title="PUE", axis=axis)
    )
    strip = (
        base.transform_filter("isValid(datum.missing)")
        .properties(name="missing")
        .mark_rect(color="var(--unknown)")
        .encode(
            x="t:T",
            x2="t2",
            y=alt.value(0),
            y2=alt.value(5),
            opacity=alt.Opacity(
                "missing:Q", scale=alt.Scale(domain=[0, 1], range=[0.2, 1]), legend=None
            ),
        )
    )
    return finished(alt.layer(strip, bands, values), "site-pue", height=200)
