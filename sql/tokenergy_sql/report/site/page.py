"""The page of the building as values for its template.

In: the rows. Out: plain values; names are cleaned here and escaped by the template.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from tokenergy_collectors.lake.contract import HOUR_US
from tokenergy_sql.catalog.namedrows import NamedRow
from tokenergy_sql.report.format import (
    Cell,
    between,
    clean,
    clock,
    counted,
    day,
    energy_unit,
    grouped,
    number,
    percent,
    shorten,
    significant,
)
from tokenergy_sql.report.site.balance import Balance, Part, balance_of
from tokenergy_sql.report.site.chart import pue_chart, token_charts
from tokenergy_sql.report.site.facts import LEAST_KNOWN, MOST_PLACES, Frame, SiteFacts
from tokenergy_sql.report.site.flow import HOWS, drawings, legend
from tokenergy_sql.report.site.meters import meter_values, method_values

_KWH = 1 / 3.6e6
_NO_TOKENS = "Too little of the time has both energy and tokens, or facility energy is not known."

_RATIOS = {
    "cooling": ("Cooling / IT", "", "of the cooling's own meters"),
    "other": ("Other / IT", "", "lighting and all else with a meter"),
    "wue": ("WUE, L/kWh", "", "water taken in ÷ IT energy"),
    "erf": ("ERF", "", "heat used outside ÷ all energy"),
    "ref": ("REF", "", "own sun and wind ÷ all energy"),
    "cue": ("CUE, kg/kWh", "", "CO2e of what comes in ÷ IT energy, by the site file's signal"),
    "cfe": ("24/7 CFE score", "", "clean energy of each hour ÷ the site's load"),
}
"""Figures that have a card where there are meters of them: label, unit, remark."""

_WHY_NONE = {
    "pue": "Only a place with meters for what comes in and for its IT energy has a PUE.",
    "cooling": "No meter of cooling and of IT energy is known here at the same time.",
    "it": "No meter of IT energy is known here.",
    "facility": "No meter of what comes in is known here.",
}


def site_values(facts: SiteFacts | None) -> dict[str, Any] | None:
    """Return all values of the page; None if there is none."""
    if facts is None:
        return None
    site = facts.figures.get("site", {})
    pue = pue_chart(facts.steps, facts.period)
    return {
        "span": _span(facts),
        "pue": _figure(site.get("pue"), "pue"),
        "coverage": _coverage(site.get("pue")),
        "interim": any(row["interim"] for row in site.values()),
        "category": (site.get("pue") or {}).get("pue_category"),
        "tokens": [_tokens(row) for row in facts.tokens if row["jobs"]],
        "figures": _figures(site),
        "flow": _flow(facts.frame),
        "pue_chart": pue,
        "token_charts": token_charts(facts.step_tokens),
        "period": facts.period,
        "places": _places(facts),
        "places_left_out": max(0, len(facts.figures) - MOST_PLACES),
        "meters": meter_values(facts),
        "methods": method_values(facts),
        "no_feeds": clean(facts.no_feeds),
    }


def _span(facts: SiteFacts) -> str:
    hours = (facts.to_us - facts.from_us) // HOUR_US
    of = "" if hours == facts.hours else f" of {grouped(hours)}"
    return (
        f"{day(facts.from_us)} {clock(facts.from_us)[:5]} – {day(facts.to_us)} "
        f"{clock(facts.to_us)[:5]} UTC, {grouped(facts.hours)}{of} h with figures of the building"
    )


def _figure(row: NamedRow | None, name: str) -> Cell:
    """Return a figure with its bounds, PUE with four digits."""
    why = _WHY_NONE.get(name, "There is no meter of it.")
    if row is None:
        return Cell(None, why=why)
    if row["value"] is None:
        missing = clean(row["missing"] or "")
        return Cell(None, why=f"Its meters were known together at no time: {shorten(missing, 80)}")
    ends = (row["low"], row["high"])
    shown = ["–" if end is None else significant(end, 4) for end in ends]
    text = significant(row["value"], 4)
    return Cell(text, repr(row["value"]), low=shown[0], high=shown[1], ends=ends)


def _coverage(row: NamedRow | None) -> Cell:
    if row is None:
        return Cell(None, why=_WHY_NONE["pue"])
    return percent(row["coverage_of_period"])


def _tokens(row: NamedRow) -> dict[str, Any]:
    kind = "trained" if row["workload"] == "training" else "generated"
    gpu = between(row["te_gpu"], row["te_gpu_low"], row["te_gpu_high"], _NO_TOKENS)
    facility = between(row["tokenergy"], row["te_low"], row["te_high"], _NO_TOKENS)
    return {"workload": row["workload"], "kind": kind, "gpu": gpu, "facility": facility}


def _figures(site: dict[str, NamedRow]) -> list[tuple[str, Cell, str]]:
    """Return the cards of the site: energies, and the ratios that have meters."""
    energies = [
        (f"{label}, kWh", _figure(site.get(name), name), remark)
        for name, label, remark in (
            ("facility", "Facility energy", "all that comes in, less what is given back"),
            ("it", "IT energy", ""),
        )
        if name in site
    ]
    ratios = [
        (label, _figure(site[name], name), remark)
        for name, (label, _, remark) in _RATIOS.items()
        if name in site
    ]
    return [*energies, *ratios]


def _flow(frame: Frame) -> dict[str, Any] | None:
    balance = balance_of(frame)
    if balance is None:
        return None
    unit, scale = energy_unit(balance.total_j)
    return {
        "drawings": drawings(balance, frame.tokens, unit, scale),
        "unit": unit,
        "legend": [(how, HOWS[how]) for how in legend(balance)],
        "hours": counted(frame.hours, "hour"),
        "known": f"{100 * LEAST_KNOWN:g}",
        "base": {"pue": "PUE", "facility": "what comes in", "it": "IT energy"}[frame.base],
        "rows": _rows(balance, unit, scale),
        "tokens": [
            (
                row["workload"],
                between(row["facility"], row["facility_low"], row["facility_high"], _NO_TOKENS),
                between(row["gpu"], row["gpu_low"], row["gpu_high"], _NO_TOKENS),
            )
            for row in frame.tokens
        ],
    }


def _rows(balance: Balance, unit: str, scale: float) -> list[dict[str, Any]]:
    """Return the parts as a table: each group adds up to the one that it is a part of."""
    it_parts = [*([balance.more_it] if balance.more_it else []), *balance.it_parts]
    groups: list[tuple[str, Iterable[Part]]] = [
        ("Comes in", balance.inputs),
        ("Goes to", balance.parts),
        ("IT", it_parts),
        ("GPUs", balance.accounts),
    ]
    return [
        {
            "group": group if not at else "",
            "label": part.label,
            "energy": number(part.energy_j, scale=scale, digits=4),
            "share": number(100 * part.energy_j / balance.total_j),
            "how": HOWS[part.how],
            "covered": _known(part),
            "why": part.why,
            "color": part.color,
        }
        for group, parts in groups
        for at, part in enumerate(parts)
    ]


def _known(part: Part) -> Cell:
    why = part.why or "It has no meters of its own."
    return percent(part.covered, why)


def _places(facts: SiteFacts) -> list[dict[str, Any]]:
    """Return a row a place: the site, its halls, its modules."""
    order = {"site": 0, "hall": 1, "module": 2}
    names = sorted(facts.figures, key=lambda name: (order.get(name.split(":")[0], 3), name))
    return [_place(facts, name) for name in names[:MOST_PLACES]]


def _place(facts: SiteFacts, name: str) -> dict[str, Any]:
    figures = facts.figures[name]
    pue = figures.get("pue", {})
    covered = pue or min(figures.values(), key=lambda row: float(row["coverage_of_period"]))
    missing = {one for row in figures.values() for one in (row["missing"] or "").split(",")} - {""}
    return {
        "name": clean(name),
        "cooling": (facts.feeds.cooling.get(name, "") if facts.feeds else ""),
        "facility": _figure(figures.get("facility"), "facility"),
        "it": _figure(figures.get("it"), "it"),
        "pue": _figure(figures.get("pue"), "pue"),
        "ratio": _figure(figures.get("cooling"), "cooling"),
        "tokens": _place_tokens(facts, name),
        "coverage": percent(covered["coverage_of_period"]),
        "category": _category(pue),
        "missing": shorten(clean(", ".join(sorted(missing))), 60),
    }


def _category(pue: NamedRow) -> Cell:
    category = pue.get("pue_category")
    return Cell(None, why=_WHY_NONE["pue"]) if category is None else Cell(str(category))


def _place_tokens(facts: SiteFacts, name: str) -> list[tuple[str, Cell, Cell]]:
    """Return workload and J/token of a place, of the facility and of the GPUs."""
    if name == "site":
        rows = [
            {"workload": row["workload"], **_of(row, ("tokenergy", "te")), "gpu": row["te_gpu"]}
            for row in facts.tokens
        ]
    else:
        rows = [
            {**row, **_of(row, ("facility", "facility"))} for row in facts.hall_tokens.get(name, [])
        ]
    found = []
    for row in rows:
        side = between(row["value"], row["low"], row["high"], _NO_TOKENS)
        found.append((row["workload"], side, number(row["gpu"], _NO_TOKENS)))
    return found


def _of(row: NamedRow, names: tuple[str, str]) -> NamedRow:
    value, end = names
    return {"value": row[value], "low": row[f"{end}_low"], "high": row[f"{end}_high"]}
