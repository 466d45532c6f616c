"""The charts over time: power, tokens and J/token.

In: series, their labels and colours. Out: specifications over rows, see `frame.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tokenergy_sql.report.frame import (
    BOUNDARIES,
    BOUNDARY_COLORS,
    NARROW,
    colored,
    finished,
    tooltip,
)

if TYPE_CHECKING:
    import altair as alt

TOKEN_COLORS = {
    "prompt_computed": "var(--job-4)",
    "prompt_cached": "var(--job-2)",
    "prompt_external": "var(--job-5)",
    "generated": "var(--job-1)",
    "trained": "var(--job-3)",
}

_DIGITS = ".4~r"
_CLOCK = (
    "utcFormat(datum.value, utchours(datum.value) + utcminutes(datum.value) == 0 ? '%b %d'"
    " : utcseconds(datum.value) ? '%H:%M:%S' : '%H:%M')"
)
"""Labels of a time axis: the day at midnight, seconds where they are needed."""


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
    return finished(layers, name, height=240)


def _areas(base: alt.Chart, keys: Sequence[str], colors: Sequence[str]) -> alt.Chart:
    import altair as alt

    areas: alt.Chart = (
        base.transform_fold(list(keys), as_=["key", "kw"])
        .transform_calculate(place=f"indexof({list(keys)}, datum.key)")
        .mark_area(interpolate="step-after", stroke="var(--paper)", strokeWidth=0.4)
        .encode(
            x=time_axis(),
            y=alt.Y("kw:Q", stack="zero", title="GPU power, kW", axis=alt.Axis(tickCount=5)),
            color=colored("key", keys, colors),
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
            tooltip=[*tooltip(when="UTC"), total, *series, unknown],
        )
        .add_params(hover)
    )
    return cursor


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
    color = colored("boundary", BOUNDARIES, BOUNDARY_COLORS)
    base = alt.Chart(alt.NamedData(name="rows"))
    steps = base.transform_filter("isValid(datum.value)").encode(
        color=color, tooltip=tooltip(when="UTC", boundary="boundary", text="J/token")
    )
    bands = (
        steps.transform_filter("isValid(datum.low) && isValid(datum.high)")
        .properties(name="bounds")
        .mark_rect(opacity=0.25, clip=True)
        .encode(x="t:T", x2="t2", y=alt.Y("low:Q", scale=scale), y2="high")
    )
    values = steps.mark_rule(strokeWidth=2.5, clip=True).encode(
        x=time_axis(),
        x2="t2",
        y=alt.Y("value:Q", scale=scale, title=unit, axis=alt.Axis(tickCount=5)),
    )
    fine = (
        base.transform_filter("isValid(datum.fine)")
        .properties(name="fine")
        .mark_rule(color="var(--soft)", strokeWidth=1.5, clip=True)
        .encode(x="t:T", x2="t2", y=alt.Y("fine:Q", scale=scale))
    )
    return finished(alt.layer(fine, bands, values).add_params(top), name, height=200)


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
        x=time_axis(),
        y=alt.Y("rate:Q", title="tokens/s", axis=alt.Axis(tickCount=5, format="~s")),
        color=colored("kind", kinds, [TOKEN_COLORS[kind] for kind in kinds]),
    )
    names = ", ".join(f"'{k}': '{n}'" for k, n in zip(kinds, labels, strict=True))
    rate = alt.Tooltip("rate:Q", title="tokens/s", format=_DIGITS)
    lines = base.mark_line(interpolate="step-after", strokeWidth=1.8)
    points = (
        base.transform_filter("!datum.end")
        .transform_calculate(what=f"({{{names}}})[datum.kind]")
        .mark_point(size=60, opacity=0, filled=True)
        .encode(tooltip=[*tooltip(when="UTC", what="kind"), rate])
    )
    return finished(alt.layer(lines, points), name, height=180)


def time_axis() -> alt.X:
    """Return the axis of time, in UTC."""
    import altair as alt

    ticks = alt.ExprRef(f"{NARROW} ? 4 : 8")
    axis = alt.Axis(title="UTC", grid=False, labelFlush=True, tickCount=ticks, labelExpr=_CLOCK)
    return alt.X("t:T", scale=alt.Scale(type="utc", nice=False), axis=axis)
