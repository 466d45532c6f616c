"""From facts to charts: which rows each picture shows, and the sentence that stands for it.

In: facts and marks. Out: `Chart`s. A page stays readable with a thousand jobs: the largest are
shown, the others are named as what they are, "other jobs".
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from tokenergy_sql.report import charts, palette
from tokenergy_sql.report.charts import Chart
from tokenergy_sql.report.facts import Facts, Row
from tokenergy_sql.report.format import clock, counted, day, energy_unit, significant
from tokenergy_sql.report.palette import Mark

MOST_BARS = 24
MOST_DOTS = 40

_IDLE = {
    "unattributed": ("unattributed", palette.UNATTRIBUTED),
    "free_idle": ("free idle", palette.FREE_IDLE),
}


def power_chart(facts: Facts, marks: dict[str, Mark]) -> Chart | None:
    """Return the power over time, stacked by job and idle account; None if nothing was metered."""
    if facts.period["start_us"] is None:
        return None
    series = _series(facts, marks)
    keys = {name: f"s{place}" for place, name in enumerate(series)}
    rows = _buckets(facts, keys)
    peak = max(rows, key=lambda row: float(row["total"]))
    watched_s = sum(row["t2"] - row["t"] for row in rows[:-1] if row["unknown"] < 1) / 1e3
    energy_j = sum(row["energy_j"] or 0.0 for row in facts.power)
    mean_kw = energy_j / watched_s / 1e3 if watched_s else 0.0
    labels = [label for label, _ in series.values()]
    colors = [color for _, color in series.values()]
    said = (
        f"Stacked area chart of GPU power over time: {significant(mean_kw)} kW on average "
        f"while watched, at most {peak['total_text']} kW (mean of a step) at {peak['when']} UTC."
    )
    legend = list(zip(labels, colors, strict=True))
    if any(row["unknown"] for row in rows):
        legend.append(("some power unknown (strip at the top)", palette.UNKNOWN))
    spec = charts.power_spec(rows, list(keys.values()), labels, colors)
    return Chart("power", spec, said, legend)


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


def _buckets(facts: Facts, keys: dict[tuple[str, str | None], str]) -> list[Row]:
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
        unknown_text = f"{significant(unknown * 100)} % of GPU time" if unknown else "none"
        rows.append(
            {
                "t": left // 1000,
                "t2": right // 1000,
                "when": clock(left) if one_day else f"{day(left)} {clock(left)}",
                **{key: round(value, 5) for key, value in power.items()},
                "total": round(sum(power.values()), 5),
                "total_text": significant(sum(power.values())),
                "unknown": round(unknown, 4),
                "unknown_text": unknown_text,
            }
        )
    return [*rows, {**rows[-1], "t": end_us // 1000, "end": True}]


def intensity_chart(facts: Facts, marks: dict[str, Mark], workload: str) -> Chart | None:
    """Return J/token by job of one workload; None if no job of it has an index."""
    jobs = [j for j in facts.jobs if j["workload"] == workload and j["te_gpu"] is not None]
    jobs = sorted(jobs[:MOST_DOTS], key=lambda job: (-job["te_gpu"], job["job_id"]))
    if not jobs:
        return None
    rows: list[Row] = []
    for job in jobs:
        mark = marks[job["job_id"]]
        for boundary, value, low, high in (
            ("GPU", job["te_gpu"], job["te_gpu_low"], job["te_gpu_high"]),
            ("facility", job["tokenergy"], job["te_low"], job["te_high"]),
        ):
            if value is not None:
                text = charts.interval_text(value, low, high)
                ends = {"value": value, "low": low, "high": high, "text": text}
                rows.append({"label": mark.label, "job": mark.name, "boundary": boundary, **ends})
    shown = [marks[job["job_id"]] for job in jobs]
    kind = "trained" if workload == "training" else "generated"
    spec = charts.intensity_spec(
        rows, [m.label for m in shown], [m.color for m in shown], f"J per {kind} token"
    )
    least, most = (
        f"{significant(job['te_gpu'])} ({marks[job['job_id']].label})"
        for job in (jobs[-1], jobs[0])
    )
    said = (
        f"Dot chart of J per {kind} token of {counted(len(jobs), f'{workload} job')}, intervals: "
        f"{most if len(jobs) == 1 else f'from {least} to {most}'} at the GPU."
    )
    return Chart(f"intensity-{workload}", spec, said)


def energy_chart(facts: Facts, marks: dict[str, Mark]) -> Chart | None:
    """Return where the energy went, a bar a job or account; None if nothing was metered."""
    bars = _bars(facts, marks)
    total_j = sum(sum(parts.values()) for _, _, parts in bars.values())
    if total_j <= 0:
        return None
    unit, scale = energy_unit(max(sum(parts.values()) for _, _, parts in bars.values()))
    rows: list[dict[str, Any]] = []
    for label, (name, color, parts) in bars.items():
        ends = sum(parts.values())
        for place, (part, energy_j) in enumerate(parts.items()):
            row = {
                "label": label,
                "job": name,
                "part": part.replace("_", " "),
                "energy": energy_j * scale,
                "text": significant(energy_j * scale),
                "share": f"{significant(100 * energy_j / total_j)} %",
                "color": color,
                "weight": 0.4 if part == "resident_idle" else 1.0,
                "place": place,
            }
            if not place:
                row |= {"ends_at": ends * scale, "total_share": f"{100 * ends / total_j:.1f} %"}
            rows.append(row)
    top = next(iter(bars))
    said = (
        f"Bar chart of GPU energy by job and account, {significant(total_j * scale)} {unit} in all."
        f" The largest is {top}, {100 * sum(bars[top][2].values()) / total_j:.1f} %."
    )
    return Chart("energy", charts.energy_spec(rows, list(bars), unit), said)


def _bars(facts: Facts, marks: dict[str, Mark]) -> dict[str, tuple[str, str, dict[str, float]]]:
    """Return name, colour and energies in J by account of each bar, the largest job first."""
    jobs: dict[str, dict[str, float]] = defaultdict(dict)
    rest: dict[str, tuple[str, str, dict[str, float]]] = {}
    for row in facts.accounts:
        if row["energy_j"] is None:
            continue
        if row["job_id"] is not None:
            jobs[row["job_id"]][row["account"]] = row["energy_j"]
        elif row["account"] in _IDLE:
            label, color = _IDLE[row["account"]]
            rest[f"({label})"] = (label, color, {label: row["energy_j"]})
    ranked = [job_id for job_id in marks if job_id in jobs]
    bars = {
        marks[job_id].label: (marks[job_id].name, marks[job_id].color, jobs[job_id])
        for job_id in ranked[:MOST_BARS]
    }
    if others := ranked[MOST_BARS:]:
        name = counted(len(others), "other job")
        parts = {
            account: sum(jobs[job_id].get(account, 0.0) for job_id in others)
            for account in ("active", "resident_idle")
        }
        bars[f"({name})"] = (name, palette.OTHER, parts)
    return {**bars, **dict(sorted(rest.items(), reverse=True))}
