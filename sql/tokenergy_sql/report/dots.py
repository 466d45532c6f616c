"""The dot charts: J/token by job or by group, with intervals.

In: labels and colours. Out: a specification over rows, see `frame.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tokenergy_sql.catalog.namedrows import NamedRow
from tokenergy_sql.report.frame import NARROW, colored, finished, tooltip

if TYPE_CHECKING:
    import altair as alt

_ROW_PX = 26
_LOG_FROM = 20
"""A linear axis becomes logarithmic when its values spread by more than this factor."""


def intensity_spec(
    rows: list[NamedRow], labels: Sequence[str], colors: Sequence[str], unit: str, name: str
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
    color, scale = colored("label", labels, colors), _value_scale(rows)
    base = alt.Chart(alt.NamedData(name="rows")).encode(
        y=_job_axis(labels),
        yOffset=alt.YOffset("boundary:N", scale=alt.Scale(domain=boundaries, padding=0.7)),
        color=color,
        tooltip=tooltip(name="what", boundary="boundary", text="J/token"),
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
    return finished(alt.layer(interval, *ends, dots), name, height=len(labels) * _ROW_PX + 8)


def _job_axis(labels: Sequence[str]) -> alt.Y:
    import altair as alt

    return alt.Y(
        "label:N",
        title=None,
        scale=alt.Scale(domain=list(labels)),
        axis=alt.Axis(
            labelLimit=alt.ExprRef(f"{NARROW} ? 130 : 250"),
            labelColor="var(--ink)",
            labelOverlap=False,
            domain=False,
            ticks=False,
            labelPadding=6,
        ),
    )


def _value_scale(rows: list[NamedRow]) -> alt.Scale:
    import altair as alt

    ends = [row[key] for row in rows for key in ("low", "value", "high") if row[key] is not None]
    if ends and min(ends) > 0 and max(ends) / min(ends) > _LOG_FROM:
        return alt.Scale(type="log", nice=False, domain=[min(ends) / 1.5, max(ends) * 1.5])
    return alt.Scale(type="linear", zero=True, nice=True)
