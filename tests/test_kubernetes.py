"""From a kubelet to the index: pods on emulated boards, scored against the emulator's truth.

A daemon on a virtual clock samples four emulated boards and asks a PodResources server over gRPC on
a Unix socket. Pods come and go at the times of the emulator's jobs, which the daemon is not told.
"""

from __future__ import annotations

import threading
import tomllib
from pathlib import Path
from typing import Any

import pytest

from tests.support.books import books
from tests.support.clocks import PlannedClock
from tests.support.emulated import SMALL
from tests.support.kubelet import FakeKubelet, HostFolders, claim, pod
from tokenergy_collectors.base.logs import Log
from tokenergy_collectors.daemon.daemon import Daemon
from tokenergy_collectors.emulate.profile.profile import Profile
from tokenergy_collectors.emulate.run.node import EmulatedNode
from tokenergy_collectors.lake import Lake
from tokenergy_collectors.settings.config import Config
from tokenergy_collectors.sources.host import Host
from tokenergy_collectors.sources.nvml.boards import Board, close_boards, open_boards
from tokenergy_collectors.sources.tokens.settings import TokenSource

S = 1_000_000


def profile() -> Profile:
    """The small profile; board 3 is cut into two MIG instances."""
    values = tomllib.loads(SMALL)
    values["nodes"]["n1"]["mig"] = {"3": ["3g.40gb", "4g.40gb"]}
    return Profile.model_validate(values)


class Cluster:
    """A node with a kubelet, and what happens on it."""

    def __init__(self, folder: Path) -> None:
        self.clock = PlannedClock(profile().start_us)
        self.kubelet = FakeKubelet(folder)
        self.pods = HostFolders(folder)
        self.lake = Lake(folder / "lake", create=True)
        self.truth: list[dict[str, Any]] = []
        self.config = Config(
            lake=str(self.lake.root),
            node="n1",
            rate_hz=10,
            kubernetes={
                "enabled": True,
                "socket": str(self.kubelet.socket),
                "pod_logs": str(self.pods.logs),
                "cgroups": str(self.pods.cgroups),
                "timeout_s": 10.0,
            },
        )

    def run(self, duration_us: int) -> None:
        """Collect for a while."""
        with EmulatedNode(profile(), "n1", self.clock) as node:
            boards, _ = open_boards()
            self.plan(boards)
            self.kubelet.start()
            try:
                host = Host("n1", self.clock, Log("text"), boards=boards, lake=self.lake)
                # The page of the server in the pod; its job is the pod.
                served = tuple(
                    TokenSource(source_id=one.source_id, url=one.url, job_id="ml/chat-0")
                    for one in node.sources
                    if one.job_id == "chat"
                )
                Daemon(self.config.model_copy(update={"tokens": served}), host).run(
                    threading.Event(), duration_us
                )
                self.truth = node.truth()
            finally:
                self.kubelet.stop()
                close_boards()

    def plan(self, boards: list[Board]) -> None:
        """Plan pods: from here on everything happens by itself."""
        ids = [board.device_id for board in boards]
        one, _ = boards[3].instances
        replicas = [f"{ids[2]}::{number}" for number in range(2)]
        self.kubelet.allocatable = [*ids[:2], *replicas]
        mig = claim("c", ("gpu.nvidia.com", "n1", "gpu-3"))
        self._pod(1, "chat-0", 5.0, 41.234567, pod("chat-0", *ids[:2], namespace="ml"), "ml")
        self._pod(2, "left", 3.0, 50.0, pod("left", replicas[0]))
        self._pod(3, "right", 3.0, 50.0, pod("right", replicas[1]))
        self._pod(4, "part", 8.0, 55.0, pod("part", one.device_id, resource="nvidia.com/mig-3g"))
        self._pod(5, "ghost", 1.0, 2.5, pod("ghost", claims=[mig]))
        at = self.clock.at
        at(20 * S, self.kubelet.stop)
        at(24 * S, self.kubelet.start)

    def _pod(self, uid: int, name: str, start_s: float, end_s: float, *rest: Any) -> None:
        """Let a pod run for a while; the kubelet goes on to list it after its end."""
        message, namespace = rest[0], (*rest, "default")[1]
        at = self.clock.at
        at(round(start_s * S), lambda: self.kubelet.pods.append(message))
        at(round(start_s * S), lambda: self.pods.run(name, uid, namespace))
        at(round(end_s * S), lambda: self.pods.end(uid))

    def true_nj(self, job: str) -> int:
        """What the boards of a job of the profile really drew for it."""
        return sum(
            int(row["energy_nj"])
            for row in self.truth
            if row["row"] == "allocation" and row["job_id"] == job
        )

    def spans(self) -> dict[str, list[tuple[float, float, int]]]:
        """Start, end (seconds of the profile) and share of every allocation, by job."""
        latest = {row["allocation_id"]: row for row in self.lake.read("jobs").to_pylist()}
        found: dict[str, list[tuple[float, float, int]]] = {}
        for row in latest.values():
            start_s, end_s = ((row[n] - profile().start_us) / S for n in ("start_us", "end_us"))
            found.setdefault(row["job_id"], []).append((start_s, end_s, row["share_ppm"]))
        return found


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Cluster:
    cluster = Cluster(tmp_path_factory.mktemp("kubernetes"))
    cluster.run(60 * S)
    books(cluster.lake)
    return cluster


def test_allocations_are_found_within_a_second(cluster: Cluster) -> None:
    whole = 1_000_000
    expected = {
        "ml/chat-0": [(5.0, 41.234567, whole)] * 2,
        "default/left": [(3.0, 50.0, whole // 2)],
        "default/right": [(3.0, 50.0, whole // 2)],
        "default/part": [(8.0, 55.0, whole)],
        "default/ghost": [(1.0, 2.5, whole)],
    }
    found = cluster.spans()
    assert found.keys() == expected.keys()
    for job, spans in expected.items():
        assert len(found[job]) == len(spans), job
        for got, true in zip(found[job], spans, strict=True):
            assert 0 <= got[0] - true[0] <= 1, job
            assert 0 <= got[1] - true[1] <= 1.001, job
            assert got[2] == true[2], job


def test_the_boards_were_read_at_each_edge(cluster: Cluster) -> None:
    power = cluster.lake.read("power").to_pylist()
    read = {(row["device_id"], row["ts_us"]) for row in power if row["energy_mj"] is not None}
    for row in cluster.lake.read("jobs").to_pylist():
        if row["device_id"].startswith("GPU-"):
            for at_us in (row["start_us"], row["end_us"]):
                near = [t for device, t in read if device == row["device_id"] and at_us is not None]
                assert at_us is None or min(abs(t - at_us) for t in near) < 50_000


def test_the_truth_is_inside_the_bounds(cluster: Cluster) -> None:
    true_nj = cluster.true_nj("chat")
    rows = {row["job_id"]: row for row in cluster.lake.read("job_index").to_pylist()}
    chat = rows["ml/chat-0"]
    assert chat["e_gpu_low_nj"] <= true_nj <= chat["e_gpu_high_nj"]
    assert chat["e_gpu_j"] == pytest.approx(true_nj / 1e9, rel=0.03)


def test_the_tokens_of_the_pod_meet_its_energy(cluster: Cluster) -> None:
    rows = {row["job_id"]: row for row in cluster.lake.read("job_index").to_pylist()}
    [true] = [r for r in cluster.truth if r["row"] == "tokens" and r["job_id"] == "chat"]
    chat = rows["ml/chat-0"]
    # The server ends with its pod: what it counted after its last page is in the bounds.
    assert chat["n_generated"] > 0.9 * true["generated"]
    assert chat["n_low"] <= true["generated"] <= chat["n_high"]
    true_j = cluster.true_nj("chat") / 1e9
    assert chat["te_gpu_low"] <= true_j / true["generated"] <= chat["te_gpu_high"]
    assert "partial_tokens" in chat["reason_codes"]


def test_replicas_are_halves_of_their_board_and_labelled_estimates(cluster: Cluster) -> None:
    booked = cluster.lake.read("ledger").to_pylist()
    by_job: dict[str, list[dict[str, Any]]] = {}
    for row in booked:
        by_job.setdefault(row["job_id"], []).append(row)
    left, right = by_job["default/left"], by_job["default/right"]
    for row in left + right + by_job["default/part"]:
        assert row["attribution"] == "shared_estimate"
    energy = [sum(row["energy_nj"] for row in rows) for rows in (left, right)]
    assert abs(energy[0] - energy[1]) <= 2 * sum(row["segments"] for row in left)
    # Together they have all that the board drew while they held it.
    [device_id] = {row["device_id"] for row in left}
    start_us, end_us = min(r["start_us"] for r in left), max(r["end_us"] for r in left)
    board_nj = sum(
        row["energy_nj"]
        for row in booked
        if row["device_id"] == device_id and start_us <= row["start_us"] < end_us
    )
    assert sum(energy) == board_nj


def test_the_restart_of_the_kubelet_left_no_trace(cluster: Cluster) -> None:
    events = [row["kind"] for row in cluster.lake.read("event").to_pylist()]
    assert "kubelet_lost" not in events
    assert "error" not in events
