"""The charts, as Vega-Lite specifications made with Altair.

In: facts and marks. Out: `Chart`: a specification as plain data, a sentence that stands for the
picture, and its legend. Colours are CSS variables: the charts are drawn as SVG, so that the page's
style sheet alone decides what light and dark look like.

Names from outside are only ever values in the data, never field names or expressions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tokenergy_sql.report.facts import Row
from tokenergy_sql.report.format import significant

if TYPE_CHECKING:
    import altair as alt

FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif"
_ROW_PX = 26
_LABEL_PX = 170
_NARROW = "containerSize()[0] < 500"
_DAY_MS = 86_400_000
_LOG_FROM = 20
"""A linear axis becomes logarithmic when its values spread by more than this factor."""

CONFIG: dict[str, Any] = {
    "aria": False,
    "background": "transparent",
    "font": FONT,
    "view": {"stroke": None},
    "axis": {
        "domainColor": "var(--line)",
        "tickColor": "var(--line)",
        "gridColor": "var(--grid)",
        "labelColor": "var(--soft)",
        "titleColor": "var(--soft)",
        "titleFontWeight": "normal",
        "labelFontSize": 11,
        "titleFontSize": 11,
        "labelOverlap": True,
    },
}


@dataclass(frozen=True, slots=True)
class Chart:
    """One chart: its id on the page, its specification, and what it says in a sentence."""

    name: str
    spec: dict[str, Any]
    alternative: str
    legend: list[tuple[str, str]] = field(default_factory=list)


def power_spec(
    rows: list[Row], keys: Sequence[str], labels: Sequence[str], colors: Sequence[str]
) -> dict[str, Any]:
    """Return the stacked power over time.

    Args:
        rows: one a bucket: `t` and `t2` (ms since 1970), `when`, power in kW by key, `total`,
            `unknown` (share of device time without a known energy, 0 to 1), `unknown_text`;
            and a closing row with `end` true, so that the last step has a width.
        keys: the fields of the series, from the bottom of the stack up.
        labels: what each is called.
        colors: the colour of each.
    """
    import altair as alt

    base = alt.Chart(alt.InlineData(values=rows))
    steps = base.transform_filter("!datum.end")
    unknown = (
        steps.transform_filter("datum.unknown > 0")
        .mark_rect(color="var(--unknown)")
        .encode(x="t:T", x2="t2", y=alt.value(0), y2=alt.value(5))
    )
    # A layer without rows would make Vega warn of an infinite extent.
    gaps = [unknown] if any(row["unknown"] for row in rows) else []
    areas = _areas(base, _time_axis(rows), keys, colors)
    layers = alt.layer(areas, *gaps, _cursor(steps, keys, labels))
    return _finished(layers, "power", height=280)


def _areas(
    base: alt.Chart, axis: alt.Axis, keys: Sequence[str], colors: Sequence[str]
) -> alt.Chart:
    import altair as alt

    areas: alt.Chart = (
        base.transform_fold(list(keys), as_=["key", "kw"])
        .transform_calculate(place=f"indexof({list(keys)}, datum.key)")
        .mark_area(interpolate="step-after", stroke="var(--paper)", strokeWidth=0.4)
        .encode(
            x=alt.X("t:T", scale=alt.Scale(type="utc", nice=False), axis=axis),
            y=alt.Y("kw:Q", stack="zero", title="GPU power, kW", axis=alt.Axis(tickCount=5)),
            color=_colors("key", keys, colors),
            order=alt.Order("place:Q"),
        )
    )
    return areas


def _cursor(steps: alt.Chart, keys: Sequence[str], labels: Sequence[str]) -> alt.Chart:
    """Return invisible columns over the buckets, which carry one tooltip for the whole stack."""
    import altair as alt

    hover = alt.selection_point(name="hover", fields=["t"], on="pointerover", empty=False)
    series = [
        alt.Tooltip(f"{key}:Q", title=label, format=".3f")
        for key, label in zip(reversed(keys), reversed(labels), strict=True)
    ]
    tooltip = [*_tooltip(when="UTC", total_text="all, kW"), *series]
    cursor: alt.Chart = (
        steps.mark_rect(color="var(--ink)")
        .encode(
            x="t:T",
            x2="t2",
            opacity=alt.condition(hover, alt.value(0.14), alt.value(0)),
            tooltip=[*tooltip, *_tooltip(unknown_text="unknown")],
        )
        .add_params(hover)
    )
    return cursor


def intensity_spec(
    rows: list[Row], labels: Sequence[str], colors: Sequence[str], unit: str
) -> dict[str, Any]:
    """Return J/token by job: a dot and its interval for each boundary.

    Args:
        rows: one a job and boundary: `label`, `job`, `boundary` (GPU or facility), `value`, `low`,
            `high` (J/token; a bound may be None) and `text`.
        labels: the jobs' labels, from the top down.
        colors: the colour of each.
        unit: the title of the axis.
    """
    import altair as alt

    boundaries = [b for b in ("GPU", "facility") if any(row["boundary"] == b for row in rows)]
    color, scale = _colors("label", labels, colors), _value_scale(rows)
    base = alt.Chart(alt.InlineData(values=rows)).encode(
        y=_job_axis(labels),
        yOffset=alt.YOffset("boundary:N", scale=alt.Scale(domain=boundaries, padding=0.7)),
        color=color,
        tooltip=_tooltip(job="job", boundary="boundary", text="J/token"),
    )
    whole = base.transform_filter("isValid(datum.low) && isValid(datum.high)")
    interval = whole.mark_rule(strokeWidth=2).encode(
        x=alt.X("low:Q", title=unit, scale=scale), x2="high"
    )
    ends = [
        whole.mark_tick(thickness=2, size=8).encode(x=alt.X(f"{end}:Q")) for end in ("low", "high")
    ]
    shapes = alt.Scale(domain=["GPU", "facility"], range=["circle", "diamond"])
    dots = base.mark_point(size=54, opacity=1, strokeWidth=2).encode(
        x=alt.X("value:Q", title=unit, scale=scale, axis=alt.Axis(tickCount=5)),
        shape=alt.Shape("boundary:N", scale=shapes, legend=None),
        fill=alt.condition("datum.boundary == 'GPU'", color, alt.value("var(--paper)")),
    )
    return _finished(
        alt.layer(interval, *ends, dots), "intensity", height=len(labels) * _ROW_PX + 8
    )


def energy_spec(rows: list[Row], labels: Sequence[str], unit: str) -> dict[str, Any]:
    """Return where the energy went: a bar a job or account.

    Args:
        rows: one a label and part: `label`, `job`, `part`, `energy` (in `unit`), `text`, `share`,
            `color`, `weight` (opacity), `place` (order in the bar); `ends_at` and `total_share` in
            the first row of each label.
        labels: from the top down.
        unit: kWh, kJ or J.
    """
    import altair as alt

    most = max((row["ends_at"] for row in rows if "ends_at" in row), default=0.0)
    # To the right of the longest bar there is room for its share.
    room = alt.ExprRef(f"{most or 1.0} * ({_NARROW} ? 1.3 : 1.1)")
    scale = alt.Scale(domainMin=0, domainMax=room, nice=False)
    base = alt.Chart(alt.InlineData(values=rows)).encode(y=_job_axis(labels))
    bars = base.mark_bar(height={"band": 0.66}, stroke="var(--paper)", strokeWidth=0.5).encode(
        x=alt.X(
            "energy:Q",
            title=f"GPU energy, {unit}",
            stack="zero",
            scale=scale,
            axis=alt.Axis(tickCount=5),
        ),
        color=alt.Color("color:N", scale=None),
        opacity=alt.Opacity("weight:Q", scale=None),
        order=alt.Order("place:Q"),
        tooltip=_tooltip(job="job", part="account", text=f"energy, {unit}", share="of all"),
    )
    shares = (
        base.transform_filter("isValid(datum.ends_at)")
        .mark_text(align="left", dx=5, fontSize=11, fill="var(--ink)")
        .encode(x=alt.X("ends_at:Q", scale=scale), text="total_share:N")
    )
    return _finished(alt.layer(bars, shares), "energy", len(labels) * _ROW_PX + 8)


def _finished(chart: alt.LayerChart | alt.FacetChart, name: str, height: int) -> dict[str, Any]:
    import altair as alt

    sized = chart.properties(
        name=name,
        width="container",
        height=height,
        autosize=alt.AutoSizeParams(type="fit-x", contains="padding"),
        padding=2,
    )
    spec: dict[str, Any] = sized.to_dict()
    # Altair brings a theme of its own; the page has one.
    spec["config"] = CONFIG
    return spec


def _time_axis(rows: list[Row]) -> alt.Axis:
    import altair as alt

    long = rows[-1]["t"] - rows[0]["t"] > _DAY_MS
    ticks = alt.ExprRef(f"{_NARROW} ? 4 : 8")
    shown = "%m-%d %H:%M" if long else "%H:%M"
    return alt.Axis(title="UTC", grid=False, labelFlush=True, tickCount=ticks, format=shown)


def _job_axis(labels: Sequence[str]) -> alt.Y:
    import altair as alt

    return alt.Y(
        "label:N",
        title=None,
        scale=alt.Scale(domain=list(labels)),
        axis=alt.Axis(
            labelLimit=_LABEL_PX,
            labelColor="var(--ink)",
            labelOverlap=False,
            domain=False,
            ticks=False,
            labelPadding=6,
        ),
    )


def _colors(field_name: str, domain: Sequence[str], colors: Sequence[str]) -> alt.Color:
    import altair as alt

    scale = alt.Scale(domain=list(domain), range=list(colors))
    return alt.Color(f"{field_name}:N", scale=scale, legend=None)


def _value_scale(rows: list[Row]) -> alt.Scale:
    import altair as alt

    known = [row[key] for row in rows for key in ("low", "value", "high") if row[key] is not None]
    if known and min(known) > 0 and max(known) / min(known) > _LOG_FROM:
        return alt.Scale(type="log", nice=False, domain=[min(known) / 1.5, max(known) * 1.5])
    return alt.Scale(type="linear", zero=True, nice=True)


def _tooltip(**titles: str) -> list[alt.Tooltip]:
    import altair as alt

    return [alt.Tooltip(f"{name}:N", title=title) for name, title in titles.items()]


def interval_text(value: float, low: float | None, high: float | None) -> str:
    """Return a value with its interval, `0.41 [0.39, 0.43]`."""
    ends = ["–" if end is None else significant(end) for end in (low, high)]
    return f"{significant(value)} [{ends[0]}, {ends[1]}]"
