"""Token usage in plain Python, from its definition: one series at a time, reading by reading.

In: raw rows of `tokens`, and the allocations of jobs. Out: rows of `token_usage`. It shares no code
with the product, and is slow and obvious on purpose. The definition (docs/index-definition.md,
"Tokens"):

- A counter is one series of one source. Tokens are its differences, process by process.
- A process is known by its start. Starts within a second are one process, unless one run of the
  collector saw several of them and the values do not grow from one to the next. A single start in
  each of two runs that is not after the earlier run's last reading is one process too, if the
  values go on: the clock was set, and the earlier run's stamps move by as much as the start, unless
  they would then reach those of the later run. Rows without a run are cut where the start changes
  by more than a second, unless a start comes back. Readings of a later run come later, whatever
  their stamps.
- A process with a known start counts from zero if that was inside the job, or after the counter was
  first read.
- A single low reading is left out: the next one is not below the one before it.
- A process with a known start never restarts: while it reads below its highest, nothing is added.
  If two or more readings follow its highest, none of them below its first, what was above them was
  too high, and counts as the lowest of them. The lower bound holds readings below the highest.
- A process without a known start restarts where it fell, and goes on from zero; a fall that no
  reading follows adds nothing.
- A reading that is too high is left out: the next one falls below it, the one after that is below
  it too, and either it is a leap, or the next is not below the one before and the start is known,
  both are within a tenth, or it rose at least a hundred times the next. A leap is more than 100
  million tokens a second (at least one second).
- At an edge (of an hour, of the job) a process is linear between the readings around it, rounded
  down. Its bounds are those readings, give or take half the step in which they are printed.
- Before the first and after the last reading nothing is counted; the upper bound of an hour allows
  for its own unseen time at the counter's own peak rate, from readings at least 100 ms apart.
- What is left out widens the upper bound.
- Of ranks that count the same the largest counts, other series are added, and of two names of one
  counter the larger counts.
- A value outside 0 to 2^53 is not a count. A stamp of a job outside the years 2000 to 2100 is not
  an instant.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from itertools import groupby, pairwise
from typing import Any

Row = dict[str, Any]

SECOND_US = 1_000_000
HOUR_US = 3_600 * SECOND_US
LARGEST_COUNT = 2**53
LEAP_A_US = 100
YEAR_2000_US = 946_684_800 * SECOND_US
YEAR_2100_US = 4_102_444_800 * SECOND_US
RANKS = ("tp_rank", "pp_rank", "moe_ep_rank", "moe_dp_rank", "ep_rank", "attn_cp_rank")


@dataclass(frozen=True)
class Job:
    """From when to when a job held devices; None: no such instant is known."""

    start_us: int | None = None
    end_us: int | None = None


@dataclass
class Value:
    """Tokens of an hour, with bounds and what is odd about them."""

    tokens: int = 0
    low: int = 0
    high: int = 0
    anomaly: bool = False
    coarse: bool = False


@dataclass(frozen=True)
class Reading:
    """One reading: the run that took it, its stamp, the value and the step it is printed in."""

    run: int
    ts_us: int
    value: int
    quantum: int = 1


@dataclass(frozen=True)
class Step:
    """What a reading adds: tokens, what the upper bound has on top, whether it is left out."""

    reading: Reading
    tokens: int
    extra: int
    anomaly: bool
    kept: bool = True
    under: int = 0


@dataclass(frozen=True)
class Point:
    """Tokens of a process up to a stamp, at least and at most, and sums of extra and anomalies."""

    ts_us: int
    tokens: int
    least: int
    quantum: int
    extra: int
    least_extra: int
    anomalies: int


class Process:
    """One process of one counter: its steps, and its points once the peak rate is known."""

    def __init__(self, start_us: int | None, readings: list[Reading]) -> None:
        self.start_us = start_us
        self.readings = readings
        self.left_out = _too_low_or_high(readings, start_us is not None)
        self.kept = [r for i, r in enumerate(readings) if i not in self.left_out]
        self.first_read, self.floor, self.limited = _limits(self.kept, start_us)
        self.dead_us: int | None = None
        self.points: list[Point] = []

    def rates(self) -> list[float]:
        """Return how steep it grew between readings, in tokens a second."""
        found = []
        for a, b in pairwise(self.kept):
            us, grown = b.ts_us - a.ts_us, b.value - a.value
            if us >= SECOND_US // 10 and grown >= 0 and not _leap(grown, us):
                found.append(grown * 1e6 / us)
        return found

    def draw(self, peak: float) -> None:
        """Work out the points: by stamp, whatever the order of the runs."""
        steps = self._steps(peak)
        sums: list[tuple[int, int, int, int, int, int]] = []
        tokens = extra = anomalies = 0
        for step in steps:
            tokens += step.tokens
            extra += step.extra
            anomalies += step.anomaly
            if step.kept:
                r = step.reading
                sums.append((r.ts_us, tokens, extra, anomalies, r.quantum, tokens - step.under))
        for ts_us in sorted({one[0] for one in sums}):
            before = [one for one in sums if one[0] <= ts_us]
            after = [one for one in sums if one[0] >= ts_us]
            self.points.append(Point(
                ts_us=ts_us,
                tokens=max(one[1] for one in before), least=min(one[5] for one in after),
                quantum=max(one[4] for one in sums if one[0] == ts_us),
                extra=max(one[2] for one in before), least_extra=min(one[2] for one in after),
                anomalies=max(one[3] for one in before),
            ))  # fmt: skip

    def _steps(self, peak: float) -> list[Step]:
        found: list[Step] = []
        last: Reading | None = None
        last_read = highest = place = 0
        final = self.kept[-1] if self.kept else None
        for i, r in enumerate(self.readings):
            if i in self.left_out:
                before = self.readings[i - 1].value if i else 0
                found.append(Step(r, 0, max(r.value, before), anomaly=True, kept=False))
                continue
            value, place = self.limited[place], place + 1
            now = Reading(r.run, r.ts_us, value, r.quantum)
            if last is None:
                step = Step(now, 0, 0, anomaly=False)
            else:
                step = self._step(last, now, highest, peak, is_final=r is final)
            over = under = 0
            if self.floor is not None and r.value > self.floor:
                over = max(0, r.value - max(last_read, self.floor))
            if last is not None and self.first_read is not None:
                under = max(0, highest - value) if value >= self.first_read else 0
            anomaly = step.anomaly or r.value > value
            found.append(Step(now, step.tokens, step.extra + over, anomaly, under=under))
            highest = max(highest, value)
            last, last_read = now, r.value
        return found

    def _step(
        self, last: Reading, now: Reading, highest: int, peak: float, *, is_final: bool
    ) -> Step:
        us, grown = now.ts_us - last.ts_us, now.value - last.value
        unseen = math.ceil(peak * us / 1e6)
        if _leap(grown, us):
            return Step(now, 0, grown, anomaly=True)
        if self.start_us is not None:
            tokens = max(0, now.value - highest)
            if grown < 0:
                return Step(now, 0, now.value + unseen, anomaly=True)
            return Step(now, tokens, grown - tokens, anomaly=now.value < highest)
        if grown >= 0:
            return Step(now, grown, 0, anomaly=False)
        if is_final:
            return Step(now, 0, now.value + unseen, anomaly=True)
        return Step(now, now.value, unseen, anomaly=False)

    def between(self, a_us: int, b_us: int, peak: float) -> Value:
        """Return the tokens between two edges."""
        a, b = self._at(a_us, peak), self._at(b_us, peak)
        return Value(
            b.tokens - a.tokens,
            max(0, b.low - a.high),
            b.high - a.low + b.extra - a.least_extra + b.unseen - a.unseen,
            b.anomalies_after > a.anomalies,
            a.coarse or b.coarse,
        )

    def _at(self, edge_us: int, peak: float) -> Edge:
        left = [p for p in self.points if p.ts_us <= edge_us][-1:]
        right = [p for p in self.points if p.ts_us >= edge_us][:1]
        known = [*left, *right]
        first, last = known[0], known[-1]
        coarse = max(p.quantum for p in known) > 1
        low, high = first.least - first.quantum // 2, last.tokens + last.quantum // 2
        tokens = first.tokens
        unseen = 0
        if not left:
            from_us = edge_us if self.start_us is None else max(edge_us, self.start_us)
            unseen = -max(0, math.ceil(peak * (first.ts_us - from_us) / 1e6))
        elif not right:
            to_us = edge_us if self.dead_us is None else min(edge_us, self.dead_us)
            unseen = math.ceil(peak * (to_us - last.ts_us) / 1e6)
        elif last.ts_us > first.ts_us:
            us = last.ts_us - first.ts_us
            tokens += math.floor(
                Fraction((last.tokens - first.tokens) * (edge_us - first.ts_us), us)
            )
        return Edge(
            tokens, low, high, last.extra, left[0].least_extra if left else 0,
            left[0].anomalies if left else 0, last.anomalies, coarse, unseen,
        )  # fmt: skip


@dataclass(frozen=True)
class Edge:
    """A process at an edge: tokens so far, with bounds; unseen ones (before the first: below 0)."""

    tokens: int
    low: int
    high: int
    extra: int
    least_extra: int
    anomalies: int
    anomalies_after: int
    coarse: bool
    unseen: int


class Counter:
    """One series of one source.

    Args:
        rows: rows of `tokens` of it.
        job: the job it counts for.
    """

    def __init__(self, rows: Iterable[Row], job: Job) -> None:
        self.processes = _processes(list(rows), job)
        rates = [rate for process in self.processes for rate in process.rates()]
        self.peak = max([0.0, *rates])
        for process in self.processes:
            process.draw(self.peak)
        stamps = [p.ts_us for process in self.processes for p in process.points]
        for process in self.processes:
            last_us = process.points[-1].ts_us
            later = [
                p.start_us
                for p in self.processes
                if p.start_us is not None and p.start_us > last_us
            ]
            process.dead_us = min(later, default=None)
        self.from_us = min(stamps) if job.start_us is None else job.start_us
        self.to_us = max(max(stamps), self.from_us) if job.end_us is None else job.end_us

    def by_hour(self) -> dict[int, Value]:
        """Return the tokens of each hour of the job."""
        found = {}
        hour_us = self.from_us - self.from_us % HOUR_US
        while hour_us < max(self.to_us, self.from_us + 1):
            a_us, b_us = max(hour_us, self.from_us), min(hour_us + HOUR_US, self.to_us)
            if a_us <= b_us:
                parts = [p.between(a_us, b_us, self.peak) for p in self.processes]
                found[hour_us] = _sum(parts)
            hour_us += HOUR_US
        return found


def token_usage(tokens: Iterable[Row], held: Iterable[Row]) -> list[Row]:
    """Return the rows of `token_usage`, in no order; `held` are the allocations that count."""
    of_job = _jobs(held)
    by_name: dict[tuple[Any, ...], list[Row]] = {}
    for row in tokens:
        if 0 <= row["value"] <= LARGEST_COUNT:
            by_name.setdefault(_name(row), []).append(row)
    groups: dict[tuple[Any, ...], dict[tuple[Any, Any], list[dict[int, Value]]]] = {}
    for name, rows in _adopted(by_name).items():
        *engine, metric, series = name
        hours = Counter(rows, of_job.get(name[0], Job())).by_hour()
        of_engine = groups.setdefault(tuple(engine), {})
        of_engine.setdefault((metric, _parallel(metric, series)), []).append(hours)
    found: dict[tuple[Any, ...], Value] = {}
    for (job_id, _, _, model, _, kind), of_engine in groups.items():
        for hour_us, value in _of_engine(of_engine).items():
            key = (job_id, hour_us, model, kind)
            found[key] = _sum([found.get(key, Value()), value])
    return [
        {
            **dict(zip(("job_id", "hour_us", "model", "kind"), key, strict=True)),
            "tokens": v.tokens, "low": v.low, "high": v.high, "reasons": _reasons(v),
        }
        for key, v in found.items()
    ]  # fmt: skip


def _name(row: Row) -> tuple[Any, ...]:
    cluster = row.get("cluster")
    job_id = f"{cluster}/{row['job_id']}" if cluster else row["job_id"]
    names = ("node", "source_id", "model", "engine", "kind", "metric", "series")
    return (job_id, *(row.get(name) for name in names))


def _adopted(by_name: dict[tuple[Any, ...], list[Row]]) -> dict[tuple[Any, ...], list[Row]]:
    """Return the rows by counter: older rows belong to the only series of their engine."""
    found: dict[tuple[Any, ...], list[Row]] = {}
    for name, rows in by_name.items():
        if name[-2] is None:
            others = [n for n in by_name if n[:-2] == name[:-2] and n[-2] is not None]
            name = others[0] if len(others) == 1 else name
        found.setdefault(name, []).extend(rows)
    return found


def _parallel(metric: str | None, series: str | None) -> str:
    labels = json.loads(series or "{}")
    ranks = RANKS if (metric or "").startswith(("sglang:", "sglang_")) else ()
    return json.dumps({k: v for k, v in labels.items() if k not in ranks}, sort_keys=True)


def _of_engine(series: dict[tuple[Any, Any], list[dict[int, Value]]]) -> dict[int, Value]:
    """Return the tokens of one engine and kind by hour, from those of its series."""
    hours = {hour for ranks in series.values() for one in ranks for hour in one}
    found = {}
    for hour in hours:
        by_metric: dict[Any, list[Value]] = {}
        for (metric, _), ranks in series.items():
            of_ranks = [one[hour] for one in ranks if hour in one]
            if of_ranks:
                by_metric.setdefault(metric, []).append(_largest(of_ranks))
        named = [_sum(values) for metric, values in by_metric.items() if metric is not None]
        older = [_sum(values) for metric, values in by_metric.items() if metric is None]
        found[hour] = _sum([_largest(named), _largest(older)])
    return found


def _sum(values: list[Value]) -> Value:
    return Value(
        sum(v.tokens for v in values), sum(v.low for v in values), sum(v.high for v in values),
        any(v.anomaly for v in values), any(v.coarse for v in values),
    )  # fmt: skip


def _largest(values: list[Value]) -> Value:
    if not values:
        return Value()
    return Value(
        max(v.tokens for v in values), max(v.low for v in values), max(v.high for v in values),
        any(v.anomaly for v in values), any(v.coarse for v in values),
    )  # fmt: skip


def _reasons(value: Value) -> str | None:
    codes = [("coarse_counter", value.coarse), ("token_anomaly", value.anomaly)]
    return ",".join(code for code, holds in codes if holds) or None


def _leap(grown: int, us: int) -> bool:
    return grown > LEAP_A_US * max(us, SECOND_US)


def _too_low_or_high(readings: list[Reading], known: bool) -> set[int]:
    """Return the places of readings that are too low or too high."""
    found = set()
    for i, r in enumerate(readings):
        before = readings[i - 1] if i else None
        after = readings[i + 1].value if i + 1 < len(readings) else None
        beyond = readings[i + 2].value if i + 2 < len(readings) else None
        if after is None:
            continue
        if before is not None and r.value < before.value <= after:
            found.add(i)
        if r.value <= after or before is None or (beyond is not None and beyond >= r.value):
            continue
        leap = _leap(r.value - before.value, r.ts_us - before.ts_us)
        back = after >= before.value
        near = before.value > 0 and before.value >= 10 * (after - before.value)
        steep = r.value - before.value >= 100 * max(after, 1)
        if leap or (back and (known or near or steep)):
            found.add(i)
    return found


def _limits(kept: list[Reading], start_us: int | None) -> tuple[int | None, int | None, list[int]]:
    """Return the first value read of a known process, the lowest after its highest, and values.

    Above the lowest, values before were too high, if two or more follow the highest.
    """
    values = [r.value for r in kept]
    read = [r.value for r in kept if start_us is not None and r.ts_us > start_us]
    if not read:
        return None, None, values
    top = max(i for i, value in enumerate(values) if value == max(values))
    after = values[top + 1 :]
    if len(after) < 2 or min(after) < read[0]:
        return read[0], None, values
    lowest = min(after)
    return read[0], lowest, [min(v, lowest) if i <= top else v for i, v in enumerate(values)]


def _processes(rows: list[Row], job: Job) -> list[Process]:
    rows, starts = _starts(_with_starts(sorted(rows, key=_place)))
    by_start: dict[int | None, list[Reading]] = {}
    for row, start_us in zip(rows, starts, strict=True):
        reading = Reading(row.get("run") or 0, row["ts_us"], row["value"], row.get("quantum") or 1)
        of_start = by_start.setdefault(start_us, [])
        same = [i for i, r in enumerate(of_start) if _when_and_what(r) == _when_and_what(reading)]
        if not same:
            of_start.append(reading)
        elif reading.quantum > of_start[same[0]].quantum:
            of_start[same[0]] = reading
    counter_first_us = min(row["ts_us"] for row in rows)
    found = []
    for start_us, readings in by_start.items():
        first_us = min(r.ts_us for r in readings)
        if start_us is not None and start_us < first_us:
            in_job = job.start_us is not None and start_us >= job.start_us - SECOND_US
            in_sight = counter_first_us < first_us and start_us >= counter_first_us - SECOND_US
            if in_job or in_sight:
                readings.insert(0, Reading(readings[0].run, start_us, 0))
        found.append(Process(start_us, readings))
    return found


def _place(row: Row) -> tuple[int, int, int, int]:
    since_us = -1 if row["since_us"] is None else row["since_us"]
    return (row.get("run") or 0, row["ts_us"], row["value"], since_us)


def _when_and_what(reading: Reading) -> tuple[int, int, int]:
    return reading.run, reading.ts_us, reading.value


def _with_starts(rows: list[Row]) -> list[Row]:
    """Return the rows, each with a start of its process if any row has one."""
    told = [row["since_us"] for row in rows]
    found = []
    for i, row in enumerate(rows):
        earlier = [s for s in told[: i + 1] if s is not None]
        later = [s for s in told[i:] if s is not None]
        since_us = earlier[-1] if earlier else later[0] if later else None
        found.append({**row, "since_us": since_us})
    return found


def _starts(rows: list[Row]) -> tuple[list[Row], list[int | None]]:
    """Return the rows, and the start of the process of each: that which stands for it."""
    if rows[0]["since_us"] is None:
        return rows, [None] * len(rows)
    rows = sorted(rows, key=_place)
    found: list[tuple[Row, int]] = []
    for chain in _chains(_stretches(rows)):
        starts = [stretch[0]["since_us"] for stretch in chain]
        moves = len(chain) > 1 and max(starts) - min(starts) > SECOND_US
        for (before, now), (a, b) in zip(pairwise(chain), pairwise(starts), strict=True):
            moves = moves and before[-1]["ts_us"] + b - a <= now[0]["ts_us"]
        for stretch, start_us in zip(chain, starts, strict=True):
            for row in stretch:
                off_us = starts[-1] - start_us if moves else 0
                stands = starts[-1] if moves else starts[0] if len(chain) > 1 else row["since_us"]
                found.append(({**row, "ts_us": row["ts_us"] + off_us}, stands))
    found.sort(key=lambda one: _place({**one[0], "since_us": one[1]}))
    rows = [row for row, _ in found]
    return rows, _near(rows, [start_us for _, start_us in found])


def _stretches(rows: list[Row]) -> list[list[Row]]:
    """Return the rows by run; those without a run by start too, if none comes back."""
    found: list[list[Row]] = []
    for _, group in groupby(rows, key=lambda row: row.get("run") or 0):
        of_run = list(group)
        parts: list[list[Row]] = []
        for row in of_run:
            last = parts[-1][-1] if parts else None
            turns = last is not None and abs(row["since_us"] - last["since_us"]) > SECOND_US
            if last is None or (turns and not row.get("run")):
                parts.append([])
            parts[-1].append(row)
        firsts = sorted(min(row["since_us"] for row in part) for part in parts)
        comes_back = any(b - a <= SECOND_US for a, b in pairwise(firsts))
        found += [of_run] if comes_back else parts
    return found


def _chains(stretches: list[list[Row]]) -> list[list[list[Row]]]:
    """Return the stretches, those that go on in one another together."""
    found: list[list[list[Row]]] = []
    before: list[Row] | None = None
    for stretch in stretches:
        single = len({row["since_us"] for row in stretch}) == 1
        first = stretch[0]
        if (
            single
            and before is not None
            and first["since_us"] <= before[-1]["ts_us"] + SECOND_US
            and first["value"] >= before[-1]["value"]
        ):
            found[-1].append(stretch)
        else:
            found.append([stretch])
        before = stretch if single else None
    return found


def _near(rows: list[Row], starts: list[int]) -> list[int | None]:
    """Return for each row the first of the starts within a second of each other, or its own."""
    first: dict[int, int] = {}
    group = 0
    for before, start_us in pairwise([-math.inf, *sorted(set(starts))]):
        if start_us - before > SECOND_US:
            group = int(start_us)
        first[int(start_us)] = group
    found: list[int | None] = [first[start_us] for start_us in starts]
    for group in set(first.values()):
        places = [i for i, start_us in enumerate(starts) if first[start_us] == group]
        fell = any(rows[b]["value"] < rows[a]["value"] for a, b in pairwise(places))
        runs: dict[int, set[int]] = {}
        for i in places:
            runs.setdefault(rows[i].get("run") or 0, set()).add(starts[i])
        if fell and any(len(of_run) > 1 for of_run in runs.values()):
            for i in places:
                found[i] = starts[i]
    return found


def _jobs(held: Iterable[Row]) -> dict[str, Job]:
    """Return each job's first start and last end."""
    of_job: dict[str, list[Row]] = {}
    for row in held:
        of_job.setdefault(row["job_id"], []).append(row)
    found: dict[str, Job] = {}
    for job_id, rows in of_job.items():
        start_us = min(row["start_us"] for row in rows)
        ends_us = [row["end_us"] for row in rows]
        running = None in ends_us or max(ends_us) >= YEAR_2100_US
        found[job_id] = Job(
            start_us if start_us >= YEAR_2000_US else None, None if running else max(ends_us)
        )
    return found
