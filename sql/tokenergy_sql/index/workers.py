"""Books the groups of an hour in several processes of this machine, or in this one.

In: tasks. Out: the part of each. A process that is killed costs the part that it was making: what
the others could not do, for whatever reason, this process does, and its error is raised here.
"""

from __future__ import annotations

import logging
import signal
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path

from tokenergy_sql.index.parts import Part, is_there, make_part, remove_asides
from tokenergy_sql.index.tasks import Task

_LOG = logging.getLogger(__name__)


@dataclass
class Workers:
    """Processes that book groups; they are started when there is work for several. See `workers`.

    Args:
        count: how many; with 1, this process does all.
    """

    count: int
    _pool: ProcessPoolExecutor | None = field(default=None, init=False)

    def parts(self, root: Path, tasks: Sequence[Task]) -> list[Part]:
        """Return the parts of all tasks; make those that are missing.

        Raises:
            UserError, duckdb.Error: see `make_part`.
        """
        missing = [task for task in tasks if not is_there(root, task)]
        if self.count > 1 and len(missing) > 1:
            self._share(root, missing)
        return [make_part(root, task) for task in tasks]

    def _share(self, root: Path, tasks: Sequence[Task]) -> None:
        if self._pool is None:
            # No fork: threads of Arrow and DuckDB would be missing in the children.
            self._pool = ProcessPoolExecutor(self.count, get_context("spawn"), _ignore_interrupts)
        futures: list[Future[str]] = []
        with suppress(BrokenProcessPool):
            futures += [self._pool.submit(_make, root, task) for task in tasks]
        for future in futures:
            try:
                if failed := future.result():
                    _LOG.warning("a shard failed and is booked again: %s", failed)
            except BrokenProcessPool:
                _LOG.warning("a process that booked a shard was killed; this one goes on alone")
                self._pool.shutdown()
                remove_asides(root, tasks)
                self._pool, self.count = None, 1
                return

    def close(self) -> None:
        """End the processes."""
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)
            self._pool = None


@contextmanager
def workers(count: int) -> Iterator[Workers]:
    """Yield workers; they end with the block."""
    found = Workers(count)
    try:
        yield found
    finally:
        found.close()


def _ignore_interrupts() -> None:
    """Leave Ctrl-C to the process that started this one: it ends its children."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _make(root: Path, task: Task) -> str:
    """Book a group; return why it could not be booked: not every error can be sent."""
    try:
        make_part(root, task)
    except Exception as error:  # noqa: BLE001 - whatever it is, it is raised where it is tried again
        return f"{type(error).__name__}: {error}"
    return ""
