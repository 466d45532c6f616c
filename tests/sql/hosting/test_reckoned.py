"""Hosts of random lakes, reckoned anew from raw rows, ledger and site file by the docs' rules.

Rules: docs/host-energy.md. Time is taken second by second here, energy as fractions; no code of the
tool is used but to make the lake. What the boards drew is taken from its ledger.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import pairwise
from math import floor
from pathlib import Path
from random import Random
from typing import Any

import pytest

from tests.sql.hosting.planted import SITE, add_processors, build, host, meter
from tests.support.lakes import T0, LakeBuilder, S
from tests.support.ledger import assert_checks_pass
from tokenergy_collectors.lake import Lake

BILLION = 10**9
LONG = 600
"""Seconds for which a node is watched, at most."""

Row = dict[str, Any]
NODES = ("n1", "n2", "n3")
MODEL = {"base_w": 200, "per_cpu": 1.25, "per_gpu": 0.0625}


@dataclass
class Staged:
    """A node, second by second.

    Attributes:
        host_w, cpu_w: of each second.
        meter: readings (second, billionths of Wh or W) of its meter.
        counted: readings (second, uJ, run) of its one package.
        momentary: whether its meter shows a power.
    """

    host_w: list[int]
    cpu_w: list[int]
    momentary: bool
    modelled: bool
    declared_w: int | None
    meter: list[tuple[int, int]] = field(default_factory=list)
    counted: list[tuple[int, int, int]] = field(default_factory=list)


def stage(builder: LakeBuilder, name: str, rng: Random) -> Staged:
    """Add a node: boards that come, go and fall silent; a meter and counters that pause."""
    node = Staged(
        [rng.randrange(300, 900) for _ in range(LONG)],
        [rng.randrange(50, 250) for _ in range(LONG)],
        rng.random() < 0.5,
        rng.random() < 0.5,
        rng.choice((None, 400)),
    )
    boards_w = [0] * LONG
    for number in range(rng.randrange(1, 4)):
        begin = 0 if rng.random() < 0.7 else rng.randrange(0, 40)
        end = LONG - 1 if rng.random() < 0.7 else rng.randrange(LONG - 60, LONG)
        silent = range(0) if rng.random() < 0.6 else _pause(rng, 40)
        watts, board = rng.randrange(100, 700), f"{name}-{number}"
        builder.device(board, node=name, index=number, update_us=S)
        read = [s for s in range(begin, end + 1) if s not in silent]
        builder.power(board, [(T0 + s * S, watts * 1000) for s in read], node=name)
        until_s = rng.randrange(LONG // 2, end)
        builder.job(f"j-{name}", board, T0 + begin * S, T0 + until_s * S, node=name)
        boards_w = [drawn + watts for drawn in boards_w]
    used_ws = 0
    pause = range(0) if rng.random() < 0.5 else _pause(rng, 90)
    for s in range(LONG):
        if s % 10 == 0 and s not in pause and rng.random() < 0.98:
            shown = 3 * 10**12 + used_ws * BILLION // 3600
            input_w = node.host_w[s] + boards_w[s]
            node.meter.append((s, input_w * BILLION if node.momentary else shown))
        used_ws += node.host_w[s] + boards_w[s]
    if rng.random() < 0.7:
        _count(node, rng)
        add_processors(builder, [_processor(name, *one) for one in node.counted])
    if rng.random() < 0.7:
        rows = [
            {"ts_us": T0 + s * S, "meter_id": name, "node": name, "source": "x", "value_n": value}
            for s, value in node.meter
        ]
        builder.add("meter", rows, name)
    else:
        node.meter = []
    return node


def _pause(rng: Random, most_s: int) -> range:
    begin = rng.randrange(100, LONG - 150)
    return range(begin, begin + rng.randrange(3, most_s))


def _count(node: Staged, rng: Random) -> None:
    """Counters once a second, with a restart of the collector and seconds that are missing."""
    restart = rng.choice((LONG, rng.randrange(100, 500)))
    pause_s = rng.choice((0, 5, 50))
    shown = 0
    for s in range(LONG):
        if s == restart:
            shown = 0
        if not restart <= s < restart + pause_s and rng.random() < 0.95:
            node.counted.append((s, shown, 1 if s < restart else 2))
        shown += node.cpu_w[s] * S


def _processor(name: str, s: int, shown_uj: int, run: int) -> Row:
    known = {"ts_us": T0 + s * S, "node": name, "domain": "package-0", "epoch": 0, "run": run}
    return {**known, "energy_uj": shown_uj, "counter_uj": shown_uj, "range_uj": 2**50}


def site(nodes: dict[str, Staged]) -> str:
    text = "[site]\npue = 1.5\n"
    for name, node in nodes.items():
        if node.declared_w is not None:
            text += f"[nodes.{name}]\nhost_w = {node.declared_w}\n"
    text += SITE
    for name, node in nodes.items():
        if node.modelled:
            keys = "".join(f"{key} = {value}\n" for key, value in MODEL.items())
            text += f"[[host_model]]\nnodes = ['{name}']\n{keys}below_w = 500\nabove_w = 900\n"
            text += "cpu_w = [0, 1000]\ngpu_w = [0, 9000]\n"
        if node.meter:
            kind = {"quantity": '"power"', "unit": '"W"', "interval_s": 10}
            if not node.momentary:
                kind = {"quantity": '"energy"', "unit": '"Wh"', "resolution": 1e-6}
            text += meter(f"node:{name}", name, **kind)
    return text


Seconds = set[int]


def seconds(rows: list[Row], *, unknown: bool) -> Seconds:
    """The seconds of rows of the ledger; each row begins and ends with one."""
    return {
        s
        for row in rows
        if (row["energy_nj"] is None) == unknown
        for s in range((row["start_us"] - T0) // S, (row["end_us"] - T0) // S)
    }


def reckoned(node: Staged, rows: list[Row]) -> tuple[str, int | None]:
    """How the host of a node is found, and its energy in nJ."""
    assert all(row[k] % S == 0 for row in rows for k in ("start_us", "end_us"))
    watched = seconds(rows, unknown=False) | seconds(rows, unknown=True)
    surely_nj, cpu_nj = _processors(node, watched)
    found = _measured(node, rows, watched)
    if found is not None and found >= surely_nj:
        return "measured", found
    found = _modelled(node, rows, len(watched), cpu_nj)
    if found is not None and found >= surely_nj:
        return "modelled", found
    if node.declared_w is not None:
        return "declared", max(node.declared_w * len(watched) * BILLION, surely_nj)
    return "none", None


def _measured(node: Staged, rows: list[Row], watched: Seconds) -> int | None:
    known = set(watched)
    for device in {row["device_id"] for row in rows}:
        own = [row for row in rows if row["device_id"] == device]
        known &= seconds(own, unknown=False) - seconds(own, unknown=True)
    metered: Seconds = set()
    for (a, _), (b, _) in pairwise(node.meter):
        if not node.momentary or b - a <= 30:
            metered |= {*range(a, b)}
    known &= metered
    if not known or 10 * len(known) < 9 * len(watched):
        return None
    counted = sum(_meter(node, b) - _meter(node, a) for a, b in _spans(known))
    drawn = 0
    for row in rows:
        a, b = (row["start_us"] - T0) // S, (row["end_us"] - T0) // S
        for from_s, until_s in _spans(known & {*range(a, b)}):
            whole = int(row["energy_nj"])
            drawn += whole * (until_s - a) // (b - a) - whole * (from_s - a) // (b - a)
    if counted < drawn:
        return None
    return (counted - drawn) * len(watched) // len(known)


def _meter(node: Staged, at: int) -> int:
    """What a meter has counted up to a second, nJ: straight lines between its readings."""
    total = Fraction(0)
    if not node.momentary:
        return floor(_line(node.meter, at) * 3600)
    for (a, v), (b, w) in pairwise(node.meter):
        if a < at:
            end = min(b, at)
            total += (v + v + Fraction((w - v) * (end - a), b - a)) * (end - a) / 2
    return floor(total)


def _line(readings: list[tuple[int, int]], at: int) -> Fraction:
    place = bisect_right([s for s, _ in readings], at) - 1
    s, value = readings[place]
    if s == at:
        return Fraction(value)
    after_s, after = readings[place + 1]
    return value + Fraction((after - value) * (at - s), after_s - s)


def _processors(node: Staged, watched: Seconds) -> tuple[int, int | None]:
    """The least that they drew for certain, and what they drew with what is filled in."""
    known_nj = least_nj = known_s = 0
    for span in _spans(watched):
        for run in (1, 2):
            readings = [(s, uj * 1000) for s, uj, of in node.counted if of == run]
            if not readings:
                continue
            a, b = max(span[0], readings[0][0]), min(span[1], readings[-1][0])
            if a < b:
                known_s += b - a
                known_nj += floor(_line(readings, b)) - floor(_line(readings, a))
                # A value may be 1 ms old: the one at the beginning is that of the next reading.
                upto = max(nj for s, nj in readings if s <= b)
                later = [nj for s, nj in readings if s > a]
                least_nj += max(0, upto - later[0])
    if not known_s or 10 * known_s < 9 * len(watched):
        return least_nj, None
    return least_nj, known_nj * len(watched) // known_s


def _modelled(node: Staged, rows: list[Row], watched_s: int, cpu_nj: int | None) -> int | None:
    device_us = sum(row["device_us"] for row in rows)
    covered_us = sum(row["covered_us"] for row in rows)
    if not node.modelled or cpu_nj is None or 10 * covered_us < 9 * device_us:
        return None
    boards = sum(int(row["energy_nj"] or 0) for row in rows) * device_us // covered_us
    scaled = floor(Fraction(MODEL["per_cpu"]) * cpu_nj + Fraction(MODEL["per_gpu"]) * boards)
    return int(MODEL["base_w"]) * watched_s * BILLION + scaled


def _spans(found: Seconds) -> list[tuple[int, int]]:
    spans: list[tuple[int, int]] = []
    for s in sorted(found):
        if spans and spans[-1][1] == s:
            spans[-1] = spans[-1][0], s + 1
        else:
            spans.append((s, s + 1))
    return spans


def made(root: Path, seed: int) -> tuple[Lake, dict[str, Staged]]:
    builder = LakeBuilder(root / "lake")
    rng = Random(seed)
    nodes = {name: stage(builder, name, rng) for name in NODES}
    return build(builder, site(nodes)), nodes


@dataclass(frozen=True)
class Case:
    """A node of a lake: what the books have of its host, and what is reckoned of it."""

    found: Row
    method: str
    host_nj: int | None
    truth_nj: int


SEEDS = 12


@pytest.fixture(scope="module")
def cases(tmp_path_factory: pytest.TempPathFactory) -> list[Case]:
    cases = []
    for seed in range(SEEDS):
        lake, nodes = made(tmp_path_factory.mktemp(f"seed{seed}"), seed)
        assert_checks_pass(lake)
        ledger = lake.read("ledger").to_pylist()
        for name, node in nodes.items():
            rows = [row for row in ledger if row["node"] == name]
            watched = seconds(rows, unknown=False) | seconds(rows, unknown=True)
            truth_nj = sum(node.host_w[s] for s in watched) * BILLION
            cases.append(Case(host(lake, name), *reckoned(node, rows), truth_nj))
    return cases


def test_hosts_are_as_reckoned(cases: list[Case]) -> None:
    for case in cases:
        found = case.found
        assert (found["method"], found["host_nj"]) == (case.method, case.host_nj), found


def test_the_truth_is_within_the_bounds(cases: list[Case]) -> None:
    for case in cases:
        found = case.found
        if found["host_nj"] is not None:
            assert found["host_low_nj"] <= found["host_nj"]
            assert found["host_high_nj"] is None or found["host_nj"] <= found["host_high_nj"]
        if case.method in ("measured", "modelled"):
            assert found["host_low_nj"] <= case.truth_nj <= found["host_high_nj"], found


def test_every_method_is_staged(cases: list[Case]) -> None:
    """Known for all of the time, and for some of it; refused, and not there."""
    methods = Counter(case.method for case in cases)
    assert min(methods[one] for one in ("measured", "modelled", "declared", "none")) >= 2
    shares = [c.found["input_us"] / c.found["watched_us"] for c in cases if c.method == "measured"]
    assert 1.0 in shares
    assert any(share < 1 for share in shares)
    doubts = {doubt for c in cases for doubt in (c.found["doubts"] or "").split(",")}
    assert {"meter_in_part", "no_cpu"} <= doubts
