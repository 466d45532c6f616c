"""A `rapl` source on a powercap tree and a virtual clock, and what it records."""

from __future__ import annotations

import threading
from typing import Any

from tokenergy_collectors.base.clock import VirtualClock
from tokenergy_collectors.base.logs import Log
from tokenergy_collectors.base.schedule import Schedule
from tokenergy_collectors.lake.contract import TABLES
from tokenergy_collectors.sources.host import Host, Output
from tokenergy_collectors.sources.plan import Plan
from tokenergy_collectors.sources.rapl.settings import Rapl, RaplKeys
from tokenergy_collectors.sources.rapl.source import RaplMeters

T0_US = 1_768_464_000_000_000
S = 1_000_000


class SleepyClock(VirtualClock):
    """A virtual clock whose host can sleep."""

    slept_us = 0

    def boottime_us(self) -> int:
        """Return the virtual boot time."""
        return super().boottime_us() + self.slept_us


class Rig:
    """The source of one run; `run` lets time pass, with a reading each second from the first on."""

    def __init__(self, folder, *, run=7, emulated=False, **settings: Any) -> None:
        self.clock = SleepyClock(T0_US)
        self.tables: dict[str, list[dict[str, Any]]] = {"host": [], "event": []}
        self.host = Host("n1", self.clock, Log("text"), Output(self), emulated=emulated, run=run)
        self.keys = RaplKeys(rapl=Rapl(folder=str(folder), **settings))
        self.source = RaplMeters(self.keys, self.host)
        self.plan = Plan(Schedule(self.clock), self.host)
        self.plan.begin(self.clock.monotonic_us(), None)
        self.source.begin()
        self.source.plan(self.plan)

    def add(self, table, rows):
        self.tables[table] += map(TABLES[table].as_dict, rows)

    def run(self, seconds=1):
        self.plan.schedule.run(self.clock.monotonic_us() + seconds * S, threading.Event())
        [reader] = self.plan.readers
        return reader.health

    def rows(self, domain):
        return [row for row in self.tables["host"] if row["domain"] == domain]

    @property
    def events(self):
        return [(row["kind"], row["detail"]) for row in self.tables["event"]]

    def findings(self):
        return list(RaplMeters.check(self.keys, self.host))
