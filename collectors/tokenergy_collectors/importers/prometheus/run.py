"""Imports a span of time from a store, chunk by chunk.

In: an `Order`. Out: rows of `power`, `state`, `device`, `tokens` and `jobs`. A chunk's rows depend
on the store's samples and on where the chunk before it ended, and on nothing else: an import that
is stopped anywhere and run again writes the same files as one that was not.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.importers.prometheus.allocations import Allocations, Pods
from tokenergy_collectors.importers.prometheus.boards import Board, boards_in
from tokenergy_collectors.importers.prometheus.client import Client
from tokenergy_collectors.importers.prometheus.names import POD_END, POD_START, START, Names
from tokenergy_collectors.importers.prometheus.plan import Order
from tokenergy_collectors.importers.prometheus.power import Power, power_of
from tokenergy_collectors.importers.prometheus.record import Record
from tokenergy_collectors.importers.prometheus.samples import (
    Samples,
    names_in,
    quoted,
    samples_of,
)
from tokenergy_collectors.importers.prometheus.spans import Held, Span
from tokenergy_collectors.importers.prometheus.tokens import Tokens, is_counter, token_rows
from tokenergy_collectors.importers.prometheus.writing import Writer
from tokenergy_collectors.importers.result import ImportResult
from tokenergy_collectors.lake.paths import escape_node
from tokenergy_collectors.sources.tokens.counters import Counter

if TYPE_CHECKING:
    from tokenergy_collectors.lake import Lake

_INSTANCES = 50
"""Addresses in one question about the starts of their processes."""

OnChunk = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Known:
    """The metrics that a store has, of those that are known."""

    gauges: list[str]
    counters: list[str]
    pods: list[str]


@dataclass(slots=True)
class Import:
    """One import.

    Args:
        lake: where to write.
        order: what to import.
        client: asks the store.
    """

    lake: Lake
    order: Order
    client: Client
    result: ImportResult = field(default_factory=ImportResult)
    _names: Names = field(init=False)
    _own: dict[str, Counter] = field(init=False)
    _writer: Writer = field(init=False)
    _allocations: Allocations = field(init=False)
    _boards: set[str] = field(default_factory=set)
    _unnamed: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self._names = self.order.mapping.names()
        self._own = {
            one.name: Counter("mapping", one.name, one.kind) for one in self.order.mapping.tokens
        }
        self._writer = Writer(self.lake, self.result)
        self._allocations = Allocations(self.lake, self.order.cluster)

    def run(self, on_chunk: OnChunk = lambda _done, _of: None) -> ImportResult:
        """Import what is not in the lake yet.

        Args:
            on_chunk: called after each chunk with the number done, and the number of all.

        Raises:
            UserError: the store does not answer, or has no known metric; or the lake cannot be
                written. What was imported until then stays, and the next run continues.
        """
        order = self.order
        record = Record.of(self.lake.root, order.settings)
        chunks = list(record.chunks(order.start_us, order.end_us, order.chunk_us))
        self.result.first_us, self.result.last_us = order.start_us, order.end_us
        if not chunks:
            return self.result
        known = self._known(chunks[0][0], chunks[-1][1])
        for done, (start_us, end_us) in enumerate(chunks, 1):
            if record.at_us not in (None, start_us):
                self._write_spans(_open(record), record.at_us or start_us, {}, {})
                record.held = {}
            self._chunk(record, known, start_us, end_us, last=done == len(chunks))
            on_chunk(done, len(chunks))
        self._describe()
        return self.result

    def _known(self, start_us: int, end_us: int) -> Known:
        """Return the known metrics of the store.

        Raises:
            UserError: it has none.
        """
        patterns = [*self._names.patterns, *map(re.escape, self._own)]
        found = names_in(self.client, patterns, start_us, end_us)
        known = Known(
            [name for name in found if self._names.of(name) is not None],
            [name for name in found if is_counter(name, self._own)],
            [name for name in found if name in (POD_START, POD_END)],
        )
        if not known.gauges and not known.counters:
            some = f"; it has {', '.join(found[:8])}" if found else ""
            raise UserError(
                f"{self.order.door.url}: has no known metric of boards or tokens in this time"
                f"{some}. Expected, for example, DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION, "
                "nvidia_smi_power_draw_watts or vllm:generation_tokens_total; give other names "
                "in --mapping FILE, and check --from, --to and --match"
            )
        if known.gauges and "energy" not in {self._meaning(name) for name in known.gauges}:
            self.result.warnings.append(
                "the store has power, and no energy counter: between two scrapes the power may "
                "have been anything, and bounds are wide; let dcgm-exporter serve "
                "DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION"
            )
        return known

    def _meaning(self, metric: str) -> str:
        gauge = self._names.of(metric)
        return gauge.meaning if gauge else ""

    def _chunk(
        self, record: Record, known: Known, start_us: int, end_us: int, *, last: bool
    ) -> None:
        """Read a chunk, write it, and note that it is done."""
        gauges = self._read(known.gauges, start_us, end_us)
        boards = boards_in(gauges, self._names, self.order.node)
        boards = [board for board in boards if len(board.stamps())]
        tokens = self._tokens(self._read(known.counters, start_us, end_us), start_us, end_us)
        pods = {name: self._pods(name, known, start_us, end_us) for name in (POD_START, POD_END)}
        for node in {*(board.name.node for board in boards), *tokens.rows}:
            escape_node(node)
        power = [self._power(record, board) for board in boards]
        ended = [
            (board.name.node, board.name.device_id, span, held.spacing_us)
            for board in boards
            for held in [self._held(record, board)]
            for span in held.follow(board, self.order.owners)
        ]
        labelled = {device for _, device, _, _ in ended}
        labelled |= {device for device, held in record.held.items() if held.open}
        self._writer.boards(list(zip(boards, power, strict=True)), self.order.late_s, labelled)
        self._writer.tokens(tokens.rows)
        if last:
            ended += _open(record)
        self._write_spans(ended, end_us, pods[POD_START], pods[POD_END])
        self._boards |= {board.name.device_id for board in boards}
        self._unnamed |= tokens.unnamed
        record.add(start_us, end_us)
        record.save()

    def _held(self, record: Record, board: Board) -> Held:
        held = record.held.setdefault(board.name.device_id, Held(board.name.node))
        held.node = board.name.node
        return held

    def _power(self, record: Record, board: Board) -> Power:
        held = self._held(record, board)
        power = power_of(board, self.order.late_s, held.shown)
        held.shown = power.last
        return power

    def _read(self, metrics: Iterable[str], start_us: int, end_us: int) -> list[Samples]:
        return [
            samples
            for metric in metrics
            for samples in samples_of(self.client, metric, self.order.matchers, start_us, end_us)
        ]

    def _tokens(self, counters: list[Samples], start_us: int, end_us: int) -> Tokens:
        addresses = sorted({s.labels["instance"] for s in counters if "instance" in s.labels})
        starts: list[Samples] = []
        for first in range(0, len(addresses), _INSTANCES):
            some = "|".join(map(re.escape, addresses[first : first + _INSTANCES]))
            starts += samples_of(self.client, START, f"instance=~{quoted(some)}", start_us, end_us)
        return token_rows(
            counters, starts, self._names.labels, self.order.owners, self._own,
            self.order.cluster, self.order.node,
        )  # fmt: skip

    def _pods(self, metric: str, known: Known, start_us: int, end_us: int) -> Pods:
        """Return an instant of each pod (us UTC), by namespace and pod."""
        if metric not in known.pods:
            return {}
        found: dict[tuple[str, str], int] = {}
        for samples in samples_of(self.client, metric, self.order.matchers, start_us, end_us):
            labels = samples.labels
            # Where Prometheus adds labels of its own, these are the exporter's.
            prefix = "exported_" if labels.get("exported_pod") else ""
            pod = (labels.get(f"{prefix}namespace", ""), labels.get(f"{prefix}pod", ""))
            if len(samples.values):
                found[pod] = round(float(samples.values[-1]) * 1_000_000)
        return found

    def _write_spans(
        self,
        spans: list[tuple[str, str, Span, int | None]],
        as_of_us: int,
        starts: Pods,
        ends: Pods,
    ) -> None:
        written, files = self._allocations.write(spans, as_of_us, starts, ends)
        self._writer.note("jobs", len(spans), written, files)

    def _describe(self) -> None:
        """Say in the result what was read, and what is doubtful."""
        self.result.devices = len(self._boards)
        if self._unnamed:
            some = ", ".join(sorted(self._unnamed)[:3])
            self.result.warnings.append(
                f"no label says which job these servers' tokens belong to: {some}"
                f"{', ...' if len(self._unnamed) > 3 else ''}; their job is now their address. "
                "Name a label with --job-label, or the servers in --mapping FILE"
            )
        if self.result.rows.get("jobs"):
            self.result.notes.append("edges of jobs are known to a scrape")
        self.result.warnings += [f"the store says: {one[:200]}" for one in self.client.warnings[:5]]


def _open(record: Record) -> list[tuple[str, str, Span, int | None]]:
    """Return the spans that may go on, as far as they were seen."""
    return [
        (held.node, device_id, span, held.spacing_us)
        for device_id, held in sorted(record.held.items())
        for span in held.close()
    ]


def import_prometheus(
    lake: Lake, order: Order, client: Client | None = None, on_chunk: OnChunk | None = None
) -> ImportResult:
    """Import a span of time that is not in the lake yet.

    Args:
        lake: where to write.
        order: what to import.
        client: asks the store; one for its address if None.
        on_chunk: called after each chunk with the number done, and the number of all.

    Raises:
        UserError: see `Import.run`.
    """
    work = Import(lake, order, client or Client(order.door))
    return work.run(on_chunk) if on_chunk else work.run()
