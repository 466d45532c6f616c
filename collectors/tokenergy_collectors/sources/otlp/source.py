"""`otlp`: token metrics that programs of this host push by OpenTelemetry's protocol.

In: OTLP over HTTP on loopback. Out: rows of `tokens`. The sender's job is what its resource
attributes or the configuration say; what has none is told once and is not recorded.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.base.finding import Finding
from tokenergy_collectors.base.timestamps import checked_instant
from tokenergy_collectors.lake.contract import HOUR_US, TOKENS
from tokenergy_collectors.sources.host import Host
from tokenergy_collectors.sources.otlp.counts import Count, Counts
from tokenergy_collectors.sources.otlp.messages import load_otlp
from tokenergy_collectors.sources.otlp.server import OtlpServer
from tokenergy_collectors.sources.otlp.settings import OtlpKeys
from tokenergy_collectors.sources.plan import Plan, Reader
from tokenergy_collectors.sources.source import Source
from tokenergy_collectors.sources.tokens.epochs import Epochs
from tokenergy_collectors.sources.tokens.kinds import Value

_LATEST_DELAY_US = 600_000_000
"""A point that is older when it comes is stamped with the time at which it came: the sender's clock
is another one, or it waited too long to be placed."""


class OtlpTokens(Source[OtlpKeys]):
    """Records the tokens that programs push."""

    name = "otlp"
    keys = OtlpKeys

    def __init__(self, config: OtlpKeys, host: Host) -> None:
        super().__init__(config, host)
        self._counts = Counts(config.otlp, host.now_us)
        self._server: OtlpServer | None = None
        self._reader: Reader | None = None
        self._epochs = Epochs()
        self._since_us: dict[str, int | None] = {}
        self._lock = threading.Lock()
        self._why: str | None = None

    @property
    def _on(self) -> bool:
        # An emulated node has no programs of its own.
        return self.config.otlp.listen is not None and not self.host.emulated

    @property
    def port(self) -> int | None:
        """The port on which it listens; None while it does not."""
        return None if self._server is None else self._server.port

    def begin(self) -> None:
        """Listen from now on."""
        settings = self.config.otlp
        if self._on and settings.listen is not None:
            self._server = OtlpServer(
                settings.listen, settings.limit_kib << 10, self._counts.note, self._failed
            )

    def plan(self, plan: Plan) -> None:
        """Record the counts now and then."""
        if self._on:
            self._reader = plan.every(self.name, self.config.otlp.every_s, self._record)

    def edge(self) -> None:
        """Record what has come until now."""
        if self._reader is not None:
            self._reader.ask()

    def finish(self, until_us: int) -> None:
        """Record what has come, and take no more."""
        if self._server is None:
            return
        self._server.close()
        self._record()
        self._server = None
        if self._counts.without_job:
            self.host.event(
                "error", None,
                f"otlp: {self._counts.without_job} points without a job were not recorded",
            )  # fmt: skip

    def _failed(self, why: str) -> None:
        with self._lock:
            self._why = self._why or why

    def _record(self) -> str | None:
        counts, homeless = self._counts.take()
        for service in homeless:
            self.host.warn(
                "error", None,
                f"otlp: service {service!r} has no job, so its tokens are not recorded: set its "
                f"resource attribute {' or '.join(self.config.otlp.job_attributes)}, or name it in "
                "[otlp.jobs]; see docs/otel.md",
            )  # fmt: skip
        rows = [self._row(one) for one in counts]
        if rows:
            self.host.output.add("tokens", rows)
        for one in self._counts.forget(self.host.now_us() - HOUR_US):
            self._since_us.pop(one.series, None)
            self._epochs.forget(one.kind, one.metric, one.series)
        with self._lock:
            why, self._why = self._why, None
        return why

    def _row(self, one: Count) -> tuple[Any, ...]:
        since_us = self._since(one)
        tokens = max(0, one.total - one.cached)
        parts = (one.total, one.cached)
        value = Value(one.kind, one.metric, one.series, tokens, parts, 1, since_us)
        epoch, count = self._epochs.follow(value)
        return TOKENS.make_row(
            ts_us=self._stamp_us(one), source_id=f"otlp:{one.sender.service}", node=self.host.node,
            job_id=one.sender.job_id, model=one.model, engine="", kind=one.kind, value=count,
            epoch=epoch, since_us=since_us, metric=one.metric, series=one.series, quantum=1,
            run=self.host.run, cluster=one.sender.cluster or self.host.cluster,
        )  # fmt: skip

    def _stamp_us(self, one: Count) -> int:
        """Return when a count was read, which is somewhat before it came."""
        stamp_us = self.host.wall_steps.stamp_us(one.time_ns // 1000, one.ts_us)
        return stamp_us if 0 <= one.ts_us - stamp_us <= _LATEST_DELAY_US else one.ts_us

    def _since(self, one: Count) -> int | None:
        """Return the stamp at which a count began: the same each time, whatever the clock does."""
        if one.series not in self._since_us:
            try:
                began_us = checked_instant(one.start_ns // 1000, "start")
            except ValueError:
                self._since_us[one.series] = None
            else:
                stamp_us = self.host.wall_steps.stamp_us(began_us, one.ts_us)
                self._since_us[one.series] = min(stamp_us, self._stamp_us(one))
        return self._since_us[one.series]

    @classmethod
    def check(cls, config: Any, host: Host) -> Iterator[Finding]:
        """Yield whether the packages are there."""
        settings = config.otlp
        if settings.listen is None:
            return
        if host.emulated:
            yield Finding("ok", cls.name, "not taken on an emulated node")
            return
        try:
            load_otlp()
        except UserError as error:
            yield Finding("FAIL", cls.name, str(error))
            return
        yield Finding("ok", cls.name, f"{settings.listen}: `run` will take /v1/metrics there")
