"""Places and meters of a site over time: the tables of the site file, checked as a whole.

In: the tables as `keys.py` has them, and where the file declares a PUE. Out: `Places`, or an error
with one line for each problem.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from tokenergy_collectors.base.instants import END_US, FIRST_US
from tokenergy_sql.places.circuits import check_circuits
from tokenergy_sql.places.feeding import check_meters, check_within
from tokenergy_sql.places.keys import PlaceKeys
from tokenergy_sql.places.losses import DeclaredPue, Loss, check_losses, check_pues, losses_of
from tokenergy_sql.places.meters import Meters
from tokenergy_sql.places.placing import Structure, entries_of, structure_of
from tokenergy_sql.places.problems import Problems
from tokenergy_sql.places.puemodels import PueModel, check_models, models_of
from tokenergy_sql.places.timeline import Timeline
from tokenergy_sql.places.tree import Tree, tree_at


@dataclass(frozen=True)
class Places:
    """The places, the meters and the declared losses of a site, over time.

    Attributes:
        structure: what stood where when.
        meters: the meters over time.
        losses: declared losses by name, over time.
        pue_models: how PUEs are modelled, by place, over time.
        rated_mw: what the whole site is rated for, milliwatts; None: not declared.
    """

    structure: Structure = field(default_factory=Structure)
    meters: Meters = field(default_factory=Meters)
    losses: dict[str, Timeline[Loss]] = field(default_factory=dict)
    rated_mw: int | None = None
    pue_models: dict[str, Timeline[PueModel]] = field(default_factory=dict)
    _edges: list[int] = field(init=False, repr=False, compare=False)
    _meter_edges: list[int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        plain: list[Timeline[Any]] = [*self.structure.timelines(), *self.meters.by_id.values()]
        more: list[Timeline[Any]] = [*self.losses.values(), *self.pue_models.values()]
        # The class is frozen; this is worked out from the rest.
        object.__setattr__(self, "_edges", _edges([*plain, *more]))
        object.__setattr__(self, "_meter_edges", _edges(plain))

    def at(self, ts_us: int) -> Tree:
        """Return the places as of an instant (microseconds UTC)."""
        return tree_at(self.structure, ts_us)

    def era(self, ts_us: int) -> int:
        """Return the number of entries' edges up to an instant: nothing changes within an era."""
        return bisect_right(self._edges, ts_us)

    def losses_at(self, ts_us: int) -> list[Loss]:
        """Return the declared losses as of an instant (microseconds UTC)."""
        found = (timeline.at(ts_us) for timeline in self.losses.values())
        return [loss for loss in found if loss is not None]

    def pue_models_at(self, ts_us: int) -> list[PueModel]:
        """Return the models of PUEs as of an instant (microseconds UTC), by place."""
        found = (timeline.at(ts_us) for _, timeline in sorted(self.pue_models.items()))
        return [model for model in found if model is not None]

    def edges(self, from_us: int, until_us: int) -> list[int]:
        """Return the instants inside an interval at which an entry begins or ends, ascending.

        Between two of them, and up to the ends of the interval, no place, meter, loss or model of a
        PUE changes.
        The ends themselves are not among them.
        """
        return _inside(self._edges, from_us, until_us)

    def meter_edges(self, from_us: int, until_us: int) -> list[int]:
        """Return those of the instants at which an entry of a place or a meter begins or ends."""
        return _inside(self._meter_edges, from_us, until_us)


def _inside(edges: list[int], from_us: int, until_us: int) -> list[int]:
    return edges[bisect_right(edges, from_us) : bisect_left(edges, until_us)]


def _edges(timelines: Iterable[Timeline[Any]]) -> list[int]:
    found = {
        edge
        for timeline in timelines
        for span in timeline.spans
        for edge in (span.from_us, span.until_us)
    }
    return sorted(found - {FIRST_US, END_US})


def build(
    keys: PlaceKeys,
    file: str,
    pues: Sequence[DeclaredPue] = (),
    rated_kw: float | None = None,
) -> Places:
    """Return the places and meters that a site file declares.

    Args:
        keys: its tables.
        file: its name, for messages.
        pues: where and when it declares a PUE.
        rated_kw: what the whole site is rated for, if it says so.

    Raises:
        PlacesError: the tables contradict each other, or themselves.
    """
    problems = Problems()
    structure = structure_of(keys, problems)
    meters = Meters(entries_of("meter", keys.meter, problems), structure.node_names)
    losses = losses_of(entries_of("loss", keys.loss, problems))
    models = models_of(entries_of("pue_model", keys.pue_model, problems))
    check_meters(meters, structure, problems)
    check_circuits(meters, problems)
    check_losses(losses, meters, structure, problems)
    check_models(models, structure, problems)
    # What is in what can only be asked once every name is there, and once at a time.
    problems.raise_any(file)
    check_within(meters, structure, problems)
    check_pues(losses, structure, pues, models, problems)
    problems.raise_any(file)
    rated_mw = None if rated_kw is None else round(rated_kw * 1_000_000)
    return Places(structure, meters, losses, rated_mw, models)
