"""The energy from grid to token as drawings: one for a screen, two for a phone.

In: the balance, J/token of the same hours. Out: `Drawing`s for the template. Colour says what a
part is, pattern how its energy is known.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from tokenergy_sql.catalog.namedrows import NamedRow
from tokenergy_sql.report import palette
from tokenergy_sql.report.format import significant
from tokenergy_sql.report.sankey import Flow, Node, Sankey, Style, sankey
from tokenergy_sql.report.site.balance import Balance, How, Part

WIDE_PX, SLIM_PX = 1180, 340

HOWS: dict[How, str] = {
    "measured": "measured",
    "modelled": "modelled",
    "declared": "declared in the site file",
    "unknown": "not metered or not known",
}
"""What each pattern means."""

_MARGIN_PX = 210
_PLACES = (0.0, 0.2, 0.42, 0.75, 1.0)
_PLACES_OF_SEVERAL = (0.0, 0.18, 0.34, 0.53, 0.79, 1.0)
"""Of columns, with one input and with several: labels of the parts of IT are the longest."""

_SLIM = Style(most_chars=36, values=True)

_WORKS = {
    "serving": ("serving", "var(--job-3)", "inference"),
    "training": ("training", "var(--job-6)", "training"),
    "other": ("other jobs", palette.OTHER, ""),
}
"""Kinds of work: label, colour, and workload of their J/token."""

_SITE = "site"
"""Node through which several inputs flow."""


@dataclass(frozen=True, slots=True)
class Pattern:
    """How parts of a colour are filled: an id in the page, how they are known, the colour."""

    id: str
    how: How
    color: str


@dataclass(frozen=True, slots=True)
class Drawing:
    """A diagram, its patterns, and a name for those who do not see it."""

    picture: Sankey
    patterns: list[Pattern]
    kind: str
    label: str


class _Sheet:
    """Collects nodes, flows and patterns of a drawing."""

    def __init__(self, prefix: str, show: Callable[[float], str]) -> None:
        self.prefix = prefix
        self.show = show
        self.nodes: list[Node] = []
        self.flows: list[Flow] = []
        self.patterns: dict[tuple[How, str], Pattern] = {}

    def fill(self, part: Part) -> str:
        """Return how a part is filled: its colour, or a pattern of it."""
        if part.how == "measured":
            return part.color
        key = part.how, part.color
        name = f"{self.prefix}-{len(self.patterns)}"
        pattern = self.patterns.setdefault(key, Pattern(name, *key))
        return f"url(#{pattern.id})"

    def node(self, part: Part, column: int, label: str = "") -> None:
        value = self.show(part.energy_j)
        self.nodes.append(Node(part.key, column, label or part.label, value, self.fill(part)))

    def flow(self, source: str, part: Part, energy_j: float | None = None) -> None:
        self.flows.append(
            Flow(source, part.key, part.energy_j if energy_j is None else energy_j, self.fill(part))
        )

    def drawn(self, width: int, kind: str, label: str, style: Style) -> Drawing:
        picture = sankey(self.nodes, self.flows, width, style)
        return Drawing(picture, list(self.patterns.values()), kind, label)


def drawings(
    balance: Balance, tokens: Iterable[NamedRow], unit: str, scale: float
) -> list[Drawing]:
    """Return the drawings of a balance.

    Args:
        balance: the energy.
        tokens: rows of `trend.sql`, one a workload, of the same hours.
        unit: of energy.
        scale: factor from joules to it.
    """

    def show(energy_j: float) -> str:
        share = f"{significant(100 * energy_j / balance.total_j, 2)} %"
        return f"{significant(energy_j * scale)} {unit}, {share}"

    found = [_wide(balance, tokens, show), _slim_site(balance, show)]
    return [*found, *_slim_it(balance, show)]


def legend(balance: Balance) -> list[How]:
    """Return the ways in which parts of a balance are known, the surest first."""
    every = [*balance.inputs, *balance.parts, *balance.it_parts, *balance.accounts]
    used = {part.how for part in every} | ({"unknown"} if balance.more_it else set())
    return [how for how in HOWS if how in used]


def token_text(workload: str, tokens: Iterable[NamedRow]) -> str:
    """Return J/token of a workload: of the facility, else at the GPU; empty if neither is known."""
    for row in tokens:
        if row["workload"] == workload:
            for side, name in (("facility", "J/token"), ("gpu", "J/token (GPU)")):
                if row[side] is not None:
                    return f"{significant(row[side])} {name}"
    return ""


def _wide(balance: Balance, tokens: Iterable[NamedRow], show: Callable[[float], str]) -> Drawing:
    sheet = _Sheet("flow-wide", show)
    column = _comes_in(sheet, balance) + 1
    for part in balance.parts:
        sheet.node(part, column)
    if balance.more_it is not None:
        sheet.node(balance.more_it, column)
    for part in balance.it_parts:
        sheet.node(part, column + 1)
    _from_it(sheet, balance, balance.it_parts)
    if any(part.key == "boards" for part in balance.it_parts):
        for part in balance.accounts:
            sheet.node(part, column + 2)
            sheet.flow("boards", part)
        _works(sheet, balance, [*tokens], column + 3)
    label = (
        "Sankey diagram from what comes in to the work of the GPUs; a table below has its figures."
    )
    places = _PLACES if column == 1 else _PLACES_OF_SEVERAL
    style = Style(most_chars=46, values=True, margin_px=_MARGIN_PX, places=places)
    return sheet.drawn(WIDE_PX, "wide", label, style)


def _works(sheet: _Sheet, balance: Balance, tokens: Sequence[NamedRow], column: int) -> None:
    for work, (label, color, workload) in _WORKS.items():
        flows = [(account, j) for account, of, j in balance.works if of == work]
        if flows:
            part = Part(f"work-{work}", label, sum(j for _, j in flows), "measured", color)
            text = token_text(workload, tokens)
            sheet.nodes.append(
                Node(part.key, column, label, text or sheet.show(part.energy_j), color)
            )
            for account, energy_j in flows:
                sheet.flow(account, part, energy_j)


def _slim_site(balance: Balance, show: Callable[[float], str]) -> Drawing:
    sheet = _Sheet("flow-slim", show)
    column = _comes_in(sheet, balance) + 1
    for part in balance.parts:
        sheet.node(part, column)
    label = "Sankey diagram of the energy of the site; a table below has its figures."
    return sheet.drawn(SLIM_PX, "slim", label, _SLIM)


def _slim_it(balance: Balance, show: Callable[[float], str]) -> Iterator[Drawing]:
    """Yield IT as a drawing of two columns: on a phone there is no room for more."""
    it = next((part for part in balance.parts if part.key == "it"), None)
    if it is None or not balance.it_parts:
        return
    sheet = _Sheet("flow-it", show)
    sheet.node(it, 0)
    if balance.more_it is not None:
        sheet.node(balance.more_it, 0)
    leaves = [*balance.accounts, *(part for part in balance.it_parts if part.key != "boards")]
    for part in leaves:
        sheet.node(part, 1, f"GPUs, {part.label}" if part in balance.accounts else "")
    _from_it(sheet, balance, leaves)
    label = "Sankey diagram of the IT energy; a table below has its figures."
    yield sheet.drawn(SLIM_PX, "slim", label, _SLIM)


def _comes_in(sheet: _Sheet, balance: Balance) -> int:
    """Add what comes in, and flows from it to the parts; return the last column used."""
    for part in balance.inputs:
        sheet.node(part, 0)
    if len(balance.inputs) == 1:
        source, column = balance.inputs[0].key, 0
    else:
        source, column = _SITE, 1
        sheet.nodes.append(Node(_SITE, 1, "site", sheet.show(balance.total_j), "var(--soft)"))
        for part in balance.inputs:
            sheet.flows.append(Flow(part.key, _SITE, part.energy_j, sheet.fill(part)))
    for part in balance.parts:
        sheet.flow(source, part)
    return column


def _from_it(sheet: _Sheet, balance: Balance, parts: Iterable[Part]) -> None:
    """Add flows from IT to its parts; what IT lacks for the last ones comes from `more_it`."""
    left_j = sum(part.energy_j for part in balance.parts if part.key == "it")
    for part in parts:
        own_j = min(part.energy_j, max(left_j, 0.0))
        left_j -= part.energy_j
        if own_j > 0:
            sheet.flow("it", part, own_j)
        if balance.more_it is not None and part.energy_j > own_j:
            sheet.flow("more_it", part, part.energy_j - own_j)
