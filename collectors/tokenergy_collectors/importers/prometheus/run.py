"""Imports a span of time from a store, chunk by chunk.

In: an `Order`. Out: rows of `power`, `state`, `device`, `tokens` and `jobs`. A chunk's rows depend
on the store's samples and on where the chunk before it ended, and on nothing else: an import that
is stopped anywhere and run again writes the same files as one that was not.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tokenergy_collectors.base.leftout import shown
from tokenergy_collectors.importers.prometheus.allocations import Allocations, Holding
from tokenergy_collectors.importers.prometheus.boards import Board
from tokenergy_collectors.importers.prometheus.client import Client
from tokenergy_collectors.importers.prometheus.names import POD_END, POD_START
from tokenergy_collectors.importers.prometheus.plan import Order
from tokenergy_collectors.importers.prometheus.power import Power, power_of
from tokenergy_collectors.importers.prometheus.reading import Known, Reader, doubts_of
from tokenergy_collectors.importers.prometheus.record import Record, chunks_of
from tokenergy_collectors.importers.prometheus.spans import Held
from tokenergy_collectors.importers.prometheus.writing import Writer
from tokenergy_collectors.importers.result import ImportResult
from tokenergy_collectors.lake.paths import escape_node

if TYPE_CHECKING:
    from tokenergy_collectors.lake import Lake

_WARM_US = 180_000_000
"""How far before an import the store is asked what the boards showed last."""

OnChunk = Callable[[int, int], None]


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
    _reader: Reader = field(init=False)
    _writer: Writer = field(init=False)
    _allocations: Allocations = field(init=False)
    _boards: dict[str, str] = field(default_factory=dict)
    _unnamed: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self._reader = Reader(self.client, self.order)
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
        self.result.first_us, self.result.last_us = order.start_us, order.end_us
        with Record(Record.path_of(self.lake.root, order.settings), order.settings).alone():
            record = Record.of(self.lake.root, order.settings)
            done_before = [] if order.again else record.done
            chunks = list(chunks_of(order.start_us, order.end_us, order.chunk_us, done_before))
            if chunks:
                self._import(record, chunks, on_chunk)
        return self.result

    def _import(self, record: Record, chunks: list[tuple[int, int]], on_chunk: OnChunk) -> None:
        # Of all the time that was asked for: what is left of it may well have no scrape.
        known = self._reader.known(self.order.start_us, self.order.end_us)
        for done, (start_us, end_us) in enumerate(chunks, 1):
            if record.at_us != start_us:
                self._begin(record, known, start_us)
            self._chunk(record, known, start_us, end_us, last=done == len(chunks))
            on_chunk(done, len(chunks))
        self._describe(known)

    def _begin(self, record: Record, known: Known, start_us: int) -> None:
        """Begin where no chunk ended: settle what is open elsewhere, and look back a little.

        Whether the first scrape shows a new reading depends on the one before it.
        """
        if record.at_us is not None:
            self._allocations_of(known, _open(record), record.at_us, record.at_us)
        record.held = {}
        for board in self._reader.power_alone(known, start_us - _WARM_US, start_us):
            self._power(record, board)

    def _chunk(
        self, record: Record, known: Known, start_us: int, end_us: int, *, last: bool
    ) -> None:
        """Read a chunk, write it, and note that it is done."""
        boards = self._reader.boards(known, start_us, end_us)
        tokens = self._reader.tokens(known, start_us, end_us)
        for node in {*(board.name.node for board in boards), *tokens.rows}:
            escape_node(node)  # before anything is written
        power = [(board, self._power(record, board)) for board in boards]
        ended = [held for board in boards for held in self._follow(record, board)]
        labelled = {one.device_id for one in ended}
        labelled |= {device for device, held in record.held.items() if held.open}
        self._writer.boards(power, self.order.late_s, labelled)
        self._writer.tokens(tokens.rows)
        if last:
            ended += _open(record)
        self._allocations_of(known, ended, start_us, end_us)
        self._boards |= {board.name.device_id: board.name.node for board in boards}
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

    def _follow(self, record: Record, board: Board) -> list[Holding]:
        held = self._held(record, board)
        return [
            Holding(held.node, board.name.device_id, span, held.spacing_us)
            for span in held.follow(board, self.order.owners)
        ]

    def _allocations_of(
        self, known: Known, found: list[Holding], start_us: int, end_us: int
    ) -> None:
        """Write the allocations of what ended, or is open at the end of an import."""
        wanted = {one.span.pod for one in found if one.span.pod is not None}
        # A pod's times are told as long as it is listed, also a while after its end.
        from_us = start_us - _WARM_US
        starts, ends = (
            self._reader.pods(metric, known, wanted, from_us, end_us) if wanted else {}
            for metric in (POD_START, POD_END)
        )
        written, files = self._allocations.write(found, end_us, starts, ends)
        self._writer.note("jobs", len(found), written, files)

    def _describe(self, known: Known) -> None:
        """Say in the result what was read, and what is doubtful."""
        self.result.devices = len(self._boards)
        if self.result.rows.get("jobs"):
            self.result.notes.append("edges of jobs are known to a scrape")
        if not self._reader.has_energy(known):
            self.result.warnings.append(
                "the store has power, and no energy counter: between two scrapes the power may "
                "have been anything, and bounds are wide; let dcgm-exporter serve "
                "DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION"
            )
        self.result.warnings += doubts_of(self._unnamed, set(self._boards.values()))
        said = self.client.warnings[:5]
        self.result.warnings += [f"the store says: {shown(one)}" for one in said]


def _open(record: Record) -> list[Holding]:
    """Return the spans that may go on, as far as they were seen."""
    return [
        Holding(held.node, device_id, span, held.spacing_us)
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
