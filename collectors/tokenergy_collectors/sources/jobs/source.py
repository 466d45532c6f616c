"""Declared jobs as a source: a CSV file of allocations, or those of an emulated node.

In: the file, checked every 10 s. Out: rows of `jobs` for new and changed allocations, and the
future edges of jobs, at which everything is read.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.base.finding import Finding
from tokenergy_collectors.base.leftout import LeftOut
from tokenergy_collectors.base.problems import Problems
from tokenergy_collectors.lake.contract import JOBS
from tokenergy_collectors.lake.identity import sightings
from tokenergy_collectors.lake.nodenames import NodeNames
from tokenergy_collectors.sources.host import Host
from tokenergy_collectors.sources.jobs.declared import DeclaredJobs
from tokenergy_collectors.sources.jobs.jobsfile import read_jobs
from tokenergy_collectors.sources.jobs.settings import JobKeys
from tokenergy_collectors.sources.plan import Plan
from tokenergy_collectors.sources.source import Source

_EVERY_S = 10.0


class Jobs(Source[JobKeys]):
    """Records the allocations that are declared for this node.

    Raises:
        UserError: the job file cannot be read, at start.
    """

    name = "jobs"
    keys = JobKeys

    def __init__(self, config: JobKeys, host: Host) -> None:
        super().__init__(config, host)
        path = _path(config, host)
        # Reading the lake takes time, so only if there are declared jobs to compare with it.
        lake = host.lake if host.declared or path else None
        known = lake.read("jobs", node=host.node).to_pylist() if lake else []
        self._jobs = DeclaredJobs(
            host.node,
            host.boards,
            path,
            host.declared or (),
            known,
            sightings(lake, host.node) if lake else (),
            host.cluster,
        )
        self._jobs.spread.update(host.spread)
        self._problems = Problems()

    def begin(self) -> None:
        """Pass on the allocations that are already in the lake."""
        self._show()

    def _show(self) -> None:
        """Pass on the declared allocations; other sources pass on those that they learned."""
        here = [row for row in self._jobs.here() if row["method"] == "declared"]
        self.host.output.allocations(here, self._jobs.spread)

    def plan(self, plan: Plan) -> None:
        """Look for new allocations every 10 s."""
        self._plan = plan
        plan.every("jobs", _EVERY_S, self._read)

    def _read(self) -> str | None:
        """Record new allocations; plan to read everything at each of their future edges."""
        host = self.host
        try:
            changes = self._jobs.changes(host.now_us())
        except UserError as error:
            if self._problems.is_new("", str(error)):
                host.event("error", None, f"jobs: {error}")
            return str(error)
        self._problems.is_over("")
        for remark in changes.remarks:
            host.warn("error", None, f"jobs: {remark}")
        if changes.rows:
            host.output.add("jobs", [JOBS.make_row(**row) for row in changes.rows])
            self._show()
        for edge_us in sorted(changes.edges_us):
            self._plan.edge_at(edge_us - host.offset_us)
        return None

    @classmethod
    def validate(cls, config: Any, *, emulated: bool) -> None:
        """Read the job file once.

        Raises:
            UserError: it cannot be read.
        """
        # An emulated node's jobs are those of its profile.
        if config.jobs_file is not None and not emulated:
            read_jobs(config.jobs_file, left_out=LeftOut())

    @classmethod
    def check(cls, config: Any, host: Host) -> Iterator[Finding]:
        """Yield how many allocations the job file declares, and how many are on this node."""
        if host.declared is not None:  # an emulated node: its profile declares the jobs
            return
        if config.jobs_file is None:
            yield Finding(
                "ok",
                "jobs",
                "no jobs_file: jobs are those that other sources find, or that you import",
            )
            return
        try:
            jobs = read_jobs(config.jobs_file, left_out=LeftOut())
            path = Path(config.jobs_file)
            changes = DeclaredJobs(host.node, host.boards, path).changes(host.now_us())
        except UserError as error:
            yield Finding("FAIL", "jobs", str(error))
            return
        names = NodeNames({host.node}, (job["node"] for job in jobs))
        here = sum(bool(names.recorded(job["node"])) for job in jobs)
        listed = f"{len(jobs)} allocation{'' if len(jobs) == 1 else 's'}"
        text = f"{config.jobs_file}: {listed}, {here} on node {host.node}"
        yield Finding("warn" if jobs and not here else "ok", "jobs", text)
        for remark in changes.remarks:
            yield Finding("warn", "jobs", remark)


def _path(config: JobKeys, host: Host) -> Path | None:
    """Return the job file; None on an emulated node, whose profile declares its jobs."""
    if host.declared is not None or config.jobs_file is None:
        return None
    return Path(config.jobs_file)
