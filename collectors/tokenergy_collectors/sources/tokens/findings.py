"""The preflight's finding about a token endpoint.

In: an endpoint of the configuration. Out: whether it answers, and which kinds of token it counts.
"""

from __future__ import annotations

from typing import Literal

from tokenergy_collectors.base.finding import Finding
from tokenergy_collectors.sources.host import Host
from tokenergy_collectors.sources.processes.listening import NotFoundError
from tokenergy_collectors.sources.processes.serving import ServingJob
from tokenergy_collectors.sources.tokens.endpoint import fetch_page
from tokenergy_collectors.sources.tokens.kinds import preferred, values_of
from tokenergy_collectors.sources.tokens.ownjob import ADVICE
from tokenergy_collectors.sources.tokens.page import parse
from tokenergy_collectors.sources.tokens.scrape import ScrapeError
from tokenergy_collectors.sources.tokens.settings import TokenSource
from tokenergy_collectors.sources.tokens.strangers import advice


def endpoint_finding(source: TokenSource) -> Finding:
    """Scrape an endpoint once; a failure is only a warning, since its server may start later."""
    about = f"{source.source_id} at {source.url}"
    try:
        text = fetch_page(source)
        found = parse(text, counters=source.mapping.counters)
    except ScrapeError as error:
        return Finding("warn", "tokens", f"{about}: {error}")
    kinds = sorted({value.kind for value in values_of(preferred(found))})
    engines = {(one.model, one.engine) for one in found}
    if not kinds:
        return Finding("warn", "tokens", f"{about}: answers, but {advice(text)}")
    servers = ", ".join(sorted({one.counter.server for one in found}))
    count = f"{len(engines)} engine{'s' if len(engines) > 1 else ''}"
    return Finding("ok", "tokens", f"{about}: {servers}; {', '.join(kinds)}; {count}")


def server_finding(source: TokenSource, serving: ServingJob, host: Host) -> Finding:
    """Return which process serves an endpoint without a job_id, and on which boards it is.

    Which job holds these boards only the daemon knows.
    """
    about = f"{source.source_id} at {source.url}"
    try:
        server = serving.find(host.now_us())
    except NotFoundError as error:
        return Finding("warn", "tokens", f"{about}: its job will not be known: {error}{ADVICE}")
    level: Literal["ok", "warn"] = "ok" if server.devices else "warn"
    text = f"{about}: served by {server.words}: counts for the job that holds these boards"
    return Finding(level, "tokens", text)
