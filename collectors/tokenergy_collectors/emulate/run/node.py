"""An emulated node: boards behind NVML, token endpoints, a job list, and the truth about them.

In: a profile, the node's name, a clock. Out: a host that a collector cannot distinguish from a real
one (`pynvml` and HTTP), and afterwards exactly how much energy and how many tokens each job used.

Profile time is the monotonic clock minus its value at construction. Workloads and boards are
simulated as time goes on, under one lock, because endpoints answer from threads of their own.
`pynvml` has one library at a time: enter the nodes of one process one after the other.
"""

from __future__ import annotations

import json
import threading
import zlib
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tokenergy_collectors.base.clock import Clock
from tokenergy_collectors.emulate.nvml import library as nvml
from tokenergy_collectors.emulate.nvml.faulting import FaultingLibrary
from tokenergy_collectors.emulate.physics.board import Board
from tokenergy_collectors.emulate.physics.power import BoardGroup, Placement, Trace
from tokenergy_collectors.emulate.profile import blueprint
from tokenergy_collectors.emulate.profile.fault_specs import ClockJumpSpec
from tokenergy_collectors.emulate.profile.jobs import JobSpec, Placed, StrayJobSpec
from tokenergy_collectors.emulate.profile.profile import Profile
from tokenergy_collectors.emulate.run.endpoints import EmulatedSource, serve_job
from tokenergy_collectors.emulate.run.metrics_server import Snapshot
from tokenergy_collectors.emulate.run.truth import energy_row, token_row, write_json
from tokenergy_collectors.emulate.workloads.base import Workload
from tokenergy_collectors.lake.contract import WHOLE_PPM


class EmulatedNode:
    """One node of a profile. As a context manager it installs NVML and serves its endpoints.

    Args:
        profile: the cluster.
        node: name of one of its nodes.
        clock: the node's clock; its UTC now becomes the start of the profile.

    Raises:
        UserError: the profile has no such node, or names a request log that cannot be read.
    """

    def __init__(self, profile: Profile, node: str, clock: Clock) -> None:
        profile.require_node(node)
        self.profile = profile
        self.node = node
        self.duration_us = profile.duration_us
        self.start_us = clock.realtime_us()
        self.sources: list[EmulatedSource] = []
        self._clock = clock
        self._origin_us = clock.monotonic_us()
        self._lock = threading.RLock()
        self._stack = ExitStack()
        self._library: nvml.NvmlLibrary | None = None
        everything: list[JobSpec | StrayJobSpec] = [*profile.jobs, *profile.strays]
        here = [placed for placed in everything if node in placed.devices]
        self._running = [(placed, blueprint.workload(profile, placed)) for placed in here]
        physics = [
            blueprint.physics(profile, node, index) for index in range(profile.nodes[node].count)
        ]
        edges_us = {0, self.duration_us, *(p.start_us for p in here), *(p.end_us for p in here)}
        placements = [Placement(w, tuple(p.devices[node])) for p, w in self._running]
        seed = [profile.seed, zlib.crc32(node.encode())]
        self._group = BoardGroup(physics, placements, edges_us, seed)
        self.boards = [self._board(index) for index in range(len(physics))]

    def _board(self, index: int) -> Board:
        residents = [
            (workload, placed.devices[self.node].index(index))
            for placed, workload in self._running
            if index in placed.devices[self.node]
        ]
        identity = blueprint.identity(self.profile, self.node, index)
        sensor = blueprint.sensor(self.profile, self.node, index)
        return Board(identity, sensor, self._trace_to, residents)

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            library = self._faulting_library()
            self._library = stack.enter_context(nvml.install(self, library))
            for placed, workload in self._running:
                if isinstance(placed, JobSpec) and self._counts(placed, workload):
                    self._serve(placed, workload, stack)
            # Only now: if serving a job fails, the inner `with` undoes what was entered before.
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.close()
        self._library = None
        self.sources = []

    def _faulting_library(self) -> FaultingLibrary | None:
        """Return NVML with this node's faults; None if the profile has none for it."""
        faults = [fault for fault in self.profile.faults if fault.node == self.node]
        return FaultingLibrary(self, faults, self._clock) if faults else None

    def now_us(self) -> int:
        """Return profile time in microseconds."""
        return self._clock.monotonic_us() - self._origin_us

    def fail(self, index: int, code: int | None) -> None:
        """Let NVML calls on a board return an error code (15: lost); None ends the failure."""
        if self._library is None:
            raise RuntimeError("a board can fail only while the node is entered")
        self._library.fail(index, code)

    def set_identity(self, index: int, **values: Any) -> None:
        """Change what a board reports of itself: `limit_mw`, `min_limit_mw`, `mig`, ...

        Its physics does not change: a new limit is reported, not enforced.
        """
        board = self.boards[index]
        board.identity = replace(board.identity, **values)
        if self._library is not None:
            self._library.update_mig()

    def set_field(self, index: int, field: int, value: int, scope: int = 0) -> None:
        """Let a board report a further NVML field, such as a setting of power smoothing."""
        if self._library is None:
            raise RuntimeError("a field can be set only while the node is entered")
        self._library.set_field(index, field, value, scope)

    def reset_counter(self, index: int) -> None:
        """Restart a board's energy counter at zero now. The truth does not change."""
        self.boards[index].reset_counter(self.now_us())

    @property
    def origin_us(self) -> int:
        """The monotonic clock at profile time zero, microseconds."""
        return self._origin_us

    @property
    def labels(self) -> dict[str, str]:
        """Site, hall, pod and rack, those that the profile declares."""
        spec = self.profile.nodes[self.node]
        every = {"site": spec.site, "hall": spec.hall, "pod": spec.pod, "rack": spec.rack}
        return {key: value for key, value in every.items() if value is not None}

    @property
    def allocations(self) -> list[dict[str, Any]]:
        """Rows for the `jobs` table (all columns but `recorded_us`), one a job and local board."""
        return [
            {
                "job_id": placed.id,
                "node": self.node,
                "device_id": self.boards[index].identity.uuid,
                "start_us": self.start_us + placed.start_us,
                "end_us": self.start_us + placed.end_us,
                "share_ppm": WHOLE_PPM,
                "scheduler": "emulated",
                "user": placed.user,
                "account": placed.account,
                "name": placed.name,
                "labels": json.dumps({"workload": placed.workload.type}),
                "method": "declared",
                "cluster": None,
                "allocation_id": None,
                "edge_doubt_us": None,
            }
            for placed, _ in self._running
            if isinstance(placed, JobSpec)
            for index in placed.devices[self.node]
        ]

    def truth(self) -> list[dict[str, Any]]:
        """Return the truth, exact to the nanojoule and the token.

        Each row has a `row` that says what it is: `allocation` (one a job and board), `stray` (one
        a stray process and board), `board` (one a board, whole duration, idling included) and
        `tokens` (one a job counted on this node). Stamps are UTC microseconds. Energy is the GPU's;
        on a module, `module_energy_nj` is beside it.

        Raises:
            RuntimeError: the duration has not passed yet.
        """
        if self.now_us() < self.duration_us:
            raise RuntimeError("the truth is known only after the profile's duration")
        self._trace_to(self.duration_us)
        every = range(len(self.boards))
        rows = [self._energy("board", {}, index, 0, self.duration_us) for index in every]
        for placed, workload in self._running:
            kind, key = ("allocation", "job_id") if isinstance(placed, JobSpec) else ("stray", "id")
            for index in placed.devices[self.node]:
                owner = {key: placed.id}
                rows.append(self._energy(kind, owner, index, placed.start_us, placed.end_us))
            if self._counts(placed, workload):
                rows.append(self._tokens(placed, workload))
        return rows

    def write_truth(self, path: Path) -> None:
        """Write the truth as JSON.

        Raises:
            RuntimeError: the duration has not passed yet.
            UserError: the file cannot be written.
        """
        head = {
            "profile": self.profile.name,
            "seed": self.profile.seed,
            "node": self.node,
            "start_us": self.start_us,
            "duration_us": self.duration_us,
        }
        write_json(path, head, self.truth())

    def _energy(
        self, row: str, owner: dict[str, str], index: int, start_us: int, end_us: int
    ) -> dict[str, Any]:
        at_nj = self._group.edge_nj
        board = self.boards[index]
        return energy_row(
            row,
            owner,
            self.node,
            board.identity.uuid,
            (self.start_us + start_us, self.start_us + end_us),
            int(at_nj[end_us][index] - at_nj[start_us][index]),
            board.module_rest_mw,
        )

    def _tokens(self, placed: Placed, workload: Workload) -> dict[str, Any]:
        """Return a job's tokens up to its end, by the kinds of the contract."""
        with self._lock:
            workload.advance(placed.end_us)
            totals = workload.totals_at(placed.end_us)
            told = workload.told_at(placed.end_us)
        tokens = dict(zip(workload.counters, totals, strict=False))
        return token_row(placed.id, self.node, tokens, None if told is None else told.finished)

    def _counts(self, placed: Placed, workload: Workload) -> bool:
        """Return whether the job's tokens are counted here: on the node of its rank 0."""
        return bool(workload.counters) and next(iter(placed.devices)) == self.node

    def _trace_to(self, at_us: int) -> Trace:
        with self._lock:
            self._group.advance(at_us)
            return self._group.trace

    def _serve(self, job: JobSpec, workload: Workload, stack: ExitStack) -> None:
        served = serve_job(job, self.node, lambda: self._snapshot(workload))
        if served is not None:
            server, source = served
            stack.callback(server.close)
            self.sources.append(source)

    def _snapshot(self, workload: Workload) -> Snapshot | None:
        # Counters and gauges of one instant: the sampler may move time on in its own thread.
        with self._lock:
            now_us = self.now_us()
            if not workload.ready_us <= now_us <= workload.end_us:
                return None
            workload.advance(now_us)
            totals = workload.totals_at(now_us)
            told = workload.told_at(now_us)
        split = len(workload.counters)
        return Snapshot(
            dict(zip(workload.counters, totals[:split], strict=True)),
            dict(zip(workload.gauges, totals[split:], strict=True)),
            self._wall_us(workload.start_us) / 1e6,
            told,
        )

    def _wall_us(self, at_us: int) -> int:
        """Return what the host's wall clock showed at a profile time, with all jumps until then."""
        jumps = (
            fault.by_us
            for fault in self.profile.faults
            if isinstance(fault, ClockJumpSpec) and fault.node == self.node and fault.at_us <= at_us
        )
        return self.start_us + at_us + sum(jumps)
