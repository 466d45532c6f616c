"""A source of meters on a virtual clock, and what it records."""

import threading

from tokenergy_collectors.base.clock import VirtualClock
from tokenergy_collectors.base.logs import Log
from tokenergy_collectors.base.schedule import Schedule
from tokenergy_collectors.lake.contract import TABLES
from tokenergy_collectors.sources.host import Host, Output
from tokenergy_collectors.sources.plan import Plan

T0_US = 1_768_464_000_000_000
S = 1_000_000
N = 1_000_000_000


class MeterRig:
    """A source that is read at its periods while `run` lets time pass."""

    def __init__(self, source, keys, clock=None):
        self.rows, self.events = [], []
        self.clock = clock or VirtualClock(T0_US)
        self.host = Host("n1", self.clock, Log("text"), Output(self))
        self.keys = keys
        self.source = source(keys, self.host)
        self.plan = Plan(Schedule(self.clock), self.host)
        self.plan.begin(self.clock.monotonic_us(), None)
        self.source.begin()
        self.source.plan(self.plan)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.source.finish(self.clock.monotonic_us() + 5 * S)
        self.plan.finish(self.clock.monotonic_us() + 5 * S)

    def add(self, table, rows):
        found = [TABLES[table].as_dict(row) for row in rows]
        if table == "event":
            self.events += [(row["kind"], row["detail"]) for row in found]
        else:
            assert table == "meter"
            self.rows += found

    def run(self, seconds):
        """Let time pass; return the healths of the readings."""
        self.plan.schedule.run(self.clock.monotonic_us() + seconds * S, threading.Event())
        return [reader.health for reader in self.plan.readers]

    def values(self):
        """What was read since the last call: meter and value, in billionths."""
        found = [(row["meter_id"], row["value_n"]) for row in self.rows]
        self.rows.clear()
        return found

    def kinds(self):
        """The events since the last call, without their details."""
        found = [kind for kind, _ in self.events]
        self.events.clear()
        return found

    def check(self):
        return list(type(self.source).check(self.keys, self.host))
