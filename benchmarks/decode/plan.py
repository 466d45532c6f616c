"""What is recorded, and when: decoding at several batch sizes, then holding the GPU idle.

In: lengths in seconds and a start. Out: phases, each a job of its own with edges that are known
before it begins, so that the collector reads everything at the edges themselves.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass

S = 1_000_000
IDLE = "idle"


@dataclass(frozen=True)
class Phase:
    """One job.

    Attributes:
        job_id: its name.
        batch: sequences that are decoded at a time; 0 where the GPU is held and does nothing.
        start_us: when it begins, UTC.
        end_us: when it ends, UTC.
    """

    job_id: str
    batch: int
    start_us: int
    end_us: int


@dataclass(frozen=True)
class Plan:
    """Lengths of a recording.

    Attributes:
        batches: the batch sizes, in the order in which they are decoded.
        before_s: from the collector's first sample to the first job; it loads the list of jobs
            meanwhile.
        decode_s: seconds at each batch size.
        pause_s: seconds between two jobs, while nobody holds the GPU.
        idle_s: seconds of the last job, that holds the GPU and does nothing.
        after_s: seconds after it.
    """

    batches: tuple[int, ...] = (1, 8, 32, 128)
    before_s: float = 10.0
    decode_s: float = 20.0
    pause_s: float = 2.0
    idle_s: float = 20.0
    after_s: float = 2.0

    def phases(self, start_us: int) -> list[Phase]:
        """Return the jobs of a recording that begins at an instant (us UTC)."""
        found = []
        at_us = start_us + _us(self.before_s)
        for batch in (*self.batches, 0):
            end_us = at_us + _us(self.decode_s if batch else self.idle_s)
            job_id = f"decode-batch-{batch}" if batch else IDLE
            found.append(Phase(job_id, batch, at_us, end_us))
            at_us = end_us + _us(self.pause_s)
        return found


def jobs_csv(phases: Sequence[Phase], node: str, device: str) -> str:
    """Return the list of jobs as the collector reads it."""
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(["job_id", "node", "device", "start", "end"])
    for phase in phases:
        rows.writerow([phase.job_id, node, device, _unix(phase.start_us), _unix(phase.end_us)])
    return text.getvalue()


def _us(seconds: float) -> int:
    return round(seconds * S)


def _unix(at_us: int) -> str:
    return f"{at_us // S}.{at_us % S:06d}"
