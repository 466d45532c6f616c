"""A load as rows: of `load_profile`, one a band of `load_spectrum`, one a swing of `load_swing`.

In: a group and its filled grid, or any load; the function that computes densities. Out: rows of the
contract. This module decides what the data support: which cells count, the highest frequency, the
reason for every NULL.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tokenergy_collectors.lake.contract import WHOLE_PPM
from tokenergy_transforms.loadprofile import figures, spectrum, swings
from tokenergy_transforms.loadprofile.bandwidth import AVERAGE_US
from tokenergy_transforms.loadprofile.groups import Group
from tokenergy_transforms.loadprofile.load import Load

if TYPE_CHECKING:
    from tokenergy_transforms.loadprofile.alias import Verdict
    from tokenergy_transforms.loadprofile.cells import Grid

TOLERANCE = 0.005
"""How far an edge may be above the limit: periods and spacings are known to this accuracy."""

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
    """Rows of a group: `load_profile`, `load_spectrum`, `load_swing`; the cells they are from."""

    profile: TableRow
    bands: list[TableRow]
    swings: list[TableRow]
    defined: figures.Bools

    def lines(self) -> list[tuple[float, list[int | None]]]:
        """Return what has to be checked: frequency, and the swings that are it; None: the line.

        A swing with the dominant line in its bins is that line. Harmonics are not checked: a swing
        that is real has real ones.
        """
        found: list[tuple[float, list[int | None]]] = []
        line_hz = self.profile["dominant_hz"]
        if line_hz is not None:
            found.append((line_hz, [None]))
        for place, row in enumerate(self.swings):
            if "harmonic" in row["reason_codes"]:
                continue
            near_hz = row["width_hz"] / 2 + row["resolution_hz"]
            if line_hz is not None and abs(row["seen_hz"] - line_hz) <= near_hz:
                found[0][1].append(place)
            else:
                found.append((row["seen_hz"], [place]))
        return found

    def apply_verdict(self, verdict: Verdict) -> None:
        """Remove the dominant line and its band if the line is an image of a faster swing.

        If the readings cannot decide, the reason `may_alias` is added.
        """
        hz = self.profile["dominant_hz"]
        if hz is None or verdict == "real":
            return
        reason = "aliased" if verdict == "aliased" else "may_alias"
        self._note(reason, hz)
        if verdict == "aliased":
            for name in self.profile:
                if name.startswith("dominant_"):
                    self.profile[name] = None

    def apply_to_swing(self, place: int, verdict: Verdict) -> None:
        """Remove the figures of a swing, and its band, if it is an image of a faster one."""
        if verdict == "real":
            return
        row = self.swings[place]
        reason = "aliased" if verdict == "aliased" else "may_alias"
        self._note(reason, row["seen_hz"])
        _add_reason(row, reason)
        if verdict == "aliased":
            for name in ("centre_hz", "width_hz", "rms_mw", "rms_share", "above_background"):
                row[name] = None

    def _note(self, reason: str, hz: float) -> None:
        _add_reason(self.profile, reason)
        if reason == "aliased":
            for band in self.bands:
                if band["low_hz"] <= hz < band["high_hz"] and not band["reason"]:
                    band |= {"variance_mw2": None, "rms_mw": None, "reason": reason}


def _add_reason(row: TableRow, reason: str) -> None:
    reasons = {*filter(None, row["reason_codes"].split(",")), reason}
    row["reason_codes"] = ",".join(sorted(reasons))


def group_rows(group: Group, grid: Grid, psd: spectrum.Psd) -> GroupRows:
    """Return the rows of a group whose grid is filled."""
    known = known_cells(group, grid)
    load = Load(
        grid.energy_nj,
        known,
        grid.step_us,
        period_us(group),
        limit_hz(group, grid.step_us),
        Counter((m.pace.hold_us, m.pace.spacing_us) for m in group.metered if m.pace),
    )
    extent = {
        "devices": len({member.key for member in group.members}),
        "metered": len({member.key for member in group.metered}),
        "coverage": _coverage(group, grid),
        "emulated": any(member.emulated for member in group.members),
        "as_of_us": max((m.pace.last_us for m in group.metered if m.pace), default=None),
    }
    head = {"hour_us": grid.hour_us, "kind": group.kind, "group_id": group.group_id}
    return load_rows(load, head, extent, doubts(group, int(known.sum())), psd)


def load_rows(
    load: Load, head: TableRow, extent: TableRow, doubted: set[str], psd: spectrum.Psd
) -> GroupRows:
    """Return the rows of a load.

    Args:
        load: its cells.
        head: the columns that name it.
        extent: devices, metered, coverage, emulated, as_of_us.
        doubted: reasons that concern it as a whole.
        psd: computes densities.
    """
    cells, metered = int(load.known.sum()), extent["metered"] > 0
    shape = figures.shape(load.energy_nj, load.known, load.step_us)
    shortest_us = round(load.period_us * (1 - TOLERANCE))
    ramps, reasons = figures.ramps(
        load.energy_nj, load.known, load.step_us, shortest_us, load.breaks
    )
    runs = load.runs() if cells else []
    found = load.spectrum(runs, psd) if cells else None
    bands = spectrum.bands(found, load.limit_hz * (1 + TOLERANCE))
    line = spectrum.dominant(found, shape["mean_mw"]) if found else None
    if metered:
        reasons |= {band.reason for band in bands if band.reason}
    reasons |= doubted
    if found and line is None:
        reasons.add("no_line")
    profile = {
        **head,
        "step_us": load.step_us,
        "period_us": load.period_us if metered else None,
        "limit_hz": load.limit_hz if metered else None,
        "cells": cells,
        "energy_nj": figures.total_nj(load.energy_nj),
        **shape,
        **ramps,
        **_line_columns(line, shape["mean_mw"]),
        "segments": found.segments if found else 0,
        "resolution_hz": found and found.resolution_hz,
        "reason_codes": ",".join(sorted(reasons)),
        **extent,
    }
    tail = {"emulated": extent["emulated"]}
    of_bands = [{**head, **_band_columns(band, metered), **tail} for band in bands]
    mean_mw = shape["mean_mw"] or 0.0
    of_swings = [
        {**head, **_swing_columns(swing, mean_mw), **tail}
        for swing in find_swings(load, runs, mean_mw, psd)
    ]
    return GroupRows(profile, of_bands, of_swings, load.known)


def find_swings(
    load: Load, runs: list[spectrum.F64], mean_mw: float, psd: spectrum.Psd
) -> list[swings.Swing]:
    """Return the swings of a load, ascending by frequency."""
    spectra = []
    for lengths_s, low_hz, high_hz in swings.SCALES:
        found = load.spectrum(runs, psd, lengths_s) if runs else None
        if found is not None and found.segments >= spectrum.ENOUGH_SEGMENTS:
            spectra.append((found, low_hz, high_hz))
    return swings.find(spectra, spectrum.ROUNDING * mean_mw)


def _swing_columns(swing: swings.Swing, mean_mw: float) -> TableRow:
    reasons = ["harmonic"] * swing.harmonic + ["narrow"] * swing.narrow
    return {
        "seen_hz": swing.centre_hz,
        "centre_hz": swing.centre_hz,
        "width_hz": swing.width_hz,
        "rms_mw": swing.rms_mw,
        "rms_share": swing.rms_mw / mean_mw if mean_mw else None,
        "above_background": swing.above,
        "resolution_hz": swing.resolution_hz,
        "segments": swing.segments,
        "reason_codes": ",".join(reasons),
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


def _band_columns(band: spectrum.Band, metered: bool) -> TableRow:
    return {
        "low_hz": band.low_hz,
        "high_hz": band.high_hz,
        "variance_mw2": band.variance_mw2,
        "rms_mw": None if band.variance_mw2 is None else float(np.sqrt(band.variance_mw2)),
        "reason": band.reason if metered else "not_metered",
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
