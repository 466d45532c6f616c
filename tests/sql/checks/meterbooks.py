"""Books of meters alone: a site file and raw readings, as the pipeline books an hour of them."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa

from tests.support.lakes import HOUR_US, T0, LakeBuilder, S
from tokenergy_collectors.lake import Lake
from tokenergy_collectors.lake.contract import TABLES
from tokenergy_sql.checks.checking import Finding, run_checks
from tokenergy_sql.index.site import load_site
from tokenergy_sql.metering.hour import hour_rows

BILLION = 10**9
NAMES = ("meter_law", "site_sums", "pue_is_plausible", "unbooked_meters")

Row = dict[str, Any]


def reading(meter_id: str, ts_us: int, value_n: int, node: str = "n1") -> Row:
    """A raw row."""
    known = {"meter_id": meter_id, "ts_us": ts_us, "value_n": value_n}
    return {**known, "node": node, "source": "modbus"}


def written(root: Path, text: str, rows: Iterable[Row]) -> LakeBuilder:
    """A lake with readings of meters and the books of the hour T0."""
    builder = LakeBuilder(root)
    add(builder, rows)
    (root / "site.toml").write_text(text, "utf-8")
    book(builder.lake)
    return builder


def add(builder: LakeBuilder, rows: Iterable[Row]) -> None:
    """Add raw rows, each to its hour."""
    by_hour: dict[int, list[Row]] = {}
    for row in rows:
        by_hour.setdefault(row["ts_us"] // HOUR_US, []).append(row)
    for of_hour in by_hour.values():
        builder.add("meter", of_hour)


def book(lake: Lake) -> None:
    """Book the hour T0."""
    found = hour_rows(lake, load_site(None, lake.root).places, T0, "v")
    for name, rows in (("meter_hour", found.meters), ("site_hour", found.site)):
        lake.replace(name, rows, T0, name)


def findings(lake: Lake, hours: list[int] | None = None) -> dict[str, Finding]:
    """What the checks of meters find."""
    return {one.name: one for one in run_checks(lake, hours, NAMES)}


def named(lake: Lake, name: str) -> list[Any]:
    """The first columns of what a check finds."""
    return [row[0] for row in findings(lake)[name].rows]


def change(lake: Lake, table: str, where: Callable[[Row], bool], **values: Any) -> Row:
    """Change one row of the books; a value may be a function of the row. Return it as it was."""
    rows = lake.read(table, [T0]).to_pylist()
    (row,) = [row for row in rows if where(row)]
    new = {k: v(row) if callable(v) else v for k, v in values.items()}
    changed = [row | new if one is row else one for one in rows]
    lake.replace(table, pa.Table.from_pylist(changed, schema=TABLES[table].schema()), T0, table)
    return row


UNITS = {"energy": ("kWh", "J"), "power": ("kW", "W"), "volume": ("L", "m3"), "flow": ("L/min",)}
OF = {"energy": "utility", "power": "pump", "volume": "water_in", "flow": "water_in"}


def drawn(seed: int, number: int = 8) -> tuple[str, list[Row]]:
    """A site file, and readings of meters that stop, fall, roll over, are replaced, give back."""
    chance = random.Random(seed)
    text, rows = "", []
    for index in range(number):
        meter_id = f'm{index}, "x"'
        quantity = chance.choice(list(UNITS))
        counts = quantity in ("energy", "volume")
        modulus = chance.choice((None, 1_000, 5_000)) if counts else None
        keys = f"""
quantity = "{quantity}"
unit = "{chance.choice(UNITS[quantity])}"
scale = {chance.choice((1, 0.1, 0.007, 40))}
role = "{OF[quantity]}"
{chance.choice(("", "accuracy_percent = 0.5"))}
{f"rollover = {modulus}" if modulus else ""}
{f"max_per_h = {chance.choice((40_000, 400_000))}" if counts and chance.random() < 0.4 else ""}
{"interval_s = 20" if not counts and chance.random() < 0.5 else ""}
"""
        where = f"[[meter]]\nid = '{meter_id}'"
        if chance.random() < 0.2:
            moment = chance.choice(("07:30", "08:20", "09:10"))
            text += f"{where}\nuntil = 2026-01-15T{moment}:00Z{keys}"
            text += f"{where}\nfrom = 2026-01-15T{moment}:00Z{keys}"
        else:
            text += f"{where}{keys}"
        rows += [reading(meter_id, *one) for one in _shown(chance, counts, modulus)]
    return text, rows


def _shown(chance: random.Random, counts: bool, modulus: int | None) -> Iterator[tuple[int, int]]:
    """Yield stamps and values of three hours, with silences of all lengths."""
    at_us = T0 - HOUR_US + chance.randrange(0, HOUR_US)
    usual_s, value = chance.choice((10, 30, 300)), chance.randrange(0, 10**12)
    while at_us < T0 + 2 * HOUR_US:
        yield at_us, value
        at_us += round(usual_s * S * chance.uniform(0.9, 1.1))
        if chance.random() < 0.02:
            at_us += round(chance.choice((60, 600, 4_000)) * S * chance.random())
        if not counts:
            value = chance.randrange(-5 * BILLION, 50 * BILLION)
            continue
        value += chance.randrange(0, 20 * BILLION)
        if chance.random() < 0.01:
            value = chance.choice((value // 2, -value))
        if modulus is not None and value >= 0:
            value %= modulus * BILLION
