"""The page of the grid's side as values for its template.

In: the rows. Out: plain values; names are cleaned here and escaped by the template.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tokenergy_collectors.lake.contract import HOUR_US
from tokenergy_sql.catalog.namedrows import NamedRow
from tokenergy_sql.report.format import (
    Cell,
    clean,
    clock,
    counted,
    day,
    grouped,
    length,
    number,
    percent,
    significant,
)
from tokenergy_sql.report.grid.charts import bands_chart, load_chart
from tokenergy_sql.report.grid.facts import MOST_SWINGS, GridFacts
from tokenergy_sql.report.grid.meanings import MEANINGS, explained, reason
from tokenergy_sql.report.palette import Mark

MOST_RACKS = 20

_KW = 1e-6
_NJ_PER_KJ = 1e12
_NO_LOAD = "The load is known at no time."
_BOUNDARIES = {
    "boards": "",
    "it": "boards and hosts",
    "connection": "the grid connection",
}


def grid_values(facts: GridFacts | None, jobs: Mapping[str, Mark]) -> dict[str, Any] | None:
    """Return all values of the page; None if there is none.

    Args:
        facts: the rows.
        jobs: the jobs that have a page in the report, by job_id.
    """
    if facts is None:
        return None
    racks = [row for row in facts.groups if row["kind"] == "rack"]
    left_out = {row["group_id"] for row in racks[MOST_RACKS:]}
    shown = [r for r in facts.groups if r["kind"] != "rack" or r["group_id"] not in left_out]
    total = int(facts.swings[0]["total"]) if facts.swings else 0
    return {
        "figures": _figures(facts),
        "codes": _codes(facts),
        "drawn": _name(facts.drawn),
        "others": len(facts.places) - 1,
        "kind": facts.drawn["kind"],
        "step": "hour" if facts.step_us == HOUR_US else length(facts.step_us),
        "load": load_chart(facts.load, facts.step_us),
        "bands": bands_chart(facts.bands),
        "swings": [_swing(row, jobs) for row in facts.swings],
        "swings_total": grouped(total),
        "swings_shown": min(total, MOST_SWINGS),
        "harmonics": int(facts.swings[0]["harmonics"]) if facts.swings else 0,
        "groups": [_group(row, jobs) for row in shown],
        "racks_left_out": len(left_out),
        "jobs_left_out": _jobs_left_out(facts.groups),
        "emulated": any(row["any_emulated"] for row in facts.places),
    }


def _figures(facts: GridFacts) -> list[tuple[str, Cell, str]]:
    """Return what matters first: label, value and remark of each figure."""
    peak = facts.drawn
    limits = [row["least_limit_hz"] for row in facts.places if row["least_limit_hz"] is not None]
    share = percent(peak["load_factor"], _NO_LOAD)
    return [
        _ramp(facts.places, "1s", "1 s"),
        _ramp(facts.places, "10s", "10 s"),
        ("Peak, kW", number(peak["peak_mw"], _NO_LOAD, scale=_KW), _where(peak, "peak_at")),
        ("Load factor, %", share, f"mean ÷ peak, {_name(peak)}"),
        _largest(facts),
        (
            "The sensors show up to, Hz",
            number(min(limits, default=None), "The period of the readings is not known."),
            "in every profile; a faster swing may be missed" if limits else "",
        ),
    ]


def _ramp(places: list[NamedRow], name: str, said: str) -> tuple[str, Cell, str]:
    """Return the largest ramp of some groups over 1 or 10 s."""
    known = [row for row in places if row[f"ramp_{name}_mw"] is not None]
    label = f"Largest ramp in {said}, kW"
    codes = sorted({code for row in places for code, _ in explained(row[f"ramp_{name}_why"])})
    why = reason(",".join(codes), "It is not known.")
    if not known:
        return label, Cell(None, why=why), ""
    most = max(known, key=lambda row: float(row[f"ramp_{name}_mw"]))
    direction = "up" if most[f"ramp_{name}_up"] else "down"
    seen, of = (sum(row[field] for row in places) for field in (f"ramp_{name}_known", "profiles"))
    part = "" if seen == of else f"; known in {seen} of {counted(of, 'profile')}, else: {why}"
    remark = f"{direction}, {_where(most, f'ramp_{name}_at')}{part}"
    return label, number(most[f"ramp_{name}_mw"], scale=_KW), remark


def _largest(facts: GridFacts) -> tuple[str, Cell, str]:
    """Return the largest swing of the sites, or else of the racks."""
    label = "Largest swing, kW rms"
    if facts.largest and facts.largest[0]["rms_mw"] is not None:
        row = facts.largest[0]
        share = "" if row["rms_share"] is None else f", {percent(row['rms_share']).text} % of mean"
        at = f"at {significant(row['centre_hz'])} Hz{share}; {_name(row)}, {_span(row)}"
        doubts = [meaning for code, meaning in explained(row["reason_codes"]) if code != "narrow"]
        return label, number(row["rms_mw"], scale=_KW), " ".join([f"{at}.", *doubts])
    if facts.largest:
        seen = significant(facts.largest[0]["seen_hz"])
        return label, Cell(None, why=f"Seen at {seen} Hz. {MEANINGS['aliased']}"), ""
    if not any(row["all_segments"] for row in facts.places):
        return label, Cell(None, why=MEANINGS["no_segment"]), ""
    return label, Cell(None, why="No swing exceeds what is around it, as far as it is seen."), ""


def _where(row: NamedRow, place: str) -> str:
    return f"{_name(row)}, {_span(row[place])}"


def _name(row: NamedRow) -> str:
    return f"{row['kind']} {clean(row['group_id'])}"


def _span(row: NamedRow) -> str:
    same = day(row["from_us"]) == day(row["until_us"])
    until = f"{'' if same else day(row['until_us']) + ' '}{clock(row['until_us'])[:5]}"
    return f"{day(row['from_us'])} {clock(row['from_us'])[:5]}–{until}"


def _codes(facts: GridFacts) -> list[tuple[str, str]]:
    """Return what the sensors of these groups cannot show, and other doubts."""
    return explained(",".join(sorted({c for row in facts.places for c in row["codes"].split(",")})))


def _who(row: NamedRow, jobs: Mapping[str, Mark]) -> dict[str, str]:
    """Return how a group is shown: kind, name, and the address of its page if it has one."""
    mark = jobs.get(row["group_id"]) if row["kind"] == "job" else None
    if mark is None:
        return {"kind": row["kind"], "name": clean(row["group_id"]), "href": ""}
    return {"kind": row["kind"], "name": mark.name, "href": mark.href}


def _swing(row: NamedRow, jobs: Mapping[str, Mark]) -> dict[str, Any]:
    why = reason(row["reason_codes"], "It is not known.")
    return {
        **_who(row, jobs),
        "span": _span(row),
        "boundary": _BOUNDARIES.get(row["boundary"], row["boundary"]),
        "seen": significant(row["seen_hz"]),
        "centre": number(row["centre_hz"], why),
        "width": number(row["width_hz"], why),
        "rms": number(row["rms_mw"], why, scale=_KW),
        "share": percent(row["rms_share"], why),
        "above": number(row["above_background"], why),
        "codes": explained(row["reason_codes"]),
    }


def _group(row: NamedRow, jobs: Mapping[str, Mark]) -> dict[str, Any]:
    none = MEANINGS["not_metered"] if "not_metered" in row["codes"].split(",") else _NO_LOAD
    ramps = {
        f"ramp_{name}": number(
            row[f"ramp_{name}_mw"], reason(row[f"ramp_{name}_why"], none), scale=_KW
        )
        for name in ("1s", "10s")
    }
    return {
        **_who(row, jobs),
        **ramps,
        "mean": number(row["average_mw"], none, scale=_KW),
        "peak": number(row["peak_mw"], none, scale=_KW),
        "swing": percent(row["largest_swing_share"], none),
        "battery": number(row["largest_battery_nj"], none, scale=1 / _NJ_PER_KJ),
        "codes": explained(row["codes"]),
    }


def _jobs_left_out(groups: list[NamedRow]) -> int:
    jobs = [row for row in groups if row["kind"] == "job"]
    return int(jobs[0]["total"]) - len(jobs) if jobs else 0
