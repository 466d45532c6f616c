"""Makes a history of a seed: chooses what is staged in it, and lets each staging add its rows."""

from __future__ import annotations

from collections.abc import Iterable
from random import Random

from tests.oracle.staged.boards import place_boards, write_boards
from tests.oracle.staged.gauges import write_gauges
from tests.oracle.staged.jobs import place_jobs, write_jobs
from tests.oracle.staged.plan import History
from tests.oracle.staged.servers import place_servers, write_servers

KINDS: dict[str, float] = {
    # name: how many of the histories have it
    "errs": 0.6,
    "jitter": 0.3,
    "edge_reads": 0.5,
    "limit_unknown": 0.2,
    "host_unknown": 0.2,
    "lagging": 0.2,
    "slivers": 0.4,
}
"""What can be staged."""

WAITING = {"slivers"}
"""What the tool does not do right yet: it is staged only where it is asked for by name."""


def stage(seed: int, kinds: Iterable[str] | None = None) -> History:
    """Return the history of a seed.

    Args:
        seed: any number.
        kinds: what may be staged; all but `WAITING` if None.
    """
    rng = Random(f"{seed}/kinds")
    drawn = {kind for kind, often in KINDS.items() if rng.random() < often}
    history = History(seed, drawn - WAITING if kinds is None else drawn & set(kinds))
    place_boards(history)
    place_jobs(history)
    servers = place_servers(history)
    write_boards(history)
    write_gauges(history)
    write_jobs(history)
    write_servers(history, servers)
    return history
