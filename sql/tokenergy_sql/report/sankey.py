"""Where the energy flows, as a Sankey diagram: from meters to jobs, or from grid to token.

In: flows in joules and nodes in columns. Out: rectangles, ribbons and labels in pixels, which
the template writes as SVG. Every ribbon is as high as its energy; what enters a node and what
leaves it are laid out in the order of the nodes, so that ribbons cross as little as they can.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from tokenergy_sql.report.format import shorten

NODE_PX = 12
GAP_PX = 20
"""Between two nodes of a column; a label of one line fits."""

_BODY_PX = 300
_WIDE_PX = 600
"""From this width on labels are long and followed by their energy."""

_LONG, _SHORT = 40, 16


@dataclass(frozen=True, slots=True)
class Node:
    """One node: its key, column (0, 1, ...), label, the text after the label, and its fill."""

    key: str
    column: int
    label: str
    value: str
    color: str


@dataclass(frozen=True, slots=True)
class Style:
    """How nodes are labelled.

    Attributes:
        most_chars: most characters of a label; None: as many as usually fit.
        values: whether energies follow the labels; None: if the drawing is wide.
        margin_px: room to the right of the last column, for its labels; 0: they are left of it.
        places: where each column begins, as a share of the way to the last one; empty: evenly.
    """

    most_chars: int | None = None
    values: bool | None = None
    margin_px: int = 0
    places: tuple[float, ...] = ()


_USUAL = Style()


@dataclass(frozen=True, slots=True)
class Flow:
    """Energy from one node to another, in joules, and the colour of its ribbon."""

    source: str
    target: str
    energy_j: float
    color: str


@dataclass(frozen=True, slots=True)
class Box:
    """A node as it is drawn."""

    x: float
    y: float
    height: float
    color: str
    label: str
    value: str
    label_x: float
    anchor: Literal["start", "end"]


@dataclass(frozen=True, slots=True)
class Ribbon:
    """A flow as it is drawn; `title` is shown when pointed at."""

    path: str
    color: str
    title: str
    height: float


@dataclass(frozen=True, slots=True)
class Sankey:
    """The diagram, `width` by `height` pixels."""

    width: int
    height: int
    boxes: list[Box]
    ribbons: list[Ribbon]


def sankey(
    nodes: Sequence[Node], flows: Sequence[Flow], width: int, style: Style = _USUAL
) -> Sankey:
    """Lay the diagram out.

    Args:
        nodes: of all columns, each column from the top down.
        flows: from nodes to nodes of later columns.
        width: in pixels; labels are shortened to what fits.
        style: of the labels.
    """
    through = {
        node.key: max(
            sum(f.energy_j for f in flows if f.source == node.key),
            sum(f.energy_j for f in flows if f.target == node.key),
        )
        for node in nodes
    }
    last = max((node.column for node in nodes), default=0)
    columns = [[node for node in nodes if node.column == place] for place in range(last + 1)]
    total_j = max(sum(through[node.key] for node in column) for column in columns)
    scale = _BODY_PX / total_j if total_j else 0.0
    height = _BODY_PX + GAP_PX * max(len(column) for column in columns)
    boxes: dict[str, Box] = {}
    for x, column in zip(_places(last, width, style), columns, strict=True):
        y = GAP_PX / 2
        for node in column:
            tall = through[node.key] * scale
            boxes[node.key] = _box(node, (x, y, tall), width, node.column == last, style)
            y += tall + GAP_PX
    return Sankey(width, int(height), list(boxes.values()), _ribbons(nodes, flows, boxes, scale))


def _places(last: int, width: int, style: Style) -> list[float]:
    """Return the left edge of each column."""
    right = float(width - NODE_PX - style.margin_px)
    if style.places:
        return [right * share for share in style.places[: last + 1]]
    if last == 2 and width < _WIDE_PX:
        return [0.0, 0.42 * right, right]
    return [right * place / last if last else 0.0 for place in range(last + 1)]


def _box(
    node: Node, at: tuple[float, float, float], width: int, is_last: bool, style: Style
) -> Box:
    x, y, tall = at
    wide = width >= _WIDE_PX
    left = is_last and not style.margin_px
    label = shorten(node.label, style.most_chars or (_LONG if wide else _SHORT))
    value = node.value if (wide if style.values is None else style.values) else ""
    anchor: Literal["start", "end"] = "end" if left else "start"
    label_x = x - 5 if left else x + NODE_PX + 5
    return Box(x, y, tall, node.color, label, value, label_x, anchor)


def _ribbons(
    nodes: Sequence[Node], flows: Sequence[Flow], boxes: dict[str, Box], scale: float
) -> list[Ribbon]:
    order = {node.key: place for place, node in enumerate(nodes)}
    names = {node.key: node.label for node in nodes}
    left = {key: box.y for key, box in boxes.items()}
    right = dict(left)
    found = []
    for flow in sorted(flows, key=lambda f: (order[f.source], order[f.target])):
        tall = flow.energy_j * scale
        a, b = left[flow.source], right[flow.target]
        left[flow.source] += tall
        right[flow.target] += tall
        path = _path(boxes[flow.source].x + NODE_PX, a, boxes[flow.target].x, b, tall)
        title = f"{names[flow.source]} → {names[flow.target]}"
        found.append(Ribbon(path, flow.color, title, tall))
    return found


def _path(x: float, y: float, to_x: float, to_y: float, tall: float) -> str:
    """Return the outline of a ribbon; one that would be invisible is half a pixel high."""
    tall, mid = max(tall, 0.5), (x + to_x) / 2
    return (
        f"M{x:.1f},{y:.2f}C{mid:.1f},{y:.2f} {mid:.1f},{to_y:.2f} {to_x:.1f},{to_y:.2f}"
        f"V{to_y + tall:.2f}C{mid:.1f},{to_y + tall:.2f} {mid:.1f},{y + tall:.2f} "
        f"{x:.1f},{y + tall:.2f}Z"
    )
