"""One run of a benchmark, as its file tells it.

Figures are the client's: tokens that it counted, times that its own clock showed. What the file
does not say is None.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

US_PER_S = 1_000_000
US_PER_MS = 1_000


@dataclass(frozen=True, slots=True)
class Answer:
    """One request that was answered.

    Attributes:
        start_us: when it was sent, by the clock of the file.
        end_us: when its last token came.
        generated: tokens that were generated for it.
        prompt: tokens of its prompt.
        ttft_us: time to its first token.
    """

    start_us: int
    end_us: int
    generated: int
    prompt: int | None = None
    ttft_us: int | None = None

    @property
    def latency_us(self) -> int:
        """Time from its start to its end."""
        return self.end_us - self.start_us

    @property
    def tpot_us(self) -> float | None:
        """Mean time of a token after the first."""
        if self.ttft_us is None or self.generated < 2:
            return None
        return max(self.latency_us - self.ttft_us, 0) / (self.generated - 1)


@dataclass(slots=True)
class Run:
    """What a file says of one run.

    Attributes:
        tool: vllm or aiperf.
        name: what the file or its folder is called: the id of the job unless the user names it.
        generated: tokens generated for all answered requests.
        answered: requests that were answered.
        model: name of the model.
        prompt: prompt tokens of all answered requests, cached or not.
        failed: requests that failed or were cancelled.
        duration_us: from the first request to the last answer.
        start_us, end_us: the same as instants, UTC, if the file says so.
        local_start, local_end: the same in local time of the client, without a zone.
        late_us: how much earlier than `local_end` the run may have ended.
        answers: the requests, if the file has them.
        answers_are_utc: whether their times are UTC; else they have a clock of their own.
        figures_ms: latencies that the tool worked out, by name: `ttft_p99_ms`.
        warnings: what may be wrong with the file.
    """

    tool: str
    name: str
    generated: int
    answered: int
    model: str | None = None
    prompt: int | None = None
    failed: int | None = None
    duration_us: int | None = None
    start_us: int | None = None
    end_us: int | None = None
    local_start: str | None = None
    local_end: str | None = None
    late_us: int = 0
    answers: Sequence[Answer] = ()
    answers_are_utc: bool = False
    figures_ms: Mapping[str, float] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
