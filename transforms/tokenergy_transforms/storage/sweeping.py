"""Sizes of a store side by side: what the rule reaches behind each.

In: a study. Out: rows of `storage_sweep`, ten energies by ten powers, from half of what the optimum
needs to a quarter more than what the rule needs.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tokenergy_transforms.storage import causal
from tokenergy_transforms.storage.rows import nanojoules
from tokenergy_transforms.storage.study import Study
from tokenergy_transforms.storage.wanted import Limits

ENERGIES = POWERS = 10
_LESS, _MORE = 0.5, 1.25
_WITHIN = 1e-9


def sweep_rows(row: dict[str, Any], study: Study, limits: Limits) -> list[dict[str, Any]]:
    """Return the sweep of a study; none if its load needs no store."""
    if study.energy_j <= 0:
        return []
    need = study.rule
    energies = np.geomspace(study.energy_j * _LESS, need.energy_j * _MORE, ENERGIES)
    least = min(study.power_w, need.power_w)
    powers = np.linspace(least * _LESS, need.power_w * _MORE, POWERS)
    energy, power = (one.ravel() for one in np.meshgrid(energies, powers, indexing="ij"))
    runs = [plan.run.load_w for plan in study.plans]
    found = causal.sweep(runs, need.rule, (energy, power), need.start_share)
    kept = np.ones(len(energy), np.bool_)
    if limits.ramp_w_s is not None:
        # A difference of two powers is known to the rounding of the powers.
        most = limits.ramp_w_s * (1 + _WITHIN) + 1e-12 * found.peak_w / need.rule.step_s
        kept &= found.ramp_w_s <= most
    if limits.peak_w is not None:
        kept &= found.peak_w <= limits.peak_w * (1 + _WITHIN)
    return [
        {
            "from_us": row["from_us"],
            "study_id": row["study_id"],
            "energy_nj": nanojoules(float(energy[i])),
            "power_mw": float(power[i]) * 1e3,
            "reached_ramp_mw_s": float(found.ramp_w_s[i]) * 1e3,
            "reached_peak_mw": float(found.peak_w[i]) * 1e3,
            "kept": bool(kept[i]),
        }
        for i in range(len(energy))
    ]
