"""A group's filled grid as rows: one of `load_profile`, one a band of `load_spectrum`.

In: the group, its cells, the function that computes densities. Out: rows of the contract. This
module decides what the data support: which cells count, the highest frequency, the reason for every
NULL.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tokenergy_collectors.lake.contract import WHOLE_PPM
from tokenergy_transforms.loadprofile import figures, spectrum
from tokenergy_transforms.loadprofile.bandwidth import AVERAGE_US, interpolation_gain
from tokenergy_transforms.loadprofile.groups import Group

if TYPE_CHECKING:
    from tokenergy_transforms.loadprofile.alias import Verdict
    from tokenergy_transforms.loadprofile.cells import Grid

TOLERANCE = 0.005
"""How far an edge may be above the limit: periods and spacings are known to this accuracy."""

_LEAST_GAIN = 0.2

TableRow = dict[str, Any]


def period_us(group: Group) -> int:
    """Return the effective period of a group: the largest of its devices; 1 s if none was read.

    The slowest sensor sets it: what a fast one sees above that limit is not the group's load.
    """
    return max((m.pace.period_us for m in group.metered if m.pace), default=AVERAGE_US)


def limit_hz(group: Group, step_us: int) -> float:
    """Return the highest frequency that the readings of a group resolve: 1 / (2 period)."""
    return 0.5e6 / max(period_us(group), step_us)


@dataclass(slots=True)
class GroupRows:
    """A group's row of `load_profile`, its rows of `load_spectrum`, and the cells they are from."""

    profile: TableRow
    bands: list[TableRow]
    defined: figures.Bools

    def apply_verdict(self, verdict: Verdict) -> None:
        """Remove the dominant line and its band if the line is an image of a faster swing.

        If the readings cannot decide, the reason `may_alias` is added.
        """
        hz = self.profile["dominant_hz"]
        if hz is None or verdict == "real":
            return
        reason = "aliased" if verdict == "aliased" else "may_alias"
        reasons = {*filter(None, self.profile["reason_codes"].split(",")), reason}
        self.profile["reason_codes"] = ",".join(sorted(reasons))
        if verdict == "aliased":
            for name in self.profile:
                if name.startswith("dominant_"):
                    self.profile[name] = None
            for band in self.bands:
                if band["low_hz"] <= hz < band["high_hz"] and not band["reason"]:
                    band |= {"variance_mw2": None, "rms_mw": None, "reason": reason}


def group_rows(group: Group, grid: Grid, psd: spectrum.Psd) -> GroupRows:
    """Return the rows of a group whose grid is filled."""
    defined = known_cells(group, grid)
    cells, step_us = int(defined.sum()), grid.step_us
    shape = figures.shape(grid.energy_nj, defined, step_us)
    shortest_us = round(period_us(group) * (1 - TOLERANCE))
    ramps, reasons = figures.ramps(grid.energy_nj, defined, step_us, shortest_us)
    found = _spectrum(group, grid, defined, psd) if cells else None
    bands = spectrum.bands(found, limit_hz(group, step_us) * (1 + TOLERANCE))
    line = spectrum.dominant(found, shape["mean_mw"]) if found else None
    if group.metered:
        reasons |= {band.reason for band in bands if band.reason}
    reasons |= doubts(group, cells)
    if found and line is None:
        reasons.add("no_line")
    head = {"hour_us": grid.hour_us, "kind": group.kind, "group_id": group.group_id}
    tail = {"emulated": any(member.emulated for member in group.members)}
    profile = {
        **head,
        **_extent(group, grid, cells),
        **shape,
        **ramps,
        **_line_columns(line, shape["mean_mw"]),
        "segments": found.segments if found else 0,
        "resolution_hz": found and found.resolution_hz,
        "reason_codes": ",".join(sorted(reasons)),
        **tail,
        "as_of_us": max((m.pace.last_us for m in group.metered if m.pace), default=None),
    }
    of_bands = [{**head, **_band_columns(band, group), **tail} for band in bands]
    return GroupRows(profile, of_bands, defined)


def _extent(group: Group, grid: Grid, cells: int) -> TableRow:
    """Return the columns on what was added up: grid, devices, coverage, energy."""
    return {
        "step_us": grid.step_us,
        "period_us": period_us(group) if group.metered else None,
        "limit_hz": limit_hz(group, grid.step_us) if group.metered else None,
        "devices": len({member.key for member in group.members}),
        "metered": len({member.key for member in group.metered}),
        "cells": cells,
        "coverage": _coverage(group, grid),
        # Python's integers: an hour of a large site exceeds 64 bits.
        "energy_nj": sum(grid.energy_nj.tolist()),
    }


def _line_columns(line: spectrum.Line | None, mean_mw: float | None) -> TableRow:
    """Return the columns of the dominant line, NULL if there is none."""
    swing_share = None
    if line is not None and mean_mw is not None:
        swing_share = 2 * line.amplitude_mw / mean_mw
    return {
        "dominant_hz": line and line.frequency_hz,
        "dominant_period_s": line and 1 / line.frequency_hz,
        "dominant_amplitude_mw": line and line.amplitude_mw,
        "dominant_swing_share": swing_share,
        "dominant_share": line and line.share,
    }


def _band_columns(band: spectrum.Band, group: Group) -> TableRow:
    return {
        "low_hz": band.low_hz,
        "high_hz": band.high_hz,
        "variance_mw2": band.variance_mw2,
        "rms_mw": None if band.variance_mw2 is None else float(np.sqrt(band.variance_mw2)),
        "reason": band.reason if group.metered else "not_metered",
    }


def known_cells(group: Group, grid: Grid) -> figures.Bools:
    """Return which cells count: held throughout, with the power of each member known throughout."""
    held = np.zeros(len(grid.missing), np.bool_)
    for start_us, end_us in group.held():
        first = -(-(start_us - grid.hour_us) // grid.step_us)
        held[first : (end_us - grid.hour_us) // grid.step_us] = True
    if not group.metered:
        held[:] = False
    return held & ~grid.missing


def _spectrum(
    group: Group, grid: Grid, defined: figures.Bools, psd: spectrum.Psd
) -> spectrum.Spectrum | None:
    step_us = grid.step_us
    runs = spectrum.runs_of(grid.energy_nj / step_us, defined)
    cells, count = spectrum.segment_cells(runs, step_us)
    if not count:
        return None
    density = psd(runs, step_us / 1e6, cells)
    width = 1e6 / (cells * step_us)
    frequency: spectrum.F64 = np.arange(len(density), dtype=np.float64) * width
    paces = Counter((m.pace.hold_us, m.pace.spacing_us) for m in group.metered if m.pace)
    gain = spectrum.gain(frequency, interpolation_gain(frequency, paces), step_us)
    # Above the limit the gain falls to 0: dividing by it would only raise noise.
    resolved = frequency <= 1.2 * limit_hz(group, step_us)
    density = np.where(resolved, density / np.maximum(gain, _LEAST_GAIN) ** 2, density)
    return spectrum.Spectrum(density, width, count, limit_hz(group, step_us))


def _coverage(group: Group, grid: Grid) -> float:
    """Return covered time over held time, added over all members, with or without readings."""
    return grid.covered_us / max(sum(member.held_us for member in group.members), 1)


def doubts(group: Group, cells: int) -> set[str]:
    """Return the reasons that concern the group as a whole."""
    found = set()
    if not group.metered:
        found.add("not_metered")
    elif len(group.metered) < len(group.members):
        found.add("unmetered_devices")
    if group.metered and not cells:
        found.add("no_cells")
    if any(m.share_ppm != WHOLE_PPM or m.estimated for m in group.members):
        found.add("shared_estimate")
    return found
