"""Whether a job was at work in a segment, and whether something ran on a device that nobody held.

Rules: docs/ledger.md, "Accounts".
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from itertools import pairwise
from typing import Any

from tests.oracle.reckon.counters import known_zero, processes_of
from tests.oracle.reckon.holders import Claim
from tests.oracle.reckon.segments import Segment
from tests.oracle.reckon.usage import identity

GAUGE_US = 2_000_000
PROCESS_US = 15_000_000


class Gauges:
    """The `state` rows of one device."""

    def __init__(self, rows: list[dict[str, Any]]) -> None:
        rows = sorted(rows, key=lambda r: r["ts_us"])
        self._utils = [(r["ts_us"], r["sm_util"]) for r in rows if r["sm_util"] is not None]
        self._lists = [(r["ts_us"], len(r["pids"])) for r in rows if r.get("pids") is not None]

    def busy(self, s: Segment) -> bool | None:
        """Say whether an SM was busy; None where nothing was read near enough."""
        first = bisect_left(self._utils, (s.start, -1))
        last = bisect_left(self._utils, (s.end, -1))
        if first < last:
            return any(util > 0 for _, util in self._utils[first:last])
        if first > 0 and s.start - self._utils[first - 1][0] <= GAUGE_US:
            return self._utils[first - 1][1] > 0
        return None

    def running(self, s: Segment) -> bool:
        """Say whether a process ran."""
        at = bisect_right(self._lists, (s.end, 1 << 62)) - 1
        if at < 0 or s.end - self._lists[at][0] > PROCESS_US:
            return False
        return self._lists[at][1] > 0


class Activity:
    """When the tokens of each job were looked at, and when they moved."""

    def __init__(
        self, rows: list[dict[str, Any]], spans: dict[str, tuple[int, int | None]]
    ) -> None:
        series: dict[tuple[Any, ...], list[dict[str, Any]]] = defaultdict(list)
        for row in rows:
            series[identity(row)].append(row)
        self._spans: dict[str, list[tuple[int, int, bool]]] = defaultdict(list)
        for key, members in series.items():
            job = key[0][0]
            members.sort(key=lambda r: (r.get("run") or 0, r["ts_us"], r["value"]))
            for process in processes_of(members):
                zero = known_zero(process, members[0]["ts_us"], spans.get(job, (None, None))[0])
                for a, b in pairwise([*zero, *process]):
                    if a["ts_us"] < b["ts_us"]:
                        moved = a["value"] != b["value"]
                        self._spans[job].append((a["ts_us"], b["ts_us"], moved))

    def moved(self, job: str, s: Segment) -> bool | None:
        """Say whether a counter of a job moved; None if none was looked at."""
        over = [moved for a, b, moved in self._spans[job] if a < s.end and b > s.start]
        return any(over) if over else None


def account(claim: Claim, known: bool, s: Segment, gauges: Gauges, activity: Activity) -> str:
    """Return the account of a claim on a segment."""
    if not known:
        return "gap"
    busy = gauges.busy(s)
    if claim.job is None:
        return "unattributed" if not claim.shared and (busy or gauges.running(s)) else "free_idle"
    moved = activity.moved(claim.job, s)
    # Without any evidence the allocation itself counts as work.
    return "active" if busy or moved or (busy is None and moved is None) else "resident_idle"
