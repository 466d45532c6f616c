"""Readings in, segments out, node by node and hour by hour. Run again, it gives the same files.

In: `power`, `device` and `jobs` of the lake. Out: one `segment` file for each node and hour.
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from tokenergy_collectors.lake import Lake
from tokenergy_collectors.lake.contract import HOUR_US
from tokenergy_collectors.lake.expired import read_expired
from tokenergy_collectors.lake.paths import hour_of
from tokenergy_transforms import choice, provenance
from tokenergy_transforms.decoding import StaleError
from tokenergy_transforms.inventory import Inventory, read_inventory
from tokenergy_transforms.nodehour import NodeHour, UnitRows, integrate_unit, plan_node_hour
from tokenergy_transforms.powerfiles import PowerFiles
from tokenergy_transforms.workunits import WorkUnit, memory_budget

DEFAULT_MEMORY = 2 << 30

Report = Callable[[int, str, float], None]
"""Takes progress: the hour, the node, and the finished share of it (0 to 1)."""


def _silent(_hour_us: int, _node: str, _share: float) -> None:
    pass


@dataclass(frozen=True, slots=True)
class Aggregated:
    """What was done of one node and hour.

    Attributes:
        backend: what integrated it: `cpu`, `cuda` or `cpu+cuda`.
        readings: power readings inside its segments.
        segments: rows written.
    """

    node: str
    hour_us: int
    backend: str
    readings: int
    segments: int


def worklist(
    lake: Lake, hours: list[int] | None = None, inventory: Inventory | None = None
) -> list[tuple[int, str]]:
    """Return the (hour, node) pairs to aggregate, ascending.

    Args:
        lake: the lake.
        hours: only these; all if None.
        inventory: the lake's, if it has been read; read here if None.

    A pair is listed if it has readings, if a job held one of its devices, or if it has segments
    from an earlier run: if nothing supports those any more, they are removed. A running job counts
    up to the last hour in which its node has readings; a device that never appeared counts nowhere.
    Hours before the first and after the last one with readings of power or tokens are left out:
    nothing was recorded in them. The index counts what jobs claimed then, without segments. So are
    hours whose readings have expired.
    """
    wanted = {*lake.hours("power"), *lake.hours("segment")} if hours is None else set(hours)
    pairs = {(h, n) for t in ("power", "segment") for h in wanted for n in lake.nodes(t, h)}
    inventory = inventory or read_inventory(lake)
    last = inventory.last_hours
    recorded = [*lake.hours("power"), *lake.hours("tokens")]
    first_us, last_us = min(recorded, default=0), max(recorded, default=-HOUR_US) + HOUR_US
    nodes = {row["node"] for row in inventory.allocations}
    seen = {node: inventory.devices_of(node) for node in nodes}
    for row in inventory.allocations:
        if row["device_id"] in seen[row["node"]]:
            start_us = max(row["start_us"], first_us)
            end_us = min(row["end_us"] or last.get(row["node"], 0), last_us)
            for hour in range(hour_of(start_us), end_us, HOUR_US):
                if hours is None or hour in wanted:
                    pairs.add((hour, row["node"]))
    # Their segments stay: nothing could be made in their place.
    expired = read_expired(lake.root)
    return sorted(pair for pair in pairs if not expired.has("power", pair[0]))


class Aggregator:
    """Aggregates nodes and hours of one lake: decodes, integrates and writes at the same time.

    Every core takes work units; the memory allowed limits how many are waiting.

    Args:
        lake: where to read and write.
        window_us: window size; must divide the hour.
        device: back end, see `choice.Integrator`.
        inventory: the lake's, if it has been read; read here if None.
        memory_bytes: memory that may be used.

    Raises:
        UserError: CUDA was asked for and cannot be used.
    """

    def __init__(
        self,
        lake: Lake,
        window_us: int,
        device: choice.Device = "auto",
        inventory: Inventory | None = None,
        memory_bytes: int = DEFAULT_MEMORY,
    ) -> None:
        self._lake, self._window_us = lake, window_us
        self._inventory = inventory or read_inventory(lake)
        self._files = PowerFiles(lake)
        self._budget = memory_budget(memory_bytes)
        metered = set(self._inventory.devices["device_id"].to_pylist())
        # CUDA's page-locked buffers are host memory too: they get a quarter of what is allowed.
        self._integrate = choice.Integrator(
            device, metered, memory_bytes // 4, self._budget.workers
        )

    def run(
        self, work: Iterable[tuple[int, str]], report: Report = _silent
    ) -> Iterator[Aggregated]:
        """Aggregate (hour, node) pairs; yield the outcome of each, in their order.

        Args:
            work: hours, microseconds UTC, and nodes.
            report: takes progress, after each work unit.

        Raises:
            UserError: a file cannot be reached or written.
        """
        with ThreadPoolExecutor(self._budget.workers) as pool:
            ahead: deque[tuple[int, str, Future[Aggregated | NodeHour]]] = deque()
            pairs = iter(work)
            try:
                while True:
                    for hour_us, node in itertools.islice(
                        pairs, 2 * self._budget.workers - len(ahead)
                    ):
                        ahead.append((hour_us, node, pool.submit(self._try_small, node, hour_us)))
                    if not ahead:
                        return
                    hour_us, node, future = ahead.popleft()
                    # Pairs come in the order of hours, and each looks back one hour at most.
                    self._files.forget_before(hour_us - 2 * HOUR_US)
                    outcome = future.result()
                    while isinstance(outcome, NodeHour):
                        outcome = self._large(outcome, pool, report)
                    report(hour_us, node, 1.0)
                    yield outcome
            finally:
                pool.shutdown(cancel_futures=True)

    def _plan(self, node: str, hour_us: int) -> NodeHour:
        return plan_node_hour(
            self._files,
            self._inventory,
            node,
            hour_us,
            self._window_us,
            self._budget,
        )

    def _unit(self, work: NodeHour, unit: WorkUnit) -> UnitRows:
        return integrate_unit(self._files, work, unit, self._integrate)

    def _try_small(self, node: str, hour_us: int) -> Aggregated | NodeHour:
        """Aggregate one node and hour if it is one unit; else return the plan of its units."""
        while True:
            work = self._plan(node, hour_us)
            if len(work.units) > 1:
                return work
            try:
                return self._write(work, (self._unit(work, unit) for unit in work.units))
            except StaleError:
                continue

    def _large(
        self, work: NodeHour, pool: ThreadPoolExecutor, report: Report
    ) -> Aggregated | NodeHour:
        """Aggregate one node and hour unit by unit; return a new plan if a file broke meanwhile."""

        def results() -> Iterator[UnitRows]:
            units = iter(work.units)
            ahead: deque[Future[UnitRows]] = deque()
            count = 0
            try:
                while True:
                    for unit in itertools.islice(units, self._budget.workers + 1 - len(ahead)):
                        ahead.append(pool.submit(self._unit, work, unit))
                    if not ahead:
                        return
                    yield ahead.popleft().result()
                    count += 1
                    report(work.hour_us, work.node, count / len(work.units))
            finally:
                for future in ahead:
                    future.cancel()

        try:
            return self._write(work, results())
        except StaleError:
            return self._plan(work.node, work.hour_us)

    def _write(self, work: NodeHour, results: Iterator[UnitRows]) -> Aggregated:
        """Write the segments of a node and hour; if it has none, remove an earlier run's file."""
        import pyarrow.compute as pc

        readings = segments = until_us = 0
        backends: set[str] = set()

        def with_rows() -> Iterator[UnitRows]:
            nonlocal until_us
            for result in results:
                until_us = max(until_us, result.until_us)
                if result.rows.num_rows:
                    yield result

        filled = with_rows()
        first = next(filled, None)
        if first is None:
            self._lake.remove("segment", work.hour_us, work.node)
        else:
            notes: dict[str, str] = {}
            with self._lake.writer("segment", work.hour_us, work.node, notes) as file:
                for rows, integrated_on, _ in itertools.chain([first], filled):
                    backends.add(integrated_on)
                    readings += pc.sum(rows["readings"]).as_py()
                    segments += rows.num_rows
                    file.write(rows)
                # The writer keeps its notes when it closes.
                made_from = provenance.looking_until(
                    work.made_from, work.folders, work.node, work.hour_us, until_us
                )
                notes[provenance.KEY] = made_from.text()
        backend = "+".join(sorted(backends)) or "cpu"  # nothing to integrate takes no GPU
        return Aggregated(work.node, work.hour_us, backend, readings, segments)


def aggregate(
    lake: Lake,
    hour_us: int,
    node: str,
    window_us: int,
    device: choice.Device = "auto",
    inventory: Inventory | None = None,
    memory_bytes: int = DEFAULT_MEMORY,
) -> Aggregated:
    """Integrate one node and hour and write its segments.

    Args:
        lake: where to read and write.
        hour_us: start of the hour, microseconds UTC.
        node: the node.
        window_us: window size; must divide the hour.
        device: back end, see `choice.Integrator`.
        inventory: the lake's, if it has been read; read here if None.
        memory_bytes: memory that may be used.

    Raises:
        UserError: CUDA was asked for and cannot be used, or a file cannot be reached.
    """
    aggregator = Aggregator(lake, window_us, device, inventory, memory_bytes)
    (outcome,) = aggregator.run([(hour_us, node)])
    return outcome
