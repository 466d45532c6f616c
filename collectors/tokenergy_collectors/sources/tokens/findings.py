"""The preflight's finding about a token endpoint.

In: an endpoint of the configuration. Out: whether it answers, which kinds of token it counts,
and whether it counts requests.
"""

from __future__ import annotations

from tokenergy_collectors.base.finding import Finding
from tokenergy_collectors.lake.contract import REQUEST_KINDS
from tokenergy_collectors.sources.tokens.endpoint import fetch_page
from tokenergy_collectors.sources.tokens.kinds import preferred, values_of
from tokenergy_collectors.sources.tokens.page import parse
from tokenergy_collectors.sources.tokens.requestpage import parse_requests
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
    # A mapping names counters of a server that is not known: nor are its requests.
    told = "no requests" if source.mapping.named else _requests(text)
    return Finding("ok", "tokens", f"{about}: {servers}; {', '.join(kinds)}; {count}; {told}")


def _requests(text: str) -> str:
    """Return what a page tells of requests."""
    kinds = {one.what.kind for one in parse_requests(text)}
    if "finished" not in kinds:
        return "no requests"
    latencies = [kind for kind in REQUEST_KINDS if kind in kinds and kind != "finished"]
    return f"requests by {', '.join(['finish reason', *latencies])}"
