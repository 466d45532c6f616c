"""Faults of a power record: each alters the raw rows of one board as that fault would leave them.

In: a generator of chance and the rows of one board, ascending in time. Out: the same list, altered.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from tests.support.lakes import HOUR_US, T0, S

Row = dict[str, Any]
Fault = Callable[[random.Random, list[Row]], None]

EDGE_US = T0 + HOUR_US
"""The edge of an hour around which all fleets are watched."""


def gap(rng: random.Random, rows: list[Row]) -> None:
    """Nothing is read for a while: from just over a period to hours, over one edge or several."""
    length_us = rng.choice((1.4, 1.6, 4, 31, 200, 1_500, 2_990, 3_010, 3_700, 7_500))
    _shift(rows[rng.randrange(1, len(rows)) :], int(length_us * S))


def holes(rng: random.Random, rows: list[Row]) -> None:
    """Single readings are missing all over."""
    rows[:] = [row for row in rows if rng.random() < 0.7] or rows[:1]


def no_power(rng: random.Random, rows: list[Row]) -> None:
    """The board reports no power: for a while, or never."""
    first, last = rng.choice(((0, len(rows)), _part(rng, rows)))
    for row in rows[first:last]:
        row.update(power_mw=None, sensor="none")
        if row["energy_mj"] is None:
            row["energy_mj"] = _counter_before(rows, row)


def no_counter(rng: random.Random, rows: list[Row]) -> None:
    """The board reports no energy for a while."""
    first, last = _part(rng, rows)
    for row in rows[first:last]:
        row["energy_mj"] = None


def counter_falls(rng: random.Random, rows: list[Row]) -> None:
    """The counter restarts from zero; the epoch says so, or not."""
    reported = rng.random() < 0.5
    part = rows[rng.randrange(1, len(rows)) :]
    base = next((row["energy_mj"] for row in part if row["energy_mj"] is not None), 0)
    for row in part:
        row["epoch"] += reported
        if row["energy_mj"] is not None:
            row["energy_mj"] -= base


def new_epoch(rng: random.Random, rows: list[Row]) -> None:
    """A new epoch of the counter in which it is higher than before."""
    for row in rows[rng.randrange(1, len(rows)) :]:
        row["epoch"] += 1
        if row["energy_mj"] is not None:
            row["energy_mj"] += 10**9


def counter_stands(rng: random.Random, rows: list[Row]) -> None:
    """The counter does not move, from the start or from some time on."""
    held = None
    for row in rows[rng.choice((0, rng.randrange(len(rows)))) :]:
        if row["energy_mj"] is not None:
            held = row["energy_mj"] = row["energy_mj"] if held is None else held


def counter_jumps(rng: random.Random, rows: list[Row]) -> None:
    """The counter leaps by a kilowatt-hour between two readings."""
    for row in rows[rng.randrange(1, len(rows)) :]:
        if row["energy_mj"] is not None:
            row["energy_mj"] += 3_600_000_000


def counter_glitches(rng: random.Random, rows: list[Row]) -> None:
    """One reading of the counter, or a few, are low or high, and it goes on where it was."""
    counted = [row for row in rows if row["energy_mj"] is not None]
    for _ in range(rng.randint(1, 3)):
        first = rng.randrange(len(counted)) if counted else 0
        for row in counted[first : first + rng.choice((1, 1, 2, 4))]:
            row["energy_mj"] = rng.choice((204_113, row["energy_mj"] + 3_600_000_000))


def duplicates(rng: random.Random, rows: list[Row]) -> None:
    """Some rows are there twice."""
    rows += [dict(row) for row in rows if rng.random() < 0.2]


def equal_stamps(rng: random.Random, rows: list[Row]) -> None:
    """Rows of one stamp that say different things; those next to the hour's edge among them."""
    at_edge = sorted(rows, key=lambda row: abs(row["ts_us"] - EDGE_US))[:2]
    for row in at_edge + rng.sample(rows, min(len(rows), 4)):
        other = dict(row)
        if other["power_mw"] is not None:
            other["power_mw"] = rng.choice((other["power_mw"] // 2, 650_000))
        if other["energy_mj"] is not None:
            other["energy_mj"] = max(0, other["energy_mj"] + rng.choice((-5_000, 0, 5_000)))
            other["epoch"] = max(0, other["epoch"] + rng.choice((-1, 0, 1)))
        rows.append(other)


def clock_jumps(rng: random.Random, rows: list[Row]) -> None:
    """The wall clock is set: stamps leap on, or come once more."""
    _shift(rows[rng.randrange(1, len(rows)) :], rng.choice((-90 * S, -2_500_001, 7, 40 * S)))


def counter_alone(rng: random.Random, rows: list[Row]) -> None:
    """The counter is read at stamps of its own, between the readings of power."""
    for row in [row for row in rows if row["energy_mj"] is not None]:
        own = {**row, "ts_us": row["ts_us"] + rng.randrange(1, 900_000)}
        rows.append({**own, "power_mw": None, "sensor": "none"})
        row["energy_mj"] = None


def at_the_edge(rng: random.Random, rows: list[Row]) -> None:
    """A reading falls on the hour's edge itself."""
    del rng
    nearest = min(rows, key=lambda row: abs(row["ts_us"] - EDGE_US))
    if abs(nearest["ts_us"] - EDGE_US) < 10 * S:
        nearest["ts_us"] = EDGE_US


def very_large(rng: random.Random, rows: list[Row]) -> None:
    """Power at the bound of what may be written."""
    for row in rng.sample(rows, min(len(rows), 3)):
        if row["power_mw"] is not None:
            row["power_mw"] = 2**31 - 1


def one_reading(rng: random.Random, rows: list[Row]) -> None:
    """The daemon died after one reading, or two."""
    del rows[rng.randint(1, 2) :]


FAULTS: tuple[Fault, ...] = (
    gap,
    holes,
    no_power,
    no_counter,
    counter_falls,
    new_epoch,
    counter_stands,
    counter_jumps,
    counter_glitches,
    duplicates,
    equal_stamps,
    clock_jumps,
    at_the_edge,
    counter_alone,
    very_large,
    one_reading,
)


def _part(rng: random.Random, rows: list[Row]) -> tuple[int, int]:
    first, last = sorted(rng.sample(range(len(rows) + 1), 2))
    return first, last


def _shift(rows: list[Row], by_us: int) -> None:
    for row in rows:
        row["ts_us"] += by_us


def _counter_before(rows: list[Row], row: Row) -> int:
    """Return a counter for a row that has none: a row says something."""
    before = [
        r["energy_mj"] for r in rows if r["energy_mj"] is not None and r["ts_us"] <= row["ts_us"]
    ]
    return max(before, default=0)
