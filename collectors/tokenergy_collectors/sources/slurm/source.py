"""`slurm`: which job holds which board, as the prolog and epilog of slurmd tell it.

In: files of a folder, processes, and answers of `scontrol`. Out: rows of `jobs`. At each start and
end of a job everything is read, as soon as it is known. The files are read in one thread, Slurm is
asked in another one: neither holds up the sampling.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.base.finding import Finding
from tokenergy_collectors.sources.host import Host
from tokenergy_collectors.sources.plan import Plan
from tokenergy_collectors.sources.slurm import lost
from tokenergy_collectors.sources.slurm.alive import Processes
from tokenergy_collectors.sources.slurm.asking import Asker
from tokenergy_collectors.sources.slurm.boardnames import board_names, device_files
from tokenergy_collectors.sources.slurm.findings import findings
from tokenergy_collectors.sources.slurm.held import Held
from tokenergy_collectors.sources.slurm.hookfile import HookEvent
from tokenergy_collectors.sources.slurm.inbox import Inbox
from tokenergy_collectors.sources.slurm.records import Records
from tokenergy_collectors.sources.slurm.scontrol import AskError, Run, UnreadableError, run_command
from tokenergy_collectors.sources.slurm.settings import SlurmKeys
from tokenergy_collectors.sources.slurm.tracker import Tracker, startless
from tokenergy_collectors.sources.source import Source

_ASK_EVERY_S = 1.0
_CLEAN_EVERY_S = 60.0
_EDGE_EVERY_S = 0.2
_SHOWN_US = 600_000_000
S_US = 1_000_000


class SlurmJobs(Source[SlurmKeys]):
    """Records the allocations that Slurm makes on this node."""

    name = "slurm"
    keys = SlurmKeys

    def __init__(
        self,
        config: SlurmKeys,
        host: Host,
        run: Run = run_command,
        processes: Processes | None = None,
    ) -> None:
        super().__init__(config, host)
        settings = config.slurm
        # The folder's files are written by the clock of this host, which an emulated node has not.
        self._on = settings.spool is not None and not host.emulated
        if not self._on:
            return
        self._boot_us = host.now_us() - time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1_000
        self._inbox = Inbox(Path(str(settings.spool)))
        self._files = None if settings.device_files is None else device_files(settings.device_files)
        # Slurm may know this host by a name of its own: hooks tell it, this is a guess.
        node = host.node.partition(".")[0]
        self._asker = Asker(settings.scontrol, node, settings.shards_per_board, run)
        self._records = Records(host, self._boot_us)
        known = self._records.known()
        self._tracker = Tracker(host.node, self._names, known, asks=self._asker.asks)
        self._processes = processes or Processes()
        self._lock = threading.Lock()
        self._edge = threading.Event()

    def begin(self) -> None:
        """Pass on the allocations in the lake; end those that a restart of the node has ended."""
        if self._on:
            with self._lock:
                self._record(lost.restarted(self._tracker.open(), self._boot_us))
                self._show()

    def plan(self, plan: Plan) -> None:
        """Look into the folder often, and at the jobs' processes once a second."""
        if not self._on:
            return
        self._plan = plan
        plan.every(self.name, self.config.slurm.every_s, self._read, beside=True)
        plan.every("slurm/jobs", _ASK_EVERY_S, self._look_after, beside=True)
        plan.every("slurm/files", _CLEAN_EVERY_S, self._clean, wait_s=_CLEAN_EVERY_S, beside=True)
        # Everything is read in the sampling thread: the others only say that it is time.
        plan.every("slurm/edge", _EDGE_EVERY_S, self._read_everything)

    def _read(self) -> str | None:
        """Take the events that are new in the folder."""
        host = self.host
        now_us = host.now_us()
        try:
            read = self._inbox.read(now_us)
        except OSError as error:
            return f"{self._inbox.folder}: {error.strerror}"
        changed: dict[str, Held] = {}
        with self._lock:
            for name, events in read.files:
                found: dict[str, Held] = {}
                for event in events:
                    found |= {one.key: one for one in self._apply(event, now_us)}
                self._inbox.holds(name, found.values())
                changed |= found
            self._record(list(changed.values()))
        for why in read.problems:
            host.warn("error", None, f"slurm: {why}")
        return None

    def _apply(self, event: HookEvent, now_us: int) -> list[Held]:
        node = event.fields.get("node", "")
        if node:
            self._asker.node = node
        at_us = self.host.wall_steps.stamp_us(event.wall_us, now_us)
        changed, why = self._tracker.apply(event, at_us)
        if why is not None:
            self.host.warn("error", None, f"slurm: {why}")
        return changed

    def _names(self, event: HookEvent, at_us: int) -> list[tuple[int, str]]:
        files = self._records.minors(at_us) if self._files is None else self._files
        return board_names(event.gpus, event.visible, files)

    def _look_after(self) -> str | None:
        """Ask Slurm about new jobs, and end those whose epilog is lost."""
        now_us = self.host.now_us()
        grace_us = round(self.config.slurm.grace_s * S_US)
        with self._lock:
            held = self._tracker.open()
            alive = self._processes.alive({one.job_id for one in held}) if held else set()
            missing = lost.watch(held, alive, now_us, grace_us)
            unknown = self._asker.unknown(self._tracker.since(now_us - _SHOWN_US), now_us)
        for one in unknown:
            if not self._ask(one, now_us):
                break
        self._refine(now_us)
        self._adopt(now_us)
        for one in missing:
            decide = self._asker.decide(one, now_us)
            with self._lock:
                # Its epilog may have come while Slurm was asked.
                if one.end is None and decide():
                    self.host.warn("error", None, f"slurm: job {one.job_id}: {_lost(one)}")
                    self._record([one])
        return self._asker.failure

    def _ask(self, one: Held, now_us: int) -> bool:
        """Ask Slurm about one job and record it; return whether it answered."""
        try:
            facts = self._asker.facts(one.job_id, now_us)
        except UnreadableError as error:
            one.asked = True
            self.host.warn("error", None, f"slurm: {error}: it has no name and a whole board")
            return True
        except AskError:
            return False
        with self._lock:
            one.asked = True
            if facts is None:
                return True  # Slurm has forgotten the job
            missing = one.learn(facts, self._asker.per_board())
            if missing is not None:
                self.host.warn("error", None, f"slurm: job {one.job_id}: Slurm tells no {missing}")
            ended = self._tracker.settle(one)
            self._record([one, *ended], edge=bool(ended))
        return True

    def _refine(self, now_us: int) -> None:
        """Tell which epilogs are lost as the next job shows; ask Slurm when theirs ended."""
        with self._lock:
            followed = self._tracker.followed()
        for one in followed:
            try:
                facts = self._asker.facts(one.job_id, now_us)
            except AskError:
                facts = None
            with self._lock:
                if lost.refine(one, facts):
                    self._record([one], edge=False)
            self.host.warn("error", None, f"slurm: job {one.job_id}: {_lost(one)}")

    def _adopt(self, now_us: int) -> None:
        """Ask Slurm for the starts of allocations of which only the epilog was told.

        Slurm itself leaves out the prolog of a job that starts again within two minutes on a node.
        """
        with self._lock:
            orphans = self._tracker.orphans()
        for event, at_us in orphans:
            try:
                facts = self._asker.facts(event.job_id, now_us)
            except AskError:
                facts = None
            with self._lock:
                changed, why = (
                    ([], startless(event))
                    if facts is None or facts.start_s is None
                    else self._tracker.adopt(event, at_us, facts.start_s, facts.restarts)
                )
                self._record(changed)
            if why is not None:
                self.host.warn("error", None, f"slurm: {why}")

    def _record(self, changed: list[Held], *, edge: bool = True) -> None:
        """Record allocations that changed; with `edge` one has begun or ended."""
        if not changed:
            return
        for remark in self._records.record(changed):
            self.host.warn("error", None, f"slurm: {remark}")
        if edge:
            self._edge.set()
        self._show()

    def _show(self) -> None:
        self._records.show(self._tracker.since(self.host.now_us() - _SHOWN_US))

    def _read_everything(self) -> str | None:
        if self._edge.is_set():
            self._edge.clear()
            self._plan.on_edge()
        return None

    def _clean(self) -> str | None:
        """Remove files whose allocations are in the lake."""
        host = self.host
        with self._lock:
            self._tracker.forget()
        if host.lake is None:
            return None
        try:
            self._inbox.clean(host.lake, host.node, host.now_us())
        except OSError as error:
            return f"{self._inbox.folder}: files cannot be removed: {error.strerror}"
        except UserError as error:
            return str(error)
        return None

    @classmethod
    def check(cls, config: Any, host: Host) -> Iterator[Finding]:
        """Yield whether the hooks write, and what they told last."""
        return findings(config.slurm, host)


def _lost(one: Held) -> str:
    end = one.end
    if end is None:
        return "goes on"
    width_s = (end.before_us - end.after_us) / S_US
    return f"its epilog is lost; by {end.how} it ended within {width_s:.1f} s"
