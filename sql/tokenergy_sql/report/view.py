"""The whole page as values for its template.

In: facts and the checks' findings. Out: a mapping that `page.html.j2` shows as it stands: the
template holds words and markup, and decides nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tokenergy_sql.checking import Finding
from tokenergy_sql.report import panels
from tokenergy_sql.report.facts import MOST_EVENTS, NAMED_JOBS, Facts, Row
from tokenergy_sql.report.format import (
    Cell,
    between,
    clean,
    clock,
    compact,
    counted,
    day,
    grouped,
    iso,
    length,
    number,
    significant,
    whole,
)
from tokenergy_sql.report.palette import marks
from tokenergy_sql.report.table import job_line, job_unit
from tokenergy_sql.report.words import METHODS, REASONS

_KWH = 1 / 3.6e6
_LEDGER_CHECKS = ("law", "ledger_is_complete", "bounds_hold")
_EXAMPLES = 3


def page_view(facts: Facts, findings: Sequence[Finding], title: str | None) -> dict[str, Any]:
    """Return all values of the page."""
    shown = marks(facts.jobs)
    unit, scale = job_unit(facts.jobs)
    only_day = _only_day(facts)
    lines = [job_line(job, shown[job["job_id"]], scale, only_day) for job in facts.jobs]
    return {
        "title": clean(title) if title else "TokEnergy report",
        "period": _period(facts),
        "emulated": facts.totals["emulated"],
        "figures": _figures(facts),
        "fleet": [_fleet(row) for row in facts.fleet],
        "ledger": _ledger_state(facts, findings),
        "checks": [_check(finding) for finding in findings],
        "unit": unit,
        "only_day": only_day,
        "jobs": lines,
        "reasons": _used(REASONS, [tag for line in lines for tag in line.reasons]),
        "methods": _used(METHODS, [tag for line in lines for tag in line.methods]),
        "intensity": [
            (workload, panels.intensity_chart(facts, shown, workload))
            for workload in ("inference", "training")
        ],
        "power": panels.power_chart(facts, shown),
        "bucket": length(facts.bucket_us),
        "energy": panels.energy_chart(facts, shown),
        "gap": _gap(facts),
        "named_jobs": NAMED_JOBS,
        "accounts": _accounts(facts),
        "quality": _quality(facts),
        "events": [_event(row) for row in facts.events],
        "events_left_out": max(0, facts.events_total - MOST_EVENTS),
    }


def _period(facts: Facts) -> list[tuple[str, str]]:
    """Return start and end of what was metered, each as ISO 8601 and as shown."""
    start_us, end_us = facts.period["start_us"], facts.period["end_us"]
    if start_us is None:
        return []
    last = clock(end_us) if day(start_us) == day(end_us) else f"{day(end_us)} {clock(end_us)}"
    return [(iso(start_us), f"{day(start_us)} {clock(start_us)}"), (iso(end_us), last)]


def _only_day(facts: Facts) -> str | None:
    """Return the UTC day on which everything began, if it is one."""
    days = {day(job["start_us"]) for job in facts.jobs}
    if facts.period["start_us"] is not None:
        days.add(day(facts.period["start_us"]))
    return days.pop() if len(days) == 1 else None


def _figures(facts: Facts) -> list[tuple[str, Cell, str]]:
    """Return the header's figures: what it is, its value, a remark."""
    totals, period = facts.totals, facts.period
    metered = [row["energy_j"] for row in facts.accounts if row["energy_j"] is not None]
    jobs = totals["jobs"]
    return [
        ("Nodes", whole(period["nodes"]), ""),
        ("GPUs", whole(period["devices"]), "metered"),
        ("Jobs", whole(jobs), ""),
        (
            "GPU energy, kWh",
            number(sum(metered) if metered else None, "Nothing was metered.", scale=_KWH, digits=4),
            "all accounts, idle GPUs too",
        ),
        (
            "Facility energy, kWh",
            number(
                totals["facility_j"],
                "No job's facility energy is known: declare host power and PUE in a site file.",
                scale=_KWH,
                digits=4,
            ),
            _of("jobs only", totals["with_facility"], jobs),
        ),
        (
            "Tokens generated",
            compact(totals["n_generated"], "No counter of generated tokens was seen."),
            _of("", totals["with_generated"], jobs),
        ),
        (
            "Tokens trained",
            compact(totals["n_trained"], "No counter of trained tokens was seen."),
            _of("", totals["with_trained"], jobs),
        ),
    ]


def _of(remark: str, some: int, every: int) -> str:
    counted = f"{some} of {every} jobs" if 0 < some < every else ""
    return ", ".join(part for part in (remark, counted) if part)


def _fleet(row: Row) -> dict[str, Any]:
    kind = "trained" if row["workload"] == "training" else "generated"
    none = f"No {row['workload']} job has both energy and {kind} tokens."
    missing = "Some job's facility energy is not known: it needs host power and PUE."
    return {
        "workload": row["workload"],
        "kind": kind,
        "gpu": between(row["gpu"], row["gpu_low"], row["gpu_high"], none),
        "facility": between(
            row["facility"],
            row["facility_low"],
            row["facility_high"],
            none if row["gpu"] is None else missing,
        ),
        "jobs": _of("", row["counted"], row["jobs"]) or counted(row["jobs"], "job"),
    }


def _ledger_state(facts: Facts, findings: Sequence[Finding]) -> tuple[str, str]:
    """Return the state of the ledger as a class (good, bad, none) and in words."""
    if facts.period["start_us"] is None:
        return "none", "nothing was metered"
    broken = [f.name for f in findings if f.fatal and f.rows]
    if any(name in _LEDGER_CHECKS for name in broken):
        return "bad", "the ledger does not close"
    if broken:
        return "bad", f"ledger closes, but {counted(len(broken), 'other check')} failed"
    if not any(f.name == "law" for f in findings):
        return "none", "ledger not checked"
    return "good", "ledger closes: metered = booked"


def _check(finding: Finding) -> dict[str, Any]:
    count = len(finding.rows)
    state = "passed" if not count else ("failed" if finding.fatal else "warning")
    examples = [
        ", ".join(
            f"{column} {clean(str(value))}"
            for column, value in zip(finding.columns, row, strict=True)
        )
        for row in finding.rows[:_EXAMPLES]
    ]
    return {
        "name": finding.name,
        "title": finding.title,
        "state": state,
        "count": grouped(count),
        "examples": examples,
        "more": max(0, count - _EXAMPLES),
    }


def _used(meanings: dict[str, str], tags: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    seen = dict(tags)
    known = [(code, text) for code, text in meanings.items() if code in seen]
    return known + sorted((code, text) for code, text in seen.items() if code not in meanings)


def _gap(facts: Facts) -> str:
    """Return in words for how much time the energy is not known, and what it may have been."""
    gaps = [row for row in facts.accounts if row["account"] == "gap"]
    total_us = sum(row["device_us"] for row in facts.accounts)
    gap_us = sum(row["device_us"] for row in gaps)
    if not gap_us:
        return "There is no gap: the energy of all watched GPU time is known."
    low, high = (significant(sum(row[end] for row in gaps) * _KWH) for end in ("low_j", "high_j"))
    return (
        f"For {length(gap_us)} of GPU time ({significant(100 * gap_us / total_us)} % of all) the "
        f"energy is not known: neither samples nor a counter cover it. It lies between {low} and "
        f"{high} kWh, and is in no figure above but in the upper ends of the intervals."
    )


def _accounts(facts: Facts) -> list[tuple[str, Cell, Cell, str]]:
    """Return energy in kWh, share in percent and GPU time of each account, over all jobs."""
    names = {
        "active": "active (jobs at work)",
        "resident_idle": "resident idle (held by a job, doing nothing)",
        "free_idle": "free idle (held by no job)",
        "unattributed": "unattributed (at work for no known job)",
        "gap": "gap (energy not known)",
    }
    total_j = sum(row["energy_j"] or 0.0 for row in facts.accounts)
    found = []
    for account, name in names.items():
        rows = [row for row in facts.accounts if row["account"] == account]
        known = [row["energy_j"] for row in rows if row["energy_j"] is not None]
        if rows:
            energy_j = sum(known) if known else None
            why = "Nothing metered this time."
            share = energy_j / total_j if energy_j is not None and total_j else None
            found.append(
                (
                    name,
                    number(energy_j, why, scale=_KWH, digits=4),
                    number(share, why, scale=100),
                    length(sum(row["device_us"] for row in rows)),
                )
            )
    return found


def _quality(facts: Facts) -> list[tuple[str, str, str]]:
    """Return the page's own provenance: what it is, its value, the whole value where shortened."""
    totals, readings = facts.totals, facts.readings
    digest = totals["inputs_digest"] or ""
    as_of = totals["as_of_us"]
    return [
        ("Power readings kept", grouped(readings["power_readings"]), ""),
        ("Energy-counter readings", grouped(readings["counter_readings"]), ""),
        ("As of", "not known" if as_of is None else iso(as_of), ""),
        ("Index version", totals["index_version"], ""),
        ("Inputs digest", digest[:12], digest),
    ]


def _event(row: Row) -> dict[str, str]:
    return {
        "when": iso(row["ts_us"]),
        "node": clean(row["node"]),
        "device": clean(row["device_id"] or ""),
        "kind": clean(row["kind"]),
        "detail": clean(row["detail"] or ""),
    }
