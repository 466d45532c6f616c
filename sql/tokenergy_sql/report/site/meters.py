"""What is measured, and how well: the meters, and where the nodes' PUE and host power come from.

In: the rows. Out: plain values for the template.
"""

from __future__ import annotations

from typing import Any

from tokenergy_sql.catalog.namedrows import NamedRow
from tokenergy_sql.places import EVIDENCE, ROLES
from tokenergy_sql.report.format import Cell, between, clean, grouped, number, percent, shorten
from tokenergy_sql.report.site.facts import SiteFacts

DOUBTS: dict[str, str] = {
    **{str(code): meaning for code, meaning in EVIDENCE.items()},
    "no_readings": "nobody read it",
    "gap": "readings are too far apart",
    "stale": "it stood still while others moved",
}
"""Why a meter is not known for some of the time, by code."""

METHODS = {
    "measured": "measured by meters",
    "modelled": "modelled",
    "declared": "declared in the site file",
    "none": "not known",
}

_MOST_BELOW = 4
_UNITS = {"nJ": ("kWh", 1 / 3.6e15), "uL": ("L", 1e-6)}


def meter_values(facts: SiteFacts) -> dict[str, Any]:
    """Return the rows of the table of meters, and how many more there are."""
    total = facts.meters[0]["total"] if facts.meters else 0
    return {
        "rows": [_meter(row, facts) for row in facts.meters],
        "total": grouped(total),
        "left_out": grouped(total - len(facts.meters)) if total > len(facts.meters) else "",
    }


def _meter(row: NamedRow, facts: SiteFacts) -> dict[str, Any]:
    unit, scale = _UNITS.get(row["unit"], ("", 1.0))
    why = "It was known at no time." if row["counts"] else "It counts nothing."
    amount = between(row["amount"], row["low"], row["high"], why, scale=scale)
    meaning = ROLES[row["role"]].meaning if row["role"] in ROLES else ""
    return {
        "id": clean(row["meter_id"]),
        "place": clean(row["place"]),
        "role": clean(row["role"]),
        "meaning": meaning,
        "covered": percent(row["covered"], why),
        "amount": amount,
        "unit": unit if amount.text is not None else "",
        "doubts": [
            (clean(code), DOUBTS.get(code, code.replace("_", " "))) for code in row["doubts"]
        ],
        "below": _below(row["meter_id"], facts),
    }


def _below(meter_id: str, facts: SiteFacts) -> Cell:
    """Return the meters directly below one, the first few by name."""
    if facts.feeds is None:
        return Cell(None, why=facts.no_feeds)
    if meter_id not in facts.feeds.below:
        return Cell(None, why="The site file has no entry of it at the end of these hours.")
    below = facts.feeds.below[meter_id]
    text = ", ".join(shorten(clean(one), 24) for one in below[:_MOST_BELOW])
    more = len(below) - _MOST_BELOW
    return Cell(f"{text} and {grouped(more)} more" if more > 0 else text)


def method_values(facts: SiteFacts) -> list[dict[str, Any]]:
    """Return a row for each way in which nodes had a PUE, with its share of node-hours."""
    hours = sum(row["node_hours"] for row in facts.methods)
    total_j = sum(row["facility_j"] or 0.0 for row in facts.methods)
    none = "Host power or PUE of these nodes is not known."
    return [
        {
            "how": METHODS.get(row["facility_method"], clean(row["facility_method"])),
            "place": clean(row["pue_place"] or ""),
            "host": _host(row),
            "hours": grouped(row["node_hours"]),
            "share": percent(row["node_hours"] / hours),
            "energy": number(row["facility_j"], none, scale=1 / 3.6e6, digits=4),
            "energy_share": percent(
                row["facility_j"] / total_j if row["facility_j"] and total_j else None, none
            ),
            "known": f"{grouped(row['known'])} of {grouped(row['node_hours'])}",
            "low": number(row["low"], "It is not known.", digits=4),
            "high": number(row["high"], "A meter has no declared accuracy.", digits=4),
        }
        for row in facts.methods
    ]


def _host(row: NamedRow) -> str:
    """Return where host power comes from; lakes that do not say it have only declared power."""
    usual = "declared" if row["host_known"] else "none"
    method = row.get("host_method") or usual
    return METHODS.get(method, clean(method).replace("+", ", "))
