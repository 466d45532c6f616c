"""Learns a model of hosts from the hours in which their nodes were metered.

In: rows of `host_hour`. Out: a `Fitted`: the model, and how far it was off in hours from which it
had not learned. See `hosting.modelled` for what the model says, docs/host-energy.md for how to use
it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from itertools import chain, combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tokenergy_collectors.lake.contract import HOUR_US
from tokenergy_sql.hosting.host import WHOLE_PPM
from tokenergy_sql.hosting.modelled import Model

Floats = NDArray[np.float64]

LEAST_HOURS = 48
"""Node-hours that a model is learned from, at least."""

_LEAST_WATCHED_US = HOUR_US * 9 // 10
_TAUGHT = 0.7
"""The part of the hours that teaches when a model is tried on the rest."""

_BLOCKS = 5
_LEAST_NODES = 3
_QUANTILE = 0.99
_MARGIN = 1.1
"""Bounds hold so many of the errors in hours that taught nothing, and a tenth more."""

_WIDER = 0.1
"""By so much of its width is the range wider in which a model is used than where it learned."""

_COLUMNS = 3


@dataclass(frozen=True)
class Hours:
    """Metered hours of nodes: mean powers in mW, one entry a node and hour.

    Attributes:
        node: number of the node.
        hour_us: start of the hour.
        cpu_mw, gpu_mw: of its processors and its boards.
        host_mw, low_mw, high_mw: of its host, as measured, and the bounds of that.
        processors: whether those are known.
        accurate: whether the bounds are known; else they are the value.
    """

    node: NDArray[np.int64]
    hour_us: NDArray[np.int64]
    cpu_mw: Floats
    gpu_mw: Floats
    host_mw: Floats
    low_mw: Floats
    high_mw: Floats
    processors: bool
    accurate: bool

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self.node)

    def where(self, mask: NDArray[np.bool_]) -> Hours:
        """Return some of them."""
        return replace(
            self,
            node=self.node[mask],
            hour_us=self.hour_us[mask],
            cpu_mw=self.cpu_mw[mask],
            gpu_mw=self.gpu_mw[mask],
            host_mw=self.host_mw[mask],
            low_mw=self.low_mw[mask],
            high_mw=self.high_mw[mask],
        )


@dataclass(frozen=True)
class Fitted:
    """A model, and how it did in the last hours, learned from those before.

    Attributes:
        model: learned from all hours.
        hours, nodes: how many it was learned from.
        errors_mw: measured less modelled, in the hours that it was tried on.
        inside: the part of those hours in which what was measured is within the bounds, without
            what that may be off itself.
        processors, accurate: see `Hours`.
    """

    model: Model
    hours: int
    nodes: int
    errors_mw: Floats
    inside: float
    processors: bool
    accurate: bool


def hours_of(rows: Iterable[Mapping[str, Any]]) -> Hours:
    """Return the hours that can teach: measured throughout, and nearly whole.

    If some nodes show their processors and others do not, those that do not teach nothing.

    Args:
        rows: of `host_hour`.
    """
    metered = [
        row
        for row in rows
        if row["method"] == "measured"
        and row["covered_us"] == row["watched_us"] >= _LEAST_WATCHED_US
    ]
    processors = any(row["cpu_nj"] is not None for row in metered)
    if processors:
        metered = [row for row in metered if row["cpu_nj"] is not None]
    accurate = all(row["host_high_nj"] is not None for row in metered)
    places = {name: place for place, name in enumerate(sorted({r["node"] for r in metered}))}

    def mean(name: str) -> Floats:
        return np.array([int(r[name] or 0) / r["watched_us"] for r in metered], np.float64)

    host_mw = mean("host_nj")
    return Hours(
        np.array([places[row["node"]] for row in metered], np.int64),
        np.array([row["hour_us"] for row in metered], np.int64),
        mean("cpu_nj"),
        mean("boards_nj"),
        host_mw,
        mean("host_low_nj") if accurate else host_mw,
        mean("host_high_nj") if accurate else host_mw,
        processors,
        accurate,
    )


def fitted(hours: Hours) -> Fitted:
    """Return a model of hosts.

    Raises:
        ValueError: the hours are too few.
    """
    if len(hours) < LEAST_HOURS:
        raise ValueError(f"{len(hours)} node-hours were measured throughout: {LEAST_HOURS} needed")
    edge_us = np.quantile(hours.hour_us, _TAUGHT, method="lower")
    before, after = hours.where(hours.hour_us <= edge_us), hours.where(hours.hour_us > edge_us)
    tried, errors_mw = learned(before), np.zeros(0)
    inside = float("nan")
    if len(after):
        modelled_mw = _modelled(tried, after)
        errors_mw = after.host_mw - modelled_mw
        held = (errors_mw >= -tried.below_mw) & (errors_mw <= tried.above_mw)
        inside = float(held.mean())
    nodes = len(np.unique(hours.node))
    return Fitted(
        learned(hours), len(hours), nodes, errors_mw, inside, hours.processors, hours.accurate
    )


def learned(hours: Hours) -> Model:
    """Return the model that some hours teach, with the bounds of hours that taught nothing.

    With three nodes or more each is left out in turn, as the model is for nodes that no meter
    shows; with fewer, each fifth of the time is.
    """
    below_mw, above_mw = [], []
    for left_out in _left_out(hours):
        modelled_mw = _modelled(_least_squares(hours.where(~left_out)), hours.where(left_out))
        below_mw.append(modelled_mw - hours.host_mw[left_out])
        above_mw.append(hours.host_mw[left_out] - modelled_mw)
    return _least_squares(hours)._replace(
        below_mw=_most(below_mw), above_mw=_most(above_mw), input_ppm=_off_ppm(hours)
    )


def _off_ppm(hours: Hours) -> int:
    """Return how far what was measured may be off, of all that came into a node."""
    off_mw = np.maximum(hours.host_mw - hours.low_mw, hours.high_mw - hours.host_mw)
    return int(np.ceil(WHOLE_PPM * np.max(off_mw / (hours.host_mw + hours.gpu_mw))))


def _left_out(hours: Hours) -> list[NDArray[np.bool_]]:
    nodes = np.unique(hours.node)
    if len(nodes) >= _LEAST_NODES:
        return [hours.node == node for node in nodes]
    order = np.argsort(hours.hour_us, kind="stable")
    masks = []
    for block in np.array_split(order, _BLOCKS):
        mask = np.zeros(len(hours), np.bool_)
        mask[block] = True
        masks.append(mask)
    return masks


def _most(errors_mw: list[Floats]) -> int:
    most = np.quantile(np.concatenate(errors_mw), _QUANTILE, method="higher")
    return max(0, int(np.ceil(most * _MARGIN)))


def _least_squares(hours: Hours) -> Model:
    """Return the model with the least squares of errors of which no figure is negative."""
    columns = [np.ones(len(hours)), hours.cpu_mw, hours.gpu_mw]
    usable = [0, 1, 2] if hours.processors else [0, 2]
    subsets = chain.from_iterable(combinations(usable, n) for n in range(1, len(usable) + 1))
    best, least = np.zeros(_COLUMNS), np.inf
    for subset in subsets:
        matrix = np.stack([columns[k] for k in subset], axis=1)
        found, *_ = np.linalg.lstsq(matrix, hours.host_mw, rcond=None)
        squares = float(np.sum((matrix @ found - hours.host_mw) ** 2))
        if (found >= 0).all() and squares < least:
            best, least = np.zeros(_COLUMNS), squares
            best[[*subset]] = found
    cpu_ppm, gpu_ppm = (round(share * WHOLE_PPM) for share in best[1:].tolist())
    base_mw = round(float(best[0]))
    return Model(base_mw, cpu_ppm, gpu_ppm, 0, 0, 0, *_range(hours.cpu_mw), *_range(hours.gpu_mw))


def _range(power_mw: Floats) -> tuple[int, int]:
    least, most = float(power_mw.min()), float(power_mw.max())
    wider = (most - least) * _WIDER
    return max(0, int(least - wider)), int(np.ceil(most + wider))


def _modelled(model: Model, hours: Hours) -> Floats:
    shares = model.cpu_ppm * hours.cpu_mw + model.gpu_ppm * hours.gpu_mw
    found: Floats = model.base_mw + shares / WHOLE_PPM
    return found
