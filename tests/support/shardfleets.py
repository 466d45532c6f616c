"""Random fleets on several nodes, with what joins nodes: boards that move, jobs over all of them.

In: a seed. Out: a lake with segments and without books; one seed gives one lake.
"""

from __future__ import annotations

import random
from pathlib import Path

from tests.support.lakes import LakeBuilder, S
from tests.support.lawfaults import EDGE_US
from tests.support.lawfleets import NODES_OF, fleets, node_of
from tokenergy_collectors.lake import Lake
from tokenergy_transforms.aggregate import Aggregator, worklist

NODES = 4


def seeds_of(seed: int) -> range:
    """Return the seeds of the fleets of a lake: three on each of some neighbouring nodes."""
    first = seed * NODES_OF
    return range(first, first + NODES * NODES_OF, NODES_OF // 3)


def _gauges_elsewhere(builder: LakeBuilder, boards: list[tuple[int, str, str]]) -> None:
    """Gauges of boards on nodes of other groups: where one was seen, and where nothing else was."""
    begin_us = EDGE_US - 300 * S
    (_, _, first), (_, _, second), (_, last, _) = boards[0], boards[3], boards[-1]
    builder.device(first, node=last, ts_us=begin_us - 60 * S, index=6)
    for node, board in ((last, first), ("gauges alone", second)):
        rows = [
            {"ts_us": ts, "device_id": board, "sm_util": 80, "pids": [1]}
            for ts in range(begin_us, EDGE_US + 300 * S, S)
        ]
        builder.add("state", rows, node)


def shard_fleet(root: Path, seed: int, *, moves: bool = True) -> Lake:
    """Make a lake of 12 fleets on 4 nodes, two hours, with jobs over several nodes.

    Args:
        root: of the lake.
        seed: which.
        moves: whether a board is on two nodes in an hour, whatever the fleets do.
    """
    rng = random.Random(seed)
    found = fleets(seeds_of(seed))
    builder = LakeBuilder(root)
    boards = [(one, node_of(one), f"GPU-{one}-0") for one in seeds_of(seed)]
    begin_us = EDGE_US - 200 * S
    for number in range(2):
        for one, node, board in rng.sample(boards, 7):
            # A job list may call a node by its full name, and a job's boards by their index.
            alias = rng.choice((node, node, f"{node}.example.org"))
            device = rng.choice((board, str(one % NODES_OF * 8)))
            shared = rng.choice((1_000_000, 500_000))
            builder.job(
                f"wide-{number}", device, begin_us, EDGE_US + rng.randrange(100) * S,
                node=alias, share_ppm=shared, cluster=rng.choice((None, "west")),
            )  # fmt: skip
        stamps = range(begin_us, EDGE_US + 200 * S, 15 * S)
        values = [(ts, 900 * place) for place, ts in enumerate(stamps)]
        builder.tokens(f"wide-{number}", values, node=boards[number][1], source_id=f"w{number}")
    if moves:
        _, node, _ = boards[0]
        _, other, _ = boards[-1]
        for where, at_us in ((node, EDGE_US - 90 * S), (other, EDGE_US - 30 * S)):
            builder.device("GPU-moves", node=where, ts_us=at_us, index=7)
            readings = [(ts, 300_000) for ts in range(at_us, at_us + 50 * S, S)]
            builder.power("GPU-moves", readings, node=where)
            builder.job("mover", "GPU-moves", at_us, at_us + 40 * S, node=where)
    _gauges_elsewhere(builder, boards)
    found.write(builder)
    found.write_late(builder)
    list(Aggregator(builder.lake, S, "cpu").run(worklist(builder.lake)))
    return builder.lake
