"""The operator's declarations about the site: PUE, and the power of a node without its GPUs.

In: a TOML file. Out: the constants of each hour. Calibrations of single cards are in a file of
their own: see `calibration.py`. What indexed hours keep: see `sitehistory.py`. The table `[slo]`
says how long a request may take: see `slo.py`; `[[host_model]]` what a host draws beside its
processors: see `hostmodels.py`. What stands where and what is metered: see `tokenergy_sql.places`;
the building's figures of an hour follow from that: see `metering`. How places are cooled: see
`tokenergy_sql.cooling`; only a modelled PUE follows from it. Carbon, price and clean shares of the
grid: see `tokenergy_sql.signals`.

    [site]
    pue = 1.25          # facility energy over IT energy
    host_w = 900.0      # of one node: everything but the GPUs, including its share of the network
    rated_kw = 5000     # what the whole site may draw from the grid: see docs/modules.md
    [nodes.gpu-17]
    host_w = 1100.0     # another value for one node

    [[period]]          # from an hour on, until a later period says otherwise
    from = 2026-02-01T00:00:00Z
    pue = 1.2           # what a period does not name stays as it was
    [period.nodes.gpu-17]
    host_w = 1000.0
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeVar

from pydantic import Field

from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.base.instants import FIRST_US, is_instant
from tokenergy_collectors.base.strict import Strict, load_toml
from tokenergy_collectors.lake.contract import HOUR_US
from tokenergy_collectors.lake.nodenames import NodeNames
from tokenergy_sql.cooling.declared import Declared as DeclaredCooling
from tokenergy_sql.cooling.declared import declared_of
from tokenergy_sql.cooling.keys import CoolingKeys
from tokenergy_sql.cooling.puemodel import check_cooled
from tokenergy_sql.hosting.modelled import Model
from tokenergy_sql.index.calibration import Calibration, load_calibration
from tokenergy_sql.index.hostmodels import HostModelKeys, HostModels, models_by_node
from tokenergy_sql.index.slo import Slo, SloDeclared, merged
from tokenergy_sql.places import DeclaredPue, PlaceKeys, Places, build
from tokenergy_sql.signals.declared import DeclaredSignals, signals_of
from tokenergy_sql.signals.keys import SignalKeys

DEFAULT_NAME = "site.toml"
"""Name of the site file at the root of a lake, used if no other file is named."""

V = TypeVar("V")

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class NodeDeclared(Strict):
    """Constants of one node."""

    host_w: float = Field(ge=0, le=1_000_000)


class Declared(Strict):
    """Constants of the site; what is not given is unknown."""

    name: str | None = None
    pue: float | None = Field(default=None, ge=1, le=10)
    host_w: float | None = Field(default=None, ge=0, le=1_000_000)
    rated_kw: float | None = Field(default=None, gt=0, le=100_000_000)


class PeriodDeclared(Strict):
    """Constants from an hour on; what is not given stays as it was."""

    start: datetime = Field(alias="from")
    pue: float | None = Field(default=None, ge=1, le=10)
    host_w: float | None = Field(default=None, ge=0, le=1_000_000)
    nodes: dict[str, NodeDeclared] = Field(default_factory=dict)
    slo: SloDeclared = SloDeclared()


class SiteFile(PlaceKeys):
    """The whole file: the constants, and the tables of places and meters."""

    site: Declared = Declared()
    nodes: dict[str, NodeDeclared] = Field(default_factory=dict)
    slo: SloDeclared = SloDeclared()
    host_model: list[HostModelKeys] = Field(default_factory=list)
    period: list[PeriodDeclared] = Field(default_factory=list)
    cooling: list[CoolingKeys] = Field(default_factory=list)
    signal: list[SignalKeys] = Field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Constants:
    """The declared constants of an hour, in the units of the models; None: not declared."""

    pue_ppm: int | None
    host_mw: int | None
    node_host_mw: dict[str, int]
    slo: Slo = field(default_factory=dict)
    host_models: HostModels = field(default_factory=dict)

    def host_of(self, node: str) -> int | None:
        """Return the declared host power of a node in mW, if any."""
        return self.node_host_mw.get(node, self.host_mw)

    def of_nodes(self, nodes: Iterable[str]) -> dict[str, int]:
        """Return the host power of the nodes that have one of their own, by the nodes' names.

        The site file may call a node by its short or its full name.
        """
        return _by_alias(self.node_host_mw, nodes)

    def models_of(self, nodes: Iterable[str]) -> dict[str, Model]:
        """Return the models of those nodes' hosts that have one, by the nodes' names."""
        nodes = [*nodes]
        own = {node: figures for node, figures in self.host_models.items() if node}
        found = _by_alias(own, nodes)
        every = {node: found.get(node, self.host_models.get("")) for node in nodes}
        return {node: Model(**figures) for node, figures in every.items() if figures}

    def changed_by(self, period: Constants) -> Constants:
        """Return these constants with those that a period declares in their place."""
        return Constants(
            self.pue_ppm if period.pue_ppm is None else period.pue_ppm,
            self.host_mw if period.host_mw is None else period.host_mw,
            {**self.node_host_mw, **period.node_host_mw},
            merged(self.slo, period.slo),
            {**self.host_models, **period.host_models},
        )

    def completed_by(self, other: Constants) -> Constants:
        """Return these constants, and others only where these have none."""
        host_mw = other.host_mw if self.host_mw is None else self.host_mw
        # A node that had the value of all nodes keeps that.
        new = {
            node: other_mw
            for node, other_mw in other.node_host_mw.items()
            if self.host_of(node) is None and other_mw != host_mw
        }
        pue_ppm = other.pue_ppm if self.pue_ppm is None else self.pue_ppm
        # Limits belong together: an hour that has some gets no others.
        return Constants(
            pue_ppm,
            host_mw,
            {**self.node_host_mw, **new},
            self.slo or other.slo,
            self.host_models or other.host_models,
        )

    def in_order(self) -> Constants:
        """Return these constants with their nodes in order, so that equal ones read the same."""
        nodes = dict(sorted(self.node_host_mw.items()))
        models = dict(sorted(self.host_models.items()))
        return Constants(self.pue_ppm, self.host_mw, nodes, merged(self.slo, {}), models)


@dataclass(frozen=True, slots=True)
class Site:
    """The site file, in the units of the models, and the calibration of single cards.

    Attributes:
        pue_ppm, host_mw, node_host_mw, slo, host_models: without a date.
        calibration: of cards and boards.
        periods: (first hour, microseconds UTC; what it declares), ascending.
        places: what stands where, and what is metered.
        cooling: how places are cooled.
        signals: of the grid, and what they serve for.
    """

    pue_ppm: int | None
    host_mw: int | None
    node_host_mw: dict[str, int]
    calibration: Calibration = ()
    periods: tuple[tuple[int, Constants], ...] = ()
    slo: Slo = field(default_factory=dict)
    places: Places = field(default_factory=Places, compare=False)
    host_models: HostModels = field(default_factory=dict)
    cooling: DeclaredCooling = field(default_factory=DeclaredCooling, compare=False)
    signals: DeclaredSignals = field(default_factory=DeclaredSignals, compare=False)

    def undated(self) -> Constants:
        """Return the constants that have no date."""
        return Constants(self.pue_ppm, self.host_mw, self.node_host_mw, self.slo, self.host_models)

    def at(self, hour_us: int, before: Constants | None = None) -> Constants:
        """Return the constants of an hour.

        Args:
            hour_us: its start.
            before: used in place of those without a date.
        """
        constants = self.undated() if before is None else before
        for _, declared in self.periods[: self.periods_by(hour_us)]:
            constants = constants.changed_by(declared)
        return constants.in_order()

    def unknown_nodes(self, nodes: Iterable[str]) -> list[str]:
        """Return the nodes of the site file that are none of a lake's nodes."""
        declared = {*self.node_host_mw}.union(*(period.node_host_mw for _, period in self.periods))
        names = NodeNames(nodes, declared)
        return sorted(node for node in declared if not names.recorded(node))

    def periods_by(self, hour_us: int) -> int:
        """Return how many periods have begun by an hour."""
        return sum(from_us <= hour_us for from_us, _ in self.periods)


def load_site(path: Path | None, lake_root: Path) -> Site:
    """Load the site file named by the user, or else the lake's own, or else no constants.

    The lake's calibration file, if any, is loaded too.

    Raises:
        UserError: a file cannot be read or is invalid.
    """
    calibration = load_calibration(lake_root)
    if path is None:
        path = lake_root / DEFAULT_NAME
        if not path.exists():
            return Site(None, None, {}, calibration)
    file = load_toml(path, SiteFile)
    models = _models(file, path)
    places, cooling = _places(file, path)
    undated = _constants(file.site.pue, file.site.host_w, file.nodes, file.slo)
    periods = _periods(file, path)
    for start_us, of_date in models.items():
        if start_us is not None:
            before = periods.get(start_us, Constants(None, None, {}))
            periods[start_us] = replace(before, host_models=of_date)
    return Site(
        undated.pue_ppm,
        undated.host_mw,
        undated.node_host_mw,
        calibration,
        tuple(sorted(periods.items(), key=lambda one: one[0])),
        undated.slo,
        *(places, models.get(None, {}), cooling),
        signals_of(file.signal, str(path)),
    )


def load_places(path: Path) -> Places:
    """Load what a site file says stands where and is metered.

    Raises:
        UserError: the file cannot be read or is invalid.
        PlacesError: its places or meters contradict each other; it has a line for each problem.
    """
    file = load_toml(path, SiteFile)
    signals_of(file.signal, str(path))
    return _places(file, path)[0]


def load_cooling(path: Path) -> tuple[Places, DeclaredCooling]:
    """Load the places of a site file, and how they are cooled.

    Raises:
        UserError: the file cannot be read or is invalid.
        PlacesError: see `load_places`.
    """
    return _places(load_toml(path, SiteFile), path)


def _places(file: SiteFile, path: Path) -> tuple[Places, DeclaredCooling]:
    places = build(file, str(path), _pues(file, path), file.site.rated_kw)
    # A wrong table is told at once, not when somebody asks for the cooling.
    declared = declared_of(file.cooling, places, str(path))
    check_cooled(places, declared, str(path))
    return places, declared


def _pues(file: SiteFile, path: Path) -> list[DeclaredPue]:
    """Return where and when the file declares a PUE: once it does, it does so for ever."""
    if file.site.pue is not None:
        return [DeclaredPue("pue under [site]", FIRST_US)]
    starts = [_start_us(period.start, path) for period in file.period if period.pue is not None]
    return [DeclaredPue("pue under [[period]]", min(starts))] if starts else []


def _periods(file: SiteFile, path: Path) -> dict[int, Constants]:
    """Return what the tables [[period]] declare, by their first hour."""
    found = {
        _start_us(period.start, path): _constants(
            period.pue, period.host_w, period.nodes, period.slo
        )
        for period in file.period
    }
    if len(found) < len(file.period):
        raise UserError(f"{path}: two tables [[period]] have the same `from`: join them")
    return found


def _models(file: SiteFile, path: Path) -> dict[int | None, HostModels]:
    """Return the models of hosts by their first hour; None: without a date."""
    by_date: dict[int | None, list[HostModelKeys]] = {}
    for keys in file.host_model:
        start_us = None if keys.start is None else _start_us(keys.start, path)
        by_date.setdefault(start_us, []).append(keys)
    return {start_us: models_by_node(keys, str(path)) for start_us, keys in by_date.items()}


def _by_alias(declared: Mapping[str, V], nodes: Iterable[str]) -> dict[str, V]:
    """Return what is declared of nodes by all their names: the file may use either form."""
    names = NodeNames(nodes, declared)
    by_alias = {alias: value for node, value in declared.items() for alias in names.same(node)}
    return {**by_alias, **declared}


def _constants(
    pue: float | None, host_w: float | None, nodes: dict[str, NodeDeclared], slo: SloDeclared
) -> Constants:
    return Constants(
        pue_ppm=None if pue is None else round(pue * 1_000_000),
        host_mw=None if host_w is None else round(host_w * 1000),
        node_host_mw={name: round(node.host_w * 1000) for name, node in nodes.items()},
        slo=slo.by_model(),
    )


def _start_us(start: datetime, path: Path) -> int:
    """Return the start of a period; UTC if it has no offset.

    Raises:
        UserError: it is not the beginning of an hour: the books are kept by the hour.
    """
    moment = start if start.tzinfo else start.replace(tzinfo=UTC)
    start_us = (moment - _EPOCH) // timedelta(microseconds=1)
    if start_us % HOUR_US or not is_instant(start_us):
        raise UserError(
            f"{path}: period: from = {start.isoformat()}: expected the beginning of an hour in "
            "UTC, from 2000 to 2099, such as 2026-02-01T00:00:00Z"
        )
    return start_us
