"""Ratios of the tool: each must be the quotient that the docs give, of sums that were compared.

Rules: docs/index-definition.md, "Formulas", "Ratios", "Audit columns".
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from math import isclose
from typing import Any

Row = dict[str, Any]
J = 1_000_000_000
J_PER_KWH = 3.6e6
LEAST = 0.1
"""Joint coverage below which there is no ratio."""


def wrong_ratios(row: Row) -> Iterator[tuple[str, Any, Any]]:
    """Yield (name, what the tool says, what follows from its sums) of a job or an hour of one."""
    for name, right in _ratios(row).items():
        got = row[name]
        if got is None or right is None:
            if got is not right:
                yield name, got, right
        elif not isclose(got, right, rel_tol=1e-12):
            yield name, got, right
    for low, middle, high in (
        ("te_low", "tokenergy", "te_high"),
        ("te_gpu_low", "te_gpu_out" if row["n_generated"] else "te_train", "te_gpu_high"),
        ("te_gpu_low", "te_rss_low", "te_rss_high"),
        ("te_rss_low", "te_rss_high", "te_gpu_high"),
    ):
        known = [row[name] for name in (low, middle, high) if row[name] is not None]
        if any(a > b * (1 + 1e-12) for a, b in pairwise(known)):
            yield f"{low}, {middle}, {high}", known, sorted(known)


def _ratios(row: Row) -> Row:
    n, low, high = _tokens(row)
    trains, serves = bool(row["n_trained"]), bool(row["n_generated"])
    read = row["n_joint_prompt_computed"]
    cached = row["n_joint_prompt_cached"] or 0
    gpu = _over(row["e_joint_nj"], n)
    facility = _over(row["e_joint_facility_nj"], n)
    prompted = None if n is None or read is None else n + read
    burdened = _over(row["e_joint_facility_burdened_nj"], n)
    active, all_of_it = row["e_gpu_active_nj"], row["e_facility_nj"]
    return {
        "te_gpu_out": gpu if serves else None,
        "te_train": gpu if trains else None,
        "te_gpu_total": _over(row["e_joint_nj"], prompted and prompted + cached, serves),
        "te_gpu_total_uncached": _over(row["e_joint_nj"], prompted, serves),
        "tokenergy": facility,
        "te_gpu_low": _over(row["e_joint_low_nj"], high),
        "te_gpu_high": _over(row["e_joint_high_nj"], low),
        "te_low": _over(row["e_joint_facility_low_nj"], high),
        "te_high": _over(row["e_joint_facility_high_nj"], low),
        "te_rss_low": _over(row["e_joint_rss_low_nj"], high),
        "te_rss_high": _over(row["e_joint_rss_high_nj"], low),
        "te_gpu_burdened": _over(row["e_joint_burdened_nj"], n),
        "tokenergy_burdened": burdened if facility is not None else None,
        "tokens_per_kwh": J_PER_KWH / facility if facility else None,
        "boundary_ratio": all_of_it / active if active and all_of_it is not None else None,
        "coverage": _part(row["covered_us"], row["device_us"]),
        "joint_coverage": _part(row["joint_us"], row["device_us"]),
    }


def _tokens(row: Row) -> tuple[int | None, int | None, int | None]:
    """Return what ratios divide by, and its bounds; None where there is no ratio."""
    mixed = row["n_trained"] and any(
        row[f"n_{kind}"] for kind in ("generated", "prompt_computed", "prompt_cached")
    )
    joint = _part(row["joint_us"], row["device_us"])
    if not row["n_joint"] or mixed or (joint is not None and joint < LEAST):
        return None, None, None
    return row["n_joint"], row["n_joint_low"] or None, row["n_joint_high"]


def _over(energy_nj: int | None, tokens: int | None, there: bool = True) -> float | None:
    if energy_nj is None or not tokens or not there:
        return None
    return energy_nj / J / tokens


def _part(of_us: int | None, all_us: int) -> float | None:
    return of_us / all_us if all_us and of_us is not None else None
