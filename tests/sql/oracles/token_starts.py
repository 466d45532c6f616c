"""Which process each row of a counter is of, by the starts that pages named, in plain Python.

The rules are in `token_usage.py`.
"""

from __future__ import annotations

import math
from itertools import groupby, pairwise
from typing import Any

from tests.sql.oracles.token_process import SECOND_US

Row = dict[str, Any]


def of_rows(rows: list[Row]) -> tuple[list[Row], list[int | None]]:
    """Return the rows of a counter in order, and the start of the process of each."""
    return _starts(_with_starts(sorted(rows, key=_place)))


def _place(row: Row) -> tuple[int, int, int, int]:
    since_us = -1 if row["since_us"] is None else row["since_us"]
    return (row.get("run") or 0, row["ts_us"], row["value"], since_us)


def _with_starts(rows: list[Row]) -> list[Row]:
    """Return the rows, each with a start of its process if any row has one."""
    told = [row["since_us"] for row in rows]
    found = []
    for i, row in enumerate(rows):
        earlier = [s for s in told[: i + 1] if s is not None]
        later = [s for s in told[i:] if s is not None]
        since_us = earlier[-1] if earlier else later[0] if later else None
        found.append({**row, "since_us": since_us})
    return found


def _starts(rows: list[Row]) -> tuple[list[Row], list[int | None]]:
    """Return the rows, and the start of the process of each: that which stands for it."""
    if rows[0]["since_us"] is None:
        return rows, [None] * len(rows)
    rows = sorted(rows, key=_place)
    found: list[tuple[Row, int]] = []
    for chain in _chains(_stretches(rows)):
        starts = [stretch[0]["since_us"] for stretch in chain]
        moves = len(chain) > 1 and max(starts) - min(starts) > SECOND_US
        for (before, now), (a, b) in zip(pairwise(chain), pairwise(starts), strict=True):
            moves = moves and before[-1]["ts_us"] + b - a <= now[0]["ts_us"]
        for stretch, start_us in zip(chain, starts, strict=True):
            for row in stretch:
                off_us = starts[-1] - start_us if moves else 0
                stands = starts[-1] if moves else starts[0] if len(chain) > 1 else row["since_us"]
                found.append(({**row, "ts_us": row["ts_us"] + off_us}, stands))
    found.sort(key=lambda one: _place({**one[0], "since_us": one[1]}))
    rows = [row for row, _ in found]
    return rows, _near(rows, [start_us for _, start_us in found])


def _stretches(rows: list[Row]) -> list[list[Row]]:
    """Return the rows by run; those without a run by start too, if none comes back."""
    found: list[list[Row]] = []
    for _, group in groupby(rows, key=lambda row: row.get("run") or 0):
        of_run = list(group)
        parts: list[list[Row]] = []
        for row in of_run:
            last = parts[-1][-1] if parts else None
            turns = last is not None and abs(row["since_us"] - last["since_us"]) > SECOND_US
            if last is None or (turns and not row.get("run")):
                parts.append([])
            parts[-1].append(row)
        firsts = sorted(min(row["since_us"] for row in part) for part in parts)
        comes_back = any(b - a <= SECOND_US for a, b in pairwise(firsts))
        found += [of_run] if comes_back else parts
    return found


def _chains(stretches: list[list[Row]]) -> list[list[list[Row]]]:
    """Return the stretches, those that go on in one another together."""
    found: list[list[list[Row]]] = []
    before: list[Row] | None = None
    for stretch in stretches:
        single = len({row["since_us"] for row in stretch}) == 1
        first = stretch[0]
        if (
            single
            and before is not None
            and first["since_us"] <= before[-1]["ts_us"] + SECOND_US
            and first["value"] >= before[-1]["value"]
        ):
            found[-1].append(stretch)
        else:
            found.append([stretch])
        before = stretch if single else None
    return found


def _near(rows: list[Row], starts: list[int]) -> list[int | None]:
    """Return for each row the first of the starts within a second of each other, or its own."""
    first: dict[int, int] = {}
    group = 0
    for before, start_us in pairwise([-math.inf, *sorted(set(starts))]):
        if start_us - before > SECOND_US:
            group = int(start_us)
        first[int(start_us)] = group
    found: list[int | None] = [first[start_us] for start_us in starts]
    for group in set(first.values()):
        places = [i for i, start_us in enumerate(starts) if first[start_us] == group]
        fell = any(rows[b]["value"] < rows[a]["value"] for a, b in pairwise(places))
        runs: dict[int, set[int]] = {}
        for i in places:
            runs.setdefault(rows[i].get("run") or 0, set()).add(starts[i])
        if fell and any(len(of_run) > 1 for of_run in runs.values()):
            for i in places:
                found[i] = starts[i]
    return found
