"""The page of storage studies as values for its template.

In: the rows. Out: plain values; names are cleaned here and escaped by the template.
"""

from __future__ import annotations

from typing import Any

from tokenergy_sql.catalog.namedrows import NamedRow
from tokenergy_sql.report.format import (
    Cell,
    clean,
    clock,
    day,
    energy_unit,
    number,
    percent,
    significant,
)
from tokenergy_sql.report.storage.charts import course_charts, sweep_chart
from tokenergy_sql.report.storage.facts import StorageFacts

_KW = 1e-6
_WHOLE_PPM = 1_000_000
_REASONS = {
    "peak_below_mean": "The mean load is above the peak limit: no store helps.",
    "no_store_suffices": "No store keeps these limits on this load.",
    "not_solved": "The program did not solve; study a shorter span.",
    "ramp_below_period": "The sensors do not show ramps over so short a step.",
    "no_run": "No two cells in a row are known.",
}
MEANINGS = {
    **_REASONS,
    "wide_gap": "The sizes are proven to a thousandth alone.",
    "gaps": "The load is not known all the time; each known run was studied for itself.",
    "step_below_period": "A cell is shorter than the period of the sensors.",
    "parts_incomplete": "Some devices are in none of the parts.",
    "devices_changed": "Other devices were read from some time on; the load was divided there.",
    "unmetered_devices": "Some devices have no readings; the load is that of the others.",
    "not_metered": "No device was read.",
    "no_cells": "No cell is known.",
    "shared_estimate": "A device's power is split by declared shares.",
}


def storage_values(facts: StorageFacts | None) -> dict[str, Any] | None:
    """Return all values of the page; None if there is none."""
    if facts is None:
        return None
    most = max((float(row["causal_energy_nj"] or 0) for row in facts.studies), default=0.0)
    unit, scale = energy_unit(most / 1e9)
    return {
        "unit": unit,
        "studies": [_study(row, scale) for row in facts.studies],
        "left_out": int(facts.studies[0]["total"]) - len(facts.studies),
        "pooled": any(row["parts"] for row in facts.studies),
        "drawn": [_drawn(facts, row, place) for place, row in enumerate(facts.drawn)],
    }


def _study(row: NamedRow, scale: float) -> dict[str, Any]:
    """Return a line of the table."""
    codes = [code for code in row["reason_codes"].split(",") if code]
    why = next((_REASONS[code] for code in codes if code in _REASONS), "It was not told.")
    return {
        "name": f"{row['kind']} {clean(row['group_id'])}",
        "span": f"{day(row['from_us'])} {clock(row['from_us'])[:5]} – {_until(row)}",
        "limits": limits_text(row),
        "energy": _energy(row["optimal_energy_nj"], scale, why),
        "power": number(row["optimal_power_mw"], why, scale=_KW),
        "rule_energy": _energy(row["causal_energy_nj"], scale, why),
        "rule_power": number(row["causal_power_mw"], why, scale=_KW),
        "cycles": number(row["full_cycles_per_day"], why),
        "lost": _energy(row["loss_nj"], scale, why),
        "pooling": number(row["pooling_energy"], _why_not_pooled(row)),
        "known": percent(row["coverage"]),
        "codes": [(code, MEANINGS.get(code, code)) for code in codes],
        "boundary": row["boundary"],
    }


def _energy(energy_nj: Any, scale: float, why: str) -> Cell:
    return number(None if energy_nj is None else float(energy_nj) / 1e9, why, scale=scale)


def _why_not_pooled(row: NamedRow) -> str:
    if row["parts"]:
        return "The whole needs no store, or a size is not known."
    return "It was not compared with one store for each part: use --split."


def _until(row: NamedRow) -> str:
    same = day(row["from_us"]) == day(row["until_us"])
    return f"{'' if same else day(row['until_us']) + ' '}{clock(row['until_us'])[:5]}"


def limits_text(row: NamedRow) -> str:
    """Return what was asked: limits, efficiency, reserve."""
    said = []
    if row["ramp_mw_s"] is not None:
        said.append(f"ramps ≤ {significant(row['ramp_mw_s'] * _KW)} kW/s")
    if row["peak_mw"] is not None:
        said.append(f"peak ≤ {significant(row['peak_mw'] * _KW)} kW")
    if row["charge_ppm"] < _WHOLE_PPM:
        said.append(f"{significant(row['charge_ppm'] / 1e4)} % each way")
    if row["c_rate"] is not None:
        said.append(f"at most {significant(row['c_rate'])} C")
    if row["reserve_nj"]:
        said.append(f"{significant(float(row['reserve_nj']) / 3.6e15)} kWh in reserve")
    return ", ".join(said)


def _drawn(facts: StorageFacts, row: NamedRow, place: int) -> dict[str, Any]:
    """Return the heading and the charts of one study."""
    study, name = row["study_id"], f"storage-{place}"
    return {
        "name": f"{row['kind']} {clean(row['group_id'])}",
        "limits": limits_text(row),
        "sweep": sweep_chart(row, facts.sweeps.get(study, []), f"{name}-sweep"),
        "courses": course_charts(facts.courses.get(study, []), name),
    }
