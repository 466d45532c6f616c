"""How far off a ratio of two energies may be because of the meters.

In: what each board metered on both sides. Out: the least and the most of true ratio over metered
ratio.

A meter shows P (1 + g) + o. A card's g and o are the same in all hours. So they cancel where the
same card metered both sides with the same meter, and to that part only: of two cards nothing says
that they err alike. The bounds are exact: the ratio of two sums that are linear in each card's
error is most where each error is at one of its limits, and which limit follows from the ratio
itself (Dinkelbach's method). Where the two meters of a card dispute, either may be right, the same
one on both sides: the bounds hold both. Errors at the edges of jobs and of bridged gaps, and time
that a sensor does not measure, cancel nowhere.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from tokenergy_sql.catalog.namedrows import NamedRow

_PPM = 1e6
_STEPS = 100

_SUMS = ("energy_nj", "device_us", "plain_nj", "plain_us", "low_nj", "high_nj", "other_nj")
_SIDES = ("low", "high")
_LIMITS = ("gain_low_ppm", "gain_high_ppm", "offset_low_mw", "offset_high_mw")


@dataclass(frozen=True, slots=True)
class Card:
    """What a meter showed of one side, and how far off it may be, both as shares.

    Attributes:
        share: of the side's energy.
        low, high: true over metered energy, as far as the meter's own error goes.
        rest: by how much more it may be off, either way.
        other: energy if its samples are right where they dispute the counter, over that booked.
    """

    share: float
    low: float
    high: float
    rest: float
    other: float = 1.0


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
        energy, plain = self.sums["energy_nj"], self.sums["plain_nj"]
        low, high = self.sums["low_nj"], self.sums["high_nj"]
        share = energy / total_nj
        if self.limits is None:
            return Card(share, low / energy, high / energy, 0.0)
        own_low, own_high = self._own(energy, self.sums["device_us"])
        plain_low, plain_high = self._own(plain, self.sums["plain_us"])
        rest = max(plain_low * plain - low, high - plain_high * plain, 0.0) / energy
        return Card(share, own_low, own_high, rest, (plain + self.sums["other_nj"]) / energy)

    def _own(self, energy_nj: int, time_us: int) -> tuple[float, float]:
        """Return the least and the most of true over metered energy, by gain and offset."""
        if self.limits is None or energy_nj <= 0:
            return 1.0, 1.0
        # mW x us = nJ. The offset is taken off before the gain.
        low, high = (self.limits[f"offset_{side}_mw"] * time_us / energy_nj for side in _SIDES)
        gains = self.limits["gain_low_ppm"] / _PPM, self.limits["gain_high_ppm"] / _PPM
        return max(1 - high, 0.0) * gains[0], (1 - low) * gains[1]


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


_Vertices = list[tuple[float, float]]
"""What a card may add above and below the line: where its errors are at their limits."""


def _most(above: Mapping[str, Card], below: Mapping[str, Card]) -> float | None:
    """Return the most that the energy above the line may be over that below; None: no limit."""
    cards = [_vertices(above.get(key), below.get(key)) for key in sorted({*above, *below})]
    if not above or not below:
        return None  # no meter says anything of one side
    ratio = 1.0
    for _ in range(_STEPS):
        chosen = [max(one, key=lambda sums: sums[0] - ratio * sums[1]) for one in cards]
        num, den = (sum(part) for part in zip(*chosen, strict=True))
        if den <= 0:
            return None
        if abs(num / den - ratio) < 1e-12 * ratio:
            break
        ratio = num / den
    return ratio


def _vertices(above: Card | None, below: Card | None) -> _Vertices:
    known = below or above
    if known is None:
        raise ValueError("a card of neither side")
    differ = 0.0
    if above is not None and below is not None:
        # An offset weighs more at low power: the two sides of one card differ by no more than this.
        differ = max(abs(above.low - below.low), abs(above.high - below.high))
    return [
        (
            above.share * (error * other[0] + above.rest + differ) if above else 0.0,
            below.share * (error * other[1] - below.rest) if below else 0.0,
        )
        for error in (known.low, known.high)
        for other in ((1.0, 1.0), (_other(above), _other(below)))
    ]


def _other(card: Card | None) -> float:
    return 1.0 if card is None else card.other
