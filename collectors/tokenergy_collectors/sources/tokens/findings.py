"""The preflight's finding about a token endpoint.

In: an endpoint of the configuration. Out: whether it answers, and which kinds of token it counts.
"""

from __future__ import annotations

from tokenergy_collectors.base.finding import Finding
from tokenergy_collectors.sources.tokens.endpoint import fetch_page
from tokenergy_collectors.sources.tokens.kinds import preferred, values_of
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
