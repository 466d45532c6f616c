"""A `processes` source on emulated boards and a virtual clock, with a /proc written by hand."""

import os
import threading
from contextlib import ExitStack

from tests.support.emulated import Walk, small_profile
from tokenergy_collectors.base.clock import VirtualClock
from tokenergy_collectors.base.logs import Log
from tokenergy_collectors.base.schedule import Schedule
from tokenergy_collectors.emulate.nvml.library import install
from tokenergy_collectors.emulate.workloads.base import Process
from tokenergy_collectors.lake.contract import EVENT, JOBS
from tokenergy_collectors.sources.host import Host, Output
from tokenergy_collectors.sources.nvml.boards import close_boards, open_boards
from tokenergy_collectors.sources.plan import Plan
from tokenergy_collectors.sources.processes.settings import Processes, ProcessKeys
from tokenergy_collectors.sources.processes.source import ProcessJobs

T0_US = 1_768_464_000_000_000
S = 1_000_000
HZ = os.sysconf("SC_CLK_TCK")
UPTIME_S = 100_000
HEX = "0123456789abcdef" * 4
DOCKER = f"/system.slice/docker-{HEX}.scope"
VLLM = "/system.slice/vllm.service"


class HandMadeProc:
    """A folder that looks like /proc; `uptime` stands still at UPTIME_S."""

    def __init__(self, root):
        self.root = root
        root.mkdir(exist_ok=True)
        (root / "uptime").write_text(f"{UPTIME_S}.00 1.00\n")

    def run(self, pid, cgroup, comm="python3", parent=1, age_s=50.0):
        """Begin a process."""
        folder = self.root / str(pid)
        folder.mkdir()
        start = round((UPTIME_S - age_s) * HZ)
        rest = " ".join(["S", str(parent), *["0"] * 17, str(start), *["0"] * 30])
        (folder / "stat").write_text(f"{pid} ({comm}) {rest}\n")
        text = cgroup if ":" in cgroup.partition("/")[0] else f"0::{cgroup}\n"
        (folder / "cgroup").write_text(text)

    def end(self, pid):
        for file in (self.root / str(pid)).iterdir():
            file.unlink()
        (self.root / str(pid)).rmdir()


class Rig:
    """Boards, processes, and a source; `edges_us` are the instants at which all was read."""

    def __init__(self, folder, *, lake=None, at_us=T0_US, mig=None, proc=None, **settings):
        self.proc = proc or HandMadeProc(folder / "proc")
        self.rows, self.events, self.edges_us, self.live = [], [], [], []
        self.settings = {
            "enabled": True, "proc": str(self.proc.root), "systemd": ("vllm*.service",),
            "docker": True, "podman": True, "plain": ("*",), **settings,
        }  # fmt: skip
        self._lake, self._at_us, self._mig = lake, at_us, mig

    def __enter__(self):
        self._stack = ExitStack()
        profile = small_profile().model_copy(update={"jobs": (), "strays": ()})
        self.node = Walk(profile).node
        if self._mig:
            self.node.set_identity(0, mig=self._mig)
        self._stack.enter_context(install(self.node))
        boards, missing = open_boards()
        assert not missing
        self._stack.callback(close_boards)
        self.clock = VirtualClock(self._at_us)
        self.host = Host(
            "n1", self.clock, Log("text", quiet=True), Output(self), boards, lake=self._lake
        )
        self.host.recovered.set()
        self.host.output.listen(self)
        self.keys = ProcessKeys(processes=Processes(**self.settings))
        self.source = ProcessJobs(self.keys, self.host)
        self.plan = Plan(Schedule(self.clock), self.host)
        self.plan.on_edge = lambda: self.edges_us.append(self.host.now_us())
        self.plan.begin(self.clock.monotonic_us(), None)
        self.source.begin()
        self.source.plan(self.plan)
        return self

    def __exit__(self, *error):
        self._stack.close()

    def put(self, index, *pids, instance=None):
        """Let NVML list exactly these processes on a board."""
        self.node.boards[index].guests = [Process(pid, 1 << 30, instance) for pid in pids]

    def end(self, pid):
        """End a process, for the kernel and for NVML."""
        self.proc.end(pid)
        for board in self.node.boards:
            board.guests = [one for one in board.guests if one.pid != pid]

    def gpu(self, index):
        return self.host.boards[index].device_id

    def add(self, table, rows):
        tables = {"jobs": (self.rows, JOBS), "event": (self.events, EVENT)}
        found, spec = tables[table]
        found += [row for row in map(spec.as_dict, rows) if row not in found]

    def readings(self, readings):
        raise AssertionError(readings)

    def allocations(self, rows, spread):
        self.live = list(rows)

    def others(self, *rows):
        """Say what another source says of the boards: (job, board, scheduler) each."""
        whole = [
            {
                "job_id": job, "device_id": self.gpu(index), "scheduler": scheduler,
                "start_us": T0_US - S, "end_us": None, "method": "hook", "cluster": None,
                "labels": None, "share_ppm": 1_000_000,
            }
            for job, index, scheduler in rows
        ]  # fmt: skip
        self.host.output.allocations(whole, (), source="slurm")

    def run(self, seconds):
        """Let time go by; return the rows that were recorded meanwhile."""
        before = len(self.rows)
        end_us = self.clock.monotonic_us() + round(seconds * S)
        self.plan.schedule.run(end_us, threading.Event())
        return self.rows[before:]

    def spans(self, rows=None):
        """Job, board, start and end in seconds since T0, of the latest row of each allocation."""
        latest = {row["allocation_id"]: row for row in self.rows if rows is None or row in rows}
        index = {board.device_id: board.index for board in self.host.boards}
        return [
            (
                row["job_id"],
                index.get(row["device_id"], row["device_id"]),
                (row["start_us"] - T0_US) // S,
                None if row["end_us"] is None else (row["end_us"] - T0_US) // S,
            )
            for row in latest.values()
        ]

    def told(self, kind):
        return [
            ((row["ts_us"] - T0_US) // S, row["detail"])
            for row in self.events
            if row["kind"] == kind
        ]

    def findings(self):
        return [(one.level, one.text) for one in ProcessJobs.check(self.keys, self.host)]
