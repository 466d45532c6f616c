"""Books a large hour in several tasks of a scheduler, before the index puts the parts together.

In: a lake, an hour. Out: numbers of shards; the parts of one shard beside the books (see
`index/parts.py`).

The index books whatever it does not find, so nothing depends on these tasks: they only share the
work. A shard that was killed leaves its finished parts to the next try.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from tokenergy_collectors.lake import Lake
from tokenergy_collectors.lake.allocations import allocations
from tokenergy_sql.catalog.reading import heal
from tokenergy_sql.index.devicerows import read_devices
from tokenergy_sql.index.groups import groups_of
from tokenergy_sql.index.hour import prepared
from tokenergy_sql.index.inputs import FileDigests
from tokenergy_sql.index.parts import make_part
from tokenergy_sql.index.site import Site
from tokenergy_sql.index.tasks import Task, tasks_of

Shard = dict[str, int]
"""`number`, and `of`: how many shards the hour has."""


def shards_of(batches: Sequence[object]) -> list[Shard]:
    """Return the shards of an hour, as many as its nodes have batches (see `batching`).

    None for a single batch: the index books that in less time than a task takes to start.
    """
    count = len(batches)
    return [{"number": number, "of": count} for number in range(count)] if count > 1 else []


def book_shard(
    lake: Lake, site: Site, hour_us: int, shard: Shard, say: Callable[[str], None] = print
) -> int:
    """Book the groups of a shard: those whose number leaves its own when divided by how many.

    Args:
        lake: the lake.
        site: the site file.
        hour_us: start of the hour, microseconds UTC.
        shard: one of `shards_of`.
        say: takes a line for each group.

    Returns:
        The number of groups.

    Raises:
        UserError: a file cannot be read, or a part cannot be written.
    """
    started = time.monotonic()
    done: list[Task] = []

    def book() -> None:
        for task in _tasks(lake, site, hour_us, shard):
            make_part(lake.root, task)
            say(f"{task.name}: {len(task.segments):,} files of segments")
            done.append(task)

    heal(lake, book)
    say(f"{len(done)} groups in {time.monotonic() - started:.1f} s")
    return len(done)


def _tasks(lake: Lake, site: Site, hour_us: int, shard: Shard) -> list[Task]:
    groups = groups_of(lake, hour_us)[shard["number"] :: shard["of"]]
    if not groups:
        return []
    held, devices = allocations(lake), read_devices(lake)
    with prepared(lake, hour_us, held, devices, site.calibration) as con:
        return [*tasks_of(con, lake, hour_us, groups, FileDigests(lake.root, {}))]
