"""Where the energy went: the flows from meters to accounts to jobs, as a picture and as tables.

In: facts and marks. Out: plain values for the template. Flows are booked energy; time whose energy
is not known has no flow and is described in a sentence.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from typing import Any

from tokenergy_sql.report import palette
from tokenergy_sql.report.facts import Facts
from tokenergy_sql.report.format import (
    Cell,
    between,
    counted,
    energy_unit,
    length,
    number,
    significant,
)
from tokenergy_sql.report.meanings import ACCOUNTS, METERS
from tokenergy_sql.report.palette import Mark
from tokenergy_sql.report.sankey import Flow, Node, sankey

MOST_JOBS = 12
WIDTHS_PX = (1180, 340)
"""Of the two drawings: for a screen, and for a phone."""

_HELD = ("active", "resident_idle")
_OTHERS = "other"


def energy_values(facts: Facts, marks: dict[str, Mark]) -> dict[str, Any] | None:
    """Return all values of the energy page; None if nothing was booked."""
    total_j = sum(row["energy_j"] or 0.0 for row in facts.accounts)
    if total_j <= 0:
        return None
    unit, scale = energy_unit(total_j)
    nodes, flows = _diagram(facts, marks, lambda j: f"{significant(j * scale)} {unit}")
    return {
        "unit": unit,
        "total": number(total_j, scale=scale, digits=4),
        "drawings": [sankey(nodes, flows, width) for width in WIDTHS_PX],
        "accounts": _accounts(facts, total_j, unit, scale),
        "jobs": _jobs(facts, marks, total_j, scale),
        "gap": _gap(facts, unit, scale),
        "bar": _bar(facts, total_j),
    }


def _diagram(
    facts: Facts, marks: dict[str, Mark], show_energy: Callable[[float], str]
) -> tuple[list[Node], list[Flow]]:
    """Return nodes and flows; energies of both ends of a flow are the same, so columns balance."""
    top = set(_top(facts, marks))
    first: dict[tuple[str, str], float] = defaultdict(float)
    second: dict[tuple[str, str], float] = defaultdict(float)
    for row in facts.accounts:
        if row["energy_j"]:
            first[row["meter"], row["account"]] += row["energy_j"]
            if row["job_id"] is not None:
                job = row["job_id"] if row["job_id"] in top else None
                second[row["account"], f"job:{job}" if job else _OTHERS] += row["energy_j"]
    flows = [Flow(f"meter:{m}", a, j, palette.ACCOUNTS[a]) for (m, a), j in first.items()]
    colors = {f"job:{job_id}": marks[job_id].color for job_id in top}
    flows += [Flow(a, job, j, colors.get(job, palette.OTHER)) for (a, job), j in second.items()]
    return _nodes(facts, marks, flows, show_energy), flows


def _nodes(
    facts: Facts, marks: dict[str, Mark], flows: list[Flow], show_energy: Callable[[float], str]
) -> list[Node]:
    """Return the nodes that have a flow, with their energies."""
    energy: dict[str, float] = defaultdict(float)
    for flow in flows:
        if flow.source.startswith("meter:"):
            energy[flow.source] += flow.energy_j
            energy[flow.target] += flow.energy_j
        else:
            energy[flow.target] += flow.energy_j
    others = counted(len(_held(facts)) - MOST_JOBS, "other job")
    top = _top(facts, marks)
    candidates = [
        *((f"meter:{meter}", 0, name, "var(--soft)") for meter, name in METERS.items()),
        *((a, 1, a.replace("_", " "), color) for a, color in palette.ACCOUNTS.items()),
        *((f"job:{j}", 2, marks[j].label, marks[j].color) for j in top),
        (_OTHERS, 2, others, palette.OTHER),
    ]
    return [
        Node(key, column, label, show_energy(energy[key]), color)
        for key, column, label, color in candidates
        if key in energy
    ]


def _held(facts: Facts) -> dict[str, dict[str, float]]:
    """Return the energy by account (J) of each job that has any."""
    held: dict[str, dict[str, float]] = defaultdict(lambda: dict.fromkeys(_HELD, 0.0))
    for row in facts.accounts:
        if row["job_id"] is not None and row["energy_j"]:
            held[row["job_id"]][row["account"]] += row["energy_j"]
    return held


def _top(facts: Facts, marks: dict[str, Mark]) -> list[str]:
    held = _held(facts)
    return [job_id for job_id in marks if job_id in held][:MOST_JOBS]


def _jobs(
    facts: Facts, marks: dict[str, Mark], total_j: float, scale: float
) -> list[tuple[Mark, Cell, Cell, Cell, Cell]]:
    """Return active, idle and total energy and the share of the largest jobs, and of the others."""
    held, top = _held(facts), _top(facts, marks)
    rest = [parts for job_id, parts in held.items() if job_id not in top]
    lines = [(marks[job_id], held[job_id]) for job_id in top]
    if rest:
        name = counted(len(rest), "other job")
        sums = {account: sum(parts[account] for parts in rest) for account in _HELD}
        lines.append((Mark(name, name, palette.OTHER), sums))
    return [
        (
            mark,
            number(parts["active"], scale=scale),
            number(parts["resident_idle"], scale=scale),
            number(sum(parts.values()), scale=scale),
            number(100 * sum(parts.values()) / total_j),
        )
        for mark, parts in lines
    ]


def _accounts(
    facts: Facts, total_j: float, unit: str, scale: float
) -> list[tuple[str, str, Cell, Cell, str]]:
    """Return colour, name, energy with bounds, share in percent and GPU time of each account."""
    found = []
    for account, name in ACCOUNTS.items():
        rows = [row for row in facts.accounts if row["account"] == account]
        metered = [row["energy_j"] for row in rows if row["energy_j"] is not None]
        low_j, high_j = (sum(row[end] for row in rows) for end in ("low_j", "high_j"))
        if rows:
            energy_j = sum(metered) if metered else None
            ends = " to ".join(significant(end * scale) for end in (low_j, high_j))
            why = f"No meter covered this time; its energy is from {ends} {unit}."
            share = None if energy_j is None else 100 * energy_j / total_j
            found.append(
                (
                    palette.ACCOUNTS[account],
                    name,
                    between(energy_j, low_j, high_j, why, scale=scale),
                    number(share, why),
                    length(sum(row["device_us"] for row in rows)),
                )
            )
    return found


def _bar(facts: Facts, total_j: float) -> list[tuple[str, str, float, str]]:
    """Return colour, name, share (0 to 1) and share as text of each account with energy."""
    found = []
    for account, color in palette.ACCOUNTS.items():
        energy_j = sum(r["energy_j"] or 0.0 for r in facts.accounts if r["account"] == account)
        if energy_j:
            share = energy_j / total_j
            found.append((color, account.replace("_", " "), share, f"{significant(100 * share)} %"))
    return found


def _gap(facts: Facts, unit: str, scale: float) -> str:
    """Return a sentence: for how much time the energy is not known, and its bounds."""
    gaps = [row for row in facts.accounts if row["account"] == "gap"]
    total_us = sum(row["device_us"] for row in facts.accounts)
    gap_us = sum(row["device_us"] for row in gaps)
    if not gap_us:
        return "There are no gaps: the energy of all metered GPU time is known."
    low, high = (significant(sum(row[end] for row in gaps) * scale) for end in ("low_j", "high_j"))
    return (
        f"For {length(gap_us)} of GPU time ({significant(100 * gap_us / total_us)} % of all) the "
        f"energy is not known, because neither samples nor a counter cover it. It is between {low} "
        f"and {high} {unit}. The figures above leave it out; only their upper bounds include it."
    )
