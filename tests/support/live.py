"""A daemon on an emulated node and a virtual clock, with a live view that tests look at."""

import threading
import tomllib

import pyarrow as pa
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from tests.support.clocks import PlannedClock
from tests.support.emulated import SMALL
from tokenergy_collectors.base.logs import Log
from tokenergy_collectors.daemon.daemon import Daemon
from tokenergy_collectors.emulate.profile.profile import Profile
from tokenergy_collectors.emulate.run.emulated import emulated_config
from tokenergy_collectors.emulate.run.node import EmulatedNode
from tokenergy_collectors.lake import Lake
from tokenergy_collectors.lake.arrays import to_batch
from tokenergy_collectors.lake.contract import HOST, JOBS, METER
from tokenergy_collectors.live.exposition import ViewCollector
from tokenergy_collectors.live.view import LiveView
from tokenergy_collectors.settings.config import Config
from tokenergy_collectors.sources.host import Host
from tokenergy_collectors.sources.nvml.boards import close_boards, open_boards

S = 1_000_000


def long_profile(**board):
    """The small profile for 150 s: `chat` on boards 0 and 1, `train` on 2, both until 140 s."""
    values = tomllib.loads(SMALL)
    values["duration_s"] = 150
    values["boards"]["h100"] |= board
    values["jobs"] = [{**job, "end_s": 140} for job in values["jobs"][:2]]
    return Profile.model_validate(values)


class Shown:
    """A run of the daemon; `at` plans what is done, with the node and the view, at an instant.

    `known` has the lake know the jobs already, as after a restart; `spread`: jobs on other nodes.
    """

    def __init__(self, root, profile=None, **config):
        self.profile = profile or long_profile()
        self.clock = PlannedClock(self.profile.start_us)
        self.view = LiveView(self.clock)
        self.config = Config(lake=str(root), node="n1", rate_hz=10, **config)
        self.lake = Lake(root, create=True)
        self.start_us = self.clock.monotonic_us()
        self.spread = ()
        self.known = False
        self._plans = []

    def at(self, seconds, task):
        self._plans.append((round(seconds * S), task))

    def run(self, seconds):
        with EmulatedNode(self.profile, "n1", self.clock) as node:
            boards, missing = open_boards()
            try:
                if self.known:
                    recorded_us = self.profile.start_us - S
                    known = [
                        JOBS.make_row(**row, recorded_us=recorded_us) for row in node.allocations
                    ]
                    self.lake.append(
                        "jobs", pa.Table.from_batches([to_batch(known, JOBS.schema())]), "n1"
                    )
                host = Host(
                    "n1",
                    self.clock,
                    Log("text"),
                    boards=boards,
                    missing=missing,
                    lake=self.lake,
                    emulated=True,
                    declared=node.allocations,
                    spread=self.spread,
                )
                daemon = Daemon(emulated_config(self.config, node), host, self.view.counts)
                daemon.show(self.view)
                for after_us, task in self._plans:
                    self.clock.at(after_us, lambda task=task: task(node, self.look()))
                return daemon.run(threading.Event(), seconds * S)
            finally:
                close_boards()

    def look(self):
        return Metrics(text_of(self.view))


def text_of(view):
    """What the endpoint would serve of a view."""
    registry = CollectorRegistry()
    registry.register(ViewCollector(view))
    return generate_latest(registry).decode()


def show_meters(view):
    """Give a view two readings of a host's meter and one of a meter of the building, just now."""
    now_us, host = view.now_us(), {"node": "n1", "domain": "package-0", "run": 1, "epoch": 1}
    for ago_us, energy_uj in ((S, 0), (0, 150 * S)):
        view.add("host", [HOST.make_row(ts_us=now_us - ago_us, energy_uj=energy_uj, **host)])
    meter = {"node": "n1", "meter_id": "feed-a", "source": "modbus", "value_n": 383_500_000_000}
    view.add("meter", [METER.make_row(ts_us=now_us, **meter)])


class Metrics:
    """An exposition: values by name and labels."""

    def __init__(self, text):
        self.families = list(text_string_to_metric_families(text))
        self.samples = [s for family in self.families for s in family.samples]

    def all(self, name, /, **labels):
        return [
            s.value
            for s in self.samples
            if s.name == f"tokenergy_{name}"
            and all(s.labels[key] == str(value) for key, value in labels.items())
        ]

    def one(self, name, /, **labels):
        found = self.all(name, **labels)
        assert len(found) <= 1, (name, labels, found)
        return found[0] if found else None
