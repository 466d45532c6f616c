"""What a source is: one kind of thing that the collector reads, such as GPUs or token endpoints.

In: the configuration and the host. Out: rows and events, through the host. A source is a folder
under `sources/` with a subclass of `Source` in its `source.py`, and one line in `registry.py`. That
is enough for the configuration, the schedule, `check`, the metrics of its health and the log.
docs/architecture.md shows how to add one.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from typing import Any, ClassVar, Generic, TypeVar

from tokenergy_collectors.base.finding import Finding
from tokenergy_collectors.base.strict import Strict
from tokenergy_collectors.sources.host import Host
from tokenergy_collectors.sources.plan import Plan

EmitEvent = Callable[[str, str | None, str], None]
"""Takes an event: kind, device_id, detail."""

EmitBoardEvent = Callable[[str, str], None]
"""Takes an event of one board: kind, detail."""

Keys = TypeVar("Keys", bound=Strict)


class Source(ABC, Generic[Keys]):
    """One kind of thing that is read. A subclass must define `name` and `plan`."""

    name: ClassVar[str]
    """Its name in the registry, in metrics and in the log."""

    keys: ClassVar[type[Strict]] = Strict
    """The top-level keys that it adds to the configuration file."""

    def __init__(self, config: Keys, host: Host) -> None:
        """Keep the configuration, which has the source's keys, and the host to read."""
        self.config = config
        self.host = host

    @abstractmethod
    def plan(self, plan: Plan) -> None:
        """Put its readings on the schedule: `plan.every(...)`."""

    def begin(self) -> None:
        """Record what is known before the first reading."""

    def edge(self) -> None:
        """Read everything now: a job, an hour or the run begins or ends at this instant."""

    def release(self, *, held_back: bool) -> None:
        """Record what was read so far; with `held_back` also what waits for the next reading."""

    def finish(self, until_us: int) -> None:
        """Record what is held back, and end work under way, by an instant (monotonic us).

        The readings that `plan.every` started are waited for afterwards, those of all sources.
        """

    @classmethod
    def validate(cls, config: Any, *, emulated: bool) -> None:
        """Check before a reload what the keys refer to; raise `UserError` if it cannot be used."""

    @classmethod
    def check(cls, config: Any, host: Host) -> Iterator[Finding]:
        """Yield the findings of `tokenergy-collect check` about this source on this host."""
        return iter(())
