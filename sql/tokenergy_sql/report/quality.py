"""How reliable the data are: checks, coverage, gaps, disputes, files left out, events.

In: facts and the findings of the checks. Out: plain values for the template.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tokenergy_sql.catalog.namedrows import NamedRow
from tokenergy_sql.checks.checking import Finding
from tokenergy_sql.checks.texts import checks_by_name
from tokenergy_sql.report.facts import Facts, left_out
from tokenergy_sql.report.format import (
    Cell,
    clean,
    clock,
    counted,
    day,
    grouped,
    iso,
    length,
    number,
    percent,
    significant,
)

_LEDGER_CHECKS = ("law", "ledger_is_complete", "bounds_hold")
_EXAMPLES = 3
_KWH = 1 / 3.6e6


def quality_values(
    facts: Facts, findings: Sequence[Finding], checked: Sequence[int] | None
) -> dict[str, Any]:
    """Return all values of the quality page; see `pagevalues.page_values`."""
    return {
        "checks": [_check(finding) for finding in findings],
        "checked": _checked(facts, checked),
        "not_run": sorted({*checks_by_name()}.difference(one.name for one in findings)),
        "nodes": [_node(row) for row in facts.nodes],
        "nodes_left_out": left_out(facts.nodes),
        "gaps": [_gap(row) for row in facts.gaps],
        "gaps_left_out": left_out(facts.gaps),
        "disputes": [_dispute(row) for row in facts.disputes],
        "disputes_left_out": left_out(facts.disputes),
        "quarantine": [_file(row) for row in facts.quarantine],
        "quarantine_left_out": left_out(facts.quarantine),
        "events": [_event(row) for row in facts.events],
        "events_left_out": left_out(facts.events),
        "provenance": _provenance(facts),
    }


def ledger_state(
    facts: Facts, findings: Sequence[Finding], checked: Sequence[int] | None
) -> tuple[str, str]:
    """Return the state of the ledger as a CSS class (good, bad, none) and as text."""
    if facts.period["start_us"] is None:
        return "none", "nothing was metered"
    failed = [f.name for f in findings if f.fatal and f.rows]
    if any(name in _LEDGER_CHECKS for name in failed):
        return "bad", "the ledger does not close"
    if failed:
        return "bad", f"ledger closes, but {counted(len(failed), 'other check')} failed"
    if not any(f.name == "law" for f in findings):
        return "none", "ledger not checked"
    if _in_part(facts, checked):
        return "good", f"ledger closes in {_checked(facts, checked)}"
    return "good", "ledger closes: metered = booked"


def _in_part(facts: Facts, checked: Sequence[int] | None) -> bool:
    """Return whether the checks examined only some hours of the window."""
    return bool(checked and facts.window and {*facts.window} - {*checked})


def _checked(facts: Facts, checked: Sequence[int] | None) -> str:
    """Return which hours the checks examined, as text; empty if that is not known."""
    if not checked or facts.window is None:
        return ""
    if not _in_part(facts, checked):
        return "each of these hours"
    some = f"{grouped(len(checked))} of these {grouped(len(facts.window))} hours"
    return f"{some} ({_hours(min(checked), max(checked))} UTC)"


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


def _node(row: NamedRow) -> dict[str, Any]:
    return {
        "node": clean(row["node"]),
        "devices": grouped(row["devices"]),
        "coverage": percent(row["coverage"], "No GPU time was booked.", digits=2),
        "share": row["coverage"] or 0.0,
        "gap": length(row["gap_us"]) if row["gap_us"] else "none",
        "max_gap": number(row["max_gap_us"] / 1e6),
        "energy": number(row["energy_j"], "Nothing metered this node.", scale=_KWH, digits=4),
    }


def _gap(row: NamedRow) -> dict[str, Any]:
    ends = " – ".join(significant(row[end] * _KWH) for end in ("low_j", "high_j"))
    return {
        "node": clean(row["node"]),
        "device": clean(row["device_id"]),
        "job": clean(row["job_id"] or ""),
        "hours": _hours(row["first_us"], row["last_us"]),
        "time": length(row["device_us"]),
        "energy": ends,
    }


def _dispute(row: NamedRow) -> dict[str, Any]:
    none = "There were never both an energy counter and samples."
    return {
        "node": clean(row["node"]),
        "device": clean(row["device_id"]),
        "state": "disputed" if row["disputed"] else "counter_flagged",
        "hours": grouped(row["hours"]),
        "counter": number(row["counter_j"], none, scale=_KWH, digits=4),
        "samples": number(row["integral_j"], none, scale=_KWH, digits=4),
        "difference": _signed(row["difference"], none),
    }


def _signed(value: float | None, why: str) -> Cell:
    if value is None:
        return Cell(None, why=why)
    return Cell(f"{'+' if value > 0 else ''}{significant(100 * value)}", raw=repr(value))


def _file(row: NamedRow) -> dict[str, Any]:
    hour = row["hour_us"]
    return {
        "hour": "" if hour is None else _hours(hour, hour),
        "table": clean(row["table"] or ""),
        "file": clean(row["file"]),
        "reason": clean(row["reason"] or ""),
    }


def _hours(first_us: int, last_us: int) -> str:
    first = f"{day(first_us)} {clock(first_us)[:5]}"
    return first if first_us == last_us else f"{first} – {day(last_us)} {clock(last_us)[:5]}"


def _event(row: NamedRow) -> dict[str, str]:
    return {
        "when": iso(row["ts_us"]),
        "node": clean(row["node"]),
        "device": clean(row["device_id"] or ""),
        "kind": clean(row["kind"]),
        "detail": clean(row["detail"] or ""),
    }


def _provenance(facts: Facts) -> list[tuple[str, str]]:
    """Return what the page was made from: labels and values."""
    totals, readings = facts.totals, facts.readings
    as_of = totals["as_of_us"]
    return [
        ("Power readings kept", grouped(readings["power_readings"])),
        ("Token readings", grouped(readings["token_readings"])),
        ("Raw power files", grouped(sum(facts.files.values()))),
        ("As of", "not known" if as_of is None else iso(as_of)),
        ("Index version", totals["index_version"]),
        ("Inputs digest", totals["inputs_digest"] or ""),
    ]
