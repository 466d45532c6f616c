"""Token usage in plain Python, from its definition: one series at a time, reading by reading.

In: raw rows of `tokens`, and the allocations of jobs. Out: rows of `token_usage`. It shares no code
with the product, and is slow and obvious on purpose. The definition (docs/index-definition.md,
"Tokens"):

- A counter is one series of one source. Tokens are its differences, process by process.
- A process is known by its start. Starts within a second are one process, unless one run of the
  collector saw several of them and the values do not grow from one to the next. A single start in
  each of two runs that is not after the earlier run's last reading is one process too, if the
  values go on and the earlier run's stamps, moved by as much as the start, are not after those of
  the later run: the clock was set, and if by more than a second, stamps move. Hours that moved
  readings touch have an anomaly; if the count grew faster from run to run than in either, bounds
  hold two processes too. Rows without a run are cut where the start changes
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
- What is left out widens the upper bound. Where it is, and where two processes live at once (one
  was read more than a second after a later one began; without a start, was first read), from the
  later start until one of them is known to be dead, the hour has an anomaly.
- Of ranks that count the same the largest counts, other series are added, and of two names of one
  counter the larger counts. What counts only after all others have ended is the next turn; turns
  are added. Where a name or a rank takes the place of another, the hour has an anomaly.
- Tokens of a frontend count only in hours in which none of its workers was read.
- A value outside 0 to 2^53 is not a count. A stamp of a job outside the years 2000 to 2100 is not
  an instant.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import permutations
from typing import Any

from tests.sql.oracles import token_starts
from tests.sql.oracles.token_process import SECOND_US, Process, Reading, Value

Row = dict[str, Any]

HOUR_US = 3_600 * SECOND_US
LARGEST_COUNT = 2**53
YEAR_2000_US = 946_684_800 * SECOND_US
YEAR_2100_US = 4_102_444_800 * SECOND_US
RANKS = ("tp_rank", "pp_rank", "moe_ep_rank", "moe_dp_rank", "ep_rank", "attn_cp_rank")


@dataclass(frozen=True)
class Job:
    """From when to when a job held devices; None: no such instant is known."""

    start_us: int | None = None
    end_us: int | None = None


class Counter:
    """One series of one source.

    Args:
        rows: rows of `tokens` of it.
        job: the job it counts for.
    """

    def __init__(self, rows: Iterable[Row], job: Job) -> None:
        rows = list(rows)
        self.processes = _processes(rows, job)
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
        self._mark_turns()
        self._mark_moved(rows)
        self.from_us = min(stamps) if job.start_us is None else job.start_us
        self.to_us = max(max(stamps), self.from_us) if job.end_us is None else job.end_us

    def _mark_turns(self) -> None:
        """Note of each process when it and another lived at once."""
        for old, new in permutations(self.processes, 2):
            started = old.began_us() <= new.began_us()
            if started and old.points[-1].ts_us > new.began_us() + SECOND_US:
                from_us = max(old.start_us or 0, new.start_us or 0)
                ends = [p.dead_us for p in (old, new) if p.dead_us is not None]
                for process in (old, new):
                    process.turns_us.append((from_us, min(ends, default=math.inf)))

    def _mark_moved(self, rows: list[Row]) -> None:
        """Note of each process when its readings moved, and how much that leaves open."""
        starts = [p.start_us for p in self.processes if p.start_us is not None]
        for one in token_starts.moved(rows):
            start_us = max(s for s in starts if s <= one.start_us)
            process = next(p for p in self.processes if p.start_us == start_us)
            from_us = min(one.from_us, process.points[0].ts_us)
            to_us = one.to_us
            if process.moved_us is not None:
                from_us, to_us = min(from_us, process.moved_us[0]), max(to_us, process.moved_us[1])
            less, more, rate = process.doubt
            process.moved_us = from_us, to_us
            process.doubt = less + one.less, more + one.more, max(rate, one.rate)

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
    hourly = [(*engine, _of_engine(of_engine)) for engine, of_engine in groups.items()]
    frontends = {
        engine for engine, series in groups.items() if any(_is_frontend(m) for m, _ in series)
    }
    workers = {
        (engine[0], engine[-1], hour)
        for *engine, hours in hourly
        for hour, value in hours.items()
        if tuple(engine) not in frontends and value.span is not None
    }
    found: dict[tuple[Any, ...], Value] = {}
    for *engine, hours in hourly:
        job_id, _, _, model, _, kind = engine
        for hour_us, value in hours.items():
            if tuple(engine) in frontends and (job_id, kind, hour_us) in workers:
                continue
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
        each = [(name, one[hour]) for name, ranks in series.items() for one in ranks if hour in one]
        turns, replaced = _turns(each)
        whole = _sum([_of_turn(one) for one in turns])
        found[hour] = replace(whole, anomaly=whole.anomaly or replaced)
    return found


def _is_frontend(metric: str | None) -> bool:
    return metric is not None and metric.startswith(("dynamo_frontend", "gen_ai.client."))


def _of_turn(each: list[tuple[tuple[Any, Any], Value]]) -> Value:
    """Return the tokens of series that count at the same time."""
    by_series: dict[tuple[Any, Any], list[Value]] = {}
    for name, value in each:
        by_series.setdefault(name, []).append(value)
    by_metric: dict[Any, list[Value]] = {}
    for (metric, _), of_ranks in by_series.items():
        by_metric.setdefault(metric, []).append(_largest(of_ranks))
    named = [_sum(values) for metric, values in by_metric.items() if metric is not None]
    older = [_sum(values) for metric, values in by_metric.items() if metric is None]
    return _sum([_largest(named), _largest(older)])


def _turns(
    each: list[tuple[tuple[Any, Any], Value]],
) -> tuple[list[list[tuple[tuple[Any, Any], Value]]], bool]:
    """Return what counted turn by turn, and whether something took the place of another."""
    found = [[one for one in each if one[1].span is None]]
    replaced = False
    until_us, last = math.inf, None
    counting = [one for one in each if one[1].span is not None]
    for one in sorted(counting, key=lambda one: one[1].span):
        (metric, parallel), (from_us, to_us) = one[0], one[1].span
        if from_us > until_us:
            found.append([])
            other = None not in (metric, last[0]) and metric != last[0]
            replaced = replaced or other or parallel == last[1]
        found[-1].append(one)
        until_us = to_us if last is None else max(until_us, to_us)
        last = metric, parallel
    return found, replaced


def _sum(values: list[Value]) -> Value:
    spans = [v.span for v in values if v.span is not None]
    return Value(
        sum(v.tokens for v in values), sum(v.low for v in values), sum(v.high for v in values),
        any(v.anomaly for v in values), any(v.coarse for v in values),
        (min(a for a, _ in spans), max(b for _, b in spans)) if spans else None,
    )  # fmt: skip


def _largest(values: list[Value]) -> Value:
    if not values:
        return Value()
    spans = [v.span for v in values if v.span is not None]
    return Value(
        max(v.tokens for v in values), max(v.low for v in values), max(v.high for v in values),
        any(v.anomaly for v in values), any(v.coarse for v in values),
        (min(a for a, _ in spans), max(b for _, b in spans)) if spans else None,
    )  # fmt: skip


def _reasons(value: Value) -> str | None:
    codes = [("coarse_counter", value.coarse), ("token_anomaly", value.anomaly)]
    return ",".join(code for code, holds in codes if holds) or None


def _processes(rows: list[Row], job: Job) -> list[Process]:
    rows, starts = token_starts.of_rows(rows)
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


def _when_and_what(reading: Reading) -> tuple[int, int, int]:
    return reading.run, reading.ts_us, reading.value


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
