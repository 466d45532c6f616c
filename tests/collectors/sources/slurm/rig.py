"""A `slurm` source on a virtual clock: a folder of files, processes, answers, and the rows."""

import threading
from types import SimpleNamespace

import pyarrow as pa

from tests.collectors.sources.slurm.answers import Scontrol
from tokenergy_collectors.base.clock import VirtualClock
from tokenergy_collectors.base.logs import Log
from tokenergy_collectors.base.schedule import Schedule
from tokenergy_collectors.lake import Lake
from tokenergy_collectors.lake.arrays import to_batch
from tokenergy_collectors.lake.contract import EVENT, JOBS
from tokenergy_collectors.sources.host import Host, Output
from tokenergy_collectors.sources.plan import Plan
from tokenergy_collectors.sources.slurm.settings import Slurm, SlurmKeys
from tokenergy_collectors.sources.slurm.source import SlurmJobs

T0_US = 1_768_464_000_000_000
S = 1_000_000
MINORS = [2, 0, 3, 1]
"""Minor numbers of the boards in NVML's order."""


def board(index, minor):
    return SimpleNamespace(
        device_id=f"GPU-{index}", index=index, pci=None, minor=minor, instances=()
    )


class FakeProcesses:
    """The jobs that have a process."""

    def __init__(self):
        self.jobs = set()

    def alive(self, jobs):
        return self.jobs & set(jobs)


class Rig:
    """The source, from one start to the next; `edges` are the instants at which all was read."""

    def __init__(self, root, *, at_us=T0_US, cluster=None, **settings):
        self.root, self.settings, self.cluster = root, settings, cluster
        self.folder, self.lake = root / "spool", Lake(root / "lake", create=True)
        self.folder.mkdir(exist_ok=True)
        self.scontrol, self.processes = Scontrol(), FakeProcesses()
        self.start(at_us)

    def start(self, at_us, minors=MINORS):
        """Start the collector (again): what it wrote so far is sealed."""
        self.clock = VirtualClock(at_us)
        self.raw, self.events, self.edges, self.live = [], [], [], []
        boards = [board(index, minor) for index, minor in enumerate(minors)]
        self.host = Host(
            "n1",
            self.clock,
            Log("text", quiet=True),
            Output(self),
            boards=boards,
            lake=self.lake,
            cluster=self.cluster,
        )
        self.host.output.listen(self)
        self.keys = SlurmKeys(slurm=Slurm(spool=str(self.folder), **self.settings))
        self.source = SlurmJobs(self.keys, self.host, self.scontrol, self.processes)
        self.plan = Plan(Schedule(self.clock), self.host)
        self.plan.begin(self.clock.monotonic_us(), None)
        self.plan.on_edge = lambda: self.edges.append(self.host.now_us())
        self.source.begin()
        self.source.plan(self.plan)

    def add(self, table, rows):
        target = {"jobs": self.raw, "event": self.events}[table]
        spec = {"jobs": JOBS, "event": EVENT}[table]
        # The listener gets what the sink got; it is the same object here.
        target += [row for row in map(spec.as_dict, rows) if row not in target]

    def readings(self, readings):
        raise AssertionError(readings)

    def allocations(self, rows, spread):
        self.live, self.spread = list(rows), set(spread)

    def seal(self):
        """Put what was recorded into the lake."""
        rows = [JOBS.make_row(**row) for row in self.raw]
        if rows:
            batch = to_batch(rows, JOBS.schema())
            self.lake.append("jobs", pa.Table.from_batches([batch]), "n1")

    def hook(self, event, job_id, gpus="", at_s=0.0, name=None, **fields):
        """Write the file of a hook that ran at a time."""
        at_us = T0_US + round(at_s * S)
        stamp = f"{at_us // S}.{at_us % S:06}000"
        words = {"event": event, "time": stamp, "job": job_id, "gpus": gpus, "node": "n1"}
        words = {name: value for name, value in {**words, **fields}.items() if value}
        line = "\t".join(["tokenergy-slurm-1", *(f"{k}={v}" for k, v in words.items()), "end\n"])
        path = self.folder / (name or f"{stamp}-{job_id}-{event}-1.event")
        path.write_text(line)
        return path

    def run(self, seconds):
        end_us = self.clock.monotonic_us() + round(seconds * S)
        self.plan.schedule.run(end_us, threading.Event())

    @property
    def health(self):
        return {reader.health.source: reader.health for reader in self.plan.readers}

    def jobs(self):
        """Return the latest row of each allocation, with times in seconds since T0."""
        latest = {row["allocation_id"]: row for row in self.raw}
        return [
            {
                **row,
                "start_s": (row["start_us"] - T0_US) / S,
                "end_s": None if row["end_us"] is None else (row["end_us"] - T0_US) / S,
            }
            for row in latest.values()
        ]

    def told(self):
        return [row["detail"] for row in self.events]
