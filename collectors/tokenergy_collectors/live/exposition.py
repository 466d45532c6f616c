"""Turns the live view into metric families of Prometheus, all for the same instant.

In: the view. Out: families with samples; a value that is stale or unknown has no sample.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from tokenergy_collectors import __version__
from tokenergy_collectors.live import catalogue as c
from tokenergy_collectors.live.board import LiveBoard
from tokenergy_collectors.live.health import cpu_s, resident_bytes
from tokenergy_collectors.live.view import LiveView
from tokenergy_collectors.sources.clock.kernel import clock_state

_GAUGES = (
    ("sm_util", c.GPU_SM, 1, 100),
    ("mem_util", c.GPU_MEMORY, 1, 100),
    ("sm_mhz", c.GPU_CLOCK, 1_000_000, 1),
    ("temp_c", c.GPU_TEMPERATURE, 1, 1),
    ("throttle", c.GPU_REASONS, 1, 1),
)
"""Gauge of a board, its metric, and the factor and divisor to the metric's unit."""


class ViewCollector(Collector):
    """Collects from a view; never reads a board."""

    def __init__(self, view: LiveView) -> None:
        self._view = view

    def describe(self) -> list[Metric]:
        """Return nothing, so that registering does not collect."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Yield what is known now."""
        samples = _Samples()
        # One instant for all values, so that ages and sums fit together.
        now_us = self._view.now_us()
        _boards(samples, self._view, now_us)
        _jobs(samples, self._view, now_us)
        _meters(samples, self._view, now_us)
        _health(samples, self._view, now_us)
        _sources(samples, self._view)
        # A copy: this runs in the server's thread, and another one may add to it meanwhile.
        for family, read in list(self._view.extras.items()):
            samples.add(family, (), read())
        yield from samples.families()


class _Samples:
    """Families that are being filled with samples."""

    def __init__(self) -> None:
        self._found: dict[c.Family, CounterMetricFamily | GaugeMetricFamily] = {}

    def add(self, family: c.Family, labels: tuple[str, ...], value: float | None) -> None:
        """Add a sample, unless the value is None (unknown)."""
        if value is None:
            return
        found = self._found.get(family)
        if found is None:
            of_type = CounterMetricFamily if family.type == "counter" else GaugeMetricFamily
            help_text = f"{family.meaning} ({family.unit})" if family.unit else family.meaning
            found = self._found[family] = of_type(family.name, help_text, labels=family.labels)
        found.add_metric(labels, value)

    def families(self) -> Iterator[Metric]:
        """Yield the families that have samples, in the catalogue's order."""
        yield from (self._found[family] for family in c.FAMILIES if family in self._found)


def _boards(samples: _Samples, view: LiveView, now_us: int) -> None:
    holders = view.holders(now_us)
    for device_id, live in view.boards.items():
        labels = (view.node, device_id, str(live.board.index))
        _board(samples, live, labels, holders.get(device_id, ""), now_us)


def _board(
    samples: _Samples, live: LiveBoard, labels: tuple[str, ...], job: str, now_us: int
) -> None:
    board, power_mw = live.board, live.fresh_mw(now_us)
    samples.add(c.GPU_INFO, (*labels, board.name or "", board.driver or "", board.sensor), 1)
    samples.add(c.GPU_UP, (*labels, job), 0 if power_mw is None else 1)
    samples.add(c.GPU_READ, labels, live.ts_us / 1e6 if live.ts_us else None)
    samples.add(c.GPU_POWER, (*labels, job), _thousandth(power_mw))
    samples.add(c.GPU_LIMIT, labels, _thousandth(board.limit_mw))
    samples.add(c.GPU_ENERGY, labels, _thousandth(live.counter_mj(now_us)))
    samples.add(c.GPU_MINUTE, labels, _thousandth(live.minute_mj(now_us)))
    gauges: Mapping[str, int | None] = live.fresh_gauges(now_us)
    for name, family, times, over in _GAUGES:
        value = gauges.get(name)
        samples.add(family, labels, None if value is None else value * times / over)
    samples.add(c.GPU_PROCESSES, labels, live.fresh_processes(now_us))


def _jobs(samples: _Samples, view: LiveView, now_us: int) -> None:
    for job in view.jobs(now_us):
        labels = (view.node, job.job_id)
        samples.add(c.JOB_GPUS, labels, len(job.devices))
        samples.add(c.JOB_POWER, labels, _thousandth(job.power_mw))
        for kind, rate in job.tokens_per_s.items():
            samples.add(c.JOB_RATE, (*labels, kind), rate)
        samples.add(c.JOB_COST, (*labels, job.kind or ""), job.joules_per_token)
    for key, series in sorted(view.series().items()):
        label_values = (view.node, key.source_id, series.job_id, key.model, key.engine, key.kind)
        samples.add(c.TOKENS, label_values, series.total(now_us))


def _meters(samples: _Samples, view: LiveView, now_us: int) -> None:
    for domain, host in view.meters.host(now_us):
        samples.add(c.HOST_POWER, (view.node, domain), _thousandth(host.power_mw))
        samples.add(c.HOST_ENERGY, (view.node, domain), _millionth(host.energy_uj))
    for meter, one in view.meters.site():
        labels = (view.node, meter, one.source)
        fresh = one.read.is_fresh(now_us)
        samples.add(c.METER_READING, labels, one.value_n / 1_000_000_000 if fresh else None)
        samples.add(c.METER_READ, labels, _millionth(one.read.ts_us))


def _health(samples: _Samples, view: LiveView, now_us: int) -> None:
    boards, counts = view.boards.values(), view.counts
    samples.add(c.READINGS, (), sum(live.readings for live in boards))
    samples.add(c.LATE, (), view.late())
    samples.add(c.GAPS, (), sum(live.gaps for live in boards))
    samples.add(c.DROPPED, (), sum(dict(counts.dropped_rows).values()))
    samples.add(c.RECOVERED, (), counts.recovered_rows)
    for kind, count in sorted(view.events.counts().items()):
        samples.add(c.EVENTS, (kind,), count)
    samples.add(c.WAL_BYTES, (), None if view.log_bytes is None else view.log_bytes())
    samples.add(c.SEALED, (), _millionth(counts.sealed_us))
    samples.add(c.CPU, (), cpu_s())
    samples.add(c.MEMORY, (), resident_bytes())
    samples.add(c.STARTED, (), view.start_us / 1e6)
    samples.add(c.TIME, (), now_us / 1e6)
    if (clock := clock_state()) is not None:
        samples.add(c.CLOCK_KEPT, (), float(clock.synchronised))
        samples.add(c.CLOCK_ERROR, (), _millionth(clock.max_error_us))
    samples.add(c.BUILD, (__version__,), 1)


def _sources(samples: _Samples, view: LiveView) -> None:
    for one in view.health():
        if one.succeeded is None:  # it has not run yet
            continue
        labels = (one.source,)
        samples.add(c.SOURCE_DURATION, labels, one.duration_s)
        samples.add(c.SOURCE_SUCCESS, labels, float(one.succeeded))
        samples.add(c.SOURCE_SUCCEEDED, labels, _millionth(one.success_us))


def _millionth(value: int | None) -> float | None:
    return None if value is None else value / 1_000_000


def _thousandth(value: float | None) -> float | None:
    return None if value is None else value / 1000
