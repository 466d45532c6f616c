"""How the PUE of a place is modelled, over time: what `[[pue_model]]` says.

In: the tables `[[pue_model]]`. Out: `PueModel` over time, or problems. Nothing is taken to be 0
because the file is silent.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

from tokenergy_sql.places.place import SITE, Place
from tokenergy_sql.places.placing import Entries, Structure, require_there
from tokenergy_sql.places.problems import Problems
from tokenergy_sql.places.puemodelkeys import PueModelKeys
from tokenergy_sql.places.timeline import Span, Timeline

_MW_PER_KW = 1_000_000


@dataclass(frozen=True, slots=True)
class Fixed:
    """A power that the site file declares.

    Attributes:
        power_mw: milliwatts, all the time.
        percent: how far it may be off; None: it is taken as exact, as every declared constant.
    """

    power_mw: int
    percent: Fraction | None


@dataclass(frozen=True, slots=True)
class PueModel:
    """How the PUE of a place is modelled, for the time of an entry.

    Attributes:
        where: how messages call the entry.
        place: the site or a hall.
        losses: None: of the curves and pairs of meters in the place; else declared.
        cooling: `metered`, `modelled`, or declared.
        cooling_percent: how far the modelled cooling may be off; None: not told.
        other: all that no meter shows.
    """

    where: str
    place: Place
    losses: Fixed | None
    cooling: Literal["metered", "modelled"] | Fixed
    cooling_percent: Fraction | None
    other: Fixed


def models_of(entries: Entries[PueModelKeys]) -> dict[str, Timeline[PueModel]]:
    """Return the models over time, by place."""
    return {
        name: Timeline(
            Span(span.from_us, span.until_us, _model(span.value.where, span.value.keys))
            for span in timeline.spans
        )
        for name, timeline in entries.items()
    }


def _model(where: str, keys: PueModelKeys) -> PueModel:
    losses, cooling = keys.losses_kw, keys.cooling_kw
    return PueModel(
        where,
        keys.place,
        None if losses is None else _fixed(losses, keys.losses_accuracy_percent),
        keys.cooling or _fixed(cooling or 0.0, keys.cooling_accuracy_percent),
        keys.cooling_accuracy_percent,
        _fixed(keys.other_kw, keys.other_accuracy_percent),
    )


def _fixed(power_kw: float, percent: Fraction | None) -> Fixed:
    return Fixed(round(power_kw * _MW_PER_KW), percent)


def check_models(
    models: dict[str, Timeline[PueModel]], structure: Structure, problems: Problems
) -> None:
    """Add models of places that are not there for all their time."""
    for timeline in models.values():
        for span in timeline.spans:
            place = span.value.place
            if place != SITE:
                time, known = (span.from_us, span.until_us), structure.of_kind(place.kind)
                require_there(span.value.where, time, place.kind, place.name, known, problems)
