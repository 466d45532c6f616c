"""Nodes of an hour in a few batches of about equal work, so that a scheduler starts a few tasks.

In: the bytes of each node's power files. Out: lists of nodes, and what became of one list. A task
of a scheduler takes seconds to start, and a schedule may refuse a thousand of them; a node takes a
fraction of a second.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from tokenergy_collectors.lake import Lake
from tokenergy_collectors.lake.absent import stat_of
from tokenergy_collectors.lake.paths import node_of
from tokenergy_transforms.aggregate import Aggregator, worklist
from tokenergy_transforms.choice import Device

MOST_BATCHES = 16
"""So many at most: as many tasks of a DAG as Airflow runs at once by default."""

LEAST_BYTES = 256 << 20
"""No batch of fewer bytes, unless it is the last: they take a core about 80 s, while a task takes
2 s to start."""

NODE_BYTES = 1 << 20
"""A node counts as so many bytes at least, about an hour of eight boards at 10 Hz: files that are
small or few take time to open, too, and a node without readings has segments to remove."""


def split_nodes(
    sizes: Mapping[str, int], most: int = MOST_BATCHES, least_bytes: int = LEAST_BYTES
) -> list[list[str]]:
    """Return nodes in batches of about equal bytes; each node is in one of them.

    A batch is larger than `least_bytes` and the share of one batch of `most` by less than its last
    node. The same sizes give the same batches, in the order of the names.

    Args:
        sizes: bytes to read of each node.
        most: so many batches at most.
        least_bytes: do not start a batch for fewer bytes, unless it is the last one.
    """
    weights = {node: max(size, NODE_BYTES) for node, size in sorted(sizes.items())}
    share = max(least_bytes, -(-sum(weights.values()) // most))
    # Cut by the bytes before a node, not by those of its batch: what one batch has too many, the
    # next has too few, so there are never more than `most`.
    batches: dict[int, list[str]] = {}
    before = 0
    for node, weight in weights.items():
        batches.setdefault(before // share, []).append(node)
        before += weight
    return list(batches.values())


def batches_of(lake: Lake, hour_us: int) -> list[list[str]]:
    """Return the nodes to aggregate in an hour, in batches by the bytes of their power files.

    Args:
        lake: the lake.
        hour_us: start of the hour, microseconds UTC.
    """
    sizes = Counter(dict.fromkeys((node for _, node in worklist(lake, [hour_us])), 0))
    for path in lake.files("power", [hour_us]):
        if node_of(path) in sizes:
            sizes[node_of(path)] += stat_of(path)[0]
    return split_nodes(sizes)


@dataclass(frozen=True, slots=True)
class BatchDone:
    """What was done of a batch.

    Attributes:
        nodes: how many.
        readings: power readings inside the segments.
        segments: rows written.
        seconds: how long it took.
        backends: what integrated it: `cpu`, `cuda` or `cpu+cuda`, joined by commas.
    """

    nodes: int
    readings: int
    segments: int
    seconds: float
    backends: str

    def line(self) -> str:
        """Return it as a line for a log."""
        return (
            f"{self.nodes:,} nodes, {self.readings:,} readings -> {self.segments:,} segments "
            f"in {self.seconds:.1f} s ({self.backends})"
        )


def aggregate_nodes(
    lake: Lake,
    hour_us: int,
    nodes: Sequence[str],
    window_us: int,
    device: Device = "auto",
    say: Callable[[str], None] = print,
) -> BatchDone:
    """Integrate some nodes of an hour and write their segments.

    Args:
        lake: where to read and write.
        hour_us: start of the hour, microseconds UTC.
        nodes: the nodes.
        window_us: window size; must divide the hour.
        device: back end, see `choice.Integrator`.
        say: takes a line for each node as it is done, so that a log shows where a task hangs.

    Raises:
        UserError: CUDA was asked for and cannot be used, or a file cannot be reached.
    """
    started = time.monotonic()
    done = []
    aggregator = Aggregator(lake, window_us, device)
    for one in aggregator.run([(hour_us, node) for node in nodes]):
        say(f"{one.node}: {one.readings:,} readings -> {one.segments:,} segments ({one.backend})")
        done.append(one)
    return BatchDone(
        nodes=len(done),
        readings=sum(one.readings for one in done),
        segments=sum(one.segments for one in done),
        seconds=time.monotonic() - started,
        backends=",".join(sorted({one.backend for one in done})) or "cpu",
    )
