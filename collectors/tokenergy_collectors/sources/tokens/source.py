"""Token endpoints as a source: servers and training loops that count their tokens.

In: Prometheus text over HTTP, scraped once per endpoint and period. Out: rows of `tokens`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tokenergy_collectors.base.finding import Finding
from tokenergy_collectors.base.problems import Problems
from tokenergy_collectors.lake.jobkey import job_key
from tokenergy_collectors.sources.host import Host
from tokenergy_collectors.sources.plan import Plan, Reader, Task
from tokenergy_collectors.sources.source import Source
from tokenergy_collectors.sources.tokens.busy import Busy
from tokenergy_collectors.sources.tokens.endpoint import TokenEndpoint
from tokenergy_collectors.sources.tokens.findings import endpoint_finding, server_finding
from tokenergy_collectors.sources.tokens.ownjob import Finders, OwnJob
from tokenergy_collectors.sources.tokens.settings import TokenKeys

_JOBLESS_US = 15_000_000
"""How long the job of an endpoint may be unknown before that is an event."""


class Tokens(Source[TokenKeys]):
    """Scrapes the token endpoints of the configuration, each in a thread of its own."""

    name = "tokens"
    keys = TokenKeys

    def __init__(self, config: TokenKeys, host: Host) -> None:
        super().__init__(config, host)
        stamp_us = host.wall_steps.stamp_us
        finders = None
        if any(source.job_id is None for source in config.tokens):
            finders = Finders(config, host)
        self._endpoints = [
            TokenEndpoint(
                source, host.node, host.now_us, stamp_us, host.run, host.cluster,
                OwnJob(finders.of(source.url).find) if finders and source.job_id is None else None,
            )
            for source in config.tokens
        ]  # fmt: skip
        self._problems = Problems()
        self._jobless_us: dict[str, int] = {}
        self._readers: list[Reader] = []
        self._busy = Busy()
        if any(source.while_busy for source in config.tokens):
            host.output.listen(self._busy)

    def plan(self, plan: Plan) -> None:
        """Scrape each endpoint at its own period."""
        self._readers = [
            plan.every(
                f"tokens/{endpoint.source.source_id}",
                endpoint.source.every_s,
                self._scrape(endpoint),
                beside=True,
            )
            for endpoint in self._endpoints
        ]

    def edge(self) -> None:
        """Scrape every endpoint once more."""
        # A scrape that runs now began before the edge, so another one follows it.
        for reader in self._readers:
            reader.ask(even_if_busy=True)

    def _scrape(self, endpoint: TokenEndpoint) -> Task:
        answered: list[bool] = []

        def scrape() -> str | None:
            if self._may_sleep(endpoint):
                return endpoint.failing
            self.host.output.add("tokens", endpoint.scrape())
            self._tell_of_job(endpoint)
            answers = endpoint.failing is None
            if answered and answers != answered[0]:
                self._note(endpoint)
            # A server that has not begun yet is not lost.
            if answers or answered:
                answered[:] = [answers]
            return endpoint.failing

        return scrape

    def _may_sleep(self, endpoint: TokenEndpoint) -> bool:
        """Whether the server has had nothing to do since its last page."""
        source, last_us = endpoint.source, endpoint.last_us
        if not source.while_busy or last_us is None or endpoint.failing is not None:
            return False
        jobs = [job_key(*job) for job in endpoint.jobs]
        now_us = self.host.now_us()
        return bool(jobs) and not any(self._busy.worked(job, last_us, now_us) for job in jobs)

    def _tell_of_job(self, endpoint: TokenEndpoint) -> None:
        """Record once that the job of an endpoint is not known, if that lasts."""
        source_id, now_us = endpoint.source.source_id, self.host.now_us()
        if endpoint.jobs or endpoint.failing is None:
            self._jobless_us.pop(source_id, None)
            self._problems.is_over(source_id)
            return
        since_us = self._jobless_us.setdefault(source_id, now_us)
        # A server may answer before its scheduler has told of its job.
        if now_us - since_us >= _JOBLESS_US and self._problems.is_new(source_id, ""):
            self.host.warn("error", None, f"tokens: {source_id}: {endpoint.failing}")

    def _note(self, endpoint: TokenEndpoint) -> None:
        """Record that an endpoint is lost, or that it answers again.

        From an endpoint that is silent nobody knows what it counts: without the event its silence
        could be taken for a server that has nothing to do.
        """
        source_id, why = endpoint.source.source_id, endpoint.failing
        if why is None:
            self.host.event("tokens_found", None, f"{source_id} answers again")
        else:
            self.host.event("tokens_lost", None, f"{source_id}: {why}")

    @classmethod
    def check(cls, config: Any, host: Host) -> Iterator[Finding]:
        """Yield what each endpoint serves now."""
        yield from map(endpoint_finding, config.tokens)
        found = [source for source in config.tokens if source.job_id is None]
        if found:
            finders = Finders(config, host)
            yield from (server_finding(one, finders.of(one.url), host) for one in found)
