"""Makes a history of a seed: chooses what is staged in it, and lets each staging add its rows."""

from __future__ import annotations

from collections.abc import Iterable
from random import Random

from tests.oracle.staged.boards import place_boards, write_boards
from tests.oracle.staged.gauges import write_gauges
from tests.oracle.staged.jobs import place_jobs
from tests.oracle.staged.lists import write_lists
from tests.oracle.staged.pages import share_names, write_pages
from tests.oracle.staged.places import describe_boards
from tests.oracle.staged.plan import History
from tests.oracle.staged.servers import place_servers

KINDS: dict[str, float] = {
    # name: how many of the histories have it
    "errs": 0.6,
    "jitter": 0.3,
    "edge_reads": 0.5,
    "limit_unknown": 0.2,
    "host_unknown": 0.2,
    "lagging": 0.2,
    "slivers": 0.4,
    "clusters": 0.15,
    "by_index": 0.3,
    "by_name": 0.3,
    "renumbered": 0.2,
    "relabelled": 0.2,
    "replaced": 0.15,
    "aliases": 0.2,
    "mig": 0.15,
    "repartitioned": 0.5,
    "allocation_ids": 0.3,
    "corrected": 0.3,
    "read_twice": 0.15,
    "withdrawn": 0.1,
    "late": 0.25,
    "rare_counter": 0.3,
    "silence": 0.2,
    "silence_over_hour": 0.5,
    "new_count": 0.1,
    "spike": 0.15,
    "jump": 0.15,
    "twice": 0.1,
    "restarts": 0.3,
    "falls": 0.3,
    "taking_turns": 0.1,
    "missing": 0.3,
    "odd_value": 0.15,
    "coarse": 0.15,
    "runs": 0.15,
    "two_names": 0.1,
    "renamed": 0.3,
    "ranks": 0.15,
    "parallel": 0.3,
    "come_and_go": 0.3,
    "same_source": 0.2,
    "moved": 0.15,
}
"""What can be staged."""

WAITING: set[str] = set()
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
    name_clusters(history)
    servers = place_servers(history)
    write_boards(history)
    write_gauges(history)
    describe_boards(history)
    write_lists(history)
    share_names(history, servers)
    write_pages(history, servers)
    delay(history)
    return history


def name_clusters(history: History) -> None:
    """Let two jobs have the same id in clusters of their own."""
    if history.has("clusters"):
        jobs = sorted({hold.job for hold in history.holds})
        for hold in history.holds:
            hold.cluster = f"{history.name}c{jobs.index(hold.job)}"
            hold.job = f"{history.name}j0"


def delay(history: History) -> None:
    """Let the readings of a board, or the pages of a server, arrive after a first run."""
    if not history.has("late"):
        return
    rng = history.rng("late")
    table, name = rng.choice(
        (("power", "device_id"), ("tokens", "source_id"), ("state", "device_id"))
    )
    rows = history.rows[table]
    if rows:
        which, after = rng.choice(rows)[name], rng.choice(rows)["ts_us"]
        history.late[table] = [r for r in rows if r[name] == which and r["ts_us"] >= after]
        history.rows[table] = [r for r in rows if not (r[name] == which and r["ts_us"] >= after)]
