"""Where the PUE of a job comes from, in lines: meters, a model with its parts, or a declaration.

In: the hosts of the job's nodes by hour, the parts of the modelled PUEs that it had. Out: lines.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

from tokenergy_collectors.lake.contract import HOUR_US
from tokenergy_sql.catalog.namedrows import NamedRow

_NJ_PER_KWH = 3.6e15
_ORDER = ("it", "losses", "loss", "cooling", "other")
_NAMES = {"it": "IT"}

_SHOWN = {
    "class": "class {}",
    "rejection": "{}",
    "outdoor_c": "outdoors {:g} °C",
    "wet_bulb_c": "wet bulb {:g} °C",
    "it_kw": "heat {:g} kW",
    "rated_kw": "made for {:g} kW",
    "liquid_share": "{:.3g} of it to liquid",
}
"""Inputs of the model of cooling, as a line has them."""


def pue_lines(hosts: Sequence[NamedRow], parts: Sequence[NamedRow]) -> Iterator[str]:
    """Yield where the PUE of the job's nodes and hours comes from, and what it is.

    Args:
        hosts: rows of nodes by hour, with `facility_method`, `pue_place` and the PUE.
        parts: of modelled PUEs: rows of `site_part` with `pue_place`.
    """
    by_source: dict[tuple[str | None, str | None], list[NamedRow]] = {}
    for row in hosts:
        by_source.setdefault((row["facility_method"], row["pue_place"]), []).append(row)
    for (method, place), rows in by_source.items():
        if rows[0]["pue_ppb"] is None:
            yield "PUE: neither measured nor declared"
            continue
        values = sorted({row["pue_ppb"] for row in rows})
        text = f"{values[0] / 1e9:g}"
        if len(values) > 1:
            text += f" to {values[-1] / 1e9:g}"
        if method not in ("measured", "modelled"):
            yield f"PUE: {text}, declared"
            continue
        source = (
            "measured by the meters of" if method == "measured" else "modelled from the parts of"
        )
        yield f"PUE: {text} {_bounds(rows)}, {source} {place}{_known(rows)}"
        if method == "modelled":
            yield from _part_lines([row for row in parts if row["pue_place"] == place])


def _bounds(rows: Sequence[NamedRow]) -> str:
    low = min(row["pue_low_ppb"] for row in rows) / 1e9
    highs = [row["pue_high_ppb"] for row in rows]
    high = "unknown" if None in highs else f"{max(highs) / 1e9:.6g}"
    return f"[{low:.6g}, {high}]"


def _known(rows: Sequence[NamedRow]) -> str:
    least_us = min(row["pue_covered_us"] for row in rows)
    return "" if least_us == HOUR_US else f", known for {least_us / 6e7:.3g} min of an hour or more"


def _part_lines(parts: Sequence[NamedRow]) -> Iterator[str]:
    """Yield each part of a modelled PUE: energy of all hours, how it is known, and from what."""
    grouped: dict[tuple[str, str, str], list[NamedRow]] = {}
    for row in parts:
        grouped.setdefault((row["part"], row["name"], row["method"]), []).append(row)
    for (part, name, method), rows in sorted(
        grouped.items(), key=lambda one: (_ORDER.index(one[0][0]), one[0][1:])
    ):
        kwh = sum(row["energy_nj"] or 0 for row in rows) / _NJ_PER_KWH
        label = f"  of which {name}" if part == "loss" else _NAMES.get(part, part)
        yield f"  {label}: {kwh:.6g} kWh, {method}{_from(part, rows[-1], len(rows))}"


def _from(part: str, row: NamedRow, hours: int) -> str:
    """Return what a part was worked out from: of several hours, in the last one."""
    inputs = json.loads(row["inputs"])
    if row["method"] == "declared":
        return f" as {inputs['power_mw'] / 1e6:g} kW"
    if part == "loss":
        return f" by its curve at the load of {', '.join(inputs['meters'])}"
    if part == "cooling" and row["method"] == "modelled":
        told = ", ".join(text.format(inputs[key]) for key, text in _SHOWN.items() if key in inputs)
        return f": {told}{' in the last hour' if hours > 1 else ''}"
    if row["name"] == "curves":
        return " by declared curves"
    return f" by {', '.join(inputs.get('meters', ()))}"
