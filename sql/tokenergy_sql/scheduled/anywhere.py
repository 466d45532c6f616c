"""Lets a task of a DAG work on a lake in a folder or in an object store.

In: a task that gets the settings of its run, whose `lake` is a path. Out: the same task for
settings whose `lake` may be a URL: see `workcopy.working`. A DAG file imports this each time it is
parsed, so nothing heavy is imported before a task runs.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from pathlib import Path

T = TypeVar("T")

_HOUR_US = 3_600_000_000


def anywhere(work: Callable[..., T]) -> Callable[..., T]:
    """Return a task that works on a lake wherever it is.

    Its settings have one more key than the run's: `place`, the lake's path or URL as the run has
    it. The task may run several times if others publish meanwhile.
    """

    @functools.wraps(work)
    def run(settled: Mapping[str, Any], *args: Any, **given: Any) -> T:
        from tokenergy_sql.workcopy.working import on_lake

        def at(root: Path) -> T:
            return work({**settled, "lake": str(root), "place": settled["lake"]}, *args, **given)

        return on_lake(settled["lake"], at, hours_of(settled))

    return run


def hours_of(settled: Mapping[str, Any]) -> list[int] | None:
    """Return the starts of the hours (us UTC) that a run is about; None if it names none."""
    if "from_us" in settled:
        return [*range(settled["from_us"], settled["to_us"], _HOUR_US)]
    if "hour_us" in settled:
        return [*range(settled["heal_from_us"], settled["hour_us"] + 1, _HOUR_US)]
    return None
