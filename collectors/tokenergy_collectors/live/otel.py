"""Pushes the figures of the live view by the official SDK of OpenTelemetry.

In: the view, and where to push. Out: OTLP over HTTP, once an interval. The SDK's own thread reads
the view as a scrape does and waits for the network; the sampling waits for neither. Only `push.py`
imports this module, and only if it is configured: the base install does not have the SDK.

Names: conventions for hardware (in development), `hw.power` and `hw.energy` with `hw.id`,
`hw.type`, `hw.name`; what they do not have is `tokenergy.*`, after the name on the metrics page.
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.metrics import CallbackOptions, Observation
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import MetricExportResult, PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource

from tokenergy_collectors import __version__
from tokenergy_collectors.base.logs import Log
from tokenergy_collectors.base.problems import Problems
from tokenergy_collectors.live import catalogue as c
from tokenergy_collectors.live.exposition import ViewCollector
from tokenergy_collectors.live.view import LiveView

_HARDWARE = {
    c.GPU_POWER: "hw.power",
    c.GPU_ENERGY: "hw.energy",
    c.GPU_SM: "hw.gpu.utilization",
}
"""Metrics that the conventions have. Their `hw.gpu.memory.utilization` is the part of the memory
that is used, and ours the time in which it was read or written: so it has another name."""

_UNITS = {
    "s UTC": "s",
    "B": "By",
    "°C": "Cel",
    "0 to 1": "1",
    "bits": "1",
    "": "1",
    "the register's own": "1",
}
_UNIT_OF_NAME = re.compile(r"_(watts|joules|seconds|bytes|ratio|hertz|celsius)$")
_FRESH_S = 0.5
_CLOSE_MS = 2_000


class OtelPusher:
    """Pushes from construction until `close`.

    Args:
        view: what is pushed.
        endpoint: the whole address, with its path.
        headers: HTTP headers of each push.
        every_s: seconds between two pushes.
        timeout_s: seconds that a push may take, with its repetitions.
        log: is told once when a push fails, and when one works again.
    """

    def __init__(
        self, view: LiveView, endpoint: str, headers: Mapping[str, str], every_s: float,
        timeout_s: float, log: Log,
    ) -> None:  # fmt: skip
        # The SDK would write its own lines to standard error, between those of the log.
        logging.getLogger("opentelemetry").setLevel(logging.CRITICAL + 1)
        exporter = _Exporter(log, endpoint, headers, timeout_s)
        reader = PeriodicExportingMetricReader(
            exporter, export_interval_millis=every_s * 1000, export_timeout_millis=timeout_s * 1000
        )
        resource = Resource.create({"service.name": "tokenergy-collect", "host.name": view.node})
        self._provider = MeterProvider([reader], resource, shutdown_on_exit=False)
        self._figures = _Figures(view)
        meter = self._provider.get_meter("tokenergy", __version__)
        for family in c.FAMILIES:
            make: Callable[..., Any] = (
                meter.create_observable_counter
                if family.type == "counter"
                else meter.create_observable_gauge
            )
            make(
                name_of(family),
                [self._figures.callback(family)],
                unit=_UNITS.get(family.unit, family.unit),
                description=family.meaning,
            )

    def close(self) -> None:
        """Push once more, for a short time, and stop."""
        self._provider.shutdown(timeout_millis=_CLOSE_MS)


def name_of(family: c.Family) -> str:
    """Return the name of a metric: `tokenergy.job.power` of `tokenergy_job_power_watts`."""
    if family in _HARDWARE:
        return _HARDWARE[family]
    bare = family.name.removesuffix("_total")
    # Units are no part of OpenTelemetry's names.
    return _UNIT_OF_NAME.sub("", bare).replace("_", ".", 2)


class _Exporter(OTLPMetricExporter):
    """Counts pushes that fail; tells the first of them."""

    def __init__(
        self, log: Log, endpoint: str, headers: Mapping[str, str], timeout_s: float
    ) -> None:
        super().__init__(endpoint=endpoint, headers=dict(headers), timeout=timeout_s)
        self._log, self._to = log, endpoint
        self._problems = Problems()
        self._failed = 0

    def export(self, *args: Any, **kwargs: Any) -> MetricExportResult:
        """Push; return whether that worked."""
        result = super().export(*args, **kwargs)
        if result is not MetricExportResult.SUCCESS:
            self._failed += 1
            if self._problems.is_new("", self._to):
                self._log.warning(
                    "otel_failed", why=f"{self._to} does not take the metrics; is it right?"
                )
        elif self._problems.is_over(""):
            self._log.info("otel_works", to=self._to, failed=self._failed)
        return result


class _Figures:
    """The samples of the view; one look at it serves all metrics of a push."""

    def __init__(self, view: LiveView) -> None:
        self._view = view
        self._collector = ViewCollector(view)
        self._read_s: float | None = None
        self._samples: dict[str, list[tuple[dict[str, str], float]]] = {}

    def callback(self, family: c.Family) -> Callable[[CallbackOptions], Iterable[Observation]]:
        """Return what the SDK calls for the values of a metric."""

        def observe(_: CallbackOptions) -> Iterator[Observation]:
            self._look()
            for labels, value in self._samples.get(family.name, ()):
                attributes = self._attributes(labels)
                if family is c.GPU_SM:
                    attributes["hw.gpu.task"] = "general"
                yield Observation(value, attributes)

        return observe

    def _look(self) -> None:
        now_s = time.monotonic()
        if self._read_s is None or now_s - self._read_s > _FRESH_S:
            self._samples = {}
            for family in self._collector.collect():
                for one in family.samples:
                    self._samples.setdefault(one.name, []).append((one.labels, one.value))
            self._read_s = now_s

    def _attributes(self, labels: Mapping[str, str]) -> dict[str, str]:
        found = {
            f"tokenergy.{name}": value
            for name, value in labels.items()
            if value and name not in ("node", "device", "index", "name", "driver")
        }
        board = self._view.boards.get(labels.get("device", ""))
        if board is not None:
            found |= {
                "hw.id": labels["device"],
                "hw.type": "gpu",
                "hw.name": f"GPU {labels['index']}",
                "hw.vendor": "NVIDIA",
            }
            found |= {"hw.model": board.board.name} if board.board.name else {}
            found |= {"hw.driver_version": board.board.driver} if board.board.driver else {}
        return found
