"""How far off a ratio of two energies may be because of the meters.

In: what each board metered on both sides. Out: the least and the most of true ratio over metered
ratio.

A meter shows P (1 + g) + o. A card's g and o are the same in all hours. So they cancel where the
same card metered both sides with the same meter, and to that part only: of two cards nothing says
that they err alike. The bounds are exact: the ratio of two sums that are linear in each card's
error is most where each error is at one of its limits, and which limit follows from the ratio
itself (Dinkelbach's method). Errors at the edges of jobs, disputes and time that a sensor does not
measure cancel nowhere.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from tokenergy_sql.catalog.namedrows import NamedRow

_PPM = 1e6
_STEPS = 100

_SUMS = ("energy_nj", "low_nj", "high_nj", "device_us")
_LIMITS = ("gain_low_ppm", "gain_high_ppm", "offset_low_mw", "offset_high_mw")


@dataclass(frozen=True, slots=True)
class Card:
    """What a meter showed of one side, and how far off it may be, both as shares.

    Attributes:
        share: of the side's energy.
        low, high: true over metered energy, as far as the meter's own error goes.
        rest: by how much more it may be off, either way.
    """

    share: float
    low: float
    high: float
    rest: float


@dataclass
class _Sums:
    """Sums of a card's rows, and the widest limits of its meter; none: no single meter."""

    sums: dict[str, int] = field(default_factory=lambda: dict.fromkeys(_SUMS, 0))
    limits: dict[str, float] | None = None

    def add(self, row: NamedRow) -> None:
        for name in _SUMS:
            self.sums[name] += int(row[name])
        if row["meter"] is not None:
            widest = self.limits or {name: row[name] for name in _LIMITS}
            self.limits = {
                name: (min if "_low_" in name else max)(widest[name], row[name]) for name in _LIMITS
            }

    def card(self, total_nj: int) -> Card:
        energy = self.sums["energy_nj"]
        low, high = self.sums["low_nj"] / energy, self.sums["high_nj"] / energy
        share = energy / total_nj
        if self.limits is None:
            return Card(share, low, high, 0.0)
        # mW x us = nJ. The offset is taken off first.
        low_mw, high_mw = (self.limits[f"offset_{side}_mw"] for side in ("low", "high"))
        mean_mw = energy / max(self.sums["device_us"], 1)
        own_low = max(1 - high_mw / mean_mw, 0.0) * self.limits["gain_low_ppm"] / _PPM
        own_high = (1 - low_mw / mean_mw) * self.limits["gain_high_ppm"] / _PPM
        return Card(share, own_low, own_high, max(own_low - low, high - own_high, 0.0))


def cards_of(rows: Iterable[NamedRow], hours: set[tuple[str, int]], side: str) -> dict[str, Card]:
    """Return the cards of one side by their meters.

    Args:
        rows: of `cards.sql`.
        hours: job and hour of all samples that are compared.
        side: BASE or HEAD: where no single meter is behind the energy, nothing of it is the other
            side's too.
    """
    found: defaultdict[str, _Sums] = defaultdict(_Sums)
    for row in rows:
        if (row["job_id"], row["hour_us"]) in hours and row["energy_nj"] > 0:
            found[f"{row['device_id']} {row['meter'] or side}"].add(row)
    total_nj = sum(one.sums["energy_nj"] for one in found.values())
    return {key: one.card(total_nj) for key, one in found.items()}


def shared(base: Mapping[str, Card], head: Mapping[str, Card]) -> float:
    """Return the share of HEAD's energy that was metered by a meter of BASE's."""
    return sum((card.share for key, card in head.items() if key in base), 0.0)


def bounds_of(base: Mapping[str, Card], head: Mapping[str, Card]) -> tuple[float, float]:
    """Return the least and the most of (true HEAD / true BASE) over the metered ratio."""
    least, most = _most(base, head), _most(head, base)
    return 0.0 if least is None else 1 / least, float("inf") if most is None else most


@dataclass(frozen=True, slots=True)
class _Term:
    """One card in a ratio: its shares above and below, its error, what else may be off there."""

    above: float
    below: float
    low: float
    high: float
    more: float
    less: float


def _most(above: Mapping[str, Card], below: Mapping[str, Card]) -> float | None:
    """Return the most that the energy above the line may be over that below; None: no limit."""
    terms = [_term(above.get(key), below.get(key)) for key in sorted({*above, *below})]
    ratio = 1.0
    for _ in range(_STEPS):
        num = den = 0.0
        for one in terms:
            error = one.high if one.above > ratio * one.below else one.low
            num += one.above * error + one.more
            den += one.below * error - one.less
        if den <= 0:
            return None
        if abs(num / den - ratio) < 1e-12 * ratio:
            break
        ratio = num / den
    return ratio


def _term(above: Card | None, below: Card | None) -> _Term:
    if above is None and below is not None:
        return _Term(0.0, below.share, below.low, below.high, 0.0, below.share * below.rest)
    if below is None and above is not None:
        return _Term(above.share, 0.0, above.low, above.high, above.share * above.rest, 0.0)
    if above is None or below is None:
        raise ValueError("a card of neither side")
    # An offset weighs more at low power: the two sides of one card differ by no more than this.
    differ = max(abs(above.low - below.low), abs(above.high - below.high))
    return _Term(
        above.share,
        below.share,
        below.low,
        below.high,
        above.share * (above.rest + differ),
        below.share * below.rest,
    )
