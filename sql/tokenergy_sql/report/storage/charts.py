"""The charts of a storage study: the sweep of sizes; load, grid power and charge over time.

In: rows of `storage_sweep` and `storage_course`. Out: `Chart`s.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tokenergy_sql.catalog.namedrows import NamedRow
from tokenergy_sql.report.format import clock, day, energy_unit, length, percent, significant
from tokenergy_sql.report.frame import Chart, colored, finished, tooltip
from tokenergy_sql.report.overtime import time_axis

_CLASSES = (
    ("kept", "limits kept", "var(--job-3)"),
    ("near", "less than half as far off as the load", "var(--job-5)"),
    ("far", "less far off than the load", "var(--job-2)"),
    ("beyond", "no better than without a store", "var(--job-6)"),
)
_ENDS = (0.5, 1 - 1e-9)
_SERIES = (
    ("load", "load", "var(--other)"),
    ("rule", "grid under the rule", "var(--job-2)"),
    ("grid", "grid under the optimum", "var(--job-1)"),
)
_KW = 1e6
_DIGITS = ".4~r"


def sweep_chart(study: NamedRow, rows: Sequence[NamedRow], name: str) -> Chart | None:
    """Return energy by power, coloured by how far off grid power is; None without rows."""
    if not rows:
        return None
    unit, scale = energy_unit(float(rows[-1]["energy_nj"]) / 1e9)
    energies = {
        e: significant(float(e) / 1e9 * scale) for e in sorted({r["energy_nj"] for r in rows})
    }
    powers = {p: significant(p / _KW) for p in sorted({r["power_mw"] for r in rows})}
    drawn = [_size(study, row, energies, powers, unit) for row in rows]
    kept = [row for row in rows if row["kept"]]
    alternative = "No size of the sweep keeps the limits under the rule."
    if kept:
        least = kept[0]
        alternative = (
            f"Of {len(rows)} sizes {len(kept)} keep the limits under the rule; the smallest has "
            f"{energies[least['energy_nj']]} {unit} and {powers[least['power_mw']]} kW. "
            "Colours show how far off the limits grid power is, beside the load itself."
        )
    spec = _sweep_spec([*energies.values()], [*powers.values()], unit, name)
    return Chart(name, spec, drawn, alternative, [(label, color) for _, label, color in _CLASSES])


def _size(
    study: NamedRow, row: NamedRow, energies: dict[Any, str], powers: dict[Any, str], unit: str
) -> NamedRow:
    pairs = (
        (study["ramp_mw_s"], row["reached_ramp_mw_s"], study["load_ramp_mw_s"]),
        (study["peak_mw"], row["reached_peak_mw"], study["load_max_mw"]),
    )
    worst = max(
        (reached - limit) / max(own - limit, 1e-9 * abs(own))
        for limit, reached, own in pairs
        if limit is not None
    )
    place = 0 if row["kept"] else 1 + sum(worst >= end for end in _ENDS)
    return {
        "energy": energies[row["energy_nj"]],
        "power": powers[row["power_mw"]],
        "size": f"{energies[row['energy_nj']]} {unit}, {powers[row['power_mw']]} kW",
        "class": _CLASSES[place][0],
        "what": _CLASSES[place][1],
        "ramp": f"{significant(row['reached_ramp_mw_s'] / _KW)} kW/s",
        "peak": f"{significant(row['reached_peak_mw'] / _KW)} kW",
    }


def _sweep_spec(
    energies: Sequence[str], powers: Sequence[str], unit: str, name: str
) -> dict[str, Any]:
    """Return the sweep; its rows are one a size, see `_size`."""
    import altair as alt

    keys = [key for key, _, _ in _CLASSES]
    axis = alt.Axis(labelAngle=0, ticks=False, domain=False)
    cells = (
        alt.Chart(alt.NamedData(name="rows"))
        .mark_rect(stroke="var(--paper)", strokeWidth=2)
        .encode(
            x=alt.X("energy:N", sort=list(energies), title=f"energy, {unit}", axis=axis),
            y=alt.Y("power:N", sort=list(reversed(powers)), title="power, kW", axis=axis),
            color=colored("class", keys, [color for _, _, color in _CLASSES]),
            tooltip=tooltip(size="store", what="behind it", ramp="steepest", peak="highest"),
        )
    )
    return finished(alt.layer(cells), name, height=260)


def course_charts(rows: Sequence[NamedRow], name: str) -> list[Chart]:
    """Return load against grid power, and the charge, of a stretch; none without rows."""
    if not rows:
        return []
    drawn = [
        {
            "t": row["ts_us"] // 1000,
            "when": f"{clock(row['ts_us'])}.{row['ts_us'] // 100_000 % 10}",
            "load": round(row["load_mw"] / _KW, 6),
            "grid": round(row["grid_mw"] / _KW, 6),
            "rule": round(row["causal_mw"] / _KW, 6),
            "charge": round(100 * row["charge_share"], 3),
        }
        for row in rows
    ]
    first = rows[0]["ts_us"]
    span = rows[-1]["ts_us"] + rows[-1]["length_us"] - first
    load, grid = ([row[key] for row in drawn] for key in ("load", "grid"))
    power = (
        f"{length(span)} from {day(first)} {clock(first)} UTC. The load moves between "
        f"{significant(min(load))} and {significant(max(load))} kW, grid power under the optimum "
        f"between {significant(min(grid))} and {significant(max(grid))} kW."
    )
    low, high = (percent(end([row["charge_share"] for row in rows])).text for end in (min, max))
    charge = (
        f"Charge under the optimum in the same stretch: {low} to {high} % of the usable energy."
    )
    legend = [(label, color) for _, label, color in _SERIES]
    return [
        Chart(f"{name}-power", _power_spec(f"{name}-power"), drawn, power, legend),
        Chart(f"{name}-charge", _charge_spec(f"{name}-charge"), drawn, charge),
    ]


def _power_spec(name: str) -> dict[str, Any]:
    """Return the powers over time; its rows have `t` (ms), `when`, and kW by key of `_SERIES`."""
    import altair as alt

    keys = [key for key, _, _ in _SERIES]
    base = alt.Chart(alt.NamedData(name="rows"))
    lines = (
        base.transform_fold([*keys], as_=["key", "kw"])
        .mark_line(interpolate="step-after", strokeWidth=1.6)
        .encode(
            x=time_axis(),
            y=alt.Y("kw:Q", title="kW", scale=alt.Scale(zero=False), axis=alt.Axis(tickCount=5)),
            color=colored("key", keys, [color for _, _, color in _SERIES]),
        )
    )
    values = [
        alt.Tooltip(f"{key}:Q", title=f"{label}, kW", format=_DIGITS) for key, label, _ in _SERIES
    ]
    points = base.mark_rule(strokeWidth=4, opacity=0).encode(
        x="t:T", tooltip=[*tooltip(when="UTC"), *values]
    )
    return finished(alt.layer(lines, points), name, height=230)


def _charge_spec(name: str) -> dict[str, Any]:
    """Return the charge over time; its rows have `t` (ms), `when` and `charge` (%)."""
    import altair as alt

    base = alt.Chart(alt.NamedData(name="rows"))
    scale = alt.Scale(domain=[0, 100])
    area = base.mark_area(
        interpolate="step-after", color="var(--job-1)", opacity=0.35, line={"color": "var(--job-1)"}
    ).encode(
        x=time_axis(),
        y=alt.Y("charge:Q", title="charge, %", scale=scale, axis=alt.Axis(tickCount=3)),
    )
    value = alt.Tooltip("charge:Q", title="charge, %", format=_DIGITS)
    points = base.mark_rule(strokeWidth=4, opacity=0).encode(
        x="t:T", tooltip=[*tooltip(when="UTC"), value]
    )
    return finished(alt.layer(area, points), name, height=110)
