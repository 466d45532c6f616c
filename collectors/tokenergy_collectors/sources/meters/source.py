"""The base of all sources that read facility meters over a network.

In: readers of devices. Out: rows of `meter`: what each meter said, without unit and scale. A meter
that gives no reading has no row, and one event says why.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from tokenergy_collectors.base.finding import Finding
from tokenergy_collectors.lake.contract import METER
from tokenergy_collectors.sources.host import Host
from tokenergy_collectors.sources.meters.reader import MeterReader, Outcome
from tokenergy_collectors.sources.plan import Plan, Task
from tokenergy_collectors.sources.source import Keys, Source


class MeterSource(Source[Keys]):
    """Reads the meters of the configuration, each device in a thread of its own.

    A subclass defines `name`, `keys`, `devices`, `meters`, `make_readers` and `findings`; and
    `load` if its protocol needs a library.

    Raises:
        UserError: a file or library that it needs cannot be used.
    """

    def __init__(self, config: Keys, host: Host) -> None:
        super().__init__(config, host)
        # Meters of a building do not measure an emulated node.
        self._readers = [] if host.emulated else list(self.make_readers())
        self._lost: set[str] = set()
        self._stopping = False

    @classmethod
    @abstractmethod
    def devices(cls, config: Any) -> Sequence[Any]:
        """Return the devices of the configuration; if it has none, there is nothing to do."""

    @classmethod
    @abstractmethod
    def meters(cls, config: Any) -> Iterable[str]:
        """Return the ids of all meters, to refuse those that two sources share."""

    @abstractmethod
    def make_readers(self) -> Sequence[MeterReader]:
        """Return one reader for each device of the configuration; open no connection yet."""

    @classmethod
    @abstractmethod
    def findings(cls, config: Any, host: Host) -> Iterator[Finding]:
        """Yield what each meter says now, or what to do where it says nothing."""

    @classmethod
    def load(cls, config: Any) -> None:
        """Check that what the devices need is there; raise `UserError` if it is not."""

    def plan(self, plan: Plan) -> None:
        """Read each device at its own period, beside the sampling: it may not answer."""
        for reader in self._readers:
            plan.every(
                f"{self.name}/{reader.name}", reader.every_s, self._task(reader), beside=True
            )

    def finish(self, until_us: int) -> None:
        """End the requests under way."""
        self._stopping = True
        for reader in self._readers:
            reader.close()

    def _task(self, reader: MeterReader) -> Task:
        failing: str | None = None

        def read() -> str | None:
            nonlocal failing
            outcomes = reader.read()
            if outcomes is not None and not self._stopping:
                failing = self._take(reader, outcomes)
            return failing

        return read

    def _take(self, reader: MeterReader, outcomes: Sequence[Outcome]) -> str | None:
        """Record readings, and meters that are lost or found; return the first problem."""
        node = self.host.node
        self.host.output.add(
            "meter",
            [
                METER.make_row(
                    ts_us=one.ts_us,
                    meter_id=one.point.meter,
                    node=node,
                    source=self.name,
                    **one.value._asdict(),
                )
                for one in outcomes
                if one.value is not None
            ],
        )
        for one in outcomes:
            self._note(reader, one)
        problems = [one for one in outcomes if one.value is None]
        if not problems:
            return None
        first = f"{problems[0].point.meter}: {problems[0].why}"
        return f"{len(problems)} of {len(outcomes)} meters give no reading; {first}"

    def _note(self, reader: MeterReader, outcome: Outcome) -> None:
        """Record once that a meter is lost, and once that it is back."""
        meter = outcome.point.meter
        if outcome.value is not None:
            if meter in self._lost:
                self._lost.remove(meter)
                where = f"; {outcome.why}" if outcome.why else ""
                self.host.event("meter_found", None, f"{meter} gives readings again{where}")
        elif meter not in self._lost:
            self._lost.add(meter)
            place = f"{reader.about}, {outcome.point.place}"
            self.host.event("meter_lost", None, f"{meter}: {outcome.why}; {place}")

    @classmethod
    def validate(cls, config: Any, *, emulated: bool) -> None:
        """Check that what the devices need is there.

        Raises:
            UserError: it is missing.
        """
        if cls.devices(config) and not emulated:
            cls.load(config)

    @classmethod
    def check(cls, config: Any, host: Host) -> Iterator[Finding]:
        """Yield what each meter says now, or what to do where it says nothing."""
        if not cls.devices(config):
            return iter(())
        if host.emulated:
            return iter([Finding("ok", cls.name, "not read on an emulated node")])
        return cls.findings(config, host)
