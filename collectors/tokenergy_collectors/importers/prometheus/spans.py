"""When a job held a board, as far as scrapes show it.

In: at which scrapes of a board a job's label was there. Out: spans. A job begins somewhere between
the last scrape without it and the first with it: the middle errs least, and by half a spacing at
most. A span may go on in the next chunk: until then it is open.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from tokenergy_collectors.importers.prometheus.boards import Board, gap_us, spacing_us
from tokenergy_collectors.importers.prometheus.owners import Job, Owners
from tokenergy_collectors.importers.prometheus.samples import Stamps


@dataclass(slots=True)
class Span:
    """The time for which a job held a board.

    Attributes:
        job_id: the job.
        scheduler: whose id it is.
        pod: namespace and pod; None if it is no pod.
        first_us: first scrape with the job.
        last_us: last scrape with it, so far.
        after_us: last scrape of the board before, without the job; None if none is near.
        before_us: first scrape of the board after it, without it; None while it is open.
        tenants: the most jobs that the board had at once meanwhile.
        part_ppm: the share of a MIG instance; a million for the whole board.
    """

    job_id: str
    scheduler: str
    pod: tuple[str, str] | None
    first_us: int
    last_us: int
    after_us: int | None
    before_us: int | None = None
    tenants: int = 1
    part_ppm: int = 1_000_000

    def edges_us(self, starts: Mapping[tuple[str, str], int], ends: Mapping[tuple[str, str], int]
                 ) -> tuple[int, int]:  # fmt: skip
        """Return start and end: the cluster's own where they fit, else the middle of two scrapes.

        Args:
            starts: when pods were admitted, us UTC, by namespace and pod.
            ends: when they ended.
        """
        start_us = _middle(self.after_us, self.first_us)
        end_us = self.last_us if self.before_us is None else _middle(self.last_us, self.before_us)
        if self.pod is not None and self.after_us is not None:
            told_us = starts.get(self.pod, -1)
            start_us = told_us if self.after_us <= told_us <= self.first_us else start_us
        if self.pod is not None and self.before_us is not None:
            told_us = ends.get(self.pod, -1)
            end_us = told_us if self.last_us <= told_us <= self.before_us else end_us
        return start_us, end_us


@dataclass(slots=True)
class Held:
    """What is known of a board's jobs at the end of a chunk.

    Attributes:
        node: the board's node.
        last_us: its last scrape.
        spacing_us: the usual time between two scrapes.
        shown: power and counter of its last scrape.
        open: spans that may go on, by job.
    """

    node: str
    last_us: int | None = None
    spacing_us: int | None = None
    shown: tuple[int | None, int | None] | None = None
    open: dict[str, Span] = field(default_factory=dict)

    def follow(self, board: Board, owners: Owners) -> list[Span]:
        """Take a board's chunk; return the spans that ended in it."""
        stamps = board.stamps()
        if not len(stamps):
            return []
        self.spacing_us = spacing_us(stamps) or self.spacing_us
        seen = _presence(board, owners, stamps)
        tenants = sum(
            (mask.astype(int) for _, _, mask in seen.values()), np.zeros(len(stamps), int)
        )
        ended = [
            span
            for job_id in sorted({*self.open, *seen})
            for span in self._job(job_id, seen.get(job_id), stamps, tenants)
        ]
        self.last_us = int(stamps[-1])
        return ended

    def close(self) -> list[Span]:
        """Return the open spans as far as they were seen."""
        return [self.open[job_id] for job_id in sorted(self.open)]

    def _job(
        self,
        job_id: str,
        seen: tuple[Job, int, np.ndarray] | None,
        stamps: Stamps,
        tenants: np.ndarray,
    ) -> list[Span]:
        ended: list[Span] = []
        limit_us = gap_us(self.spacing_us)
        now = self.open.pop(job_id, None)
        before_us = self.last_us
        for place, ts_us in enumerate(stamps.tolist()):
            here = seen is not None and bool(seen[2][place])
            # A silence of the board ends nothing: only a scrape without the job does.
            gone = now is not None and now.before_us is not None
            if now is not None and gone and ts_us - now.last_us > limit_us:
                ended.append(_ended(now, limit_us))
                now = None
            if here and now is not None:
                now.last_us, now.before_us = ts_us, None
            elif here and seen is not None:
                near = before_us is not None and ts_us - before_us <= limit_us
                job, part_ppm, _ = seen
                now = Span(job_id, job.scheduler, job.pod, ts_us, ts_us,
                           before_us if near else None, part_ppm=part_ppm)  # fmt: skip
            elif now is not None and now.before_us is None:
                now.before_us = ts_us
            if here and now is not None:
                now.tenants = max(now.tenants, int(tenants[place]))
            before_us = ts_us
        if now is not None:
            self.open[job_id] = now
        return ended


def _ended(span: Span, limit_us: int) -> Span:
    """Return a span whose job is gone: the scrape after it counts only if it is near."""
    if span.before_us is not None and span.before_us - span.last_us > limit_us:
        span.before_us = None
    return span


def _presence(
    board: Board, owners: Owners, stamps: Stamps
) -> dict[str, tuple[Job, int, np.ndarray]]:
    """Return for each job its share of the board, and at which stamps it was there."""
    found: dict[str, tuple[Job, int, np.ndarray]] = {}
    for gauge, samples in board.series:
        job = owners.of(samples.labels, of_board=True)
        if job is None or gauge.meaning not in ("power", "energy") or not len(samples.ts_us):
            continue
        here = np.isin(stamps, samples.ts_us)
        _, part_ppm, mask = found.get(job.job_id, (job, _part_ppm(samples.labels, board), here))
        found[job.job_id] = (job, part_ppm, mask | here)
    return found


def _part_ppm(labels: Mapping[str, str], board: Board) -> int:
    """Return the share of a board that a MIG instance is: `3g.40gb` has 3 slices of 7."""
    slices = labels.get("GPU_I_PROFILE", "").partition("g.")[0]
    if not slices.isdigit():
        return 1_000_000
    whole = 4 if "A30" in (board.labels.get("modelName") or "") else 7
    return min(1_000_000, int(slices) * 1_000_000 // whole)


def _middle(one_us: int | None, other_us: int) -> int:
    return other_us if one_us is None else (one_us + other_us) // 2


def to_json(held: Mapping[str, Held]) -> dict[str, Any]:
    """Return what is held as JSON has it."""
    return {device_id: asdict(one) for device_id, one in sorted(held.items())}


def from_json(told: Mapping[str, Any]) -> dict[str, Held]:
    """Return what `to_json` wrote.

    Raises:
        LookupError, TypeError, ValueError: it wrote no such thing.
    """
    found = {}
    for device_id, one in told.items():
        spans = {
            job: Span(**{**span, "pod": None if span["pod"] is None else tuple(span["pod"])})
            for job, span in one["open"].items()
        }
        shown = None if one["shown"] is None else tuple(one["shown"])
        found[device_id] = Held(one["node"], one["last_us"], one["spacing_us"], shown, spans)
    return found
