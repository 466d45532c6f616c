"""Random fleets as raw rows: small sites with every fault that a record of power can have.

In: seeds. Out: the rows of all raw tables, by node; some of them in files that come late. One seed
gives one fleet of 1 to 4 boards over some minutes around an hour's edge, always the same.
"""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass, field

from tests.support.lakes import HOUR_US, LakeBuilder, S
from tests.support.lawfaults import EDGE_US, FAULTS, Row
from tests.support.meter import Stream
from tokenergy_collectors.lake.contract import WHOLE_PPM

NODES_OF = 42
"""Fleets that share a node: a node's files hold the boards of several sites."""

MOVED = " (moved)"
"""What a node is called to which a fleet's boards move."""

Span = tuple[int, int]
"""First and last stamp."""


@dataclass
class Fleets:
    """Raw rows: table -> node -> rows; `late` holds those whose files come after the first run.

    `met` counts the faults; `owner` names the seed of a device.
    """

    rows: dict[str, dict[str, list[Row]]] = field(default_factory=dict)
    late: dict[str, list[Row]] = field(default_factory=dict)
    met: Counter[str] = field(default_factory=Counter)

    def add(self, table: str, node: str, rows: list[Row]) -> None:
        self.rows.setdefault(table, {}).setdefault(node, []).extend(rows)

    def streams(self) -> dict[str, dict[str, Stream]]:
        """Return what each node read of each device: device -> node -> stream."""
        found: dict[str, dict[str, Stream]] = {}
        periods: dict[str, list[tuple[int, int]]] = {}
        limits: dict[str, list[int]] = {}
        for of_node in self.rows["device"].values():
            for row in of_node:
                if row["update_us"] is not None:
                    of_device = periods.setdefault(row["device_id"], [])
                    of_device.append((row["ts_us"], row["update_us"]))
                if row["limit_mw"] is not None:
                    limits.setdefault(row["device_id"], []).append(row["limit_mw"])
        for files in (self.rows["power"], self.late):
            for node, rows in files.items():
                for row in rows:
                    device = row["device_id"]
                    by_node = found.setdefault(device, {})
                    if node not in by_node:
                        by_node[node] = Stream(
                            periods=periods.get(device, []), limits=limits.get(device, [])
                        )
                    by_node[node].rows.append(row)
        return found

    def write(self, builder: LakeBuilder) -> None:
        """Write all rows but the late ones."""
        for table, of_nodes in self.rows.items():
            for node, rows in of_nodes.items():
                builder.add(table, rows, node)

    def write_late(self, builder: LakeBuilder) -> None:
        """Write the late files."""
        for node, rows in self.late.items():
            builder.add("power", rows, node)


def fleets(seeds: range) -> Fleets:
    """Return the fleets of some seeds, as one lake's rows."""
    found = Fleets()
    for seed in seeds:
        _fleet(random.Random(seed), seed, found)
    return found


def node_of(seed: int) -> str:
    """Return the node of a fleet: names hold what must not reach a path or a statement."""
    return f"rack/{seed // NODES_OF}'; DROP TABLE power --"


def _fleet(rng: random.Random, seed: int, into: Fleets) -> None:
    node = node_of(seed)
    begin_us = EDGE_US - rng.randrange(0, 300 * S)
    length_us = rng.randrange(5 * S, 300 * S)
    boards = []
    for place in range(rng.randint(1, 4)):
        board = _Board(rng, seed, place, begin_us)
        rows = board.readings(begin_us, length_us)
        for fault in rng.sample(FAULTS, rng.choice((0, 0, 1, 1, 2, 3))):
            if len(rows) > 1:
                fault(rng, rows)
                into.met[fault.__name__] += 1
        rows.sort(key=lambda row: row["ts_us"])
        board.stamps = [row["ts_us"] for row in rows]
        _place(rng, board, rows, node, into)
        boards.append(board)
        into.add("state", node, _gauges(rng, board.device_id, begin_us, length_us))
    _jobs(rng, seed, boards, (begin_us, begin_us + length_us), into)
    _tokens(rng, seed, (begin_us, begin_us + length_us), into)


# Boards ------------------------------------------------------------------------------------------


class _Board:
    """One board: its row of `device`, and the readings of its meters without a fault."""

    def __init__(self, rng: random.Random, seed: int, place: int, begin_us: int) -> None:
        self.rng = rng
        self.device_id = f"GPU-{seed}-{place}"
        self.instances: list[str] = []
        self.moved_us: int | None = None
        self.stamps: list[int] = []
        self.index = seed % NODES_OF * 8 + place
        self.spacing_us = rng.choice((1, 1, 2, 5, 10)) * S
        self.site = rng.choice((f"site {seed}", f"site {seed}", f"hall {seed}", None))
        self.described: Row = {
            "ts_us": begin_us - rng.randrange(0, 2 * HOUR_US),
            "device_id": self.device_id,
            "index": self.index,
            "name": rng.choice(("NVIDIA H100 80GB HBM3", "NVIDIA L4", "board", None)),
            "limit_mw": rng.choice((700_000, 300_000, None)),
            "update_us": rng.choice((self.spacing_us, self.spacing_us, 100_000, None)),
            "sensor_kind": rng.choice((None, "instant", "average_1s")),
            "learned_us": rng.choice((None, 20_000, 100_000)),
            "counter_us": rng.choice((None, 0, 100_000, 2_000_000)),
            "site": self.site,
            "emulated": True,
        }

    def readings(self, begin_us: int, length_us: int) -> list[Row]:
        """Return readings with jitter; a counter that is off by nothing, or enough to dispute."""
        rng = self.rng
        factor = rng.choice((0, 0, 1.0, 1.0, 1.004, 0.985, 1.03, 0.97, 1.1, 0.5))
        every = rng.choice((1, 1, 2, 7))
        mode, mw = rng.choice(("level", "steps", "noise")), rng.randrange(0, 700_001)
        energy_nj, epoch = rng.randrange(0, 10**15), rng.randrange(3)
        rows: list[Row] = []
        ts = before_us = begin_us
        while ts <= begin_us + length_us:
            energy_nj += int(mw * (ts - before_us) * factor)
            if mode == "noise" or (mode == "steps" and rng.random() < 0.1):
                mw = rng.choice((0, 60_000, rng.randrange(0, 700_001)))
            counted = factor and len(rows) % every == 0
            energy_mj = energy_nj // 10**6 if counted else None
            rows.append(_reading(ts, self.device_id, mw, energy_mj, epoch))
            before_us = ts
            ts += self.spacing_us + rng.choice((0, rng.randrange(-9000, 9000)))
        return rows


def _reading(ts_us: int, device_id: str, mw: int, mj: int | None, epoch: int) -> Row:
    sample = {"ts_us": ts_us, "device_id": device_id, "power_mw": mw, "sensor": "instant"}
    return {**sample, "energy_mj": mj, "epoch": epoch}


def _place(rng: random.Random, board: _Board, rows: list[Row], node: str, into: Fleets) -> None:
    """Put a board's rows into files: on one node or two, some of them late; and describe it."""
    device = {**board.described, "node": node}
    into.add("device", node, [device])
    if rng.random() < 0.2:
        when_us = rng.choice(rows)["ts_us"]
        changed = {"limit_mw": 250_000, "name": "NVIDIA A100-SXM4-80GB", "update_us": 50_000}
        into.add("device", node, [{**device, **changed, "ts_us": when_us}])
        into.met["name, limit and period change"] += 1
    if rng.random() < 0.06 and len(rows) > 3:
        when_us = rng.choice(rows)["ts_us"]
        other = node + MOVED
        into.add("device", other, [{**device, "node": other, "ts_us": when_us}])
        into.add("power", other, [row for row in rows if row["ts_us"] >= when_us])
        into.add("power", node, [row for row in rows if row["ts_us"] < when_us])
        board.moved_us = when_us
        into.met["moved between nodes"] += 1
    elif rng.random() < 0.1 and len(rows) > 3:
        first, last = sorted(rng.sample(range(len(rows) + 1), 2))
        into.late.setdefault(node, []).extend(rows[first:last])
        into.add("power", node, rows[:first] + rows[last:])
        into.met["late files"] += 1
    else:
        into.add("power", node, rows)
    if rng.random() < 0.15:
        board.instances = _instances(rng, board, device, into)


def _instances(rng: random.Random, board: _Board, device: Row, into: Fleets) -> list[str]:
    """Add MIG instances of a board, with and without a share; return their names."""
    names: list[str] = []
    for ppm in rng.choice(((428_571, 571_429), (142_857, 142_857), (None, None, None))):
        name = f"MIG-{board.device_id}-{len(names)}"
        instance = {"device_id": name, "index": None, "mig_parent": board.device_id}
        row = {**device, **instance, "mig_ppm": ppm, "limit_mw": None}
        into.add("device", device["node"], [row])
        names.append(name)
    into.met["MIG instances"] += 1
    return names


# Who held what, and what was seen of it -----------------------------------------------------------


def _jobs(rng: random.Random, seed: int, boards: list[_Board], watched: Span, into: Fleets) -> None:
    """Add allocations: by device or index, shared, overlapping, contradictory, of no device."""
    node, rows = node_of(seed), []
    for number in range(rng.choice((0, 1, 2, 3, 5))):
        board = rng.choice(boards)
        start_us, end_us = sorted(_edge(rng, board, watched) for _ in "ab")
        row: Row = {
            "job_id": f"{seed}/{rng.randrange(4)}'; --",
            "node": node,
            "device_id": rng.choice((board.device_id, board.device_id, str(board.index))),
            "start_us": start_us,
            "end_us": rng.choice((end_us + 1, end_us + 1, end_us + 1, end_us + HOUR_US, None)),
            "share_ppm": rng.choice((1_000_000, 1_000_000, 500_000, 333_333, 700_000, 1)),
            "name": str(number),
            "method": "declared",
            "recorded_us": start_us,
        }
        if board.instances and rng.random() < 0.7:
            row["device_id"] = rng.choice(board.instances)
        if rng.random() < 0.05:
            row["device_id"] = rng.choice((f"GPU-{seed}-unseen", "4711"))
            into.met["job on a device never seen"] += 1
        records = [row]
        if rng.random() < 0.15:
            other = rng.choice((None, start_us, start_us + 5 * S, end_us + 20 * S))
            recorded_us = row["recorded_us"] + rng.choice((0, 1))
            records.append({**row, "end_us": other, "recorded_us": recorded_us})
            into.met["job recorded twice"] += 1
        if rng.random() < 0.15:
            again = {"job_id": f"{seed}/again", "start_us": start_us + rng.randrange(10 * S)}
            records.append({**row, **again})
            into.met["two jobs at once"] += 1
        rows += [_following(board.moved_us, record) for record in records]
    into.add("jobs", node, rows)
    into.met["a running job"] += sum(row["end_us"] is None for row in rows)
    into.met["a job over the hour's edge"] += sum(
        row["start_us"] < EDGE_US < (row["end_us"] or EDGE_US) for row in rows
    )
    into.met["a share of a board"] += sum(row["share_ppm"] < WHOLE_PPM for row in rows)
    into.met["a fleet without jobs"] += not rows
    into.met["a board without a site"] += sum(board.site is None for board in boards)


def _edge(rng: random.Random, board: _Board, watched: Span) -> int:
    """Return where an allocation begins or ends: at a reading, at the hour's edge, anywhere."""
    near = rng.choice(board.stamps) + rng.choice((0, 0, 30_000, 50_001))
    anywhere = rng.randrange(watched[0] - 60 * S, watched[1])
    return rng.choice((near, near, anywhere, anywhere, EDGE_US))


def _following(moved_us: int | None, row: Row) -> Row:
    """Return an allocation of a board that moved: it ended by then, or is on the other node."""
    if moved_us is None:
        return row
    if row["start_us"] >= moved_us:
        return {**row, "node": row["node"] + MOVED}
    return {**row, "end_us": min(row["end_us"] or moved_us, moved_us)}


def _gauges(rng: random.Random, device_id: str, begin_us: int, length_us: int) -> list[Row]:
    """Return readings of the slow gauges: none, or now and then a busy SM or a process."""
    if rng.random() < 0.4:
        return []
    return [
        {
            "ts_us": ts,
            "device_id": device_id,
            "sm_util": rng.choice((0, 0, 90, None)),
            "pids": rng.choice(([], [4711], None)),
        }
        for ts in range(begin_us, begin_us + length_us, rng.choice((1, 7, 30)) * S)
    ]


def _tokens(rng: random.Random, seed: int, watched: Span, into: Fleets) -> None:
    """Add token counters: some do not move, some restart, some belong to no job."""
    for number in range(rng.choice((0, 0, 1, 2))):
        value, epoch, rows = rng.randrange(10**6), 0, []
        for ts in range(*watched, 15 * S):
            value += rng.choice((0, rng.randrange(5_000)))
            if rng.random() < 0.05:
                value, epoch = 0, epoch + 1
            reading = {"ts_us": ts, "source_id": f"{seed}/{number}", "node": node_of(seed)}
            whose = {"job_id": f"{seed}/{number}'; --", "model": "m", "engine": ""}
            kind = ("generated", "trained")[number]
            rows.append({**reading, **whose, "kind": kind, "value": value, "epoch": epoch})
        into.add("tokens", node_of(seed), rows)
