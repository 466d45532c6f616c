"""What all charts share: their look, their size, and what makes up a chart on the page.

In: charts made with Altair. Out: Vega-Lite specifications as plain data over the rows named `rows`,
which the page's script puts in: one specification draws every job. A layer named `bounds`, `fine`
or `missing` is left out by the script where no row has such figures: Vega warns of empty ones.
Colours are CSS variables: the charts are drawn as SVG, so that the style sheet alone decides what
light and dark look like.

Names from a lake are only values in the data, never field names or expressions: they cannot run.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tokenergy_sql.catalog.namedrows import NamedRow

if TYPE_CHECKING:
    import altair as alt

FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif"
NARROW = "containerSize()[0] < 500"
"""True on a phone, in an expression."""

BOUNDARIES = ("GPU", "facility")
BOUNDARY_COLORS = ("var(--job-1)", "var(--job-6)")

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
    """One chart: its id on the page, specification, rows, and a sentence with its content."""

    name: str
    spec: dict[str, Any]
    rows: list[NamedRow]
    alternative: str
    legend: list[tuple[str, str]] = field(default_factory=list)


def finished(chart: alt.LayerChart | alt.FacetChart, name: str, height: int) -> dict[str, Any]:
    """Return the specification of a chart as wide as its place and `height` pixels high."""
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


def colored(field_name: str, domain: Sequence[str], colors: Sequence[str]) -> alt.Color:
    """Return the colours of a field's values, without a legend: the page writes them itself."""
    import altair as alt

    scale = alt.Scale(domain=list(domain), range=list(colors))
    return alt.Color(f"{field_name}:N", scale=scale, legend=None)


def tooltip(**titles: str) -> list[alt.Tooltip]:
    """Return a tooltip of fields, each with its title."""
    import altair as alt

    return [alt.Tooltip(f"{name}:N", title=title) for name, title in titles.items()]
