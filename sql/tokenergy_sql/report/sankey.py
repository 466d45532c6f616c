"""Where the energy flows, as a Sankey diagram: from meters to accounts to jobs.

In: flows in joules and nodes in three columns. Out: rectangles, ribbons and labels in pixels, which
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
    """One node: its key, column (0, 1, 2), label, the text after the label, and its colour."""

    key: str
    column: int
    label: str
    value: str
    color: str


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


def sankey(nodes: Sequence[Node], flows: Sequence[Flow], width: int) -> Sankey:
    """Lay the diagram out.

    Args:
        nodes: of all columns, each column from the top down.
        flows: from the first to the second column, and from the second to the third.
        width: in pixels; labels are shortened to what fits.
    """
    through = {
        node.key: max(
            sum(f.energy_j for f in flows if f.source == node.key),
            sum(f.energy_j for f in flows if f.target == node.key),
        )
        for node in nodes
    }
    columns = [[node for node in nodes if node.column == column] for column in range(3)]
    total_j = max(sum(through[node.key] for node in column) for column in columns)
    scale = _BODY_PX / total_j if total_j else 0.0
    height = _BODY_PX + GAP_PX * max(len(column) for column in columns)
    wide = width >= _WIDE_PX
    places = [0.0, (0.5 if wide else 0.42) * (width - NODE_PX), float(width - NODE_PX)]
    boxes: dict[str, Box] = {}
    for x, column in zip(places, columns, strict=True):
        y = GAP_PX / 2
        for node in column:
            tall = through[node.key] * scale
            right = node.column == 2
            label_x = x - 5 if right else x + NODE_PX + 5
            label = shorten(node.label, _LONG if wide else _SHORT)
            anchor: Literal["start", "end"] = "end" if right else "start"
            value = node.value if wide else ""
            boxes[node.key] = Box(x, y, tall, node.color, label, value, label_x, anchor)
            y += tall + GAP_PX
    return Sankey(width, int(height), list(boxes.values()), _ribbons(nodes, flows, boxes, scale))


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
