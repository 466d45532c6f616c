"""Every source that the collector has: add a line here, and it is read.

The order is the one in which they are asked at the edge of a job or an hour: the boards come last,
since reading them takes the sampling's own thread and the others have threads of their own.
"""

from __future__ import annotations

from typing import Any

from tokenergy_collectors.sampler.gpus import Gpus
from tokenergy_collectors.sources.clock.source import Clocks
from tokenergy_collectors.sources.host import Host
from tokenergy_collectors.sources.jobs.source import Jobs
from tokenergy_collectors.sources.source import Source
from tokenergy_collectors.sources.textfile.source import Textfiles
from tokenergy_collectors.sources.tokens.source import Tokens

SOURCES: dict[str, type[Source[Any]]] = {
    source.name: source
    for source in (
        Clocks,
        Tokens,
        Jobs,
        Textfiles,
        Gpus,
    )
}
"""The sources by name."""


def make_sources(config: Any, host: Host) -> list[Source[Any]]:
    """Return all sources for one run.

    Args:
        config: the configuration, with the keys of every source.
        host: what they read.

    Raises:
        UserError: something that a source needs cannot be used.
    """
    return [source(config, host) for source in SOURCES.values()]
