"""One side of a comparison: its rows, and the samples that they make.

In: rows of `hours.sql`, `blocks.sql` and `cards.sql`, from a lake or from a file. Out: samples of
five minutes, or of an hour, with what their boards were set to.

Five minutes are better: an hour mixes loads. They exist where a job serves and counts both prompt
tokens and generated ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from tokenergy_collectors.lake.contract import HOUR_US
from tokenergy_sql.catalog.namedrows import NamedRow

Grain = Literal["five_minutes", "hour"]

BLOCK_US = 300_000_000


@dataclass(frozen=True, slots=True)
class Setup:
    """What samples must have in common before they are compared.

    Attributes:
        workload: inference or training.
        gpu: board name; None: unknown.
        boards: how many boards the job holds.
        limits_mw: lowest and highest power limit of its boards; None: unknown.
    """

    workload: str
    gpu: str | None
    boards: int
    limits_mw: tuple[int | None, int | None]


@dataclass(frozen=True, slots=True)
class Sample:
    """Energy and tokens of a job in one piece of time, both known throughout.

    Attributes:
        device_us: device time.
        prompt: prompt tokens computed.
        tokens: tokens generated, or trained; more than 0.
        slack: by how many tokens the count may be off, either way.
        energy_nj: energy of the job's boards.
    """

    job_id: str
    start_us: int
    setup: Setup
    device_us: int
    prompt: int
    tokens: int
    slack: float
    energy_nj: int

    @property
    def hour(self) -> tuple[str, int]:
        """The job and the hour that the sample is of."""
        return self.job_id, self.start_us - self.start_us % HOUR_US


@dataclass(frozen=True, slots=True)
class Side:
    """What one side of a comparison is made of.

    Attributes:
        text: what it was named by.
        hours: rows of `hours.sql`.
        blocks: rows of `blocks.sql`.
        cards: rows of `cards.sql`.
    """

    text: str
    hours: Sequence[NamedRow]
    blocks: Sequence[NamedRow]
    cards: Sequence[NamedRow]

    @property
    def tokens(self) -> int:
        """Tokens of all its hours."""
        return sum(row["tokens"] for row in self.hours)

    @property
    def emulated(self) -> bool:
        """Whether any of its boards is emulated."""
        return any(row["emulated"] for row in self.hours)

    def names(self, column: str) -> list[str]:
        """Return the different values of a column of its hours, in order."""
        return sorted({str(row[column]) for row in self.hours if row[column] is not None})

    def samples(self, grain: Grain) -> list[Sample]:
        """Return its samples of one length."""
        if grain == "hour":
            return [_of_hour(row) for row in self.hours if row["left_out"] is None]
        setups = {(row["job_id"], row["hour_us"]): _setup(row) for row in self.hours}
        found = []
        for row in self.blocks:
            hour = row["start_us"] - row["start_us"] % HOUR_US
            if (setup := setups.get((row["job_id"], hour))) is not None:
                found.append(_of_block(row, setup))
        return found


def grain_of(base: Side, head: Side) -> Grain:
    """Return the shortest length of which both sides have samples."""
    both = all(side.samples("five_minutes") for side in (base, head))
    return "five_minutes" if both else "hour"


def _setup(row: NamedRow) -> Setup:
    limits = (row["limit_low_mw"], row["limit_high_mw"])
    return Setup(row["workload"], row["gpu"], row["boards"], limits)


def _of_hour(row: NamedRow) -> Sample:
    low, high = row["tokens_low"], row["tokens_high"]
    return Sample(
        row["job_id"],
        row["hour_us"],
        _setup(row),
        row["device_us"],
        row["prompt"],
        row["tokens"],
        # Without bounds nothing is known of the count: it may be off by all of it.
        row["tokens"] if low is None or high is None else (high - low) / 2,
        row["energy_nj"],
    )


def _of_block(row: NamedRow, setup: Setup) -> Sample:
    return Sample(
        row["job_id"],
        row["start_us"],
        setup,
        row["device_us"],
        row["prompt"],
        row["tokens"],
        # A block begins and ends at readings; a counter that prints steps is off by half of one at
        # each.
        row["quantum"] if row["quantum"] > 1 else 0,
        row["energy_nj"],
    )
