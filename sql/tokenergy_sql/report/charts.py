"""The charts, as Vega-Lite specifications made with Altair.

In: series, their labels and colours. Out: specifications as plain data over the rows named `rows`,
which the page's script puts in: one specification draws every job. A layer named `bounds` or
`fine` is left out by the script where no row has such figures, since Vega warns of empty ones.
Colours are CSS variables: the charts are drawn as SVG, so that the style sheet alone decides what
light and dark look like.

Names from outside are only ever values in the data, never field names or expressions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tokenergy_sql.report.facts import Row

if TYPE_CHECKING:
    import altair as alt

FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif"
_ROW_PX = 26
_NARROW = "containerSize()[0] < 500"
_DIGITS = ".4~r"
_CLOCK = (
    "utcFormat(datum.value, utchours(datum.value) + utcminutes(datum.value) == 0 ? '%b %d'"
    " : utcseconds(datum.value) ? '%H:%M:%S' : '%H:%M')"
)
"""Labels of a time axis: the day at midnight, seconds where they are needed."""

_LOG_FROM = 20
"""A linear axis becomes logarithmic when its values spread by more than this factor."""

BOUNDARIES = ("GPU", "facility")
BOUNDARY_COLORS = ("var(--job-1)", "var(--job-6)")
TOKEN_COLORS = {
    "prompt_computed": "var(--job-4)",
    "prompt_cached": "var(--job-2)",
    "generated": "var(--job-1)",
    "trained": "var(--job-3)",
}

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
        "labelSeparation": 8,
    },
    "axisY": {"minExtent": 42},
}


@dataclass(frozen=True, slots=True)
class Chart:
    """One chart: its id on the page, its specification and rows, and what it says in words."""

    name: str
    spec: dict[str, Any]
    rows: list[Row]
    alternative: str
    legend: list[tuple[str, str]] = field(default_factory=list)


def power_spec(
    keys: Sequence[str], labels: Sequence[str], colors: Sequence[str], name: str = "power"
) -> dict[str, Any]:
    """Return the stacked power over time.

    Its rows are one a bucket: `t` and `t2` (ms since 1970), `when`, power in kW by key, `total`,
    `unknown` (share of device time without a known energy, 0 to 1); and a closing row with `end`
    true, so that the last step has a width.

    Args:
        keys: the fields of the series, from the bottom of the stack up.
        labels: what each is called.
        colors: the colour of each.
        name: of the chart.
    """
    import altair as alt

    base = alt.Chart(alt.NamedData(name="rows"))
    steps = base.transform_filter("!datum.end")
    unknown = steps.mark_rect(color="var(--unknown)").encode(
        x="t:T",
        x2="t2",
        y=alt.value(0),
        y2=alt.value(5),
        opacity=alt.condition("datum.unknown > 0", alt.value(1), alt.value(0)),
    )
    layers = alt.layer(_areas(base, keys, colors), unknown, _cursor(steps, keys, labels))
    return _finished(layers, name, height=240)


def _areas(base: alt.Chart, keys: Sequence[str], colors: Sequence[str]) -> alt.Chart:
    import altair as alt

    areas: alt.Chart = (
        base.transform_fold(list(keys), as_=["key", "kw"])
        .transform_calculate(place=f"indexof({list(keys)}, datum.key)")
        .mark_area(interpolate="step-after", stroke="var(--paper)", strokeWidth=0.4)
        .encode(
            x=_time(),
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
        alt.Tooltip(f"{key}:Q", title=label, format=_DIGITS)
        for key, label in zip(reversed(keys), reversed(labels), strict=True)
    ]
    total = alt.Tooltip("total:Q", title="all, kW", format=_DIGITS)
    unknown = alt.Tooltip("unknown:Q", title="of GPU time unknown", format=".3~%")
    cursor: alt.Chart = (
        steps.mark_rect(color="var(--ink)")
        .encode(
            x="t:T",
            x2="t2",
            opacity=alt.condition(hover, alt.value(0.14), alt.value(0)),
            tooltip=[*_tooltip(when="UTC"), total, *series, unknown],
        )
        .add_params(hover)
    )
    return cursor


def intensity_spec(
    rows: list[Row], labels: Sequence[str], colors: Sequence[str], unit: str, name: str
) -> dict[str, Any]:
    """Return J/token by job or group of jobs: a dot and its interval for each boundary.

    Args:
        rows: one a label and boundary: `label`, `name`, `boundary` (GPU or facility), `value`,
            `low`, `high` (J/token; a bound may be None) and `text`.
        labels: from the top down.
        colors: the colour of each.
        unit: the title of the axis.
        name: of the chart.
    """
    import altair as alt

    boundaries = [b for b in ("GPU", "facility") if any(row["boundary"] == b for row in rows)]
    color, scale = _colors("label", labels, colors), _value_scale(rows)
    base = alt.Chart(alt.NamedData(name="rows")).encode(
        y=_job_axis(labels),
        yOffset=alt.YOffset("boundary:N", scale=alt.Scale(domain=boundaries, padding=0.7)),
        color=color,
        tooltip=_tooltip(name="what", boundary="boundary", text="J/token"),
    )
    whole = base.transform_filter("isValid(datum.low) && isValid(datum.high)")
    interval = (
        whole.properties(name="bounds")
        .mark_rule(strokeWidth=2)
        .encode(x=alt.X("low:Q", title=unit, scale=scale), x2="high")
    )
    ends = [
        whole.properties(name=f"bounds-{end}")
        .mark_tick(thickness=2, size=8)
        .encode(x=alt.X(f"{end}:Q"))
        for end in ("low", "high")
    ]
    shapes = alt.Scale(domain=["GPU", "facility"], range=["circle", "diamond"])
    dots = base.mark_point(size=54, opacity=1, strokeWidth=2).encode(
        x=alt.X("value:Q", title=unit, scale=scale, axis=alt.Axis(tickCount=5)),
        shape=alt.Shape("boundary:N", scale=shapes, legend=None),
        fill=alt.condition("datum.boundary == 'GPU'", color, alt.value("var(--paper)")),
    )
    return _finished(alt.layer(interval, *ends, dots), name, height=len(labels) * _ROW_PX + 8)


def trend_spec(unit: str, name: str) -> dict[str, Any]:
    """Return J/token over time: a step with its interval an hour (or several) and boundary.

    Its rows are one a step and boundary: `t` and `t2` (ms since 1970), `when`, `boundary` (GPU or
    facility), `value`, `low`, `high` (J/token; a bound may be None) and `text`; and rows with
    `fine` (J/token at the GPU, or None), thin lines of shorter steps. The parameter `top` is the
    upper end of the axis.

    Args:
        unit: the title of the axis.
        name: of the chart.
    """
    import altair as alt

    top = alt.param(name="top", value=1.0)
    scale = alt.Scale(domainMin=0, domainMax=alt.ExprRef("top"), nice=False)
    color = _colors("boundary", BOUNDARIES, BOUNDARY_COLORS)
    base = alt.Chart(alt.NamedData(name="rows"))
    steps = base.transform_filter("isValid(datum.value)").encode(
        color=color, tooltip=_tooltip(when="UTC", boundary="boundary", text="J/token")
    )
    bands = (
        steps.transform_filter("isValid(datum.low) && isValid(datum.high)")
        .properties(name="bounds")
        .mark_rect(opacity=0.25, clip=True)
        .encode(x="t:T", x2="t2", y=alt.Y("low:Q", scale=scale), y2="high")
    )
    values = steps.mark_rule(strokeWidth=2.5, clip=True).encode(
        x=_time(), x2="t2", y=alt.Y("value:Q", scale=scale, title=unit, axis=alt.Axis(tickCount=5))
    )
    fine = (
        base.transform_filter("isValid(datum.fine)")
        .properties(name="fine")
        .mark_rule(color="var(--soft)", strokeWidth=1.5, clip=True)
        .encode(x="t:T", x2="t2", y=alt.Y("fine:Q", scale=scale))
    )
    return _finished(alt.layer(fine, bands, values).add_params(top), name, height=200)


def tokens_spec(kinds: Sequence[str], labels: Sequence[str], name: str) -> dict[str, Any]:
    """Return tokens a second over time, a line a kind.

    Its rows are one a step and kind: `t` (ms since 1970), `when`, `kind`, `rate` (tokens a second).

    Args:
        kinds: values of `kind`.
        labels: what each is called.
        name: of the chart.
    """
    import altair as alt

    base = alt.Chart(alt.NamedData(name="rows")).encode(
        x=_time(),
        y=alt.Y("rate:Q", title="tokens/s", axis=alt.Axis(tickCount=5, format="~s")),
        color=_colors("kind", kinds, [TOKEN_COLORS[kind] for kind in kinds]),
    )
    names = ", ".join(f"'{k}': '{n}'" for k, n in zip(kinds, labels, strict=True))
    rate = alt.Tooltip("rate:Q", title="tokens/s", format=_DIGITS)
    lines = base.mark_line(interpolate="step-after", strokeWidth=1.8)
    points = (
        base.transform_filter("!datum.end")
        .transform_calculate(what=f"({{{names}}})[datum.kind]")
        .mark_point(size=60, opacity=0, filled=True)
        .encode(tooltip=[*_tooltip(when="UTC", what="kind"), rate])
    )
    return _finished(alt.layer(lines, points), name, height=180)


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


def _time() -> alt.X:
    import altair as alt

    ticks = alt.ExprRef(f"{_NARROW} ? 4 : 8")
    axis = alt.Axis(title="UTC", grid=False, labelFlush=True, tickCount=ticks, labelExpr=_CLOCK)
    return alt.X("t:T", scale=alt.Scale(type="utc", nice=False), axis=axis)


def _job_axis(labels: Sequence[str]) -> alt.Y:
    import altair as alt

    return alt.Y(
        "label:N",
        title=None,
        scale=alt.Scale(domain=list(labels)),
        axis=alt.Axis(
            labelLimit=alt.ExprRef(f"{_NARROW} ? 130 : 250"),
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
