"""The days up to the end of a window: energy, tokens and J/token, as charts and as a table.

In: the rows by day. Out: plain values for the template.
"""

from __future__ import annotations

from typing import Any

from tokenergy_sql.catalog.namedrows import NamedRow
from tokenergy_sql.report import panels
from tokenergy_sql.report.facts import DAY_US, DayFacts
from tokenergy_sql.report.format import Cell, between, clean, compact, day, number, percent

_KWH = 1 / 3.6e6
_WORKLOADS = ("inference", "training")
_HOURS = 24


def day_values(facts: DayFacts) -> dict[str, Any]:
    """Return all values of the section by day."""
    there = [w for w in _WORKLOADS if any(row["workload"] == w for row in facts.workloads)]
    charts = (
        panels.trend_chart(facts.trend, DAY_US, workload, f"days-{workload}") for workload in there
    )
    return {
        "damage": clean(facts.damage),
        "workloads": there,
        "charts": list(zip(there, charts, strict=True)),
        "rows": [_row(facts, row, there) for row in reversed(facts.days)],
    }


def _row(facts: DayFacts, row: NamedRow, workloads: list[str]) -> dict[str, Any]:
    at_us = row["day_us"]
    return {
        "day": day(at_us),
        "hours": "" if row["hours"] == _HOURS else f"{row['hours']} h",
        "energy": number(row["energy_j"], "Nothing was metered.", scale=_KWH, digits=4),
        "coverage": percent(row["coverage"], "No GPU time was booked."),
        "cells": [cell for workload in workloads for cell in _cells(facts, at_us, workload)],
    }


def _cells(facts: DayFacts, at_us: int, workload: str) -> tuple[Cell, Cell, Cell, Cell]:
    """Return energy, tokens and J/token at both boundaries of a workload on a day."""
    sums = next(
        (r for r in facts.workloads if (r["day_us"], r["workload"]) == (at_us, workload)), {}
    )
    ratio = next((r for r in facts.trend if (r["step_us"], r["workload"]) == (at_us, workload)), {})
    none = f"No {workload} job ran." if not sums else "Energy and tokens are not both known."
    return (
        number(sums.get("energy_j"), none, scale=_KWH, digits=4),
        compact(sums.get("tokens"), none),
        _ratio(ratio, "gpu", none),
        _ratio(ratio, "facility", none),
    )


def _ratio(row: NamedRow, side: str, none: str) -> Cell:
    return between(row.get(side), row.get(f"{side}_low"), row.get(f"{side}_high"), none)
