"""A projection: what more modules of a type would draw, and the site with them.

In: histograms of the power of existing modules and of the site, PUE, a number of modules. Out: two
cases of four rows each. They are no measurement, and every row says so.

- `coincident`: all new modules do the same at the same time, and at the times at which the site
  draws its most: percentiles add up.
- `independent`: each draws what a module of the type drew at some time, whatever the others do: the
  distribution of the sum is the convolution of theirs. Its peak is what is exceeded in one cell of
  as many as were measured.

Modules that run one job together are near the first case, modules of many small jobs near the
second.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from tokenergy_collectors.base.errors import UserError
from tokenergy_sql.catalog.asking import AnyLake, ask
from tokenergy_sql.catalog.namedrows import NamedRow, named_rows
from tokenergy_sql.catalog.sqlfile import read_sql
from tokenergy_sql.terminal.modulefigures import Span, require_places
from tokenergy_sql.terminal.table import scaled

if TYPE_CHECKING:
    import duckdb

Array = np.ndarray[Any, np.dtype[Any]]

MOST_MODULES = 10_000
_STATEMENTS = ("moduleplan", "module_pue")
_STEPS = 4000
"""Steps of the linear grid on which distributions are convolved, from 0 to a module's peak."""
_MOST_STEPS = 8_000_000
_ROUNDING = 1e-9
"""What a Fourier transform may be off: below any probability that matters."""


Pue = tuple[float | None, str]
"""A PUE, and where it comes from."""


class Plan(NamedTuple):
    """What is to be added.

    Attributes:
        number: how many modules.
        type: of which type.
    """

    number: int
    type: str


class Drawn(NamedTuple):
    """A distribution of power.

    Attributes:
        watts: ascending: the upper edges of bins, the last one the peak.
        cells: how often each was drawn.
    """

    watts: Array
    cells: Array


class Draw(NamedTuple):
    """Percentiles, kW."""

    p50: float
    p99: float
    peak: float

    def plus(self, other: Draw) -> Draw:
        """Return both at once."""
        return Draw(*(a + b for a, b in zip(self, other, strict=True)))

    def times(self, factor: float) -> Draw:
        """Return so many of it."""
        return Draw(*(one * factor for one in self))


def plan_rows(lake: AnyLake, plan: Plan, span: Span) -> list[NamedRow]:
    """Return the projection: for each case what is added, and the site with it.

    Raises:
        UserError: the number is no number of modules, or no module of the type was measured.
    """
    if not 1 <= plan.number <= MOST_MODULES:
        raise UserError(f"--add {plan.number}: expected a number of modules, 1 to {MOST_MODULES}")
    statement, of_pue = (read_sql("tokenergy_sql.terminal", name) for name in _STATEMENTS)

    def read(con: duckdb.DuckDBPyConnection) -> list[NamedRow]:
        since_us, until_us = require_places(con, span)
        window = {"since": since_us, "until": until_us}
        drawn = named_rows(con, statement, window | {"type": plan.type})
        (found,) = named_rows(con, of_pue, window)
        declared = scaled(found["declared_ppm"], 1e6)
        pue = (found["measured"], "measured") if found["measured"] else (declared, "declared")
        rows = _rows(plan, {row["what"]: row for row in drawn}, pue)
        return [row | {"from_us": since_us, "to_us": until_us} for row in rows]

    return ask(lake, "modules", read, f"{statement} {of_pue} place_hour")


def _rows(plan: Plan, found: dict[str, NamedRow], pue: Pue) -> list[NamedRow]:
    module, site = found.get("type"), found.get("site")
    if module is None or not module["bins"]:
        types = found.get("known", {}).get("names") or "none"
        raise UserError(
            f"--type {plan.type!r}: no power of a module of this type is known in this span; types "
            f"with nodes: {types}"
        )
    one = _drawn(module)
    whole = _drawn(site) if site and site["bins"] else None
    common = {
        "projection": True,
        "number": plan.number,
        "type": plan.type,
        "modules": module["places"],
        "cells": int(one.cells.sum()),
        "method": module["method"],
        "pue": pue[0],
        "pue_method": pue[1] if pue[0] else None,
    }
    emulated = {"emulated": module["emulated"]}
    rated_kw = scaled(site["rated_mw"], 1e6) if site else None
    rows = []
    for case, (added, total) in cases(one, plan.number, whole).items():
        rows.append(common | _row(case, "added", added, pue[0], None) | emulated)
        rows.append(common | _row(case, "site with them", total, pue[0], rated_kw) | emulated)
    return rows


def _drawn(row: NamedRow) -> Drawn:
    watts = np.minimum(1.005 ** np.array(row["bins"], np.float64), row["peak_mw"] / 1000)
    return Drawn(watts, np.array(row["counts"], np.float64))


def cases(one: Drawn, number: int, site: Drawn | None) -> dict[str, tuple[Draw, Draw | None]]:
    """Return for each case what is added, and the site with it (None: the site is not known)."""
    alone = quantiles(one.watts, one.cells, one.cells.sum())
    coincident = alone.times(number)
    before = None if site is None else quantiles(site.watts, site.cells, site.cells.sum())
    step = one.watts[-1] / max(min(_STEPS, _MOST_STEPS // number), 1)
    several = convolved(_on_grid(one, step), number)
    together = None
    if site is not None:
        together = _convolve(several, _on_grid(site, step))
    cells = one.cells.sum()
    return {
        "coincident": (coincident, before and before.plus(coincident)),
        "independent": (
            _of_grid(several, step, cells),
            None if together is None else _of_grid(together, step, cells),
        ),
    }


def quantiles(watts: Array, weights: Array, cells: float) -> Draw:
    """Return the percentiles of ascending powers.

    Args:
        watts: the powers.
        weights: of them; any sum.
        cells: the peak is exceeded in less than one of so many cells.
    """
    upto = np.cumsum(weights) / weights.sum()

    def at(part: float) -> float:
        place = int(np.searchsorted(upto, part - _ROUNDING))
        return float(watts[min(place, len(watts) - 1)]) / 1000

    return Draw(at(0.5), at(0.99), at(1 - 0.5 / cells))


def _on_grid(drawn: Drawn, step_w: float) -> Array:
    """Return the probability of each multiple of a step."""
    places = np.rint(drawn.watts / step_w).astype(np.int64)
    found: Array = np.bincount(places, drawn.cells) / drawn.cells.sum()
    return found


def _of_grid(probability: Array, step_w: float, cells: float) -> Draw:
    return quantiles(np.arange(len(probability)) * step_w, probability, cells)


def convolved(probability: Array, number: int) -> Array:
    """Return the distribution of a sum of independent draws."""
    length = (len(probability) - 1) * number + 1
    size = 1 << (length - 1).bit_length()
    powers = np.fft.rfft(probability, size) ** number
    found: Array = np.clip(np.fft.irfft(powers, size)[:length], 0, None)
    found /= found.sum()
    return found


def _convolve(one: Array, other: Array) -> Array:
    length = len(one) + len(other) - 1
    size = 1 << (length - 1).bit_length()
    product = np.fft.rfft(one, size) * np.fft.rfft(other, size)
    found: Array = np.clip(np.fft.irfft(product, size)[:length], 0, None)
    found /= found.sum()
    return found


def _row(
    case: str, of: str, draw: Draw | None, factor: float | None, rated_kw: float | None
) -> NamedRow:
    site = None if draw is None or factor is None else draw.times(factor)
    row: NamedRow = {"case": case, "of": of}
    row |= {f"it_{name}_kw": None if draw is None else getattr(draw, name) for name in Draw._fields}
    row |= {
        f"site_{name}_kw": None if site is None else getattr(site, name) for name in Draw._fields
    }
    row["rated_kw"] = rated_kw
    for name in ("p99", "peak"):
        row[f"left_{name}_kw"] = None
        if rated_kw is not None and site is not None:
            row[f"left_{name}_kw"] = rated_kw - getattr(site, name)
    return row
