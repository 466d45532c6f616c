"""One allocation: the boards that a job got on this node at one start, until it gave them back.

In: a prolog, what Slurm says of the job, and the end. Out: rows of `jobs`, one for each board. The
allocation's id holds the job, its number of restarts and its start, so that a requeued job, which
keeps its id, has a new one.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from tokenergy_collectors.lake.contract import WHOLE_PPM
from tokenergy_collectors.sources.slurm.hookfile import HookEvent
from tokenergy_collectors.sources.slurm.scontrol import JobFacts

SCHEDULER = "slurm"
ASSUMED = "assumed"
Row = dict[str, Any]

_LABELS = ("partition", "array_job", "array_task", "het_job")


@dataclass(slots=True)
class End:
    """When an allocation ended, and how that was learned.

    Attributes:
        end_us: the instant (us UTC).
        how: epilog, scontrol, absent (no process was left), next (its board was given to another
            job) or boot (the node was started again).
        after_us: the latest instant at which it was known to hold its boards.
        before_us: the earliest instant at which it was known not to.
    """

    end_us: int
    how: str
    after_us: int
    before_us: int


@dataclass(slots=True)
class Held:
    """An allocation.

    Attributes:
        key: `slurm:JOB.RESTART:START:NODE`.
        job_id: the job.
        restart: how often it had been started before.
        wall_us: its start by the wall clock.
        rows: by Slurm's number of the board, the row of `jobs` without end.
        labels: further facts, the same for all its boards.
        end: None while it goes on.
        asked: whether Slurm has answered about it.
        alive_us: when a process of it was last seen (us UTC); None if never in this run.
        absent_us: since when none was seen; None while there is one, or before the first.
    """

    key: str
    job_id: str
    restart: int
    wall_us: int
    rows: dict[int, Row]
    labels: dict[str, Any] = field(default_factory=dict)
    end: End | None = None
    asked: bool = False
    alive_us: int | None = None
    absent_us: int | None = None

    @property
    def start_us(self) -> int:
        """When it began (us UTC)."""
        start_us: int = next(iter(self.rows.values()))["start_us"]
        return start_us

    @property
    def known_us(self) -> int:
        """The latest instant at which it was known to go on."""
        return self.start_us if self.alive_us is None else max(self.start_us, self.alive_us)

    def gone_us(self, now_us: int) -> int:
        """Return since when its processes are gone; `now_us` if none was ever seen."""
        seen = self.alive_us is not None
        return self.absent_us if seen and self.absent_us is not None else now_us

    def learn(self, facts: JobFacts, per_board: Mapping[str, int]) -> str | None:
        """Take what Slurm says of the job; return what is missing to know its shares.

        Args:
            facts: what it says.
            per_board: units of one board by kind, where the facts do not tell them.
        """
        if facts.restarts > self.restart:  # it tells the boards of a later start
            facts = replace(facts, parts={}, told=False)
        self.asked = True
        self.labels.pop("share", None)
        if facts.array is not None:
            self.labels["array"] = facts.array
        # `squeue` shows tasks as ARRAY_TASK, and users know them by that.
        name = facts.name if facts.array is None else f"{facts.name} {facts.array}".lstrip()
        missing = None
        for place, row in self.rows.items():
            row["name"] = name or None
            part = facts.part(place, len(self.rows))
            whole = None if part is None else part.whole or per_board.get(part.kind)
            if part is None:
                row["share_ppm"] = WHOLE_PPM
            elif whole:
                row["share_ppm"] = min(WHOLE_PPM, max(1, round(part.units * WHOLE_PPM / whole)))
                self.labels["share"] = f"{float(part.units):g}/{whole} {part.kind}"
            else:
                self.labels["share"] = ASSUMED
                missing = f"{part.kind}s of a board"
        return missing

    def to_rows(self) -> list[Row]:
        """Return its rows of `jobs`, without `recorded_us`."""
        end, labels = self.end, dict(self.labels)
        if end is not None and end.how != "epilog":
            labels |= {
                "end": end.how,
                "end_after_us": end.after_us,
                "end_before_us": end.before_us,
            }
        by_process = end is not None and end.how == "absent"
        text = json.dumps(labels, sort_keys=True) if labels else None
        return [
            {
                **row,
                "end_us": None if end is None else max(end.end_us, row["start_us"] + 1),
                "labels": text,
                "method": "cgroup" if by_process else "hook",
            }
            for row in self.rows.values()
        ]


def started(event: HookEvent, node: str, start_us: int, boards: Iterable[tuple[int, str]]) -> Held:
    """Return the allocation that a prolog begins.

    Args:
        event: the prolog.
        node: this node's name in the tables.
        start_us: the stamp of the prolog.
        boards: Slurm's numbers of the boards and their names.
    """
    key = key_of(event, node)
    fields = event.fields
    labels: dict[str, Any] = {name: fields[name] for name in _LABELS if fields.get(name)}
    labels["share"] = ASSUMED
    if fields.get("nodes", "1") != "1":
        labels["nodes"] = fields["nodes"]
    if event.restart:
        labels["restart"] = event.restart
    rows = {
        place: Row(
            job_id=event.job_id,
            node=node,
            device_id=device,
            start_us=start_us,
            end_us=None,
            share_ppm=_mps_ppm(fields.get("mps_percent", "")),
            scheduler=SCHEDULER,
            user=fields.get("user") or fields.get("uid") or None,
            account=fields.get("account") or None,
            name=fields.get("name") or None,
            labels=None,
            method="hook",
            cluster=None,
            allocation_id=f"{key}:{place}",
        )
        for place, device in boards
    }
    return Held(key, event.job_id, event.restart, event.wall_us, rows, labels)


def key_of(event: HookEvent, node: str) -> str:
    """Return the key of the allocation that a prolog begins; the same whenever it is read."""
    return f"slurm:{event.job_id}.{event.restart}:{event.wall_us}:{node}"


def recorded(rows: Iterable[Mapping[str, Any]]) -> Iterator[Held]:
    """Yield the allocations that rows of `jobs` describe, the latest of each board."""
    found: dict[str, list[Row]] = {}
    for row in rows:
        if row["scheduler"] == SCHEDULER and (row["allocation_id"] or "").startswith("slurm:"):
            found.setdefault(row["allocation_id"].rpartition(":")[0], []).append(dict(row))
    for key, ones in found.items():
        _, job, wall_us, _ = key.split(":", 3)
        job_id, _, restart = job.partition(".")
        labels = json.loads(ones[0]["labels"] or "{}")
        how = labels.pop("end", "epilog")
        after_us = labels.pop("end_after_us", ones[0]["end_us"])
        before_us = labels.pop("end_before_us", ones[0]["end_us"])
        end_us = ones[0]["end_us"]
        end = None if end_us is None else End(end_us, how, after_us, before_us)
        by_place = {
            int(row["allocation_id"].rpartition(":")[2]): {
                name: value for name, value in row.items() if name != "recorded_us"
            }
            for row in ones
        }
        asked = labels.get("share") != ASSUMED
        yield Held(key, job_id, int(restart), int(wall_us), by_place, labels, end, asked)


def _mps_ppm(percent: str) -> int:
    """Return the share that MPS allows a job, where its prolog tells it; else the whole board."""
    known = percent.isascii() and percent.isdigit() and 0 < int(percent) <= 100
    return int(percent) * (WHOLE_PPM // 100) if known else WHOLE_PPM
