"""What a job's page shows beside its figures: charts over time, accounts, hours, source files.

In: facts. Out: one plain mapping a job, as the page embeds it. `job_step.sql` sets the length of
the steps; numbers are rounded to four digits, since the page only draws them.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from tokenergy_collectors.lake.contract import HOUR_US, TOKEN_KINDS
from tokenergy_collectors.lake.paths import escape_node, partition
from tokenergy_sql.catalog.namedrows import NamedRow
from tokenergy_sql.report.facts import Facts
from tokenergy_sql.report.format import between, grouped, iso, length, number, percent, significant
from tokenergy_sql.report.fullrate import PARTS, bar

MOST_NODES = 16
"""Most nodes whose files are listed; of the others the page gives the number."""


def job_pages(facts: Facts, scale: float) -> list[dict[str, Any]]:
    """Return the rest of each job's page, in the order of the jobs.

    Args:
        facts: the rows.
        scale: factor from joules to the unit shown.
    """
    booked = _accounts(facts, scale)
    return [
        {
            "series": _series(facts, job["job_id"]),
            "accounts": booked.get(job["job_id"], {}),
            "parts": _parts(facts.efficiency.get(job["job_id"])),
            "hours": _hours(facts.of_job.hours.get(job["job_id"], []), scale),
            "files": _files(facts, job["job_id"]),
            "load": _load(facts.of_job.loads.get(job["job_id"])),
        }
        for job in facts.jobs
    ]


def _series(facts: Facts, job_id: str) -> dict[str, Any] | None:
    """Return power (W), tokens a second by kind and J/token of each step; None if nothing is known.

    Lists run from `start` (ms since 1970) in steps of `step` (ms) to `end` (ms); None in them where
    nothing was booked.
    """
    of_job = facts.of_job
    step = of_job.steps[job_id]
    step_us = step["step_us"]
    power = {row["at_us"]: row for row in of_job.power.get(job_id, [])}
    tokens: dict[str, dict[int, float]] = defaultdict(dict)
    for row in of_job.tokens.get(job_id, []):
        tokens[row["kind"]][row["at_us"]] = row["tokens"]
    stamps = sorted({*power, *(at for of_kind in tokens.values() for at in of_kind)})
    if not stamps:
        return None
    steps = range(stamps[0], stamps[-1] + 1, step_us)
    seconds = [_seconds(step, at) for at in steps]
    pairs = list(zip(steps, seconds, strict=True))
    return {
        "start": max(steps[0], step["from_us"]) // 1000,
        "first": steps[0] // 1000,
        "step": step_us // 1000,
        "end": min(steps[-1] + step_us, step["to_us"]) // 1000,
        "length": length(step_us),
        "active": [_rate(power.get(at), "active_j", s) for at, s in pairs],
        "idle": [_rate(power.get(at), "idle_j", s) for at, s in pairs],
        "unknown": _unknown(power, steps),
        "tokens": {
            kind: [_digits(tokens[kind].get(at, 0.0) / s) for at, s in pairs]
            for kind in TOKEN_KINDS
            if any(tokens.get(kind, {}).values())
        },
        "te": _te(power, tokens.get("trained") or tokens.get("generated") or {}, steps),
    }


def _unknown(power: dict[int, NamedRow], steps: range) -> list[float]:
    """Return the share of device time with unknown energy of each step; [] where there is none."""
    found = [_digits(power[at]["unknown"]) if at in power else 1 for at in steps]
    return found if any(found) else []


def _seconds(step: NamedRow, at_us: int) -> float:
    """Return how much of a step is inside the job; all of it if none is."""
    left, right = max(at_us, step["from_us"]), min(at_us + step["step_us"], step["to_us"])
    length_us: int = right - left if right > left else step["step_us"]
    return length_us / 1e6


def _rate(row: NamedRow | None, name: str, seconds: float) -> float | None:
    return None if row is None else _digits(row[name] / seconds)


def _te(power: dict[int, NamedRow], tokens: dict[int, float], steps: range) -> list[float | None]:
    """Return J/token at the GPU of each step; None where energy or tokens are not known."""
    found: list[float | None] = []
    for at in steps:
        row = power.get(at)
        known = row is not None and not row["unknown"] and tokens.get(at, 0.0) >= 1
        found.append(
            _digits((row["active_j"] + row["idle_j"]) / tokens[at]) if row and known else None
        )
    return found if any(found) else []


def _digits(value: float) -> float:
    rounded = float(f"{value:.4g}")
    return int(rounded) if rounded == int(rounded) else rounded


def _accounts(facts: Facts, scale: float) -> dict[str, dict[str, Any]]:
    """Return energy with its bounds and device time by account of each job."""
    found: dict[str, dict[str, Any]] = defaultdict(dict)
    for row in facts.accounts:
        if row["job_id"] is None:
            continue
        booked = found[row["job_id"]].setdefault(row["account"], [0.0, 0.0, 0.0, 0])
        for place, name in enumerate(("energy_j", "low_j", "high_j", "device_us")):
            booked[place] += row[name] or 0
    return {
        job_id: {
            account: {
                "j": _digits(energy_j),
                "text": significant(energy_j * scale),
                "low": significant(low_j * scale),
                "high": significant(high_j * scale),
                "time": length(device_us),
            }
            for account, (energy_j, low_j, high_j, device_us) in accounts.items()
        }
        for job_id, accounts in found.items()
    }


def _parts(row: NamedRow | None) -> list[tuple[int, float, str]]:
    """Return place in `PARTS`, share and share as text of each part of the energy."""
    places = {name: place for place, (name, _) in enumerate(PARTS.values())}
    return [(places[name], _digits(share), text) for _, name, share, text in bar(row)]


def _hours(rows: list[NamedRow], scale: float) -> list[list[Any]]:
    """Return the hours as rows of a table: start, energy, tokens, J/token twice, coverage, values.

    The last cell holds what is drawn: GPU value, low, high, facility value, low, high.
    """
    found = []
    for row in rows:
        sides = [[row[f"{side}{end}"] for end in ("", "_low", "_high")] for side in _SIDES]
        shown = [between(value, low, high, "") for value, low, high in sides]
        found.append(
            [
                iso(row["at_us"])[:16].replace("T", " "),
                number(row["gpu_j"], scale=scale).text,
                None if row["tokens"] is None else grouped(row["tokens"]),
                *([cell.text, cell.low, cell.high] if cell.text else None for cell in shown),
                percent(row["coverage"], digits=2).text,
                row["at_us"] // 1000,
                row["length_us"] // 1000,
                [None if v is None else _digits(v) for ends in sides for v in ends],
            ]
        )
    return found


_SIDES = ("gpu", "facility")


def _files(facts: Facts, job_id: str) -> dict[str, Any]:
    """Return the partitions that hold the job's rows, by node, and how many raw files they have."""
    nodes: dict[str, list[int]] = defaultdict(list)
    for row in facts.of_job.places.get(job_id, []):
        nodes[row["node"]].append(row["hour_us"])
    listed = []
    for node, hours in list(nodes.items())[:MOST_NODES]:
        count = sum(facts.files.get((hour, node), 0) for hour in hours)
        places = partition(hours[0])
        if len(hours) > 1:
            places += f" … {partition(hours[-1])}"
        whole = hours[-1] - hours[0] == (len(hours) - 1) * HOUR_US
        hours_text = f"{grouped(len(hours))} h" if whole else f"{grouped(len(hours))} h, not all"
        listed.append([node, places, hours_text, f"{escape_node(node)}-*.parquet", grouped(count)])
    return {"listed": listed, "more": max(0, len(nodes) - MOST_NODES)}


def _load(row: NamedRow | None) -> list[tuple[str, str]]:
    """Return the figures of the load profile, each with its name; none if there is no profile."""
    if row is None:
        return []
    figures = [
        ("Largest swing in an hour, kW", row["swing_mw"], 1e-6),
        ("Steepest rise within 1 s, kW", row["up_1s_mw"], 1e-6),
        ("Steepest fall within 1 s, kW", row["down_1s_mw"], 1e-6),
        ("Strongest period, s", row["dominant_period_s"], 1.0),
        ("Its swing, peak to peak, kW", row["dominant_mw"], 1e-6),
        ("Storage that would flatten an hour, Wh", row["battery_j"], 1 / 3600),
    ]
    return [(name, significant(value * scale)) for name, value, scale in figures if value]
