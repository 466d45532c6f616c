"""One node and hour: readings in, segments out. Run again, it gives the same file.

In: `power`, `device` and `jobs` of the lake. Out: the `segment` file of the node and hour.
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tokenergy_collectors.lake import Lake
from tokenergy_collectors.lake.contract import HOUR_US
from tokenergy_collectors.lake.paths import hour_of
from tokenergy_transforms import choice, cuts, readings
from tokenergy_transforms.batch import I64
from tokenergy_transforms.known import Known, known
from tokenergy_transforms.powerfiles import PowerFiles
from tokenergy_transforms.segmentrows import to_table
from tokenergy_transforms.shards import Shard, budget, plan

if TYPE_CHECKING:
    import pyarrow as pa

DEFAULT_MEMORY = 2 << 30

REACH_US = 31 * 24 * HOUR_US
"""How long before its first and after its last word of any node a lake may have missed a job."""

Told = Callable[[int, str, float], None]
"""Told the hour, the node and the share of it that is finished."""


def _silent(_hour_us: int, _node: str, _share: float) -> None:
    pass


@dataclass(frozen=True, slots=True)
class Done:
    """What one call of `aggregate` did."""

    node: str
    hour_us: int
    backend: str
    readings: int
    segments: int


def worklist(
    lake: Lake, hours: list[int] | None = None, of_all: Known | None = None
) -> list[tuple[int, str]]:
    """Return the (hour, node) pairs to aggregate, ascending.

    Args:
        lake: the lake.
        hours: only these; all if None.
        of_all: what the lake says of all nodes, if it has been read; read anew if None.

    Readings lie there, or a job held a device, or segments lie there from before: those whose
    reason has gone are removed. A running job counts up to the last hour in which its node has
    readings; a device never seen counts nowhere. What a job claims more than `REACH_US` before or
    after all that the lake tells, such as an end in the year 9999, is no reason.
    """
    wanted = {*lake.hours("power"), *lake.hours("segment")} if hours is None else set(hours)
    pairs = {(h, n) for t in ("power", "segment") for h in wanted for n in lake.nodes(t, h)}
    of_all = of_all or known(lake)
    last = of_all.last_hours
    told = [*lake.hours("power"), *of_all.devices["ts_us"].to_pylist()]
    first_us, last_us = min(told, default=0) - REACH_US, max(told, default=0) + REACH_US
    seen = {node: of_all.devices_of(node) for node in {row["node"] for row in of_all.allocations}}
    for row in of_all.allocations:
        if row["device_id"] in seen[row["node"]]:
            start_us = max(row["start_us"], first_us)
            end_us = min(row["end_us"] or last.get(row["node"], 0), last_us)
            for hour in range(hour_of(start_us), end_us, HOUR_US):
                if hours is None or hour in wanted:
                    pairs.add((hour, row["node"]))
    return sorted(pairs)


@dataclass(frozen=True, slots=True)
class _Job:
    """What is to be integrated of one node and hour, and how it is cut into shards."""

    node: str
    hour_us: int
    window_us: int
    held: dict[str, list[cuts.Held]]
    limits_us: dict[str, int]
    margin_us: int
    shards: list[Shard]


class Aggregator:
    """Aggregates nodes and hours of one lake: decodes, integrates and writes at the same time.

    Every core takes shards; what is waiting is bounded by the memory allowed. What a node and hour
    comes to does not depend on how it was cut.

    Args:
        lake: where to read and write.
        window_us: window size; must divide the hour.
        device: back end, see `choice.Integrator`.
        of_all: what the lake says of all nodes, if it has been read; read anew if None.
        memory_bytes: memory that may be used.

    Raises:
        UserError: CUDA was asked for and cannot be used.
    """

    def __init__(
        self,
        lake: Lake,
        window_us: int,
        device: choice.Device = "auto",
        of_all: Known | None = None,
        memory_bytes: int = DEFAULT_MEMORY,
    ) -> None:
        self._lake, self._window_us = lake, window_us
        self._of_all = of_all or known(lake)
        self._files = PowerFiles(lake)
        self._budget = budget(memory_bytes)
        metered = set(self._of_all.devices["device_id"].to_pylist())
        self._integrate = choice.Integrator(
            device, metered, memory_bytes // 4, self._budget.workers
        )

    def run(self, work: Iterable[tuple[int, str]], told: Told = _silent) -> Iterator[Done]:
        """Aggregate (hour, node) pairs; yield what was done of each, in their order.

        Args:
            work: hours, microseconds UTC, and nodes.
            told: told which pair is finished to what share, after each shard.

        Raises:
            UserError: a file cannot be reached or written.
        """
        with ThreadPoolExecutor(self._budget.workers) as pool:
            ahead: deque[tuple[int, str, Future[Done | _Job]]] = deque()
            pairs = iter(work)
            try:
                while True:
                    for hour_us, node in itertools.islice(
                        pairs, 2 * self._budget.workers - len(ahead)
                    ):
                        ahead.append((hour_us, node, pool.submit(self._small, node, hour_us)))
                    if not ahead:
                        return
                    hour_us, node, future = ahead.popleft()
                    self._files.forget_before(hour_us - 2 * HOUR_US)
                    done = future.result()
                    while isinstance(done, _Job):
                        done = self._large(done, pool, told)
                    told(hour_us, node, 1.0)
                    yield done
            finally:
                pool.shutdown(cancel_futures=True)

    def _small(self, node: str, hour_us: int) -> Done | _Job:
        """Aggregate one node and hour if it is one shard; say how it is to be cut otherwise."""
        while True:
            job = self._plan(node, hour_us)
            if len(job.shards) > 1:
                return job
            try:
                return self._write(job, (self._shard(job, shard) for shard in job.shards))
            except readings.StaleError:
                continue

    def _large(self, job: _Job, pool: ThreadPoolExecutor, told: Told) -> Done | _Job:
        """Aggregate one node and hour shard by shard; plan it anew if a file had to be given up."""

        def tables() -> Iterator[pa.Table]:
            shards = iter(job.shards)
            ahead: deque[Future[pa.Table]] = deque()
            count = 0
            try:
                while True:
                    for shard in itertools.islice(shards, self._budget.workers + 1 - len(ahead)):
                        ahead.append(pool.submit(self._shard, job, shard))
                    if not ahead:
                        return
                    yield ahead.popleft().result()
                    count += 1
                    told(job.hour_us, job.node, count / len(job.shards))
            finally:
                for future in ahead:
                    future.cancel()

        try:
            return self._write(job, tables())
        except readings.StaleError:
            return self._plan(job.node, job.hour_us)

    def _plan(self, node: str, hour_us: int) -> _Job:
        held = self._of_all.held(node, hour_us)
        rows = readings.row_counts(self._files, node, hour_us, self._budget.workers)
        devices = sorted({*rows, *held})
        limits = readings.gap_limits(self._of_all.update_us(devices, hour_us), devices)
        parts = self._files.around(node, hour_us, 0)
        shards = plan(rows, devices, hour_us, self._window_us, self._budget.shard_bytes, parts)
        return _Job(
            node=node,
            hour_us=hour_us,
            window_us=self._window_us,
            held=held,
            limits_us=dict(zip(devices, limits.tolist(), strict=True)),
            margin_us=int(limits.max(initial=1_500_000)),
            shards=shards,
        )

    def _load(self, job: _Job, shard: Shard) -> readings.Readings:
        return readings.load_span(
            self._files,
            job.node,
            list(shard.devices),
            job.hour_us,
            shard.begin_us,
            shard.end_us,
            job.margin_us,
        )

    def _shard(self, job: _Job, shard: Shard) -> pa.Table:
        """Return the segments of one shard as rows."""
        loaded = self._load(job, shard)
        watched = cuts.watches(loaded.ts_us, loaded.offsets, job.hour_us)
        whole = (job.hour_us, job.hour_us + HOUR_US)
        if (shard.begin_us, shard.end_us) != whole:
            watched = [self._watch(job, shard)]
        held = [job.held.get(device, []) for device in shard.devices]
        device, start, end = cuts.segments(watched, held, job.hour_us, job.window_us)
        mine = (start >= shard.begin_us) & (start < shard.end_us)
        limits = np.array([job.limits_us[d] for d in shard.devices], np.int64)
        segments = (device, start, end) if mine.all() else (device[mine], start[mine], end[mine])
        batch = loaded.batch(limits, segments)
        return to_table(batch, self._integrate(batch), list(shard.devices), job.node)

    def _watch(self, job: _Job, shard: Shard) -> cuts.Watch | None:
        """Return when a device was watched whose hour is cut into several shards."""
        parts = [part for part in job.shards if part.devices == shard.devices]
        found = [
            watch
            for part in (parts[0], parts[-1])
            for watch in cuts.watches(*self._stamps(job, part), job.hour_us)
            if watch
        ]
        if not found:
            return None
        first_us = min(watch.first_us for watch in found)
        return cuts.Watch(first_us, max(watch.last_us for watch in found), inside=True)

    def _stamps(self, job: _Job, shard: Shard) -> tuple[I64, I64]:
        loaded = self._load(job, shard)
        return loaded.ts_us, loaded.offsets

    def _write(self, job: _Job, tables: Iterator[pa.Table]) -> Done:
        """Write the segments of a node and hour; where there are none, remove what was there."""
        import pyarrow.compute as pc

        counted = segments = 0
        filled = (rows for rows in tables if rows.num_rows)
        first = next(filled, None)
        if first is None:
            self._lake.remove("segment", job.hour_us, job.node)
        else:
            with self._lake.writer("segment", job.hour_us, job.node) as file:
                for rows in itertools.chain([first], filled):
                    counted += pc.sum(rows["readings"]).as_py()
                    segments += rows.num_rows
                    file.write(rows)
        backend = "+".join(sorted(self._integrate.used)) or "cpu"
        return Done(job.node, job.hour_us, backend, counted, segments)


def aggregate(
    lake: Lake,
    hour_us: int,
    node: str,
    window_us: int,
    device: choice.Device = "auto",
    of_all: Known | None = None,
    memory_bytes: int = DEFAULT_MEMORY,
) -> Done:
    """Integrate one node and hour and write its segments.

    Args:
        lake: where to read and write.
        hour_us: start of the hour, microseconds UTC.
        node: the node.
        window_us: window size; must divide the hour.
        device: back end, see `choice.Integrator`.
        of_all: what the lake says of all nodes, if it has been read; read anew if None.
        memory_bytes: memory that may be used.

    Raises:
        UserError: CUDA was asked for and cannot be used, or a file cannot be reached.
    """
    (done,) = Aggregator(lake, window_us, device, of_all, memory_bytes).run([(hour_us, node)])
    return done
