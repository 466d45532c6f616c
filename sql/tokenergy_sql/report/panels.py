"""From facts to charts: the rows that each chart draws, and a sentence with the same content.

In: facts and marks. Out: `Chart`s. So that a page with a thousand jobs stays readable, only the
largest jobs are drawn one by one; the rest are drawn together as "other jobs".
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from tokenergy_collectors.lake.contract import TOKEN_KINDS
from tokenergy_sql.catalog.namedrows import NamedRow
from tokenergy_sql.report import overtime, palette
from tokenergy_sql.report.dots import intensity_spec
from tokenergy_sql.report.facts import Facts
from tokenergy_sql.report.format import between, clean, clock, counted, day, shorten, significant
from tokenergy_sql.report.frame import BOUNDARIES, BOUNDARY_COLORS, Chart
from tokenergy_sql.report.meanings import TOKENS
from tokenergy_sql.report.palette import Mark

MOST_DOTS = 40
_LABEL = 34

_IDLE = {
    "unattributed": ("unattributed", palette.UNATTRIBUTED),
    "free_idle": ("free idle", palette.FREE_IDLE),
}


def power_chart(facts: Facts, marks: dict[str, Mark]) -> Chart | None:
    """Return the power over time, stacked by job and idle account; None if nothing was metered."""
    series = _series(facts, marks)
    if facts.period["start_us"] is None or not series:  # nothing, or gaps alone
        return None
    keys = {name: f"s{place}" for place, name in enumerate(series)}
    rows = _buckets(facts, keys)
    peak = max(rows, key=lambda row: float(row["total"]))
    metered_s = sum(row["t2"] - row["t"] for row in rows[:-1] if row["unknown"] < 1) / 1e3
    energy_j = sum(row["energy_j"] or 0.0 for row in facts.power)
    mean_kw = energy_j / metered_s / 1e3 if metered_s else 0.0
    labels = [label for label, _ in series.values()]
    colors = [color for _, color in series.values()]
    alternative = (
        f"Stacked area chart of GPU power over time: {significant(mean_kw)} kW on average "
        f"while metered, at most {significant(peak['total'])} kW (mean of a step) at "
        f"{peak['when']} UTC."
    )
    legend = list(zip(labels, colors, strict=True))
    if any(row["unknown"] for row in rows):
        legend.append(("some power unknown (strip at the top)", palette.UNKNOWN))
    spec = overtime.power_spec(list(keys.values()), labels, colors)
    return Chart("power", spec, rows, alternative, legend)


def _series(facts: Facts, marks: dict[str, Mark]) -> dict[tuple[str, str | None], tuple[str, str]]:
    """Return label and colour of each series that has energy, from the bottom of the stack up."""
    seen = {(row["account"], row["job_id"]) for row in facts.power if row["energy_j"]}
    found: dict[tuple[str, str | None], tuple[str, str]] = {}
    for job_id, mark in marks.items():
        if ("job", job_id) in seen:
            found["job", job_id] = (mark.label, mark.color)
    if ("job", None) in seen:
        found["job", None] = ("other jobs", palette.OTHER)
    for account, shown in _IDLE.items():
        if (account, None) in seen:
            found[account, None] = shown
    return found


def _buckets(facts: Facts, keys: dict[tuple[str, str | None], str]) -> list[NamedRow]:
    """Return the power of every bucket of the period, in kW; the last row closes the last step."""
    start_us, end_us = facts.period["start_us"], facts.period["end_us"]
    energy_j: dict[int, dict[str, float]] = defaultdict(dict)
    time_us: dict[int, list[int]] = defaultdict(lambda: [0, 0])
    for row in facts.power:
        key = keys.get((row["account"], row["job_id"]))
        if key is not None:
            energy_j[row["bucket_us"]][key] = row["energy_j"] or 0.0
        time_us[row["bucket_us"]][row["account"] == "gap"] += row["device_us"]
    one_day = day(start_us) == day(end_us - 1)
    rows = []
    for bucket_us in range(start_us - start_us % facts.bucket_us, end_us, facts.bucket_us):
        left, right = max(bucket_us, start_us), min(bucket_us + facts.bucket_us, end_us)
        per_kw = 1e3 * (right - left) / 1e6
        power = {key: energy_j[bucket_us].get(key, 0.0) / per_kw for key in keys.values()}
        known_us, gap_us = time_us[bucket_us]
        unknown = gap_us / (known_us + gap_us) if known_us + gap_us else 1.0
        rows.append(
            {
                "t": left // 1000,
                "t2": right // 1000,
                "when": clock(left) if one_day else f"{day(left)} {clock(left)}",
                **{key: round(value, 5) for key, value in power.items()},
                "total": round(sum(power.values()), 5),
                "unknown": round(unknown, 4),
            }
        )
    return [*rows, {**rows[-1], "t": end_us // 1000, "end": True}]


def trend_chart(trend: list[NamedRow], step_us: int, workload: str, name: str) -> Chart | None:
    """Return J/token of a workload over time; None if there is none.

    Args:
        trend: the rows of `trend.sql`.
        step_us: length of their steps, microseconds.
        workload: inference or training.
        name: of the chart.
    """
    steps = [r for r in trend if r["workload"] == workload and r["gpu"] is not None]
    if not steps:
        return None
    rows = []
    for row in steps:
        left, right = row["step_us"], row["step_us"] + step_us
        when = {"t": left // 1000, "t2": right // 1000, "when": f"{day(left)} {clock(left)}"}
        rows += [{**when, **ends} for ends in _sides(row)]
    kind = "trained" if workload == "training" else "generated"
    alternative = (
        f"J per {kind} token over all {workload} jobs (sum of energy ÷ sum of tokens), with "
        f"intervals, in {counted(len(steps), 'step')}. At the GPU: {_first_to_last(steps)}."
    )
    return Chart(
        name, overtime.trend_spec(f"J per {kind} token", name), rows, alternative, BOUNDARY_LEGEND
    )


def _first_to_last(steps: list[NamedRow]) -> str:
    """Return J/token at the GPU in the first and the last step."""
    first, last = significant(steps[0]["gpu"]), significant(steps[-1]["gpu"])
    return first if len(steps) == 1 else f"{first} in the first step, {last} in the last"


BOUNDARY_LEGEND = list(zip(BOUNDARIES, BOUNDARY_COLORS, strict=True))


def job_specs() -> dict[str, dict[str, Any]]:
    """Return the specifications that draw every job's page, by name; the page brings the rows."""
    return {
        "power": overtime.power_spec(
            ["active", "idle"],
            ["active", "resident idle"],
            [palette.ACCOUNTS["active"], palette.ACCOUNTS["resident_idle"]],
            "job-power",
        ),
        "tokens": overtime.tokens_spec(
            TOKEN_KINDS, [TOKENS[kind] for kind in TOKEN_KINDS], "job-tokens"
        ),
        "te": overtime.trend_spec("J/token", "job-te"),
    }


def intensity_chart(facts: Facts, marks: dict[str, Mark], workload: str) -> Chart | None:
    """Return J/token by job of one workload; None if no job of it has an index."""
    jobs = [j for j in facts.jobs if j["workload"] == workload and j["te_gpu"] is not None]
    shown = sorted(jobs[:MOST_DOTS], key=lambda job: (-job["te_gpu"], job["job_id"]))
    lines = [
        (marks[job["job_id"]].label, marks[job["job_id"]].name, marks[job["job_id"]].color, ends)
        for job in shown
        for ends in _sides(
            {
                "gpu": job["te_gpu"],
                "gpu_low": job["te_gpu_low"],
                "gpu_high": job["te_gpu_high"],
                "facility": job["tokenergy"],
                "facility_low": job["te_low"],
                "facility_high": job["te_high"],
            }
        )
    ]
    what = f"{workload} job" if len(jobs) <= MOST_DOTS else f"of the largest {workload} job"
    return _dots(lines, f"intensity-{workload}", workload, what)


def league_chart(facts: Facts, workload: str) -> Chart | None:
    """Return J/token by model and board of one workload, the best first; None if there is none."""
    groups = [
        row
        for row in facts.league
        if row["workload"] == workload and not row["fleet"] and row["gpu"] is not None
    ][:MOST_DOTS]
    lines = []
    for place, row in enumerate(groups):
        name = league_name(row)
        label = shorten(name, _LABEL)
        if any(label == shorten(league_name(other), _LABEL) for other in groups[:place]):
            label = f"{label} #{place + 1}"
        lines += [(label, name, BOUNDARY_COLORS[0], ends) for ends in _sides(row)]
    return _dots(lines, f"league-{workload}", workload, "group")


def league_name(row: NamedRow) -> str:
    """Return the name of a model on a board."""
    model, board = clean(row["model"] or "no model name"), clean(row["board"] or "unknown board")
    return f"{model} · {board.removeprefix('NVIDIA ')}"


def _dots(
    lines: list[tuple[str, str, str, NamedRow]], name: str, workload: str, what: str
) -> Chart | None:
    """Return a dot chart of lines of (label, name, colour, figures of a boundary)."""
    if not lines:
        return None
    colors = {label: color for label, _, color, _ in lines}
    rows = [{"label": label, "name": whole, **ends} for label, whole, _, ends in lines]
    gpu = sorted((row["value"], row["label"]) for row in rows if row["boundary"] == "GPU")
    ends = [f"{significant(value)} ({label})" for value, label in (gpu[0], gpu[-1])]
    kind = "trained" if workload == "training" else "generated"
    spec = intensity_spec(rows, list(colors), list(colors.values()), f"J per {kind} token", name)
    span = ends[0] if len(gpu) == 1 else f"from {ends[0]} to {ends[1]}"
    alternative = (
        f"Dot chart of J per {kind} token of {counted(len(colors), what)}, with intervals. "
        f"At the GPU: {span}."
    )
    return Chart(name, spec, rows, alternative)


def _sides(row: NamedRow) -> list[NamedRow]:
    """Return the figures of each boundary that is known, as a chart needs them."""
    found = []
    for boundary in BOUNDARIES:
        side = boundary.lower()
        value, low, high = (row[f"{side}{end}"] for end in ("", "_low", "_high"))
        if value is not None:
            cell = between(value, low, high, "")
            text = f"{cell.text} [{cell.low}, {cell.high}]"
            ends = {"value": value, "low": low, "high": high, "text": text}
            found.append({"boundary": boundary, **ends})
    return found
