"""Token servers of a staged history: their processes, and what they really make.

A process makes tokens at a rate that changes when its page is read, so that the line between two
readings is the truth, and a reading is exact. No rate is above the steepest that is read, so that
bounds from that rate hold.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random

from tests.oracle.staged.physics import Line
from tests.oracle.staged.plan import History, Hold, Row, S

KINDS = ("generated", "prompt_computed", "prompt_cached")


@dataclass
class Process:
    """One process that counts tokens from zero.

    Attributes:
        since_us: when it began; `told` says whether its page tells so.
        stamps: when its page is read.
        counts: by kind, the tokens since it began.
    """

    since_us: int
    told: bool
    stamps: list[int]
    counts: dict[str, Line]


@dataclass
class Server:
    """One source of token counters of a job, and the processes that were behind it.

    Attributes:
        key, row: of the job, and what its rows have in common.
        kinds: what it counts.
        step_us: how often its page is read.
        busiest: most tokens between two readings.
    """

    key: str
    row: Row
    kinds: tuple[str, ...]
    step_us: int
    busiest: int
    processes: list[Process] = field(default_factory=list)


def place_servers(history: History) -> list[Server]:
    """Add a server or a training loop to most jobs; to some several."""
    rng, servers = history.rng("servers"), []
    jobs: dict[str, list[Hold]] = {}
    for hold in history.holds:
        jobs.setdefault(hold.key, []).append(hold)
    for key, holds in jobs.items():
        if rng.random() < 0.15:
            continue
        kinds = ("trained",) if rng.random() < 0.25 else KINDS[: rng.choice((1, 2, 3))]
        several = range(rng.choice((1, 1, 1, 2)))
        servers += [_server(history, rng, key, holds, kinds, number) for number in several]
    return servers


def _server(
    history: History, rng: Random, key: str, holds: list[Hold], kinds: tuple[str, ...], number: int
) -> Server:
    node = holds[0].board.node
    row: Row = {
        "source_id": f"http://{node}:800{number}/metrics",
        "node": node,
        "job_id": holds[0].job,
        "model": rng.choice((f"{history.name}m0", f"{history.name}m1")),
        "engine": rng.choice(("", "0")),
        "epoch": 0,
    }
    if holds[0].cluster is not None:
        row["cluster"] = holds[0].cluster
    step = rng.choice((1, 5, 5, 10)) * S
    server = Server(key, row, kinds, step, rng.choice((5, 300, 40_000)))
    if history.has("coarse"):
        server.busiest *= 100
    first = min(hold.start_us for hold in holds)
    last = max(hold.end_us or hold.board.stamps[-1] for hold in holds)
    # Some pages are read before the job begins, some only later; and after its end.
    start = first + rng.choice((-20, -5, 0, 0, 3, 10)) * S + rng.choice((0, rng.randrange(S)))
    end = max(start + 3 * step, last + rng.choice((-8, 0, 5, 20)) * S)
    stamps = list(range(start, end, step))
    since = start - rng.choice((1, 5, 30, 3600)) * S
    server.processes.append(process(rng, server, since, stamps, told=rng.random() < 0.5))
    return server


def process(
    rng: Random,
    server: Server,
    since: int,
    stamps: list[int],
    *,
    told: bool,
    least: int = 0,
    kinds: tuple[str, ...] = (),
) -> Process:
    """Return a process: a rate between any two readings, 0 now and then, and once the steepest.

    Args:
        rng: random numbers.
        server: what it serves.
        since: when it begins.
        stamps: when its page is read.
        told: whether the page tells when it began.
        least: what it has made at the first reading, at least.
        kinds: what it counts; what the server counts if empty.
    """
    counts = {}
    for kind in kinds or server.kinds:
        most = server.busiest * (stamps[0] - since) // server.step_us
        value = least + rng.randrange(min(server.busiest, max(1, most - least)))
        steepest = rng.randrange(max(1, len(stamps) - 1))
        points, values = [since], [0]
        for number, t in enumerate(stamps):
            points.append(t)
            values.append(value)
            more = rng.randrange(server.busiest) if rng.random() < 0.8 else 0
            value += server.busiest if number == steepest else more
        counts[kind] = Line(points, values)
    return Process(since, told, stamps, counts)


def page_rows(server: Server, one: Process, kind: str) -> list[Row]:
    """Return the readings of one counter of a process."""
    told = {"since_us": one.since_us if one.told else None}
    count = one.counts[kind]
    return [
        {**server.row, "kind": kind, "ts_us": t, "value": int(count.at(t)), **told}
        for t in one.stamps
    ]
