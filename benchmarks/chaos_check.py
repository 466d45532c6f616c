"""What must be true of a lake whose daemon was killed many times.

In: the lake, and the lives of the daemon. Out: counts, and every violation in words: a file that
cannot be read, a row stored twice, a reading lost that should not be, a recovery not reported.
"""

from __future__ import annotations

import bisect
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.chaos_run import SETTLED_S, Key, Life
from tokenergy_collectors.lake.contract import TABLES

BOUND_S = 1.0
SLACK_S = 0.25
"""Loss is measured from the kill, not from the last reading taken, so that whatever holds up a
process on a busy machine counts as lost: this much of it is let pass."""


@dataclass
class Tally:
    """The outcome, in numbers and in words."""

    kills: int = 0
    early: int = 0
    damaged: int = 0
    judged: int = 0
    losses_s: list[float] = field(default_factory=list)
    recovered: int = 0
    torn: int = 0
    quarantined: int = 0
    files: int = 0
    rows: int = 0
    unreadable: int = 0
    duplicates: int = 0
    missing: int = 0
    violations: list[str] = field(default_factory=list)

    def add(self, other: Tally) -> None:
        """Take over the numbers and words of another one."""
        for name, value in vars(other).items():
            setattr(self, name, getattr(self, name) + value)


def check(lake: Path, lives: list[Life], last: Life, exit_code: int) -> Tally:
    """Judge a lake after its daemon was stopped properly."""
    tally = Tally(kills=len(lives))
    found = _read_files(lake, tally)
    _check_loss(lives, found, tally)
    _check_told([*lives, last], tally)
    if exit_code or last.told[-1]["event"] != "stop":
        tally.violations.append(
            f"the last stop: exit code {exit_code}, last event {last.told[-1:]}"
        )
    left = [path.name for path in lake.glob(".wal/*/*.arrows")]
    if left:
        tally.violations.append(f"logs left after a clean stop: {left}")
    for life in (*lives, last):
        tally.violations += [f"life {life.number}: {line}" for line in life.odd]
    return tally


def _read_files(lake: Path, tally: Tally) -> Counter[Key]:
    """Read every file of the lake; return how often each row of power and state is there."""
    found: Counter[Key] = Counter()
    for table, spec in TABLES.items():
        rows: Counter[str] = Counter()
        for path in sorted((lake / table).rglob("*.parquet")):
            tally.files += 1
            try:
                part = pq.read_table(path, partitioning=None)
                part.validate(full=True)
            except (OSError, pa.ArrowException) as error:
                tally.unreadable += 1
                tally.violations.append(f"{path.name}: {error}")
                continue
            if part.schema.names != spec.column_names:
                tally.violations.append(f"{path.name}: unexpected columns {part.schema.names}")
            listed = part.to_pylist()
            rows.update(map(repr, listed))
            if table in ("power", "state"):
                found.update((table, row["device_id"], row["ts_us"]) for row in listed)
        tally.rows += rows.total()
        doubled = rows.total() - len(rows)
        tally.duplicates += doubled
        if doubled:
            tally.violations.append(f"{doubled} rows of {table} are stored twice")
    doubled = found.total() - len(found)
    if doubled:
        tally.duplicates += doubled
        tally.violations.append(f"{doubled} rows have the device and stamp of another row")
    return found


def _check_loss(lives: list[Life], found: Counter[Key], tally: Tally) -> None:
    """What the logs held must be there; of what they did not, only the last second may lack."""
    stamps: dict[str, list[int]] = defaultdict(list)
    for table, device_id, ts_us in sorted(found):
        if table == "power":
            stamps[device_id].append(ts_us)
    for life in lives:
        missing = len(life.logged - found.keys())
        if missing:
            tally.missing += missing
            tally.violations.append(
                f"life {life.number}: {missing} logged rows did not arrive in the lake"
            )
        if life.sampled_us is None:
            tally.early += 1
        if life.damage != "none":
            tally.damaged += 1
        elif life.sampled_us is not None:
            tally.judged += 1
            _judge(life, stamps, tally)


def _judge(life: Life, stamps: dict[str, list[int]], tally: Tally) -> None:
    assert life.sampled_us is not None
    latest = []
    for of_device in stamps.values():
        at = bisect.bisect_right(of_device, life.killed_us) - 1
        seen_us = of_device[at] if at >= 0 else 0
        latest.append(seen_us if seen_us >= life.began_us else life.sampled_us)
    loss_s = (life.killed_us - min(latest, default=life.sampled_us)) / 1e6
    tally.losses_s.append(loss_s)
    if loss_s > BOUND_S + SLACK_S:
        tally.violations.append(f"life {life.number}: {loss_s:.3f} s lost before the kill")


def _check_told(lives: list[Life], tally: Tally) -> None:
    """Verify that a daemon that lived long enough after a kill has reported what it found."""
    left = 0
    for life in lives:
        told = Counter(line["event"] for line in life.told)
        tally.recovered += told["recovered"]
        tally.torn += told["torn"]
        tally.quarantined += told["quarantined"]
        for line in life.told:
            if line["event"] in ("error", "drop"):
                tally.violations.append(f"life {life.number}: {line}")
        settled = (
            life.sampled_us is not None and life.killed_us - life.sampled_us >= SETTLED_S * 1e6
        )
        if settled and left and not told["recovered"]:
            tally.violations.append(f"life {life.number}: {left} rows recovered but not reported")
        if told["recovered"] or life.sampled_us is not None:
            left = 0
        left = max(left, len(life.logged))
