"""What an emulated server has told of its requests at an instant.

In: first tokens and ends of requests, as they happen. Out: counters and latency histograms as vLLM
has them, at instants that never fall.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from copy import deepcopy
from dataclasses import dataclass, field
from typing import NamedTuple

_SHORT_S = (0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5,
            10.0, 20.0, 40.0, 80.0, 160.0, 640.0, 2560.0)  # fmt: skip
_TOKEN_S = (0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5,
            10.0, 20.0, 40.0, 80.0)  # fmt: skip
_LONG_S = (0.3, 0.5, 0.8, 1.0, 1.5, 2.0, 2.5, 5.0, 10.0, 15.0, 20.0, 30.0, 40.0, 50.0, 60.0, 120.0,
           240.0, 480.0, 960.0, 1920.0, 7680.0)  # fmt: skip

BUCKETS_S = {"ttft": _SHORT_S, "tpot": _TOKEN_S, "e2e": _LONG_S}
"""Upper edges of the buckets of each latency, seconds: those of vLLM."""


class Finished(NamedTuple):
    """A finished request: when it ended, its latencies (us; no tpot of one token), its tokens."""

    end_us: int
    ttft_us: int
    tpot_us: float | None
    e2e_us: int
    generated: int


@dataclass(slots=True)
class Histogram:
    """Requests by latency: a count for each bucket of `BUCKETS_S` and for all above."""

    counts: list[int]
    sum_s: float = 0.0

    def add(self, edges_s: tuple[float, ...], value_s: float) -> None:
        """Count a latency in the bucket whose upper edge is the first that is not below it."""
        self.counts[bisect_left(edges_s, value_s)] += 1
        self.sum_s += value_s


@dataclass(slots=True)
class Told:
    """What the server tells: requests that ended, and histograms of their latencies."""

    finished: int = 0
    latencies: dict[str, Histogram] = field(
        default_factory=lambda: {
            name: Histogram([0] * (len(edges) + 1)) for name, edges in BUCKETS_S.items()
        }
    )


class RequestRecord:
    """Follows the requests of one server."""

    def __init__(self) -> None:
        self._waiting: deque[tuple[int, str, float]] = deque()
        self._told = Told()

    def first_token(self, at_us: int, ttft_us: int) -> None:
        """Take the first token of a request."""
        self._waiting.append((at_us, "ttft", ttft_us / 1e6))

    def end(self, one: Finished) -> None:
        """Take a request that ended."""
        if one.tpot_us is not None:
            self._waiting.append((one.end_us, "tpot", one.tpot_us / 1e6))
        self._waiting.append((one.end_us, "e2e", one.e2e_us / 1e6))

    def told_at(self, at_us: int) -> Told:
        """Return what the server has told by an instant, not before that of an earlier call."""
        while self._waiting and self._waiting[0][0] <= at_us:
            _, name, value_s = self._waiting.popleft()
            self._told.latencies[name].add(BUCKETS_S[name], value_s)
            self._told.finished += name == "e2e"
        return deepcopy(self._told)
