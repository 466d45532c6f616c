"""Jobs in the last minute: power, tokens per second and energy per token.

In: current allocations, the boards and the token series. Out: figures for each job. What is unknown
is None: the power of a job while one of its boards does not answer, and energy per token in a
minute without tokens or for a job that also holds boards on other nodes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tokenergy_collectors.lake.contract import WHOLE_PPM
from tokenergy_collectors.lake.jobkey import job_key
from tokenergy_collectors.live.board import LiveBoard
from tokenergy_collectors.live.tokens import Series, SeriesKey

OUTPUT_KINDS = ("generated", "trained")
"""Kinds of token that energy is divided by, as in the index: the first that a job counts."""


@dataclass(frozen=True, slots=True)
class Allocation:
    """A job's hold on one board of this node, from start to end (us UTC; None: still running)."""

    job_id: str
    device_id: str
    start_us: int
    end_us: int | None
    share_ppm: int

    def holds(self, at_us: int) -> bool:
        """Return whether the job holds the board at an instant."""
        return self.start_us <= at_us and (self.end_us is None or at_us < self.end_us)


@dataclass(frozen=True, slots=True)
class JobFigures:
    """One job in the last minute.

    Attributes:
        job_id: the job.
        devices: boards of this node that it holds now.
        power_mw: power of these boards times its shares; None if one is unknown.
        tokens_per_s: tokens per second by kind.
        kind: the kind that energy is divided by; None if no tokens are counted.
        joules_per_token: energy over tokens of that kind.
    """

    job_id: str
    devices: tuple[str, ...]
    power_mw: float | None
    tokens_per_s: Mapping[str, float] = field(default_factory=dict)
    kind: str | None = None
    joules_per_token: float | None = None


def allocations_of(rows: Iterable[Mapping[str, Any]], since_us: int) -> list[Allocation]:
    """Return rows of `jobs` as allocations, without those that ended before `since_us`."""
    return [
        Allocation(
            job_key(r.get("cluster"), r["job_id"]),
            *(r[name] for name in ("device_id", "start_us", "end_us", "share_ppm")),
        )
        for r in rows
        if r["end_us"] is None or r["end_us"] > since_us
    ]


def job_figures(
    now_us: int,
    boards: Mapping[str, LiveBoard],
    allocations: Iterable[Allocation],
    series: Mapping[SeriesKey, Series],
    spread: Iterable[str],
) -> list[JobFigures]:
    """Return the figures of every job that runs now or whose tokens are counted now.

    Args:
        now_us: now (us UTC).
        boards: the node's boards by `device_id`.
        allocations: of this node, including those of the last minute.
        series: token counters.
        spread: jobs that also hold boards on other nodes.
    """
    held: dict[str, list[Allocation]] = {}
    for allocation in allocations:
        held.setdefault(allocation.job_id, []).append(allocation)
    counted: dict[str, dict[SeriesKey, Series]] = {}
    for key, one in series.items():
        if one.total(now_us) is not None:
            counted.setdefault(one.job_id, {})[key] = one
    counted = {job_id: _without_frontends(found) for job_id, found in counted.items()}
    running = {a.job_id for found in held.values() for a in found if a.holds(now_us)}
    return [
        _figures(now_us, job_id, boards, held.get(job_id, []), counted.get(job_id, {}), spread)
        for job_id in sorted(running | counted.keys())
    ]


def _without_frontends(series: dict[SeriesKey, Series]) -> dict[SeriesKey, Series]:
    """Return a job's series; of a kind that workers count, only theirs, as in the index."""
    by_workers = {key.kind for key, one in series.items() if not one.frontend}
    return {
        key: one for key, one in series.items() if not (one.frontend and key.kind in by_workers)
    }


def _figures(
    now_us: int,
    job_id: str,
    boards: Mapping[str, LiveBoard],
    held: list[Allocation],
    series: Mapping[SeriesKey, Series],
    spread: Iterable[str],
) -> JobFigures:
    now = [allocation for allocation in held if allocation.holds(now_us)]
    kinds = {key.kind for key in series}
    kind = next((kind for kind in OUTPUT_KINDS if kind in kinds), None)
    power_mw = _power_mw(now_us, boards, now)
    joules = None
    # Energy on boards of other nodes is unknown here, so a job that has some gets no ratio.
    if kind is not None and power_mw is not None and job_id not in spread:
        joules = _joules_per_token(
            now_us, boards, held, [one for key, one in series.items() if key.kind == kind]
        )
    rates = {kind: _rate(now_us, series, kind) for kind in sorted(kinds)}
    return JobFigures(
        job_id,
        tuple(allocation.device_id for allocation in now),
        power_mw,
        {kind: rate for kind, rate in rates.items() if rate is not None},
        kind,
        joules,
    )


def _power_mw(now_us: int, boards: Mapping[str, LiveBoard], held: list[Allocation]) -> float | None:
    total_mw = 0.0
    for allocation in held:
        board = boards.get(allocation.device_id)
        power_mw = None if board is None else board.fresh_mw(now_us)
        if power_mw is None:
            return None
        total_mw += power_mw * allocation.share_ppm / WHOLE_PPM
    return total_mw if held else None


def _rate(now_us: int, series: Mapping[SeriesKey, Series], kind: str) -> float | None:
    """Return tokens of a kind per second over all engines; None if no engine has a rate."""
    found = [one.minute(now_us) for key, one in series.items() if key.kind == kind]
    rates = [
        (last - first) / (to_us - from_us) * 1e6
        for (from_us, first), (to_us, last) in (points for points in found if points)
    ]
    return sum(rates) if rates else None


def _joules_per_token(
    now_us: int, boards: Mapping[str, LiveBoard], held: list[Allocation], series: list[Series]
) -> float | None:
    """Return energy per token between two scrapes at which both energy and tokens are known."""
    found_spans = [boards[a.device_id].span() for a in held if a.device_id in boards]
    spans = [span for span in found_spans if span is not None]
    if len(spans) < len(held) or not held:
        return None
    # Energy is known only where all boards know theirs: tokens are counted in the same time.
    common = (max(first for first, _ in spans), min(last for _, last in spans))
    points = [found for one in series if (found := one.minute(now_us, common))]
    tokens = sum(last[1] - first[1] for first, last in points)
    if not tokens:
        return None
    start_us, end_us = min(p[0][0] for p in points), max(p[1][0] for p in points)
    energy_mj = 0.0
    for one in held:
        from_us = max(start_us, one.start_us)
        to_us = end_us if one.end_us is None else min(end_us, one.end_us)
        if from_us >= to_us:
            continue
        found_mj = boards[one.device_id].energy_mj(from_us, to_us)
        if found_mj is None:
            return None
        energy_mj += found_mj * one.share_ppm / WHOLE_PPM
    return energy_mj / 1000 / tokens
