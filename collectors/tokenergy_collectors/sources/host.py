"""What a source may use: the node's name, the clock, and where rows and events go.

In: what was set up at start (clock, boards, lake). Out: stamps, rows and events. Rows go to the
spool and to listeners such as the live view.
"""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

from tokenergy_collectors.base.clock import Clock, VirtualClock
from tokenergy_collectors.base.logs import Log
from tokenergy_collectors.lake import Lake
from tokenergy_collectors.lake.contract import TABLES
from tokenergy_collectors.sources.clock.wallsteps import WallSteps
from tokenergy_collectors.sources.nvml.boards import Board

Rows = Iterable[tuple[Any, ...]]


class PowerReading(NamedTuple):
    """One power reading of one board: stamp (us UTC), power (mW), energy counter (mJ)."""

    device_id: str
    ts_us: int
    power_mw: int | None
    energy_mj: int | None


class Sink(Protocol):
    """Takes rows: the spool, which records them, or a listener."""

    def add(self, table: str, rows: Rows) -> None:
        """Take rows of a table, each in the order of its columns."""


class Listener(Sink, Protocol):
    """Gets everything as it happens, also what is not recorded."""

    def readings(self, readings: Sequence[PowerReading]) -> None:
        """Take power readings, including those not recorded because the power did not change."""

    def allocations(self, rows: Iterable[Mapping[str, Any]], spread: Collection[str]) -> None:
        """Take all allocations of this node, and the jobs that also hold boards of other nodes."""


class Output:
    """Passes rows to the spool, if anything is recorded, and to all listeners."""

    def __init__(self, sink: Sink | None = None) -> None:
        self._sinks: list[Sink] = [] if sink is None else [sink]
        self._listeners: list[Listener] = []
        self._allocations: dict[str, tuple[list[Mapping[str, Any]], Collection[str]]] = {}

    def record(self, sink: Sink) -> None:
        """Have a sink record all rows from now on."""
        self._sinks.append(sink)

    def listen(self, listener: Listener) -> None:
        """Pass a listener all rows, readings and allocations from now on."""
        self._sinks.append(listener)
        self._listeners.append(listener)

    def add(self, table: str, rows: Rows) -> None:
        """Record rows of a table, and pass them to the listeners."""
        rows = list(rows)  # several sinks read them, and a generator can be read only once
        for sink in self._sinks:
            sink.add(table, rows)

    def readings(self, readings: Sequence[PowerReading]) -> None:
        """Pass power readings to the listeners; rows to record come through `add`."""
        for listener in self._listeners:
            listener.readings(readings)

    def allocations(
        self, rows: Iterable[Mapping[str, Any]], spread: Collection[str], *, source: str = "jobs"
    ) -> None:
        """Pass the node's allocations to the listeners: those of one source, and of the others."""
        if not self._listeners:  # they listen from before the first allocations, or never
            return
        self._allocations[source] = (list(rows), spread)
        every = list(self._allocations.values())
        all_rows = [row for found, _ in every for row in found]
        all_spread = {job for _, jobs in every for job in jobs}
        for listener in self._listeners:
            listener.allocations(all_rows, all_spread)


@dataclass(slots=True)
class Host:
    """What a source may use.

    Attributes:
        node: the name of this host in the tables.
        clock: real or virtual.
        log: takes log events.
        output: takes rows.
        boards: the boards, opened.
        missing: why boards could not be opened, one text per board.
        lake: where recorded rows are read back from; None if nothing is recorded.
        emulated: True if the boards are the emulator's.
        inline: True if slow work runs in the sampling thread, as a virtual clock needs it; None
            means: if the clock is virtual.
        declared: allocations of an emulated node; None if the host is real.
        spread: jobs of an emulated node that also hold boards of other nodes.
        cluster: whose job ids those of jobs and tokens are, where they name no other.
        run: number of this run on this node, larger than that of every earlier one; None if
            nothing is recorded.
        recovered: set once what an earlier process left in its logs is in the lake.
        offset_us: monotonic time plus this is a stamp (us UTC).
        wall_steps: steps of the wall clock since `offset_us` was set.
    """

    node: str
    clock: Clock
    log: Log
    output: Output = field(default_factory=Output)
    boards: list[Board] = field(default_factory=list)
    missing: Sequence[str] = ()
    lake: Lake | None = None
    emulated: bool = False
    inline: bool | None = None
    declared: Sequence[Mapping[str, Any]] | None = None
    spread: Collection[str] = ()
    cluster: str | None = None
    run: int | None = None
    recovered: threading.Event = field(init=False, default_factory=threading.Event)
    offset_us: int = field(init=False)
    wall_steps: WallSteps = field(init=False, default_factory=WallSteps)

    def __post_init__(self) -> None:
        # Set once: a wall clock that is set later must not bend or repeat the stamps.
        self.offset_us = self.clock.realtime_us() - self.clock.monotonic_us()
        # On a virtual clock a thread that waits would let no time pass.
        if self.inline is None:
            self.inline = isinstance(self.clock, VirtualClock)

    def now_us(self) -> int:
        """Return the stamp of this instant (us UTC)."""
        return self.clock.monotonic_us() + self.offset_us

    def add(self, table: str, **values: Any) -> None:
        """Record one row; values are given by column name."""
        self.output.add(table, [TABLES[table].make_row(**values)])

    def event(self, kind: str, device_id: str | None, detail: str) -> None:
        """Record an event."""
        now_us = self.now_us()
        self.add(
            "event", ts_us=now_us, node=self.node, device_id=device_id, kind=kind, detail=detail
        )

    def warn(self, kind: str, device_id: str | None, detail: str) -> None:
        """Record an event, and write it to the log as a warning."""
        self.event(kind, device_id, detail)
        self.log.warning(kind, **({"device": device_id} if device_id else {}), why=detail)
