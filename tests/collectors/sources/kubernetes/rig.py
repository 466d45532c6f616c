"""A source that asks a kubelet on a virtual clock, and what it records."""

import threading

import pynvml

from tests.support.kubelet import FakeKubelet, HostFolders
from tokenergy_collectors.base.clock import VirtualClock
from tokenergy_collectors.base.logs import Log
from tokenergy_collectors.base.schedule import Schedule
from tokenergy_collectors.lake.contract import EVENT, JOBS
from tokenergy_collectors.sources.host import Host, Output
from tokenergy_collectors.sources.kubernetes.settings import Kubernetes, KubernetesKeys
from tokenergy_collectors.sources.kubernetes.source import KubernetesPods
from tokenergy_collectors.sources.nvml.boards import Board
from tokenergy_collectors.sources.nvml.mig import Instance
from tokenergy_collectors.sources.plan import Plan

T0_US = 1_768_464_000_000_000
S = 1_000_000
GPU = [f"GPU-{n}aaaaaaa-0000-4000-8000-000000000000" for n in range(4)]
MIG = [f"MIG-{n}bbbbbbb-0000-4000-8000-000000000000" for n in range(2)]


def boards():
    """Four boards, whose minor numbers are not their indices; the last one is cut in two."""
    instances = tuple(
        Instance(device_id, f"NVIDIA A100 MIG {profile}", ppm, number)
        for number, (device_id, profile, ppm) in enumerate(
            [(MIG[0], "3g.20gb", 428_571), (MIG[1], "4g.20gb", 571_429)]
        )
    )
    return [
        Board(
            handle=object(),
            device_id=GPU[index],
            index=index,
            name="NVIDIA A100",
            pci=None,
            limit_mw=400_000,
            driver=None,
            minor=3 - index,
            instances=instances if index == 3 else (),
        )
        for index in range(4)
    ]


class Rig:
    """A kubelet, the host's folders, and a source on a virtual clock.

    Args:
        folder: where all of it lies.
        lake: where an earlier run recorded.
        kubelet: that of an earlier rig.
        host: the folders of an earlier rig.
        at_us: when it begins (us UTC).
        clock: instead of a virtual one.
        cluster: its name.
        settings: further keys.
    """

    def __init__(
        self,
        folder,
        lake=None,
        kubelet=None,
        host=None,
        at_us=T0_US,
        clock=None,
        cluster=None,
        **settings,
    ):
        self.rows, self.events, self.edges_us = [], [], []
        self.kubelet = kubelet or FakeKubelet(folder)
        self.pods = host or HostFolders(folder)
        self.clock = clock or VirtualClock(at_us)
        self.host = Host(
            "n1", self.clock, Log("text"), Output(self), boards(), lake=lake, cluster=cluster
        )
        self.host.recovered.set()
        given = {
            "enabled": True,
            "socket": str(self.kubelet.socket),
            "pod_logs": str(self.pods.logs),
            "cgroups": str(self.pods.cgroups),
            "timeout_s": 10.0,
        }
        self.keys = KubernetesKeys(kubernetes=Kubernetes(**(given | settings)))
        self.source = KubernetesPods(self.keys, self.host)
        self.plan = Plan(Schedule(self.clock), self.host)
        self.plan.on_edge = lambda: self.edges_us.append(self.host.now_us())
        self.plan.begin(self.clock.monotonic_us(), None)
        self.source.begin()
        self.source.plan(self.plan)

    def add(self, table, rows):
        tables = {"jobs": (self.rows, JOBS), "event": (self.events, EVENT)}
        found, spec = tables[table]
        found += map(spec.as_dict, rows)

    def run(self, seconds):
        """Let time go by; return the rows that were recorded meanwhile."""
        before = len(self.rows)
        end_us = self.clock.monotonic_us() + round(seconds * S)
        self.plan.schedule.run(end_us, threading.Event())
        return self.rows[before:]

    def said(self, kind="error"):
        return [row["detail"] for row in self.events if row["kind"] == kind]

    def findings(self):
        return [(one.level, one.text) for one in KubernetesPods.check(self.keys, self.host)]

    def finish(self):
        self.source.finish(self.clock.monotonic_us())


def number_instances(monkeypatch):
    """Let NVML give the MIG instances the numbers 1 and 2 on their board."""
    monkeypatch.setattr(pynvml, "nvmlDeviceGetGpuInstanceId", lambda handle: handle + 1)


def spans(rows):
    """Job, start and end in seconds since T0, of each row."""
    return [
        (
            row["job_id"].removeprefix("default/"),
            (row["start_us"] - T0_US) / S,
            None if row["end_us"] is None else (row["end_us"] - T0_US) / S,
        )
        for row in rows
    ]
