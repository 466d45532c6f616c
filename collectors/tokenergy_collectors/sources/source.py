"""What a source is: one kind of thing that the collector reads, such as GPUs or token endpoints.

A source is a folder under `sources/`, with this class in its `source.py`, and one line in
`registry.py`. The configuration, the schedule, `check`, `top`, the metrics and the log follow from
that: none of them knows a source by name. docs/architecture.md shows how to add one.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from typing import Any, ClassVar, Generic, TypeVar

from tokenergy_collectors.base.finding import Finding
from tokenergy_collectors.base.strict import Strict
from tokenergy_collectors.sources.host import Host
from tokenergy_collectors.sources.plan import Plan

Tell = Callable[[str, str | None, str], None]
"""Takes an event: kind, device_id, detail."""

TellOf = Callable[[str, str], None]
"""Takes an event of one board: kind, detail."""

Keys = TypeVar("Keys", bound=Strict)


class Source(ABC, Generic[Keys]):
    """One kind of thing that is read. Only `name` and `plan` must be given."""

    name: ClassVar[str]
    """What it is called, in the registry, in metrics and in the log."""

    keys: ClassVar[type[Strict]] = Strict
    """The top-level keys that it adds to the configuration file."""

    def __init__(self, config: Keys, host: Host) -> None:
        """Take the configuration, which has the source's keys, and the host that it reads."""
        self.config = config
        self.host = host

    @abstractmethod
    def plan(self, plan: Plan) -> None:
        """Say what is to be read how often: `plan.every(...)`."""

    def begin(self) -> None:
        """Record what is known before the first reading."""

    def edge(self) -> None:
        """Read everything now: a job, an hour or the run begins or ends at this instant."""

    def release(self, *, held_back: bool) -> None:
        """Hand over what was read and not yet recorded; also what is held back, if asked to."""

    def finish(self, until_us: int) -> None:
        """Stop; wait for readings that still run until an instant (monotonic us)."""

    @classmethod
    def validate(cls, config: Any) -> None:
        """Look at what the keys refer to, before a reload; raise `UserError` if it is unusable."""

    @classmethod
    def check(cls, config: Any, host: Host) -> Iterator[Finding]:
        """Yield what `tokenergy-collect check` should say about this source on this host."""
        return iter(())
