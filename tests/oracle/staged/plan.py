"""What a staged history is made of: who holds what, what is metered, which rows are left of it."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from fractions import Fraction
from random import Random
from typing import Any

from tests.oracle.staged.physics import Line, Meter

S = 1_000_000
HOUR = 3600 * S
EDGE = 1_768_464_000 * S + HOUR
"""The edge of an hour around which every history is: 2026-01-15T09:00:00Z."""

Row = dict[str, Any]


@dataclass
class Board:
    """One board, where it is, how it is read, and what it draws.

    Attributes:
        stamps: when its power is read.
        counted: those of them at which its energy counter is read too; may have stamps of its own.
        renewed_us, window_us, phase_us: how often and when its meters are renewed, and the time
            that its sensor averages; 0 if they show what is.
        found_us, replaced_us: when it was found, and when another one was found in its place.
        moved_us, moved_to: when it was found on another node, and which; None if it was not.
        described: its `device` row but for the stamp, as found first; `changes`: all its rows.
    """

    device_id: str
    node: str
    described: Row
    power: Line
    stamps: list[int]
    counted: list[int]
    sensor: Meter = field(default_factory=Meter)
    counter: Meter = field(default_factory=Meter)
    counter_from_mj: int = 0
    index: int = 0
    renewed_us: int = 0
    window_us: int = 0
    phase_us: int = 0
    found_us: int = EDGE - 1800 * S
    replaced_us: int | None = None
    moved_us: int | None = None
    moved_to: str = ""
    changes: list[Row] = field(default_factory=list)

    def node_at(self, t: int) -> str:
        """Return the node in which it is."""
        return self.node if self.moved_us is None or t < self.moved_us else self.moved_to

    def renewed(self, t: int) -> int:
        """Return when the meters were last renewed."""
        return t if not self.renewed_us else t - (t - self.phase_us) % self.renewed_us

    def displayed(self, t: int) -> Fraction:
        """Return the true power that a reading shows: a mean over a window that ended before."""
        at = self.renewed(t)
        if not self.window_us:
            return self.power.at(at)
        return self.power.area(at - self.window_us, at) / self.window_us


@dataclass
class Hold:
    """A job's true claim on a board; `end_us` None while it runs.

    Attributes:
        share_ppm: of the board; the list tells `told_ppm` of what it names, if that is not None.
    """

    job: str
    board: Board
    start_us: int
    end_us: int | None
    share_ppm: int = 1_000_000
    cluster: str | None = None
    mig: str | None = None
    allocation: str | None = None
    told_ppm: int | None = None

    @property
    def key(self) -> str:
        """The key of the job in the tables: CLUSTER/ID, or ID."""
        return f"{self.cluster}/{self.job}" if self.cluster else self.job


@dataclass
class Made:
    """The tokens that a job really made, of one kind: the sum of some lines."""

    key: str
    kind: str
    lines: list[Line] = field(default_factory=list)


@dataclass
class History:
    """A staged history: its rows, and what is true.

    Attributes:
        seed: the number that it follows from.
        kinds: the names of what was staged in it.
        rows: raw rows by table; "node" is the node that wrote them, in every table.
        late: the same, of rows that arrive after a first run.
        host_mw: declared power of the nodes' hosts.
        boards, holds, made: what is true.
        doubts: (job, what is doubtful of it), and a reason code that must say so.
    """

    seed: int
    kinds: set[str]
    rows: dict[str, list[Row]] = field(default_factory=lambda: defaultdict(list))
    late: dict[str, list[Row]] = field(default_factory=lambda: defaultdict(list))
    host_mw: dict[str, int] = field(default_factory=dict)
    boards: list[Board] = field(default_factory=list)
    holds: list[Hold] = field(default_factory=list)
    made: dict[tuple[str, str], Made] = field(default_factory=dict)
    doubts: dict[tuple[str, str], str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """A prefix of every name in it, so that histories can share a lake."""
        return f"h{self.seed}"

    def rng(self, what: str) -> Random:
        """Return the random numbers of one kind of staging: others do not change them."""
        return Random(f"{self.seed}/{what}")

    def doubt(self, key: str, figure: str, code: str) -> None:
        """Note that a figure of a job is not knowable, and the code that must say so."""
        self.doubts[key, figure] = code

    def has(self, kind: str) -> bool:
        """Say whether a kind of staging is in it."""
        return kind in self.kinds
